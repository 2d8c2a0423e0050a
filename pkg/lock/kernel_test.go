package lock

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestKernelModes lets another process have a lock, and tries ours.
func TestKernelModes(t *testing.T) {
	for _, tt := range []struct {
		ours, theirs string
		our          Mode
		their        string
		busy         bool
	}{
		{"fcntl", "fcntl", Shared, "shared", false},
		{"fcntl", "fcntl", Exclusive, "shared", true},
		{"fcntl", "fcntl", Shared, "exclusive", true},
		{"fcntl", "fcntl", Exclusive, "exclusive", true},
		{"flock", "flock", Shared, "shared", false},
		{"flock", "flock", Exclusive, "shared", true},
		{"flock", "flock", Shared, "exclusive", true},
		{"flock", "flock", Exclusive, "exclusive", true},
		{"file", "flock", Shared, "shared", false},
		{"file", "flock", Shared, "exclusive", true},
		{"file", "fcntl", Shared, "exclusive", true},
		{"file", "dot", Shared, "shared", true},
		{"dot", "file", Shared, "shared", true},
		{"flock", "file", Exclusive, "shared", true},
		{"fcntl", "file", Exclusive, "shared", true},
	} {
		f := mailbox(t)
		c := start(t, "hold", tt.theirs, tt.their, f.Name(), "")
		c.expect("held")
		var n notes
		h, err := lockers[tt.ours](now(&n)).Lock(context.Background(), f, tt.our)
		if got := errors.Is(err, ErrBusy); got != tt.busy || err != nil && !got {
			t.Errorf("%s %v against %s %s: got %v, want busy %v", tt.ours, tt.our, tt.theirs, tt.their, err, tt.busy)
		}
		var busy *BusyError
		pid := c.cmd.Process.Pid
		if errors.As(err, &busy) && busy.Holder.PID != pid && runtime.GOOS == "linux" && tt.theirs != "fcntl" {
			t.Errorf("%s against %s: got holder %+v, want pid %d", tt.ours, tt.theirs, busy.Holder, pid)
		}
		if errors.As(err, &busy) && busy.Holder.PID == os.Getpid() {
			t.Errorf("%s against %s: we are called the holder", tt.ours, tt.theirs)
		}
		c.end()
		if h != nil {
			if err := h.Release(); err != nil {
				t.Error(err)
			}
		}
		if got := files(t, f); len(got) != 1 {
			t.Errorf("%s against %s: left behind %q", tt.ours, tt.theirs, got)
		}
	}
}

// A file that is open for reading has no exclusive fcntl lock.
func TestFcntlReadOnly(t *testing.T) {
	path := mailbox(t).Name()
	for flag, m := range map[int]Mode{os.O_RDONLY: Exclusive, os.O_WRONLY: Shared} {
		f, err := os.OpenFile(path, flag, 0)
		if err != nil {
			t.Fatal(err)
		}
		var n notes
		h, err := Fcntl(now(&n)).Lock(context.Background(), f, m)
		if err != nil || len(n) != 0 {
			t.Fatalf("flags %d: got %v, said %q", flag, err, n)
		}
		c := start(t, "hold", "fcntl", "exclusive", path, "")
		c.expect(path+" is locked by another process", "")
		if err := h.Release(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTryFlock(t *testing.T) {
	f := mailbox(t)
	g := reopen(t, f.Name())
	for i, step := range []struct {
		f    *os.File
		m    Mode
		busy bool
	}{
		{f, Shared, false},
		{g, Shared, false},
		{f, Exclusive, true},
		{f, Shared, false},
		{g, Exclusive, true},
		{f, Exclusive, false}, // the failed change lost g's lock
		{g, Shared, true},
	} {
		err := TryFlock(step.f, step.m)
		if got := errors.Is(err, ErrBusy); got != step.busy || err != nil && !got {
			t.Errorf("step %d: got %v, want busy %v", i, err, step.busy)
		}
	}
	f.Close()
	if err := TryFlock(f, Shared); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: got %v, want %v", err, os.ErrClosed)
	}
}

// A file that was closed has no locks to release.
func TestReleaseAfterClose(t *testing.T) {
	f := mailbox(t)
	h, err := File(Options{}).Lock(context.Background(), f, Exclusive)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := h.Release(); err != nil {
		t.Error(err)
	}
	if got := files(t, f); len(got) != 1 {
		t.Errorf("left behind: %q", got)
	}
}

// Time is that of the bubble: nobody waits.
func TestWaiting(t *testing.T) {
	for name, tt := range map[string]struct {
		timeout, want time.Duration
		said          int
	}{
		"default": {0, 5 * time.Minute, 1},
		"short":   {time.Second, time.Second, 0},
		"none":    {-1, 0, 0},
	} {
		for kind, l := range map[string]func(Options) Locker{"dot": Dot, "flock": Flock} {
			f := mailbox(t)
			g := reopen(t, f.Name())
			h, err := l(Options{}).Lock(context.Background(), f, Exclusive)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				var n notes
				o := Options{Notify: n.add, Timeout: tt.timeout, Stale: time.Hour}
				_, err := l(o).Lock(t.Context(), g, Exclusive)
				var busy *BusyError
				if !errors.As(err, &busy) || busy.Waited != tt.want || len(n) != tt.said {
					t.Errorf("%s, %s: got %#v, said %q, want to wait %v and hear %d", name, kind, err, n, tt.want, tt.said)
				}
				if want := "waiting: " + f.Name() + " is locked by "; len(n) > 0 && !strings.HasPrefix(n[0], want) {
					t.Errorf("%s, %s: said %q, want %q and a holder", name, kind, n[0], want)
				}
			})
			if err := h.Release(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestContextEnds(t *testing.T) {
	f := mailbox(t)
	g := reopen(t, f.Name())
	if _, err := File(Options{}).Lock(t.Context(), f, Exclusive); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"dot", "flock", "file"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := lockers[kind](Options{}).Lock(ctx, g, Exclusive); err != context.DeadlineExceeded {
				t.Errorf("%s: got %v, want %v", kind, err, context.DeadlineExceeded)
			}
			if _, err := lockers[kind](Options{}).Lock(ctx, reopen(t, g.Name()+"2"), Exclusive); err != context.DeadlineExceeded {
				t.Errorf("%s, free: got %v, want %v", kind, err, context.DeadlineExceeded)
			}
		})
	}
}
