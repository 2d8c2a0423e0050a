package swap

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
)

// carry brings what is in the directory of the mailbox that has not the name and
// no part of it into the directory of the one that has it: forth, and back where
// the old one has the name again, or has it still, as the disk may have got the
// one rename and not the other. keep is what the old one may be called already.
func (s *Swap) carry(p plan, keep string) error {
	if is(s.Path, p.old) {
		return s.move(s.Hidden, s.Path, p.to, p.names)
	}
	old := s.Hidden
	if is(keep, p.old) {
		old = keep
	}
	return s.move(old, s.Path, p.from, p.names)
}

// move renames entries of the directory from, which is or was a mailbox of some
// format, into the directory to: those of some names, and all that is not its own.
// What is no directory has none. It may be done any number of times.
func (s *Swap) move(from, to, format string, names []string) error {
	if !isDir(from) || !isDir(to) {
		return nil
	}
	s.Stayed = nil
	for _, name := range names {
		if err := s.moveOne(from, to, name); err != nil {
			return err
		}
	}
	late, err := s.Strangers(from, format) // the directory may be large: not before the others have their names
	if err != nil {
		return err
	}
	for _, name := range late {
		if slices.Contains(names, name) { // tried already
			continue
		}
		if err := s.moveOne(from, to, name); err != nil {
			return err
		}
	}
	return errors.Join(fsx.OS{}.SyncDir(to), fsx.OS{}.SyncDir(from))
}

// moveOne renames an entry, unless it is gone, or its name is taken.
func (s *Swap) moveOne(from, to, name string) error {
	err := tryRename(filepath.Join(from, name), filepath.Join(to, name))
	switch {
	case errors.Is(err, fs.ErrExist):
		if exists(filepath.Join(from, name)) {
			s.Stayed = append(s.Stayed, name)
		}
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// MayMove reports whether a directory can be moved into another: its "..", which is
// part of it, is changed then.
func MayMove(dir string) bool { return unix.Access(dir, unix.W_OK) != unix.EACCES }

// tryRename is renameNew; tests let it fail.
var tryRename = renameNew

// renameUnlessThere looks before it renames: somebody may come in between.
func renameUnlessThere(old, new string) error {
	if exists(new) && exists(old) {
		return &os.LinkError{Op: "rename", Old: old, New: new, Err: fs.ErrExist}
	}
	return os.Rename(old, new)
}

// takeBack undoes what Swap has done so far.
func (s *Swap) takeBack(p plan, kept string) error {
	old := s.Hidden
	if is(kept, p.old) {
		old = kept
	}
	err := s.move(s.Path, old, p.to, p.names)
	switch {
	case err != nil:
	case old == s.Hidden:
		_, err = tryExchange(s.Hidden, s.Path)
	default:
		if err = os.Rename(s.Path, s.Hidden); err == nil {
			err = os.Rename(kept, s.Path)
		}
	}
	if err == nil {
		err = s.sync()
	}
	s.open = err != nil || !is(s.Path, p.old) || len(s.Stayed) > 0
	return err
}

// Strangers lists what is in a directory and no part of the mailbox of some format
// that it is, sorted.
func (s *Swap) Strangers(dir, format string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	return s.part.Strangers(entries, format), nil
}

// Strangers are the names of the entries of a directory that are no part of the
// mailbox of some format that it is.
func (part Part) Strangers(entries []fs.DirEntry, format string) (names []string) {
	for _, e := range entries {
		if part != nil && !part(format, e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// Drop removes a mailbox of some format, as a whole: a directory in which is what
// is not its own stays as it is, and dropped is false.
func (s *Swap) Drop(path, format string) (dropped bool, err error) {
	if !isDir(path) {
		err := os.Remove(path)
		return err == nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return false, err
	}
	if len(s.part.Strangers(entries, format)) > 0 {
		return false, nil
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(path, e.Name())))
	}
	if err == nil {
		err = os.Remove(path) // not where something has come since
	}
	return err == nil, err
}

func isDir(path string) bool {
	fi, err := os.Lstat(path)
	return err == nil && fi.IsDir()
}

// is reports whether the file of a name is id.
func is(name string, id node.ID) bool {
	fi, err := os.Lstat(name)
	return err == nil && node.IDOf(fi) == id
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return !node.Gone(err)
}
