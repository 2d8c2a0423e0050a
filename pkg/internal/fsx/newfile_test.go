package fsx_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
)

const text = "all of it"

func create(fsys fsx.FS, path string) error {
	n, err := fsx.CreateNew(fsys, path, 0o600, 0o700)
	if err != nil {
		return err
	}
	if _, err := n.WriteAt([]byte(text), 0); err != nil {
		return errors.Join(err, n.Abort())
	}
	if err := n.Publish(); err != nil {
		return errors.Join(err, n.Abort())
	}
	return n.Abort()
}

func TestCreateNew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a/b/box")
	if err := create(fsx.OS{}, path); err != nil {
		t.Fatal(err)
	}
	if err := create(fsx.OS{}, path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second create: %v, want ErrExist", err)
	}
	if b, _ := os.ReadFile(path); string(b) != text {
		t.Errorf("holds %q", b)
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestCreateNewInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box")
	n, err := fsx.CreateNew(fsx.OS{}, path, 0o600, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if err := create(fsx.OS{}, path); !errors.Is(err, fsx.ErrInUse) {
		t.Errorf("while another creates it: %v, want ErrInUse", err)
	}
	if err := n.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := create(fsx.OS{}, path); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Somebody else's file of the same name is never replaced, even if it came in
// between.
func TestPublishNeverReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box")
	n, err := fsx.CreateNew(fsx.OS{}, path, 0o600, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.Publish(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Publish: %v, want ErrExist", err)
	}
	if err := n.Abort(); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "theirs" {
		t.Errorf("holds %q", b)
	}
}

func TestCreateNewCrash(t *testing.T) {
	dir := t.TempDir()
	rec := fsxtest.Record(t, dir)
	if err := create(rec, filepath.Join(dir, "sub/box")); err != nil {
		t.Fatal(err)
	}
	rec.Crashes(t, func(t *testing.T, dir string, done bool) {
		path := filepath.Join(dir, "sub/box")
		b, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !done:
			if err := create(fsx.OS{}, path); err != nil {
				t.Fatalf("again: %v", err)
			}
		case err != nil || string(b) != text:
			t.Fatalf("holds %q, %v", b, err)
		}
		// Another mailbox beside it is not held up by what is left over, and a
		// leftover that still is the mailbox is not written to.
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := create(fsx.OS{}, path); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCreateNewFaults(t *testing.T) {
	for n := 1; ; n++ {
		path := filepath.Join(t.TempDir(), "sub/box")
		bad := &fsxtest.Faulty{FS: fsx.OS{}, N: n, Err: syscall.EIO}
		err := create(bad, path)
		if !bad.Fired() {
			break
		}
		b, rerr := os.ReadFile(path)
		if rerr == nil && string(b) != text || rerr != nil && err == nil {
			t.Fatalf("call %d: %v, holds %q, %v", n, err, b, rerr)
		}
	}
}

// A kill in Publish leaves both names.
func TestUnhide(t *testing.T) {
	dir := t.TempDir()
	path, hidden := filepath.Join(dir, "box"), filepath.Join(dir, ".box.new")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		leave func() error
		stays bool
	}{
		{"nothing", func() error { return nil }, false},
		{"the same file", func() error { return os.Link(path, hidden) }, false},
		{"another file", func() error { return os.WriteFile(hidden, []byte("theirs"), 0o600) }, true},
	} {
		if err := tt.leave(); err != nil {
			t.Fatal(err)
		}
		err := fsx.Unhide(fsx.OS{}, path)
		if _, left := os.Lstat(hidden); err != nil || (left == nil) != tt.stays {
			t.Errorf("%s: %v, left: %v", tt.name, err, left == nil)
		}
	}
	if b, err := os.ReadFile(path); string(b) != text {
		t.Errorf("the file has %q, %v", b, err)
	}
}
