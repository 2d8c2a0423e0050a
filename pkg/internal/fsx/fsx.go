// Package fsx is the dozen file calls that writers use, behind an interface,
// so that tests can record them, break them, and replay every prefix of them
// as a power cut would leave it.
package fsx

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// FS is the file system as writers see it. OS is the real one.
type FS interface {
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Lstat(name string) (fs.FileInfo, error)
	Stat(name string) (fs.FileInfo, error)
	Link(old, new string) error
	Rename(old, new string) error
	Remove(name string) error
	Mkdir(name string, perm fs.FileMode) error
	Chtimes(name string, atime, mtime time.Time) error

	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error

	// OpenFS opens the file system that a directory is on, so that Sync makes
	// all durable that is written to it from now on, whoever writes it. The error
	// is errors.ErrUnsupported where that cannot be relied upon.
	OpenFS(dir string) (WholeFS, error)
}

// A WholeFS is an open file system.
type WholeFS interface {
	Sync() error
	Close() error

	// Crowded reports whether so much waits for the disk that Sync would be
	// waited for long.
	Crowded() bool
}

// File is an open file. OS gives the file below it, for locks and fstat.
type File interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Chmod(mode fs.FileMode) error
	Close() error
	Stat() (fs.FileInfo, error)
	Name() string
	OS() *os.File
}

// OS is the real file system.
type OS struct{}

type osFile struct{ *os.File }

func (f osFile) OS() *os.File { return f.File }

// SyncData makes the octets of a file durable that were there before and have
// been written over: its size and times need not be, which is quicker.
func SyncData(f File) error {
	if o, ok := f.(osFile); ok {
		return syncData(o.File)
	}
	return f.Sync()
}

// OpenFile opens with O_CLOEXEC, as package os does.
func (OS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	open := os.OpenFile
	if guard != nil {
		open = openGuarded
	}
	f, err := open(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (OS) Lstat(name string) (fs.FileInfo, error)    { return os.Lstat(name) }
func (OS) Stat(name string) (fs.FileInfo, error)     { return os.Stat(name) }
func (OS) Link(old, new string) error                { return os.Link(old, new) }
func (OS) Rename(old, new string) error              { return os.Rename(old, new) }
func (OS) Remove(name string) error                  { return os.Remove(name) }
func (OS) Mkdir(name string, perm fs.FileMode) error { return os.Mkdir(name, perm) }

func (OS) Chtimes(name string, atime, mtime time.Time) error {
	return os.Chtimes(name, atime, mtime)
}

// OpenFS knows the file systems of Linux that are made for disks.
func (OS) OpenFS(dir string) (WholeFS, error) { return openFS(dir) }

// SyncDir opens and fsyncs the directory.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
