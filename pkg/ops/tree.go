package ops

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/swap"
	"mailutil/pkg/mailbox"
)

// Mailboxes lists the mailboxes whose names begin with prefix, as a user would
// write them, sorted by their octets, INBOX last. The list is complete before
// anything is done with it. Where a place has names of its own (a server, a
// namespace), its driver lists them; else the directories are walked:
//
//   - each directory once, however many symbolic links lead to it;
//   - regular files only, so that no FIFO or device is ever opened;
//   - a directory that a driver knows as a mailbox is one, and what is in it
//     and not its own (mailbox.Parent) may be one, too;
//   - files that belong to another mailbox (locks, journals, what was saved) are
//     none.
//
// unread are directories that could not be read.
func (s *Session) Mailboxes(ctx context.Context, prefix string) (all []mailbox.Entry, unread []error, err error) {
	n, err := s.prefixName(prefix)
	if err != nil {
		return nil, nil, err
	}
	if n.Space != "" {
		all, err = s.listed(ctx, n)
		return all, nil, err
	}
	w := &walker{ctx: ctx, s: s, seen: map[node.ID]bool{}}
	dir, base := n.Path, ""
	if i := strings.LastIndexByte(prefix, '/'); !n.Inbox && !strings.HasSuffix(n.Path, "/") {
		dir, base = filepath.Dir(n.Path), prefix[i+1:]
	}
	w.dir(dir, prefix[:len(prefix)-len(base)], base, nil)
	sortEntries(w.all)
	if strings.HasPrefix("INBOX", strings.ToUpper(prefix)) && w.err == nil {
		w.inbox()
	}
	return w.all, w.unread, w.err
}

// prefixName resolves the beginning of names: nothing is the home directory,
// and INBOX is a name like others there.
func (s *Session) prefixName(prefix string) (mailbox.Name, error) {
	if prefix == "" || strings.EqualFold(prefix, "INBOX") {
		n, err := s.Env.Resolve("~/" + prefix)
		n.Text = prefix
		return n, err
	}
	return s.Env.Resolve(prefix)
}

// listed asks the driver that alone knows the names.
func (s *Session) listed(ctx context.Context, n mailbox.Name) (all []mailbox.Entry, err error) {
	l, ok := s.Drivers.Named(n.Space).(mailbox.Lister)
	if !ok {
		return nil, fail("list", n.Text, mailbox.ErrUnsupported)
	}
	for e, err := range l.List(ctx, n) {
		if err != nil {
			return nil, err
		}
		if e.Selectable {
			all = append(all, e)
		}
	}
	sortEntries(all)
	return all, nil
}

func sortEntries(all []mailbox.Entry) {
	slices.SortFunc(all, func(a, b mailbox.Entry) int { return strings.Compare(a.Name, b.Name) })
}

// anyFile is the format that takes every file which no other knows.
const anyFile = "phile"

// A walker is one walk through directories.
type walker struct {
	ctx    context.Context
	s      *Session
	seen   map[node.ID]bool // directories
	left   bool             // also mailboxes without a name, whose conversion was interrupted
	all    []mailbox.Entry
	unread []error
	err    error
}

// maxPath ends walks in file systems that do not know their own directories.
const maxPath = 4096

// dir looks through a directory; text is what stands before the names in it,
// and they must begin with base. part says which entries belong to the mailbox
// that the directory is; nil where it is none.
func (w *walker) dir(dir, text, base string, part func(entry string) bool) {
	if w.err = errors.Join(w.err, w.ctx.Err()); w.err != nil || !w.enter(dir) {
		return
	}
	entries, err := os.ReadDir(dir)
	if err == nil && w.left && w.finish(dir, entries) {
		entries, err = os.ReadDir(dir)
	}
	if err != nil {
		if !node.Gone(err) {
			w.unread = append(w.unread, fail("open", text, err))
		}
		return
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
	}
	has := func(name string) bool { return names[name] }
	for _, e := range entries {
		name := e.Name()
		if of, ok := swap.Of(name); ok && w.left && !names[of] {
			w.add(text + of)
		}
		if strings.HasPrefix(name, base) && (!sideFile(name, has) || isSubfolder(dir, name, has)) && (part == nil || !part(name)) {
			w.entry(filepath.Join(dir, name), text+name, part != nil)
		}
	}
}

