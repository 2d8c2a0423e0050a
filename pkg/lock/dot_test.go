package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestDotOnDisk(t *testing.T) {
	f := mailbox(t)
	h, err := Dot(Options{}).Lock(context.Background(), f, Shared)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.Name() + ".lock")
	if want := fmt.Sprintf("%d\n", os.Getpid()); err != nil || string(text) != want {
		t.Errorf("lock file: got %q, %v, want %q", text, err, want)
	}
	fi, err := os.Lstat(f.Name() + ".lock")
	if err != nil || fi.Mode() != 0o666 {
		t.Errorf("lock file: got %v, %v, want mode 0666", fi.Mode(), err)
	}
	if got := files(t, f); len(got) != 2 {
		t.Errorf("got %q, want the mailbox and its lock only", got)
	}
	for range 2 {
		if err := h.Release(); err != nil {
			t.Errorf("release: %v", err)
		}
	}
	if got := files(t, f); len(got) != 1 {
		t.Errorf("after the release: got %q, want the mailbox only", got)
	}
}

// files returns the names in the directory of f.
func files(t *testing.T, f *os.File) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(filepath.Dir(f.Name()), "*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const (
	counters = 8
	rounds   = 25
)

// roleCount KIND PATH adds 1 to the number in PATH, many times, once its input
// ends. With a third argument it ends with the lock in its hand.
func roleCount(args []string) error {
	f, err := os.OpenFile(args[1], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	l := lockers[args[0]](Options{Dir: filepath.Dir(args[1])})
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	for i := range rounds {
		h, err := l.Lock(context.Background(), f, Exclusive)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(args[1])
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(string(text))
		if _, err := f.WriteAt([]byte(strconv.Itoa(n+1)), 0); err != nil {
			return err
		}
		if i == rounds-1 && len(args) > 2 {
			return nil
		}
		if err := h.Release(); err != nil {
			return err
		}
	}
	return nil
}

// TestCount lets processes change one file. Without a lock the numbers that
// they write get lost.
func TestCount(t *testing.T) {
	for _, kind := range []string{"dot", "fcntl", "flock", "temp", "file"} {
		t.Run(kind, func(t *testing.T) {
			f := mailbox(t)
			count(t, f, kind, f.Name())
			if got := files(t, f); len(got) != 1 {
				t.Errorf("left behind: %q", got)
			}
		})
	}
}

// TestCountDead has a dead process's lock in the way of many, again and again.
func TestCountDead(t *testing.T) {
	t.Setenv("LOCK_DEAD_AGE", "0")
	f := mailbox(t)
	count(t, f, "dot", f.Name(), "dies")
}

// count runs many at the same time, and looks at the sum.
func count(t *testing.T, f *os.File, args ...string) {
	t.Helper()
	var all []*child
	for range counters {
		c := start(t, "count", args...)
		c.expect("ready")
		all = append(all, c)
	}
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(c.end) // at once: one that is not waited for does not seem dead
	}
	wg.Wait()
	text, err := os.ReadFile(f.Name())
	if want := strconv.Itoa(counters * rounds); err != nil || string(text) != want {
		t.Errorf("counted: got %s, %v, want %s", text, err, want)
	}
}

// deadPID is the id of a process that is gone.
func deadPID(t *testing.T) int {
	t.Helper()
	c := start(t, "nothing")
	c.end()
	return c.cmd.ProcessState.Pid()
}

