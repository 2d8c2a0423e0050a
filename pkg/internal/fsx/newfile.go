package fsx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A NewFile is a file that comes into being whole: it is written under a
// hidden name beside its place, .NAME.new, and appears at Publish.
type NewFile struct {
	File
	fsys      FS
	hidden    string
	path      string
	published bool
	closed    bool
}

// ErrInUse means that another process is creating the same file.
var ErrInUse = errors.New("being created by another process")

// CreateNew begins path. Missing directories are made with dirMode. The error
// is fs.ErrExist where path exists. A hidden file left by a killed process is
// thrown away; one that another process is writing gives ErrInUse.
func CreateNew(fsys FS, path string, mode, dirMode fs.FileMode) (*NewFile, error) {
	if err := mkdirs(fsys, filepath.Dir(path), dirMode); err != nil {
		return nil, err
	}
	if _, err := fsys.Lstat(path); err == nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	hidden := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	for {
		f, err := openHidden(fsys, hidden, mode)
		if err != nil {
			return nil, err
		}
		if f != nil {
			return &NewFile{File: f, fsys: fsys, hidden: hidden, path: path}, nil
		}
	}
}

// openHidden makes the hidden file and takes flock(2) on it, by which others
// see that its writer lives. It returns nil where a leftover had to go first.
// A leftover is never written to: it may have been published, with only its
// hidden name left over.
func openHidden(fsys FS, hidden string, mode fs.FileMode) (File, error) {
	f, err := fsys.OpenFile(hidden, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	fresh := err == nil
	if errors.Is(err, fs.ErrExist) {
		f, err = fsys.OpenFile(hidden, os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if err := flock(f.OS()); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "create", Path: hidden, Err: ErrInUse}, f.Close())
	}
	if !sameFile(fsys, f, hidden) { // another process threw it away meanwhile
		return nil, f.Close()
	}
	if !fresh {
		return nil, errors.Join(fsys.Remove(hidden), f.Close())
	}
	if err := f.Chmod(mode); err != nil { // whatever the umask
		return nil, errors.Join(err, fsys.Remove(hidden), f.Close())
	}
	return f, nil
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			return err
		}
	}
}

// sameFile reports whether name still is the file f.
func sameFile(fsys FS, f File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := fsys.Lstat(name)
	return err == nil && os.SameFile(a, b)
}

// mkdirs makes dir and its missing parents, durably.
func mkdirs(fsys FS, dir string, mode fs.FileMode) error {
	_, err := fsys.Stat(dir)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := mkdirs(fsys, parent, mode); err != nil {
		return err
	}
	if err := fsys.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return fsys.SyncDir(parent)
}

// Publish makes the file durable and gives it its name, durably. It never
// replaces a file that exists (fs.ErrExist). After an error the name is free
// again. The file stays open.
func (n *NewFile) Publish() error {
	if err := n.File.Sync(); err != nil {
		return err
	}
	err := n.fsys.Link(n.hidden, n.path)
	switch {
	case err == nil:
		err = n.fsys.Remove(n.hidden)
	case errors.Is(err, fs.ErrExist):
		return &fs.PathError{Op: "create", Path: n.path, Err: fs.ErrExist}
	default:
		if err := n.rename(err); err != nil {
			return err
		}
	}
	if err == nil {
		err = n.fsys.SyncDir(filepath.Dir(n.path))
	}
	if err != nil {
		return errors.Join(err, n.fsys.Remove(n.path))
	}
	n.published = true
	return nil
}

// rename is for file systems without hard links. Others of us are kept off by
// the lock on the hidden file; a stranger may only come in between the look
// and the rename.
func (n *NewFile) rename(linkErr error) error {
	if _, err := n.fsys.Lstat(n.path); err == nil {
		return &fs.PathError{Op: "create", Path: n.path, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(linkErr, err)
	}
	if err := n.fsys.Rename(n.hidden, n.path); err != nil {
		return errors.Join(linkErr, err)
	}
	return nil
}

// Abort removes the file if it was not published, and closes it; safe after
// Publish, where it only closes.
func (n *NewFile) Abort() error {
	if n.closed {
		return nil
	}
	n.closed = true
	var err error
	if !n.published {
		if err = n.fsys.Remove(n.hidden); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return errors.Join(err, n.File.Close())
}
