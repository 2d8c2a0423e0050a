package mend

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"mailutil/pkg/internal/fsx"
)

// An Undo takes back what was done, the last first.
type Undo []func() error

// Run takes all back.
func (u Undo) Run() error {
	var errs []error
	for _, back := range slices.Backward(u) {
		errs = append(errs, back())
	}
	return errors.Join(errs...)
}

// LetRead lets the owner of a file read it, and write to it.
func (u *Undo) LetRead(fsys fsx.FS, path string) error {
	fi, err := fsys.Stat(path)
	if err != nil {
		return err
	}
	*u = append(*u, func() error { return os.Chmod(path, fi.Mode().Perm()) })
	return os.Chmod(path, fi.Mode().Perm()|0o600)
}

// Move renames what is no file of octets, such as a directory, durably.
func (u *Undo) Move(fsys fsx.FS, from, to string) error {
	if err := fsx.MakeDirs(fsys, filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if err := fsys.Rename(from, to); err != nil {
		return err
	}
	*u = append(*u, func() error { return errors.Join(fsys.Rename(to, from), fsys.SyncDir(filepath.Dir(from))) })
	return errors.Join(fsys.SyncDir(filepath.Dir(to)), fsys.SyncDir(filepath.Dir(from)))
}

// Remove takes a name away from a file that is kept under another one.
func (u *Undo) Remove(fsys fsx.FS, path, kept string) error {
	if err := fsys.Remove(path); err != nil {
		return err
	}
	*u = append(*u, func() error { return errors.Join(fsx.LinkNew(fsys, kept, path), fsys.SyncDir(filepath.Dir(path))) })
	return nil
}

// Link gives a file a second name, durably.
func (u *Undo) Link(fsys fsx.FS, path, second string) error {
	if err := fsx.LinkNew(fsys, path, second); err != nil {
		return err
	}
	*u = append(*u, func() error { return fsys.Remove(second) })
	return fsys.SyncDir(filepath.Dir(second))
}
