package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// roleMlock is a fake mlock. $LOCK_MLOCK says how it behaves, "" is well.
func roleMlock(args []string) error {
	switch how := os.Getenv("LOCK_MLOCK"); how {
	case "":
	case "silent":
		return errors.New("")
	case "hangs":
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	case "fails":
		fmt.Print("+")
		io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	default:
		fmt.Print(how)
		os.Exit(73)
	}
	var fd, name unix.Stat_t
	if len(args) != 2 || args[0] != "3" || !filepath.IsAbs(args[1]) ||
		unix.Fstat(3, &fd) != nil || unix.Stat(args[1], &name) != nil || !same(fd, name) {
		fmt.Print("?")
		os.Exit(64)
	}
	lock := args[1] + ".lock"
	if err := os.WriteFile(lock, nil, 0o664); err != nil {
		fmt.Print("-")
		os.Exit(73)
	}
	fmt.Print("+")
	os.Stdin.Read(make([]byte, 1))
	fmt.Printf("dir=%s, file=%s\n", filepath.Dir(args[1]), filepath.Base(args[1]))
	return os.Remove(lock)
}

// fakeMlock returns a locker that has the fake, and what it says.
func fakeMlock(t *testing.T, how string, o Options) (dot, *notes) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	t.Setenv("LOCK_ROLE", "mlock")
	t.Setenv("LOCK_MLOCK", how)
	n := new(notes)
	o.Notify = n.add
	return dot{o, []string{"/nonexistent/mlock", t.TempDir(), exe}, deadAge}, n
}

func TestMlock(t *testing.T) {
	f := mailbox(t)
	name := f.Name() + ".lock"
	d, n := fakeMlock(t, "", Options{})
	for range 2 {
		h, err := d.ask(context.Background(), f, name)
		if err != nil || h == none || len(*n) != 0 {
			t.Fatalf("got %v, %v, said %q, want the lock", h, err, *n)
		}
		if _, err := os.Lstat(name); err != nil {
			t.Error(err)
		}
		if other, err := d.ask(context.Background(), f, name); other != nil || err != nil {
			t.Errorf("a second: got %v, %v, want to wait", other, err)
		}
		for range 2 {
			if err := h.Release(); err != nil {
				t.Error(err)
			}
		}
		if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after the release: %v", err)
		}
	}
}

func TestMlockRefuses(t *testing.T) {
	for _, how := range []string{"-", "?", "silent", "x"} {
		f := mailbox(t)
		d, n := fakeMlock(t, how, Options{})
		h, err := d.ask(context.Background(), f, f.Name()+".lock")
		want := "Mailbox vulnerable - directory " + filepath.Dir(f.Name()) + " must have 1777 protection"
		if h != none || err != nil || len(*n) != 1 || (*n)[0] != want {
			t.Errorf("%q: got %v, %v, said %q\nwant to go on, saying %q", how, h, err, *n, want)
		}
	}
	d, n := fakeMlock(t, "-", Options{NoWarn: true})
	f := mailbox(t)
	if h, err := d.ask(context.Background(), f, f.Name()+".lock"); h != none || err != nil || len(*n) != 0 {
		t.Errorf("no warning: got %v, %v, said %q", h, err, *n)
	}
}

// mlock hangs: the end of the context is the end of our patience.
func TestMlockHangs(t *testing.T) {
	f := mailbox(t)
	d, _ := fakeMlock(t, "hangs", Options{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if h, err := d.ask(ctx, f, f.Name()+".lock"); h != nil || err != nil {
		t.Errorf("got %v, %v, want neither", h, err)
	}
}

func TestMlockFailsLater(t *testing.T) {
	f := mailbox(t)
	d, _ := fakeMlock(t, "fails", Options{})
	h, err := d.ask(context.Background(), f, f.Name()+".lock")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Release(); err == nil || !strings.Contains(err.Error(), "left") {
		t.Errorf("got %v, want an error that the lock may be left", err)
	}
}

// unwritable makes a mailbox in a directory where a plain user may not write.
func unwritable(t *testing.T) string {
	t.Helper()
	path := filepath.Join(publicDir(t), "box")
	if err := errors.Join(os.WriteFile(path, nil, 0o666), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Dir(path), 0o755) })
	return path
}

