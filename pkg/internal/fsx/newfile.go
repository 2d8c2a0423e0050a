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
	behind    *Behind
	published bool
	closed    bool
}

// WriteAt writes; large files are best written front to back.
func (n *NewFile) WriteAt(p []byte, off int64) (int, error) {
	k, err := n.File.WriteAt(p, off)
	n.behind.Wrote(off + int64(k))
	return k, err
}

// ErrInUse means that another process is creating the same file.
var ErrInUse = errors.New("being created by another process")

// CreateNew begins path. Missing directories are made with dirMode. The error
// is fs.ErrExist where path exists. A hidden file left by a killed process is
// thrown away; one that another process is writing gives ErrInUse.
func CreateNew(fsys FS, path string, mode, dirMode fs.FileMode) (*NewFile, error) {
	if err := MakeDirs(fsys, filepath.Dir(path), dirMode); err != nil {
		return nil, err
	}
	if _, err := fsys.Lstat(path); err == nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	hidden := hiddenName(path)
	for {
		f, err := openHidden(fsys, hidden, mode)
		if err != nil {
			return nil, err
		}
		if f != nil {
			return &NewFile{File: f, fsys: fsys, hidden: hidden, path: path, behind: NewBehind(f, 0)}, nil
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

// MakeDirs makes dir and its missing parents, durably. A name that is taken by
// something else is an error.
func MakeDirs(fsys FS, dir string, mode fs.FileMode) error {
	dir = filepath.Clean(dir)
	fi, err := fsys.Stat(dir)
	if err == nil && !fi.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := MakeDirs(fsys, parent, mode); err != nil {
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
	err := RenameNew(n.fsys, n.hidden, n.path)
	if errors.Is(err, fs.ErrExist) {
		return &fs.PathError{Op: "create", Path: n.path, Err: fs.ErrExist}
	}
	if err != nil {
		if sameFile(n.fsys, n.File, n.path) {
			err = errors.Join(err, n.fsys.Remove(n.path))
		}
		return err
	}
	n.published = true
	return nil
}

// RenameNew renames a file durably and never replaces another (fs.ErrExist).
// Where the file system has no hard links a stranger may come in between the
// look and the rename.
func RenameNew(fsys FS, old, new string) error {
	err := fsys.Link(old, new)
	switch {
	case err == nil:
		if err := fsys.SyncDir(filepath.Dir(new)); err != nil { // the new name first
			return err
		}
		if err := fsys.Remove(old); err != nil {
			return err
		}
		return fsys.SyncDir(filepath.Dir(old))
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.EXDEV), errors.Is(err, fs.ErrNotExist):
		return err
	default:
		if _, err := fsys.Lstat(new); err == nil {
			return &fs.PathError{Op: "rename", Path: new, Err: fs.ErrExist}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		err = fsys.Rename(old, new)
	}
	if err != nil {
		return err
	}
	err = fsys.SyncDir(filepath.Dir(new))
	if filepath.Dir(old) != filepath.Dir(new) {
		err = errors.Join(err, fsys.SyncDir(filepath.Dir(old)))
	}
	return err
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

// MoveNew renames a file and never replaces another (fs.ErrExist). Nothing is
// durable before SyncDir; a power cut before that may leave either name, or
// both, of which MoveNew makes one when it is called again.
func MoveNew(fsys FS, old, new string) error {
	err := fsys.Link(old, new)
	switch {
	case err == nil:
		return fsys.Remove(old)
	case errors.Is(err, fs.ErrExist) && Same(fsys, old, new): // half moved
		return fsys.Remove(old)
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.EXDEV), errors.Is(err, fs.ErrNotExist):
		return err
	}
	// No hard links here: a stranger may come in between.
	if _, err := fsys.Lstat(new); err == nil {
		return &fs.PathError{Op: "rename", Path: new, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fsys.Rename(old, new)
}

// LinkNew gives a file a second name, which no other may have (fs.ErrExist);
// that it has it already is well. Where the file system knows no hard links the
// file is renamed. Nothing is durable before SyncDir.
func LinkNew(fsys FS, old, new string) error {
	err := fsys.Link(old, new)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist) && Same(fsys, old, new):
		return nil
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.EXDEV), errors.Is(err, fs.ErrNotExist):
		return err
	}
	return MoveNew(fsys, old, new)
}

// Same reports whether two names are those of one file.
func Same(fsys FS, one, other string) bool {
	a, err := fsys.Lstat(one)
	if err != nil {
		return false
	}
	b, err := fsys.Lstat(other)
	return err == nil && os.SameFile(a, b)
}

// Unhide removes the hidden name of the file at path, where a process that was
// killed in Publish has left both; of another file it leaves it.
func Unhide(fsys FS, path string) error {
	hidden := hiddenName(path)
	a, err := fsys.Lstat(hidden)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	b, err := fsys.Lstat(path)
	if err != nil || !os.SameFile(a, b) {
		return err
	}
	if err := fsys.Remove(hidden); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(hidden))
}

func hiddenName(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
}
