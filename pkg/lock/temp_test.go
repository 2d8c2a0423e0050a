package lock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestTempName(t *testing.T) {
	f := mailbox(t)
	st, err := stat(f)
	if err != nil {
		t.Fatal(err)
	}
	st.Dev, st.Ino = 0xfe00, 0x9a2018
	if got, want := tempName(st, ""), "/tmp/.fe00.9a2018"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTempUnsafe(t *testing.T) {
	for name, trap := range map[string]func(lock string) error{
		"symbolic link":      func(l string) error { return os.Symlink("/nowhere", l) },
		"link to itself":     func(l string) error { return os.Symlink(filepath.Base(l), l) },
		"directory":          func(l string) error { return os.Mkdir(l, 0o777) },
		"hard link":          func(l string) error { return errors.Join(os.WriteFile(l+"x", nil, 0o666), os.Link(l+"x", l)) },
		"hard link to other": func(l string) error { return os.Link(os.Args[0], l) },
	} {
		f, dir := mailbox(t), t.TempDir()
		if err := trap(sessionName(t, f, dir)); errors.Is(err, os.ErrPermission) || err != nil && name == "hard link to other" {
			continue // another file system, or it protects hard links
		} else if err != nil {
			t.Fatal(err)
		}
		o := Options{Dir: dir}
		if _, err := Temp(context.Background(), f, Shared, o); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: Temp: got %v, want %v", name, err, ErrUnsafe)
		}
		if _, err := TakeSession(context.Background(), f, false, o); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: TakeSession: got %v, want %v", name, err, ErrUnsafe)
		}
		if _, err := os.Lstat(sessionName(t, f, dir)); err != nil {
			t.Errorf("%s: the lock name is gone: %v", name, err)
		}
	}
}

// A lock on a file that has lost its name is worth nothing: others will make
// a new one.
func TestTempNameTaken(t *testing.T) {
	f, dir := mailbox(t), t.TempDir()
	name := sessionName(t, f, dir)
	old, err := openTemp(name, Options{})
	for err == nil && old == nil {
		old, err = openTemp(name, Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if ok, err := lockTemp(old, name, Exclusive, Options{}); ok || err != nil {
		t.Errorf("removed: got %v, %v, want false", ok, err)
	}
	if err := os.WriteFile(name, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if ok, err := lockTemp(old, name, Exclusive, Options{}); ok || err != nil {
		t.Errorf("made again: got %v, %v, want false", ok, err)
	}
}

// The last of those who share a lock removes its file.
func TestTempShared(t *testing.T) {
	f, dir := mailbox(t), t.TempDir()
	name := sessionName(t, f, dir)
	c := start(t, "hold", "temp", "shared", f.Name(), dir)
	c.expect("held")
	var n notes
	o := now(&n)
	o.Dir = dir
	h, err := Temp(context.Background(), f, Shared, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Temp(context.Background(), f, Exclusive, o); !errors.Is(err, ErrBusy) {
		t.Errorf("exclusive beside shared: got %v, want ErrBusy", err)
	}
	if err := h.Release(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(name); err != nil {
		t.Errorf("removed under the other: %v", err)
	}
	c.end()
	if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind by the last: %v", err)
	}
}

func TestTempNoDirectory(t *testing.T) {
	_, err := Temp(context.Background(), mailbox(t), Shared, Options{Dir: "/no such directory"})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
}
