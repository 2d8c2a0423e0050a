package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// roleSession PATH DIR (loud|silent|stubborn) has a session. It leaves when it
// is asked, a stubborn one does not; others at the end of the input.
func roleSession(args []string) error {
	f, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	o := Options{Dir: args[1], Notify: func(text string) { fmt.Println(text) }}
	s, err := TakeSession(context.Background(), f, args[2] == "silent", o)
	if err != nil {
		return err
	}
	fmt.Println("held")
	if args[2] == "loud" {
		for !s.Asked() {
			runtime.Gosched()
		}
		fmt.Println("asked")
	} else if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return s.Release()
}

// sessionName returns the name of f's lock file in dir.
func sessionName(t *testing.T, f *os.File, dir string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(f.Name(), &st); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "."+strconv.FormatUint(uint64(st.Dev), 16)+"."+strconv.FormatUint(st.Ino, 16))
}

func TestSessionOnDisk(t *testing.T) {
	f, dir := mailbox(t), t.TempDir()
	name := sessionName(t, f, dir)
	for _, silent := range []bool{false, true} {
		// What a killed session left is no obstacle, and not ours.
		if err := os.WriteFile(name, []byte("1234567"), 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := TakeSession(context.Background(), f, silent, Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		want := strconv.Itoa(os.Getpid())
		if silent {
			want = ""
		}
		if text, err := os.ReadFile(name); err != nil || string(text) != want {
			t.Errorf("silent %v: got %q, %v, want %q", silent, text, err, want)
		}
		if fi, err := os.Lstat(name); err != nil || fi.Mode() != 0o666 {
			t.Errorf("silent %v: got %v, %v, want mode 0666", silent, fi, err)
		}
		// Our own process is not asked.
		var n notes
		again, err := TakeSession(context.Background(), f, false, Options{Dir: dir, Notify: n.add})
		if !errors.Is(err, ErrBusy) || s.Asked() || len(n) != 0 {
			t.Errorf("silent %v, a second: got %v, %v, said %q, want ErrBusy at once", silent, again, err, n)
		}
		for range 2 {
			if err := s.Release(); err != nil {
				t.Error(err)
			}
		}
		if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("silent %v: left behind: %v", silent, err)
		}
	}
}

// We ask another, who leaves.
func TestSessionAsks(t *testing.T) {
	f, dir := mailbox(t), t.TempDir()
	c := start(t, "session", f.Name(), dir, "loud")
	c.expect("held")
	var n notes
	s, err := TakeSession(context.Background(), f, false, Options{Dir: dir, Notify: n.add})
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("Trying to get mailbox lock from process %d", c.cmd.Process.Pid)
	if len(n) == 0 || n[0] != want {
		t.Errorf("said %q, want %q", n, want)
	}
	c.expect("asked", "")
	c.end()
	if err := s.Release(); err != nil {
		t.Error(err)
	}
}

// Another asks us; all our sessions hear of it, and later ones do not.
func TestSessionIsAsked(t *testing.T) {
	f, g, dir := mailbox(t), mailbox(t), t.TempDir()
	take := func(f *os.File) *Session {
		s, err := TakeSession(context.Background(), f, false, Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s, other := take(f), take(g)
	c := start(t, "session", f.Name(), dir, "stubborn")
	for !s.Asked() {
		runtime.Gosched()
	}
	if !other.Asked() {
		t.Error("the other session was not asked")
	}
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	c.expect(fmt.Sprintf("Trying to get mailbox lock from process %d", os.Getpid()), "held")
	if h := take(mailbox(t)); h.Asked() {
		t.Error("a new session was asked by an old signal")
	}
	c.end()
	if err := other.Release(); err != nil {
		t.Error(err)
	}
}

func TestSessionBusy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		holder string
		silent bool
		limit  time.Duration
		asks   bool
	}{
		{"silent holder", "silent", false, 0, false},
		{"stubborn holder", "stubborn", false, time.Millisecond, true},
		{"silent asker", "stubborn", true, 0, false},
		{"asker who does not wait", "stubborn", false, -1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, dir := mailbox(t), t.TempDir()
			c := start(t, "session", f.Name(), dir, tt.holder)
			c.expect("held")
			var n notes
			o := Options{Dir: dir, Notify: n.add, Timeout: tt.limit}
			_, err := TakeSession(context.Background(), f, tt.silent, o)
			var busy *BusyError
			if !errors.As(err, &busy) || (len(n) == 1) != tt.asks {
				t.Fatalf("got %v, said %q; want a BusyError, asking: %v", err, n, tt.asks)
			}
			pid := c.cmd.Process.Pid
			if runtime.GOOS == "linux" && busy.Holder.PID != pid || !strings.Contains(err.Error(), f.Name()) {
				t.Errorf("got %v, want %s locked by pid %d", err, f.Name(), pid)
			}
			c.end()
		})
	}
}

// One who is asked has 15 s to leave, in the time of the bubble.
func TestSessionPatience(t *testing.T) {
	f, dir := mailbox(t), t.TempDir()
	c := start(t, "session", f.Name(), dir, "stubborn")
	c.expect("held")
	asks.count() // what listens to signals must not be in the bubble
	for limit, want := range map[time.Duration]time.Duration{0: 15 * time.Second, time.Hour: 15 * time.Second, time.Second: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			_, err := TakeSession(t.Context(), f, false, Options{Dir: dir, Timeout: limit})
			var busy *BusyError
			if !errors.As(err, &busy) || busy.Waited != want {
				t.Errorf("timeout %v: got %#v, want to wait %v", limit, err, want)
			}
		})
	}
	c.end()
}

// Process ids in lock files are not to be trusted.
func TestSessionBadPID(t *testing.T) {
	for _, text := range []string{"", "x", "1", "0", "-1", "12x", "99999999999999", strconv.Itoa(os.Getppid())} {
		f, dir := mailbox(t), t.TempDir()
		c := start(t, "hold", "temp", "exclusive", f.Name(), dir)
		c.expect("held")
		name := sessionName(t, f, dir)
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		var n notes
		if text == strconv.Itoa(os.Getppid()) && runtime.GOOS != "linux" {
			continue // it would be believed
		}
		_, err := TakeSession(context.Background(), f, false, Options{Dir: dir, Notify: n.add})
		if !errors.Is(err, ErrBusy) || len(n) != 0 {
			t.Errorf("%q in the lock file: got %v, said %q; want ErrBusy and nobody asked", text, err, n)
		}
		c.end()
	}
}
