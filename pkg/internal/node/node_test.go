package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/mailbox"
)

// Each call fails once. Either the change is done and the error says so, or
// things are as they were.
func TestFaults(t *testing.T) {
	config := mailbox.DefaultConfig()
	for _, tt := range []struct {
		name string
		do   func(fsys fsx.FS, dir string) error
		gone string // what the change removes
		made string // and makes
	}{
		{"create", func(y fsx.FS, dir string) error { return node.Create(y, dir+"/a/new", config) }, "", "a/new"},
		{"create a directory", func(y fsx.FS, dir string) error { return node.Create(y, dir+"/a/new/", config) }, "", "a/new"},
		{"delete", func(y fsx.FS, dir string) error {
			return node.Delete(y, mailbox.Name{Text: "old"}, dir+"/old")
		}, "old", ""},
		{"rename", func(y fsx.FS, dir string) error {
			return node.Rename(y, mailbox.Name{Text: "old"}, mailbox.Name{Text: "to", Path: dir + "/a/to"}, dir+"/old", config)
		}, "old", "a/to"},
	} {
		for n := 1; ; n++ {
			dir := t.TempDir()
			if err := os.WriteFile(dir+"/old", []byte("mail"), 0o600); err != nil {
				t.Fatal(err)
			}
			y := &fsxtest.Faulty{FS: fsx.OS{}, N: n, Err: syscall.EIO}
			err := tt.do(y, dir)
			if !y.Fired() {
				if err != nil {
					t.Errorf("%s without a fault: %v", tt.name, err)
				}
				break
			}
			gone := tt.gone != "" && !exists(dir, tt.gone)
			made := tt.made != "" && exists(dir, tt.made)
			done := (tt.gone == "" || gone) && (tt.made == "" || made)
			if err == nil && !done {
				t.Errorf("%s, call %d fails: no error, but not done", tt.name, n)
			}
			if gone && tt.made != "" && !made {
				t.Errorf("%s, call %d fails: the mailbox is lost", tt.name, n)
			}
			if err != nil && !done && gone {
				t.Errorf("%s, call %d fails: half done: %v", tt.name, n, err)
			}
		}
	}
}

func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}

// noLinks is a file system without hard links.
type noLinks struct{ fsx.OS }

func (noLinks) Link(old, new string) error {
	return &os.LinkError{Op: "link", Old: old, New: new, Err: syscall.EPERM}
}

func TestRenameWithoutLinks(t *testing.T) {
	dir := t.TempDir()
	for _, s := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, s), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rename := func(from, to string) error {
		return node.Rename(noLinks{}, mailbox.Name{Text: from}, mailbox.Name{Text: to, Path: filepath.Join(dir, to)}, filepath.Join(dir, from), mailbox.DefaultConfig())
	}
	if err := rename("a", "b"); !errors.Is(err, mailbox.ErrExist) {
		t.Errorf("to a taken name: got %v, want %v", err, mailbox.ErrExist)
	}
	if err := rename("a", "c"); err != nil {
		t.Errorf("to a free name: %v", err)
	}
	for name, want := range map[string]string{"b": "b", "c": "a"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestReason(t *testing.T) {
	for err, want := range map[error]string{
		syscall.ENOTEMPTY: "Directory not empty", syscall.EXDEV: "Invalid cross-device link",
		&os.PathError{Op: "open", Path: "x", Err: syscall.EACCES}: "Permission denied", os.ErrExist: "File exists",
	} {
		if got := node.Reason(err); got != want {
			t.Errorf("%v: got %s, want %s", err, got, want)
		}
	}
}
