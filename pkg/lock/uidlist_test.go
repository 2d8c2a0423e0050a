package lock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestUidlist(t *testing.T) {
	name := filepath.Join(t.TempDir(), "dovecot-uidlist.lock")
	ctx := context.Background()
	l, err := TakeUidlist(ctx, name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	if text, err := os.ReadFile(name); err != nil || string(text) != fmt.Sprintf("%d:%s", os.Getpid(), host) {
		t.Errorf("lock file: got %q, %v", text, err)
	}
	_, err = TakeUidlist(ctx, name, Options{Timeout: -1})
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), fmt.Sprint("pid ", os.Getpid())) {
		t.Errorf("second: got %v, want busy, with who has it", err)
	}
	for range 2 {
		if err := l.Release(); err != nil {
			t.Errorf("release: %v", err)
		}
	}
	if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the release: %v", err)
	}
}

// The lock goes with its directory, by another name or for good.
func TestUidlistMoved(t *testing.T) {
	for _, gone := range []bool{false, true} {
		dir := t.TempDir()
		if err := os.Mkdir(dir+"/a", 0o700); err != nil {
			t.Fatal(err)
		}
		said := ""
		l, err := TakeUidlist(context.Background(), dir+"/a/x.lock", Options{Notify: func(text string) { said += text }})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Touch(); err != nil {
			t.Error(err)
		}
		if gone {
			err = os.RemoveAll(dir + "/a")
		} else {
			err = os.Rename(dir+"/a", dir+"/b")
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Release(); err != nil || said != "" {
			t.Errorf("removed %v: release: %v, said %q", gone, err, said)
		}
		if left, _ := filepath.Glob(dir + "/*/*"); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
	}
}

// A lock whose process is gone, of this host or unknown, is judged as Dovecot
// judges it.
func TestUidlistStale(t *testing.T) {
	host, _ := os.Hostname()
	const dead = 1<<31 - 2
	for _, tt := range []struct {
		name, text string
		deadAge    time.Duration
		again      bool
	}{
		{"gone", fmt.Sprintf("%d:%s", dead, host), 0, true},
		{"gone, but young", fmt.Sprintf("%d:%s", dead, host), time.Hour, false},
		{"of another host", fmt.Sprintf("%d:elsewhere.example.org", dead), 0, false},
		{"alive", fmt.Sprintf("%d:%s", os.Getpid(), host), 0, false},
		{"empty", "", 0, false},
	} {
		name := filepath.Join(t.TempDir(), "dovecot-uidlist.lock")
		if err := os.WriteFile(name, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		d := dot{o: Options{Stale: uidlistStale}, deadAge: tt.deadAge}
		if again, err := d.examineUidlist(name, host); again != tt.again || err != nil {
			t.Errorf("%s: got %v, %v, want %v", tt.name, again, err, tt.again)
		}
	}
	name := filepath.Join(t.TempDir(), "dovecot-uidlist.lock")
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := TakeUidlist(context.Background(), name, Options{Timeout: -1}); !errors.Is(err, ErrUnsafe) {
		t.Errorf("a directory: got %v, want %v", err, ErrUnsafe)
	}
}
