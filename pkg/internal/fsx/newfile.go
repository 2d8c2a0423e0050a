package fsx

import (
	"errors"
	"io/fs"
)

// A NewFile is a file that comes into being whole: it is written under a
// hidden name beside its place, .NAME.new, and appears at Publish.
type NewFile struct {
	File
}

// CreateNew begins path. Missing directories are made with dirMode. The error
// is fs.ErrExist where path exists. A hidden file left by a killed process is
// taken over; one that another process is writing gives ErrInUse.
func CreateNew(fsys FS, path string, mode, dirMode fs.FileMode) (*NewFile, error) {
	return nil, errors.New("fsx: not built yet")
}

// ErrInUse means that another process is creating the same file.
var ErrInUse = errors.New("being created by another process")

// Publish makes the file durable and gives it its name, durably. It never
// replaces a file that exists (fs.ErrExist). The file stays open.
func (n *NewFile) Publish() error { return errors.New("fsx: not built yet") }

// Abort removes the file if it was not published, and closes it; safe after
// Publish, where it only closes.
func (n *NewFile) Abort() error { return nil }
