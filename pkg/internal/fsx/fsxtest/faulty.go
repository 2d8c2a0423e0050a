package fsxtest

import (
	"io/fs"
	"syscall"
	"time"

	"mailutil/pkg/internal/fsx"
)

// A Faulty is a file system of which the N-th call (from 1) fails with Err.
// With Sticky every later call that would take room fails as well, as on a
// full disk. A failing write has written half of its octets.
type Faulty struct {
	FS     fsx.FS
	N      int
	Err    syscall.Errno
	Sticky bool
	calls  int
}

// Fired reports whether the call that fails was reached.
func (y *Faulty) Fired() bool { return y.N > 0 && y.calls >= y.N }

func (y *Faulty) fail(takesRoom bool) error {
	y.calls++
	if y.calls == y.N || y.Sticky && takesRoom && y.Fired() {
		return y.Err
	}
	return nil
}

func (y *Faulty) OpenFile(name string, flag int, perm fs.FileMode) (fsx.File, error) {
	if err := y.fail(false); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f, err := y.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &faultyFile{f, y}, nil
}

func (y *Faulty) Lstat(name string) (fs.FileInfo, error) { return y.FS.Lstat(name) }
func (y *Faulty) Stat(name string) (fs.FileInfo, error)  { return y.FS.Stat(name) }

func (y *Faulty) Link(old, new string) error {
	if err := y.fail(false); err != nil {
		return err
	}
	return y.FS.Link(old, new)
}

func (y *Faulty) Rename(old, new string) error {
	if err := y.fail(false); err != nil {
		return err
	}
	return y.FS.Rename(old, new)
}

func (y *Faulty) Remove(name string) error {
	if err := y.fail(false); err != nil {
		return err
	}
	return y.FS.Remove(name)
}

func (y *Faulty) Mkdir(name string, perm fs.FileMode) error {
	if err := y.fail(true); err != nil {
		return err
	}
	return y.FS.Mkdir(name, perm)
}

func (y *Faulty) Chtimes(name string, atime, mtime time.Time) error {
	return y.FS.Chtimes(name, atime, mtime)
}

func (y *Faulty) SyncDir(dir string) error {
	if err := y.fail(false); err != nil {
		return err
	}
	return y.FS.SyncDir(dir)
}

// OpenFS gives a file system whose Sync is a call that may fail.
func (y *Faulty) OpenFS(dir string) (fsx.WholeFS, error) {
	w, err := y.FS.OpenFS(dir)
	if err != nil {
		return nil, err
	}
	return &faultyFS{w, y}, nil
}

// A faultyFS is a file system of a Faulty.
type faultyFS struct {
	fsx.WholeFS
	y *Faulty
}

func (w *faultyFS) Sync() error {
	if err := w.y.fail(false); err != nil {
		return err
	}
	return w.WholeFS.Sync()
}

// A faultyFile is an open file of a Faulty.
type faultyFile struct {
	fsx.File
	y *Faulty
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.y.fail(false); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.y.fail(true); err != nil {
		n, werr := f.File.WriteAt(p[:len(p)/2], off)
		if werr != nil {
			return n, werr
		}
		return n, err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.y.fail(false); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Sync() error {
	if err := f.y.fail(false); err != nil {
		return err
	}
	return f.File.Sync()
}