func TestDotSeizes(t *testing.T) {
	dead, alive := strconv.Itoa(deadPID(t)), strconv.Itoa(os.Getppid())
	for _, tt := range []struct {
		name, text string
		stale      time.Duration
		deadAge    time.Duration
		want       string // the end of what is said, "" for not seized
	}{
		{"fresh", "", 0, 0, ""},
		{"old", "", 1, time.Hour, "lock was 0 s old"},
		{"old, of a live process", alive, 1, time.Hour, "lock was 0 s old"},
		{"fresh, of a dead process", dead, 0, time.Hour, ""},
		{"of a dead process", dead, 0, 1, "process " + dead + ", which had it, is gone"},
		{"of a dead process, newline", dead + "\n", 0, 1, "process " + dead + ", which had it, is gone"},
		{"of a live process", alive, 0, 1, ""},
		{"of another host", dead + ":host", 0, 1, ""},
		{"of procmail", "0", 0, 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := mailbox(t)
			name := f.Name() + ".lock"
			if err := os.WriteFile(name, []byte(tt.text), 0o666); err != nil {
				t.Fatal(err)
			}
			var n notes
			o := Options{Notify: n.add, Stale: tt.stale, Timeout: -1}
			if tt.want != "" {
				o.Timeout = time.Minute // clocks of file systems tick slowly
			}
			h, err := dot{o, nil, tt.deadAge}.Lock(context.Background(), f, Exclusive)
			if tt.want == "" {
				if text, readErr := os.ReadFile(name); !errors.Is(err, ErrBusy) || string(text) != tt.text || len(n) != 0 {
					t.Errorf("got %v, lock %q, %v, said %q\nwant ErrBusy and the lock as it was", err, text, readErr, n)
				}
				return
			}
			if err != nil || len(n) != 1 || !strings.HasSuffix(n[0], tt.want) {
				t.Fatalf("got %v, said %q\nwant it seized, saying %q", err, n, tt.want)
			}
			if err := h.Release(); err != nil {
				t.Error(err)
			}
			if got := files(t, f); len(got) != 1 {
				t.Errorf("left behind: %q", got)
			}
		})
	}
}

func TestDotUnsafe(t *testing.T) {
	for name, trap := range map[string]func(lock string) error{
		"symbolic link":  func(l string) error { return os.Symlink("elsewhere", l) },
		"directory":      func(l string) error { return os.Mkdir(l, 0o777) },
		"a mailbox":      func(l string) error { return os.WriteFile(l, []byte("From a@b Mon Jan  1 00:00:00 2001\n\n"), 0o666) },
		"something long": func(l string) error { return os.WriteFile(l, make([]byte, 300), 0o666) },
	} {
		f := mailbox(t)
		if err := trap(f.Name() + ".lock"); err != nil {
			t.Fatal(err)
		}
		o := Options{Stale: 1, Timeout: time.Minute}
		if _, err := Dot(o).Lock(context.Background(), f, Exclusive); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: got %v, want %v", name, err, ErrUnsafe)
		}
		if got := files(t, f); len(got) != 2 {
			t.Errorf("%s: got %q, want the mailbox and what was there", name, got)
		}
	}
}

// A lock that another has seized meanwhile is not ours to remove.
func TestDotReleaseAfterSeizure(t *testing.T) {
	f := mailbox(t)
	var n notes
	h, err := Dot(now(&n)).Lock(context.Background(), f, Exclusive)
	if err != nil {
		t.Fatal(err)
	}
	name := f.Name() + ".lock"
	if err := errors.Join(os.Remove(name), os.WriteFile(name, []byte("1234"), 0o666)); err != nil {
		t.Fatal(err)
	}
	if err := h.Release(); err != nil || len(n) != 1 {
		t.Errorf("release: got %v, said %q; want nil and one warning", err, n)
	}
	if text, err := os.ReadFile(name); string(text) != "1234" {
		t.Errorf("the lock of the other: got %q, %v", text, err)
	}
}

func TestDotExclusiveCreate(t *testing.T) {
	f := mailbox(t)
	d := Dot(Options{}).(dot)
	name := f.Name() + ".lock"
	h, err := d.tryExclusive(name)
	if err != nil || h == nil {
		t.Fatalf("got %v, %v, want the lock", h, err)
	}
	if again, err := d.tryExclusive(name); again != nil || err != nil {
		t.Errorf("a second: got %v, %v, want none", again, err)
	}
	if err := h.Release(); err != nil {
		t.Error(err)
	}
	// A name that is too long for a post gets its lock in this way.
	long := reopen(t, filepath.Join(filepath.Dir(f.Name()), strings.Repeat("x", 250)))
	if h, err = d.Lock(context.Background(), long, Exclusive); err != nil || h == none {
		t.Fatalf("long name: got %v, %v", h, err)
	}
	if _, err := os.Lstat(long.Name() + ".lock"); err != nil {
		t.Error(err)
	}
	if err := h.Release(); err != nil {
		t.Error(err)
	}
}
