package fsxtest

import (
	"io/fs"

	"mailutil/pkg/internal/fsx"
)

// Unsynced is the real file system, but nothing waits for the disk: for tests
// that do the same many times.
type Unsynced struct{ fsx.OS }

type unsynced struct{ fsx.File }

func (u Unsynced) OpenFile(name string, flag int, perm fs.FileMode) (fsx.File, error) {
	f, err := u.OS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return unsynced{f}, nil
}

// SyncDir does nothing.
func (Unsynced) SyncDir(string) error { return nil }

// OpenFS gives a file system whose Sync does nothing.
func (Unsynced) OpenFS(string) (fsx.WholeFS, error) { return idle{}, nil }

type idle struct{}

func (idle) Sync() error   { return nil }
func (idle) Close() error  { return nil }
func (idle) Crowded() bool { return false }

// Sync does nothing.
func (unsynced) Sync() error { return nil }