// finish gives mailboxes their names back that have none since the conversion of
// one that they are in was interrupted, and reports whether there was any.
func (w *walker) finish(dir string, entries []os.DirEntry) (some bool) {
	for _, e := range entries {
		of, ok := swap.Of(e.Name())
		if !ok || w.s.DryRun {
			continue
		}
		did, err := swap.Finish(filepath.Join(dir, of), w.s.part)
		if err != nil && !errors.Is(err, swap.ErrUnderWay) { // which whoever converts it is told
			w.unread = append(w.unread, err)
		}
		if did != "" {
			w.s.Env.Notify(mailbox.Warn, did)
			some = true
		}
	}
	return some
}

// enter reports whether a directory has not been looked through yet.
func (w *walker) enter(dir string) bool {
	fi, err := os.Stat(dir)
	if err != nil || !fi.IsDir() || len(dir) > maxPath {
		return false
	}
	id := node.IDOf(fi)
	known := w.seen[id]
	w.seen[id] = true
	return !known
}

// entry looks at a file or a directory.
func (w *walker) entry(path, text string, inside bool) {
	fi, err := os.Stat(path)
	switch {
	case err != nil: // gone meanwhile, or a link to nowhere
	case fi.Mode().IsRegular():
		if !strings.EqualFold(text, "INBOX") { // a name that means something else
			w.add(text)
		}
	case fi.IsDir():
		w.directory(path, text, inside)
	}
}

// directory looks at a directory, and at what is below it.
func (w *walker) directory(path, text string, inside bool) {
	d, err := w.s.Drivers.Find(mailbox.Name{Text: text, Path: path})
	if err != nil && !errors.Is(err, mailbox.ErrNotExist) {
		w.unread = append(w.unread, err)
		return
	}
	var part func(string) bool
	if is := err == nil && !formatless(d); is {
		w.add(text)
		part = partOf(d, path)
	} else if inside {
		part = filesOf(path)
	}
	w.dir(path, text+"/", "", part)
}

func (w *walker) add(text string) {
	w.all = append(w.all, mailbox.Entry{Name: text, Delimiter: '/', Selectable: true})
}

// inbox adds INBOX where mail has arrived.
func (w *walker) inbox() {
	if d, err := w.s.Drivers.Find(mailbox.Name{Text: "INBOX", Inbox: true}); err == nil && !formatless(d) {
		w.add("INBOX")
	}
}

// partOf returns what tells the entries of a mailbox from others in its
// directory: where its driver does not say, all but other directories.
func partOf(d mailbox.Driver, dir string) func(entry string) bool {
	if p, ok := d.(mailbox.Parent); ok {
		return p.Part
	}
	return filesOf(dir)
}

func filesOf(dir string) func(entry string) bool {
	return func(entry string) bool {
		fi, err := os.Stat(filepath.Join(dir, entry))
		return err != nil || !fi.IsDir() || entry == "cur" || entry == "new" || entry == "tmp"
	}
}

// belongs reports whether the file or directory at path belongs to a mailbox of
// another name.
func (s *Session) belongs(path string) bool {
	dir, name := filepath.Split(path)
	dir = filepath.Clean(dir)
	has := func(name string) bool { return exists(filepath.Join(dir, name)) }
	if !has(name) {
		return false
	}
	return sideFile(name, has) && !isSubfolder(dir, name, has) || s.within(path)
}

// within reports whether the file at path is one of those of a mailbox that is a
// directory.
func (s *Session) within(path string) bool {
	dir, name := filepath.Split(path)
	dir = filepath.Clean(dir)
	above, base := filepath.Split(dir)
	return s.isPart(dir, name) || s.isPart(filepath.Clean(above), base) // as cur of a Maildir
}

// isPart reports whether dir is a mailbox and has an entry of its own.
func (s *Session) isPart(dir, entry string) bool {
	d, err := s.Drivers.Find(mailbox.Name{Text: dir, Path: dir})
	if err != nil || formatless(d) {
		return false
	}
	p, ok := d.(mailbox.Parent)
	return ok && p.Part(entry)
}

