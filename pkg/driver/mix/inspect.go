package mix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// beside is the offset of findings that are about no place in a file.
const beside = -1

// Inspect looks at every octet of n: the metadata, the index with each message
// that it lists, the status, and then what is in the data files besides. An
// offset is one in the file that the text of the finding begins with.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	in, err := d.inspect(ctx, n, report, nil)
	return in, d.fail("check", n, err)
}

// inspect looks at n, and calls then while the files are open and locked.
func (d *Driver) inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error, then func(*inspection) error) (in mailbox.Inspection, err error) {
	if err := ctx.Err(); err != nil {
		return in, err
	}
	dir, err := d.Place(n)
	if err != nil {
		return in, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return in, d.missing(dir)
	}
	i := d.newInspection(ctx, dir, report)
	if err := i.list(); err != nil || !i.looksLike() {
		return in, d.missing(dir)
	}
	i.then = then
	defer i.close()
	err = i.run()
	if i.err != nil { // the cause of all that came after it
		err = i.err
	}
	return i.in, errors.Join(i.changed(), err)
}

func (d *Driver) newInspection(ctx context.Context, dir string, report func(mailbox.Finding) error) *inspection {
	i := &inspection{d: d, ctx: ctx, report: report, dir: dir, opened: map[string]*inspected{}, wrongHeader: map[[2]int64]bool{}}
	i.in = mailbox.Inspection{Driver: d.Name(), Path: dir}
	return i
}

// list finds out which files there are.
func (i *inspection) list() error {
	all, err := entries(i.dir)
	for _, e := range all {
		switch {
		case isOurs(e.Name()) && e.Type().IsRegular():
			i.names = append(i.names, e.Name())
		case e.Name() == stagedName && e.IsDir():
			i.staged = true
		}
	}
	return err
}

// An inspection looks at one mailbox.
type inspection struct {
	d      *Driver
	ctx    context.Context
	report func(mailbox.Finding) error
	dir    string
	names  []string // files of the mailbox
	opened map[string]*inspected
	in     mailbox.Inspection
	err    error // of report, or of reading: it ends the inspection

	meta    meta
	hasMeta bool
	s       state // as far as it can be read
	whole   bool  // the index could be read to its end
	unnamed uint32
	data    data

	wrongHeader map[[2]int64]bool // messages of which the index has another size of the header, by their places

	staged  bool                                    // a repair was decided and interrupted
	pending bool                                    // it was, or another change
	digest  func(seq int, text *maphash.Hash) error // told of each text, unless nil
	then    func(*inspection) error                 // called at the end, unless nil
}

// An inspected is an open file and what it was when it was opened.
type inspected struct {
	fsx.File
	fi fs.FileInfo
}

// looksLike reports whether the directory is a mailbox, or was one.
func (i *inspection) looksLike() bool {
	return slices.ContainsFunc(i.names, func(name string) bool {
		_, isData := dataNumber(name)
		return isData || name == metaName || name == indexName || name == statusName
	})
}

func (i *inspection) has(name string) bool { return slices.Contains(i.names, name) }

// open opens a file of the mailbox, which is closed at the end.
func (i *inspection) open(name string) (*inspected, error) {
	if f := i.opened[name]; f != nil {
		return f, nil
	}
	f, err := fsx.OpenQuiet(i.d.FS, filepath.Join(i.dir, name))
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w; the original makes such files: chmod u+rw them, then go on", err)
	}
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	i.opened[name] = &inspected{f, fi}
	i.in.Size += fi.Size()
	return i.opened[name], nil
}

func (i *inspection) close() {
	for _, f := range i.opened {
		f.Close() // nothing was written
	}
}

// changed returns mailbox.ErrChanged where findings may be due to a writer.
func (i *inspection) changed() error {
	if i.in.Doubts+i.in.Damages == 0 {
		return nil
	}
	for _, f := range i.opened {
		now, err := f.Stat()
		if err != nil {
			return err
		}
		if now.Size() != f.fi.Size() || !now.ModTime().Equal(f.fi.ModTime()) {
			return mailbox.ErrChanged
		}
	}
	return nil
}

// stopped reports whether there is no use in going on.
func (i *inspection) stopped() bool {
	if i.err == nil {
		i.err = i.ctx.Err()
	}
	return i.err != nil
}

func (i *inspection) damage(code, file string, off int64, seq int, format string, args ...any) {
	i.say(mailbox.Damage, code, file, off, seq, format, args...)
}

func (i *inspection) doubt(code, file string, off int64, seq int, format string, args ...any) {
	i.say(mailbox.Doubt, code, file, off, seq, format, args...)
}

func (i *inspection) say(s mailbox.Severity, code, file string, off int64, seq int, format string, args ...any) {
	if i.stopped() {
		return
	}
	g := mailbox.Finding{Code: "mix." + code, Off: off, Seq: uint32(seq), Severity: s, Text: file + ": " + fmt.Sprintf(format, args...)}
	i.in.Count(g)
	if i.report != nil {
		i.err = i.report(g)
	}
}

