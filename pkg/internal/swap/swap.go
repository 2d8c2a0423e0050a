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
package swap

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
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

// A Swap is a change of the mailbox at Path under way.
type Swap struct {
	Path   string // of the mailbox: no symbolic link
	Hidden string // where the new one is made

	record string
	f      *os.File // the record
	fresh  bool     // there was none
	old    string   // what an interrupted run called the old mailbox
}

// Begin takes the record of the mailbox at path, and finishes or undoes what a
// run that was killed has left; did says in words what that was, "" for nothing.
// End must follow.
func Begin(path string) (s *Swap, did string, err error) {
	dir, base := filepath.Split(path)
	s = &Swap{Path: path, Hidden: dir + "." + base + HiddenSuffix, record: dir + "." + base + recordSuffix}
	if err := s.open(); err != nil {
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

// open opens the record and locks it.
func (s *Swap) open() error {
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
		if err := flock(f); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", s.Path, ErrUnderWay), f.Close())
		}
		a, err := f.Stat()
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if b, err := os.Lstat(s.record); err == nil && os.SameFile(a, b) {
			s.f = f
			return nil
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			return err
		}
	}
}

// A plan is what a record says.
type plan struct {
	old  node.ID
	size int64  // of the old one, where it is a file
	drop bool   // it is not wanted afterwards
	keep string // base name that it gets
}

func (s *Swap) write(p plan) error {
	_, err := s.f.WriteAt(fmt.Appendf(nil, "%s %d %t %s\n", p.old, p.size, p.drop, p.keep), 0)
	if err == nil {
		err = s.f.Sync()
	}
	if err == nil {
		err = s.sync()
	}
	return err
}

// read returns what the record says; ok is false where it was not finished, and
// then nothing has been renamed yet.
func (s *Swap) read() (p plan, ok bool, err error) {
	b, err := io.ReadAll(io.LimitReader(io.NewSectionReader(s.f, 0, 1<<16), 1<<16))
	if err != nil {
		return p, false, err
	}
	line, ended := strings.CutSuffix(string(b), "\n")
	part := strings.SplitN(line, " ", 4)
	if !ended || len(part) < 4 || part[3] == "" || strings.Contains(part[3], "/") {
		return p, false, nil
	}
	p.keep, p.drop = part[3], part[2] == "true"
	if p.old, ok = node.ParseID(part[0]); !ok {
		return p, false, nil
	}
	p.size, err = strconv.ParseInt(part[1], 10, 64)
	return p, err == nil, nil
}

// sync makes the names in the directory durable.
func (s *Swap) sync() error { return fsx.OS{}.SyncDir(filepath.Dir(s.Path)) }

// is reports whether the file of a name is id.
func is(name string, id node.ID) bool {
	fi, err := os.Lstat(name)
	return err == nil && node.IDOf(fi) == id
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR)
}

// recover finishes or undoes a swap that was interrupted.
func (s *Swap) recover() (did string, err error) {
	p, planned, err := s.read()
	if err != nil {
		return "", err
	}
	if planned {
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
			err = fsx.RenameNew(fsx.OS{}, s.Hidden, keep)
		}
		if err == nil && p.drop && exists(s.Path) && !is(s.Path, p.old) {
			err = dropOld(keep, p)
		}
		if err == nil {
			err = s.sync()
		}
		if err != nil {
			return "", err
		}
	}
	return did, errors.Join(os.RemoveAll(s.Hidden), s.f.Truncate(0))
}

// dropOld removes the old mailbox, and the lock of who was killed looking at it,
// unless something has come into it since.
func dropOld(keep string, p plan) error {
	fi, err := os.Lstat(keep)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || node.IDOf(fi) != p.old || fi.Mode().IsRegular() && fi.Size() != p.size {
		return err
	}
	err = os.RemoveAll(keep)
	if lockErr := os.Remove(keep + ".lock"); lockErr != nil && !errors.Is(lockErr, fs.ErrNotExist) {
		err = errors.Join(err, lockErr)
	}
	return err
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

// Swap gives the new mailbox the name of the old one, and returns what the old
// one is called now: NAME.orig, or NAME.orig.2 and so on where that is taken.
// After an error the old one has its name, unless the error says otherwise.
// Where it is not wanted (drop), the caller removes it before End; a run that
// finishes what was interrupted does, too.
func (s *Swap) Swap(drop bool) (kept string, err error) {
	fi, err := os.Lstat(s.Path)
	if err != nil {
		return "", err
	}
	kept, err = s.free()
	if err != nil {
		return "", err
	}
	p := plan{node.IDOf(fi), fi.Size(), drop, filepath.Base(kept)}
	if err := s.write(p); err != nil {
		return "", err
	}
	ok, err := tryExchange(s.Hidden, s.Path)
	switch {
	case err != nil:
	case ok:
		if err = s.sync(); err == nil {
			err = fsx.RenameNew(fsx.OS{}, s.Hidden, kept)
		}
	default:
		err = s.inSteps(fi, kept)
	}
	if err != nil {
		if _, undoErr := s.recover(); undoErr != nil {
			return "", errors.Join(err, undoErr)
		}
		if is(s.Path, p.old) {
			return "", err
		}
	}
	return kept, s.sync()
}

// inSteps is Swap where two names cannot be exchanged.
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

// End removes what is left beside the mailbox, and gives the record up.
func (s *Swap) End() error {
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