func TestUnwritableDirectory(t *testing.T) {
	t.Setenv("LOCK_HELPERS", "")
	path := unwritable(t)
	c := startCmd(t, "hold", unprivileged(t, "dot", "exclusive", path, ""))
	c.expect("Mailbox vulnerable - directory "+filepath.Dir(path)+" must have 1777 protection", "held")
	c.in.Close()
	c.expect("released", "")
	c.end()
}

// The lock of another counts where we could not make one.
func TestUnwritableDirectoryLocked(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make the lock of another")
	}
	t.Setenv("LOCK_HELPERS", "")
	path := unwritable(t)
	if err := os.WriteFile(path+".lock", []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		t.Fatal(err)
	}
	c := startCmd(t, "hold", unprivileged(t, "dot", "exclusive", path, ""))
	if got, want := c.line(), fmt.Sprintf("%s is locked by pid %d", path, os.Getpid()); !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// An old lock of another in a sticky directory cannot be seized.
func TestStickyDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make the lock of another")
	}
	path := unwritable(t)
	name := path + ".lock"
	err := errors.Join(os.Chmod(filepath.Dir(path), os.ModeSticky|0o777), os.WriteFile(name, []byte(strconv.Itoa(deadPID(t))), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LOCK_DEAD_AGE", "1")
	c := startCmd(t, "hold", unprivileged(t, "dot", "exclusive", path, ""))
	c.expect("Mailbox vulnerable - error removing old lock "+name+": operation not permitted", "held")
	c.end()
	if _, err := os.Lstat(name); err != nil {
		t.Errorf("the other's lock: %v", err)
	}
}

// realMlock returns the program mlock that is installed.
func realMlock(t *testing.T) string {
	t.Helper()
	for _, name := range append(mlockPaths(), "/usr/bin/mlock") {
		if fi, err := os.Stat(name); err == nil && fi.Mode()&os.ModeSetgid != 0 {
			return name
		}
	}
	t.Skip("mlock is not installed")
	return ""
}

func TestRealMlock(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a spool for the group mail")
	}
	prog := realMlock(t)
	g, err := user.LookupGroup("mail")
	if err != nil {
		t.Skip(err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		t.Fatal(err)
	}
	path := unwritable(t)
	spool := filepath.Dir(path)
	if err := errors.Join(os.Chown(spool, 0, gid), os.Chmod(spool, 0o775)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LOCK_HELPERS", prog)
	hold := func() *exec.Cmd { return unprivileged(t, "dot", "exclusive", path, "") }
	c := startCmd(t, "hold", hold())
	c.expect("held")
	if _, err := os.Lstat(path + ".lock"); err != nil {
		t.Error(err)
	}
	other := startCmd(t, "hold", hold())
	if got := other.line(); !strings.HasPrefix(got, path+" is locked by another process") {
		t.Errorf("a second: got %q, want it locked", got)
	}
	c.in.Close()
	c.expect("released", "")
	c.end()
	if _, err := os.Lstat(path + ".lock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the release: %v", err)
	}
}

// When we are killed mlock sees the end of its input, and removes the lock.
func TestMlockEnd(t *testing.T) {
	f := mailbox(t)
	d, _ := fakeMlock(t, "", Options{})
	p, err := startMlock(d.helpers[2], f)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.answer(context.Background(), time.Minute); got != '+' {
		t.Fatalf("got %q, want +", got)
	}
	p.leave()
	if _, err := os.Lstat(f.Name() + ".lock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lock: %v", err)
	}
}