// run takes the locks of a reader and looks at one file after the other.
func (i *inspection) run() error {
	for _, name := range []string{metaName, indexName, statusName} {
		if !i.has(name) {
			continue
		}
		f, err := i.open(name)
		if err != nil {
			return err
		}
		held, err := lock.Flock(i.d.locks()).Lock(i.ctx, f.OS(), lock.Shared)
		if err != nil {
			return err
		}
		defer held.Release() // so does closing the file
		if f.fi, err = f.Stat(); err != nil {
			return err
		}
	}
	i.data = data{h: &hold{d: i.d, dir: i.dir}}
	defer i.data.close() // nothing was written
	i.sides()
	for _, look := range []func() error{i.metadata, i.index, i.messages, i.statuses, i.rest} {
		if err := look(); err != nil || i.stopped() {
			return err
		}
	}
	if i.then == nil {
		return nil
	}
	return i.then(i)
}

// sides reports what crashes left.
func (i *inspection) sides() {
	for _, name := range []string{metaName, indexName, statusName} {
		if !i.has(name) {
			continue // nobody finishes it
		}
		pending, err := journal.Pending(filepath.Join(i.dir, name), i.d.journal())
		if err != nil {
			i.err = err
		}
		if pending {
			i.pending = true
			i.damage("journal", name, beside, 0,
				"a change of the file was interrupted: open the mailbox for writing, which finishes it, and check it again")
		}
	}
	if i.staged {
		i.pending = true
		i.damage("repair", stagedName, beside, 0, "a repair was interrupted: open the mailbox for writing, or repair it again, which finishes it")
	}
	for _, name := range i.names {
		_, isData := dataNumber(name)
		switch {
		case isData, name == metaName, name == indexName, name == statusName, name == prefix+"sortcache":
		case name == lostName:
			i.doubt("lost", name, beside, 0, "has octets that were no whole message: look there for mail, then remove it")
		case name == deletedName:
			i.doubt("deleted", name, beside, 0, "deleting the mailbox was interrupted: delete it again")
		case name == copyName:
			i.doubt("copy-left", name, beside, 0, "is left of a removal of messages that was interrupted: nothing in it is needed")
		default:
			i.doubt("stray", name, beside, 0, "is no file of the format")
		}
	}
}

// all returns the octets of a file, at most a mebibyte.
func (f *inspected) all() ([]byte, error) {
	b := make([]byte, min(f.fi.Size(), maxMeta))
	n, err := f.ReadAt(b, 0)
	if n < len(b) {
		return nil, errors.Join(mailbox.ErrChanged, err)
	}
	return b, nil
}

// metadata looks at the metadata.
func (i *inspection) metadata() error {
	if !i.has(metaName) {
		i.damage("meta-missing", metaName, beside, 0, "is missing: no reader knows the mailbox")
		return nil
	}
	f, err := i.open(metaName)
	if err != nil {
		return err
	}
	b, err := f.all()
	if err != nil {
		return err
	}
	i.meta, err = parseMeta(b)
	e, bad := errors.AsType[*mailbox.Error](err)
	switch {
	case f.fi.Size() > maxMeta:
		i.damage("meta-size", metaName, maxMeta, 0, "has %d octets: the original stops with an error", f.fi.Size())
	case bad:
		i.badMeta(b, e)
		return nil
	}
	i.hasMeta = true
	if i.meta.validity == 0 {
		i.doubt("validity-missing", metaName, 0, 0, "has no UIDVALIDITY: each session makes up one")
	}
	if !bytes.Equal(b, i.meta.print()) {
		i.doubt("meta-loose", metaName, 0, 0, "is not as any program writes it")
	}
	names := map[string]bool{}
	for n, name := range i.meta.keywords {
		at := int64(bytes.Index(b, []byte(name)))
		if !mailbox.ValidKeyword(name) {
			i.doubt("keyword", metaName, at, 0, "keyword %d has octets that no keyword can have: %.50q", n+1, name)
		}
		if low := strings.ToLower(name); names[low] {
			i.doubt("keyword-twice", metaName, at, 0, "keyword %d has the name of another: %.50q", n+1, name)
		} else {
			names[low] = true
		}
	}
	return nil
}

// badMeta says what keeps readers from the mailbox.
func (i *inspection) badMeta(b []byte, e *mailbox.Error) {
	line, _, ended := bytes.Cut(b[min(e.Off, int64(len(b))):], crlf)
	code, what := "meta-record", "a line cannot be understood"
	switch {
	case e.Off == 0:
		code, what = "meta-sequence", "does not begin with a sequence"
	case len(line) > 0 && line[0] == 'V':
		code, what = "meta-validity", "UIDVALIDITY is no number above 0"
	case len(line) > 0 && line[0] == 'L':
		code, what = "meta-uidlast", "the last UID is no number"
	case len(line) > 0 && line[0] == 'N':
		code, what = "meta-new", "the data file for new mail is no number"
	case len(line) > 0 && line[0] == 'K' && !ended:
		code, what = "meta-open", "the line of keywords has no end, as the original leaves it when it creates a mailbox with keywords"
	case len(line) > 0 && line[0] == 'K':
		code, what = "meta-keywords", "the keywords cannot be understood"
	}
	i.damage(code, metaName, e.Off, 0, "%s: no reader opens the mailbox: %.60q", what, line)
}

// missing reports a file that must be there.
func (i *inspection) absent(name, code, what string) bool {
	if i.has(name) {
		return false
	}
	i.damage(code, name, beside, 0, "is missing: no reader opens the mailbox, and %s", what)
	return true
}