// sideFile reports whether a name in a directory that has others belongs to
// another mailbox: its lock, what was saved of it, what is being made of it, what
// is left of it.
func sideFile(name string, has func(name string) bool) bool {
	for _, suffix := range []string{".lock", ".lost"} {
		if of, ok := strings.CutSuffix(name, suffix); ok && has(of) {
			return true
		}
	}
	if i := strings.Index(name, ".lock."); i > 0 && has(name[:i]) { // a post of a lock
		return true
	}
	if i := strings.LastIndex(name, swap.OriginalSuffix); i > 0 && has(name[:i]) && strings.Trim(name[i+len(swap.OriginalSuffix):], "-.0123456789TZ") == "" { // of a repair with the time
		return true
	}
	if !strings.HasPrefix(name, ".") {
		return false
	}
	suffix := filepath.Ext(name)
	return swap.IsSide(name) || strings.HasPrefix(name, ".mailutil-") || mixFile.MatchString(name) ||
		slices.Contains([]string{".journal", ".copy", ".new", ".gone"}, suffix)
}

// mixFile matches the files of a mix mailbox, also where it has lost others.
var mixFile = regexp.MustCompile(`^\.mix(meta|index|status|[0-9a-f]{8})$`)

// isSubfolder reports whether a directory that is called like a side file is a
// subfolder of a Maildir: .A.new is A/new. What is being made of .A begins with
// two dots, and what is made of a mailbox in its place has its record beside it.
func isSubfolder(dir, name string, has func(name string) bool) bool {
	return !strings.HasPrefix(name, "..") && !has(swap.RecordOf(name)) && exists(filepath.Join(dir, name, "maildirfolder"))
}

// Below lists the mailboxes that a name stands for: itself, and where it is a
// directory those in it, sorted. What no format knows is left out, and so is
// what could not be looked through, which is in unread.
func (s *Session) Below(ctx context.Context, name string) (names []string, unread []error, err error) {
	n, err := s.Env.Resolve(name)
	if err != nil {
		return nil, nil, err
	}
	if !n.Inbox && n.Space == "" && !s.DryRun {
		// The mailbox itself is above any that may be in it.
		if err := s.finishAbove(filepath.Join(n.Path, "x")); err != nil && !errors.Is(err, swap.ErrUnderWay) {
			return nil, nil, err
		}
	}
	fi, err := os.Stat(n.Path)
	if n.Inbox || n.Space != "" || err != nil && swap.Left(n.Path) || err == nil && !fi.IsDir() {
		return []string{name}, nil, nil
	}
	if err != nil {
		return nil, nil, fail("open", name, fmt.Errorf("%w: %w", mailbox.ErrNotExist, err))
	}
	w := &walker{ctx: ctx, s: s, seen: map[node.ID]bool{}, left: true}
	w.directory(strings.TrimRight(n.Path, "/"), strings.TrimRight(name, "/"), false)
	sortEntries(w.all)
	files := map[node.ID]bool{}
	for _, e := range w.all {
		if s.known(e.Name, files) {
			names = append(names, e.Name)
		}
	}
	return names, w.unread, w.err
}

// finishAbove gives the mailboxes that path is or may be among their names back,
// where the conversion of one that they are in was interrupted. The error is
// swap.ErrUnderWay where it is not over.
func (s *Session) finishAbove(path string) error {
	did, err := swap.Above(path, s.part)
	if did != "" {
		s.Env.Notify(mailbox.Warn, did)
	}
	return err
}

// known reports whether a format knows a mailbox, or nobody can tell, and it is
// not another name of one of the files that it has seen.
func (s *Session) known(name string, files map[node.ID]bool) bool {
	n, err := s.Env.Resolve(name)
	if err != nil {
		return true
	}
	if fi, err := os.Stat(n.Path); err == nil {
		id := node.IDOf(fi)
		if files[id] {
			return false
		}
		files[id] = true
	}
	d, err := s.sources().Find(n)
	return err != nil || d.Name() != anyFile
}
