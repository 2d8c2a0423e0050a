package fsx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Files on all kinds of file systems are made durable, few and many; an error of
// one of them is an error.
func TestSyncAll(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/dev/shm"} {
		for _, n := range []int{0, 1, 2, waiters, 3 * waiters} {
			var files []File
			for i := range n {
				name := filepath.Join(dir, fmt.Sprintf("mailutil-test-%d-%d-%d", os.Getpid(), n, i))
				f, err := OS{}.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					if i == 0 {
						break // no such directory here
					}
					t.Fatal(err)
				}
				defer os.Remove(name)
				if _, err := f.WriteAt([]byte(name), 0); err != nil {
					t.Fatal(err)
				}
				files = append(files, f)
			}
			if err := SyncAll(files); err != nil {
				t.Errorf("%d files in %s: %v", n, dir, err)
			}
			for _, f := range files {
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err := SyncAll(files); (err == nil) != (len(files) == 0) {
				t.Errorf("%d closed files in %s: got %v", n, dir, err)
			}
		}
	}
}

// A countedFS is the real one, whose Sync of everything fails once.
type countedFS struct {
	OS
	syncs  *int
	failAt int
}

func (c countedFS) OpenFS(string) (WholeFS, error) { return c, nil }
func (c countedFS) Close() error                   { return nil }
func (c countedFS) Crowded() bool                  { return false }

func (c countedFS) Sync() error {
	if *c.syncs++; *c.syncs == c.failAt {
		return syscall.EIO
	}
	return nil
}

// Of many files the first are on their way to the disk before the last is
// written; when that fails it is told at the latest at the end.
func TestTogetherEarly(t *testing.T) {
	dir := t.TempDir()
	for failAt := range 5 {
		syncs := 0
		all := Together{FS: countedFS{syncs: &syncs, failAt: failAt}, Dir: dir}
		var errs []error
		for range 2*enough + inFlight {
			f, err := OS{}.OpenFile(filepath.Join(dir, "file"), os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			errs = append(errs, all.Add(f))
		}
		err := errors.Join(append(errs, all.Sync(), all.Close())...)
		if want := failAt > 0 && failAt < 4; errors.Is(err, syscall.EIO) != want || syncs < 3 && !want {
			t.Errorf("failing at Sync %d: got %v, %d calls", failAt, err, syncs)
		}
	}
}
