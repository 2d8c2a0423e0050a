// Package swap puts a new mailbox, a file or a directory, in the place of an
// old one, so that a kill or a power cut at any instant leaves either of them
// under the name, and the next run finishes or undoes what was begun.
//
// Beside a mailbox NAME there are meanwhile
//
//	.NAME.convert     the new mailbox as it is being made
//	.NAME.converting  the record: who is at work has flock(2) on it; once the new
//	                  mailbox is whole it says which file is the old one, and what
//	                  it will be called
//	NAME.orig         the old mailbox, afterwards
//
// Where the system can exchange two names at once (renameat2 with
// RENAME_EXCHANGE, on Linux) that is the step from old to new. Elsewhere a file
// gets a second name by link(2) and the new one is renamed over the first: the
// name is never missing either. A directory must be renamed away first, and for
// an instant nothing has the name; a run that comes after a kill there finds the
// record and gives it back.
//
// # Mailboxes in the directory of another
//
// Where both mailboxes are directories, what is in that of the old one and no part
// of it (Part) goes over to that of the new one, entry by entry, right after the
// two have exchanged their names. The names of the entries are in the record
// before. For the instant in between, well below a millisecond for each, such an
// entry has no name that anybody knows: who opens a mailbox there by its name does
// not find it, who has files of it open keeps them. A run that comes after a kill
// there finishes that first (Above, Finish, Begin), and the old mailbox is never
// removed with anything in it that is not its own. An entry whose name something
// else has got by then stays with the old mailbox, which is said (Stayed).
//
// So that nobody converts a mailbox in a directory that moves, who has taken his
// record looks for those of the directories above and of all that is below, and
// gives up where somebody is at work there (Above, Below): of two that begin at
// the same time at least one sees the other.
package swap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
)

// Suffixes of the names beside a mailbox.
const (
	HiddenSuffix   = ".convert"
	recordSuffix   = ".converting"
	OriginalSuffix = ".orig"
)

// IsSide reports whether a name belongs to a conversion under way.
func IsSide(name string) bool {
	return strings.HasPrefix(name, ".") && (strings.HasSuffix(name, HiddenSuffix) || strings.HasSuffix(name, recordSuffix))
}

// RecordOf is the name of the record beside the hidden name of a new mailbox.
func RecordOf(hidden string) string {
	return strings.TrimSuffix(hidden, HiddenSuffix) + recordSuffix
}

// Of returns the name of the mailbox that a record called name is about.
func Of(name string) (string, bool) {
	of, ok := strings.CutSuffix(strings.TrimPrefix(name, "."), recordSuffix)
	return of, ok && strings.HasPrefix(name, ".") && of != ""
}

// ErrUnderWay means that another process is at work on the same mailbox.
var ErrUnderWay = errors.New("another process is converting it")

// tryExchange is exchange; tests do without.
var tryExchange = exchange

// A Part tells whether an entry of a directory that is a mailbox of some format is
// the mailbox's own.
type Part func(format, entry string) bool

// A Swap is a change of the mailbox at Path under way.
type Swap struct {
	Path   string   // of the mailbox: no symbolic link
	Hidden string   // where the new one is made
	Stayed []string // names in the directory of the old one that something else had got in the new one

	part   Part
	record string
	f      *os.File // the record
	fresh  bool     // there was none
	open   bool     // the record says what is to be done, and it has not been
	old    string   // what an interrupted run called the old mailbox
}

func newSwap(path string, part Part) *Swap {
	dir, base := filepath.Split(path)
	return &Swap{Path: path, Hidden: dir + "." + base + HiddenSuffix, record: dir + "." + base + recordSuffix, part: part}
}

// Begin takes the record of the mailbox at path, and finishes or undoes what a
// run that was killed has left; did says in words what that was, "" for nothing.
// End must follow.
func Begin(path string, part Part) (s *Swap, did string, err error) {
	s = newSwap(path, part)
	if err := s.take(); err != nil {
		return nil, "", err
	}
	did, err = s.recover()
	if err == nil {
		err = s.sweep()
	}
	if err != nil {
		return nil, did, errors.Join(err, s.f.Close())
	}
	return s, did, nil
}

