package numbered

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/lock"
)

// A NewDir is a directory that comes into being whole: it is filled under a
// hidden name beside its place, .NAME.new, and appears at Publish.
type NewDir struct {
	Dir       // where it is now
	path      string
	held      *os.File // the directory, locked as long as we live
	published bool
}

// CreateDir begins the directory path. The error is fs.ErrExist where something
// has that name, fsx.ErrInUse where another process is making it. What a killed
// process left is thrown away.
func CreateDir(fsys fsx.FS, path string, mode fs.FileMode) (*NewDir, error) {
	if err := fsx.MakeDirs(fsys, filepath.Dir(path), mode); err != nil {
		return nil, err
	}
	if err := free(fsys, path); err != nil {
		return nil, err
	}
	n := &NewDir{Dir: Dir{fsys, filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")}, path: path}
	err := fsys.Mkdir(n.Path, mode)
	fresh := err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if n.held, err = os.Open(n.Path); err != nil {
		return nil, err
	}
	if err := lock.TryFlock(n.held, lock.Exclusive); err != nil {
		if errors.Is(err, lock.ErrBusy) {
			err = &fs.PathError{Op: "create", Path: n.Path, Err: fsx.ErrInUse}
		}
		return nil, errors.Join(err, n.held.Close())
	}
	if !fresh {
		err = n.empty()
	}
	if err != nil {
		return nil, errors.Join(err, n.held.Close())
	}
	return n, nil
}

// free returns fs.ErrExist where a name is taken.
func free(fsys fsx.FS, path string) error {
	_, err := fsys.Lstat(path)
	if err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// empty removes the files in it.
func (n *NewDir) empty() error {
	var names []string
	err := fsx.ReadDir(n.FS, n.Path, func(e fs.DirEntry) { names = append(names, e.Name()) })
	for _, name := range names {
		err = errors.Join(err, n.FS.Remove(filepath.Join(n.Path, name)))
	}
	return err
}

// Publish gives the directory its name, durably; its files are durable already.
// After an error the name is free again.
func (n *NewDir) Publish() error {
	if err := n.FS.SyncDir(n.Path); err != nil {
		return err
	}
	if err := free(n.FS, n.path); err != nil {
		return err
	}
	// An empty directory that came in between is replaced, and no loss.
	if err := n.FS.Rename(n.Path, n.path); err != nil {
		return err
	}
	if err := n.FS.SyncDir(filepath.Dir(n.path)); err != nil {
		return errors.Join(err, n.FS.Rename(n.path, n.Path))
	}
	n.Path, n.published = n.path, true
	return nil
}

// Abort removes the directory if it was not published; safe after Publish.
func (n *NewDir) Abort() error {
	if n.held == nil {
		return nil
	}
	var err error
	if !n.published {
		if err = n.empty(); err == nil {
			err = n.FS.Remove(n.Path)
		}
	}
	err = errors.Join(err, n.held.Close())
	n.held = nil
	return err
}