// Interrupted returns the files that a run which was killed may have left locks
// on; none where there was no such run.
func (s *Swap) Interrupted() (paths []string) {
	if s.fresh {
		return nil
	}
	for _, path := range []string{s.Path, s.old} {
		if path != "" && exists(path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// take opens the record and locks it.
func (s *Swap) take() error {
	for {
		f, err := os.OpenFile(s.record, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if s.fresh = err == nil; errors.Is(err, fs.ErrExist) {
			f, err = os.OpenFile(s.record, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
		}
		if err != nil {
			return err
		}
		if err := flock(f, syscall.LOCK_EX); err != nil {
			return errors.Join(s.underWay(), f.Close())
		}
		s.f = f
		if there, err := s.isThere(); there {
			return nil
		} else if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
}

// isThere reports whether the record that is open still has its name. Who finishes
// takes that away before he gives up the lock: a record without it is not to be
// believed.
func (s *Swap) isThere() (bool, error) {
	a, err := s.f.Stat()
	if err != nil {
		return false, err
	}
	b, err := os.Lstat(s.record)
	return err == nil && os.SameFile(a, b), nil
}

// sync makes the names in the directory durable.
func (s *Swap) sync() error { return fsx.OS{}.SyncDir(filepath.Dir(s.Path)) }

// recover finishes or undoes a swap that was interrupted.
func (s *Swap) recover() (did string, err error) {
	p, planned, err := s.read()
	if err == nil && planned {
		s.open = true
		did, err = s.settle(p)
	}
	if err != nil {
		return "", err
	}
	s.open = false
	return did, errors.Join(os.RemoveAll(s.Hidden), s.f.Truncate(0))
}

// settle does what is left to do of a plan.
func (s *Swap) settle(p plan) (did string, err error) {
	keep := filepath.Join(filepath.Dir(s.Path), p.keep)
	s.old = keep
	switch {
	case is(s.Path, p.old):
		if is(keep, p.old) { // only linked
			err = os.Remove(keep)
		}
	case !exists(s.Path) && exists(s.Hidden):
		did = "a conversion of " + s.Path + " was interrupted, and is finished now"
		err = os.Rename(s.Hidden, s.Path)
	case !exists(s.Path) && is(keep, p.old):
		did = "a conversion of " + s.Path + " was interrupted, and is undone now"
		err = os.Rename(keep, s.Path)
	case is(s.Hidden, p.old) && is(keep, p.old): // and the hidden name had yet to go
	case is(s.Hidden, p.old):
		did = "a conversion of " + s.Path + " was interrupted, and is finished now; the original is " + keep
	}
	if err == nil {
		err = s.carry(p, keep)
	}
	switch {
	case err != nil || len(s.Stayed) == 0:
	case is(s.Path, p.old):
		err = fmt.Errorf("%q is both in %s and in %s, of which that is to go: rename one of them", s.Stayed[0], s.Path, s.Hidden)
	default:
		did = fmt.Sprintf("a conversion of %s was interrupted, and is finished now, but what was called %q is still in %s: something else has that name", s.Path, s.Stayed, keep)
	}
	if err == nil && is(s.Hidden, p.old) && !is(keep, p.old) {
		err = fsx.RenameNew(fsx.OS{}, s.Hidden, keep)
	}
	if err == nil && p.drop && exists(s.Path) && !is(s.Path, p.old) {
		err = s.dropOld(keep, p)
	}
	if err == nil {
		err = s.sync()
	}
	return did, err
}

// dropOld removes the old mailbox, and the lock of who was killed looking at it,
// unless something has come into it since.
func (s *Swap) dropOld(keep string, p plan) error {
	fi, err := os.Lstat(keep)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || node.IDOf(fi) != p.old || fi.Mode().IsRegular() && fi.Size() != p.size {
		return err
	}
	if _, err = s.Drop(keep, p.from); err != nil {
		return err
	}
	if err := os.Remove(keep + ".lock"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sweep removes what a driver that was killed has left beside the hidden
// mailbox: locks, journals, files that were to be it.
func (s *Swap) sweep() error {
	if s.fresh {
		return nil
	}
	dir := filepath.Dir(s.Path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	hidden := filepath.Base(s.Hidden) + "."
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), hidden) || strings.HasPrefix(e.Name(), "."+hidden) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// An Order says what Swap is to do.
type Order struct {
	Drop     bool     // the old mailbox is not wanted afterwards
	From, To string   // formats of the two
	Carry    []string // entries of the old one's directory that go over to that of the new one
}

// Swap gives the new mailbox the name of the old one, and returns what the old
// one is called now: NAME.orig, or NAME.orig.2 and so on where that is taken.
// After an error the old one has its name, unless the error says otherwise.
// Where it is not wanted, the caller removes it (Drop) before End; a run that
// finishes what was interrupted does, too.
func (s *Swap) Swap(o Order) (kept string, err error) {
	fi, err := os.Lstat(s.Path)
	if err != nil {
		return "", err
	}
	kept, err = s.free()
	if err != nil {
		return "", err
	}
	p := plan{node.IDOf(fi), fi.Size(), o.Drop, o.From, o.To, filepath.Base(kept), o.Carry}
	if err := s.write(p); err != nil {
		return "", err
	}
	s.open = true
	if err = s.turn(fi, kept); err == nil {
		if err = s.carry(p, kept); err != nil {
			return "", errors.Join(err, s.takeBack(p, kept))
		}
		if err = s.sync(); err == nil && is(s.Hidden, p.old) {
			err = fsx.RenameNew(fsx.OS{}, s.Hidden, kept)
		}
	}
	if err != nil {
		if _, undoErr := s.recover(); undoErr != nil {
			return "", errors.Join(err, undoErr)
		}
		if is(s.Path, p.old) {
			return "", err
		}
	}
	s.open = false
	return kept, s.sync()
}

// turn lets the new mailbox have the name. The old one is called Hidden then,
// where names can be exchanged, else kept.
func (s *Swap) turn(old fs.FileInfo, kept string) error {
	if ok, err := tryExchange(s.Hidden, s.Path); ok || err != nil {
		return err
	}
	return s.inSteps(old, kept)
}

// inSteps is turn where two names cannot be exchanged.
func (s *Swap) inSteps(old fs.FileInfo, kept string) error {
	fi, err := os.Lstat(s.Hidden)
	if err != nil {
		return err
	}
	if old.Mode().IsRegular() && fi.Mode().IsRegular() {
		if err = os.Link(s.Path, kept); err == nil {
			err = s.sync()
		}
	} else {
		err = os.Rename(s.Path, kept)
	}
	if err != nil {
		return err
	}
	return os.Rename(s.Hidden, s.Path)
}

// maxKept is how many originals of a name there may be.
const maxKept = 1000

// free returns a name for the old mailbox that nothing has.
func (s *Swap) free() (string, error) {
	for n := 1; n <= maxKept; n++ {
		name := s.Path + OriginalSuffix
		if n > 1 {
			name = fmt.Sprintf("%s.%d", name, n)
		}
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%s%s and %d others like it exist", s.Path, OriginalSuffix, maxKept-1)
}

// End removes what is left beside the mailbox, and gives the record up. Where
// Swap could neither go on nor back, all is left for the next run.
func (s *Swap) End() error {
	if s.open {
		return s.f.Close()
	}
	err := os.RemoveAll(s.Hidden)
	if err == nil {
		err = os.Remove(s.record)
	}
	return errors.Join(err, s.f.Close())
}

// Left reports whether a swap of the mailbox at path is under way, or was
// interrupted.
func Left(path string) bool {
	dir, base := filepath.Split(path)
	return exists(dir + "." + base + recordSuffix)
}
