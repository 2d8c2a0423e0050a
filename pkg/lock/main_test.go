package lock

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The test binary runs itself as other processes, by the role in $LOCK_ROLE.
var roles = map[string]func(args []string) error{
	"nothing": func([]string) error { return nil },
	"hold":    roleHold,
	"count":   roleCount,
	"session": roleSession,
	"mlock":   roleMlock,
}

func TestMain(m *testing.M) {
	role, ok := roles[os.Getenv("LOCK_ROLE")]
	if !ok {
		os.Exit(m.Run())
	}
	if err := role(os.Args[1:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// lockers make the locks of the roles by name.
var lockers = map[string]func(Options) Locker{
	"dot": func(o Options) Locker {
		d := Dot(o).(dot)
		d.helpers = filepath.SplitList(os.Getenv("LOCK_HELPERS"))
		if os.Getenv("LOCK_DEAD_AGE") != "" {
			d.deadAge = 0
		}
		return d
	},
	"fcntl": Fcntl,
	"flock": Flock,
	"file":  File,
	"temp":  func(o Options) Locker { return tempLocker{o} },
}

type tempLocker struct{ o Options }

func (l tempLocker) Lock(ctx context.Context, f *os.File, m Mode) (Held, error) {
	return Temp(ctx, f, m, l.o)
}

// roleHold KIND MODE PATH DIR holds a lock until its input ends. It says
// "held", and "released" at the end; before, what Notify gets.
func roleHold(args []string) error {
	f, err := os.OpenFile(args[2], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	mode := Shared
	if args[1] == "exclusive" {
		mode = Exclusive
	}
	o := Options{Timeout: -1, Dir: args[3], Notify: func(text string) { fmt.Println(text) }}
	h, err := lockers[args[0]](o).Lock(context.Background(), f, mode)
	if err != nil {
		return err
	}
	fmt.Println("held")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	if err := h.Release(); err != nil {
		return err
	}
	fmt.Println("released")
	return nil
}

// A child is another process of ours.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start runs a role. It is killed at the end of the test.
func start(t *testing.T, role string, args ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startCmd(t, role, exec.Command(exe, args...))
}

func startCmd(t *testing.T, role string, cmd *exec.Cmd) *child {
	t.Helper()
	cmd.Env = append(os.Environ(), "LOCK_ROLE="+role, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &child{t, cmd, in, bufio.NewReader(out)}
}

// line returns the next line that the child says, "" at its end.
func (c *child) line() string {
	s, err := c.out.ReadString('\n')
	if err != nil && err != io.EOF {
		c.t.Errorf("reading from a child: %v", err)
	}
	return strings.TrimSuffix(s, "\n")
}

// expect reads lines that must be as given.
func (c *child) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.line(); got != w {
			c.t.Fatalf("the other process said\n got %q\nwant %q", got, w)
		}
	}
}

// end ends the child's input, and waits for it.
func (c *child) end() {
	c.t.Helper()
	c.in.Close()
	io.Copy(io.Discard, c.out)
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("other process: %v", err)
	}
}

// mailbox makes an empty file and opens it.
func mailbox(t *testing.T) *os.File {
	t.Helper()
	return reopen(t, filepath.Join(t.TempDir(), "box"))
}

func reopen(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// publicDir makes a directory that every user can search.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "lock-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// unprivileged returns the command that runs a copy of us without privileges:
// root may write everywhere.
func unprivileged(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return exec.Command(exe, args...)
	}
	text, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	public := filepath.Join(publicDir(t), "lock.test")
	if err := os.WriteFile(public, text, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(public, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 5, Gid: 60}}
	return cmd
}

// notes is an Options.Notify that remembers.
type notes []string

func (n *notes) add(text string) { *n = append(*n, text) }

// now is Options for one try.
func now(n *notes) Options { return Options{Timeout: -1, Notify: n.add} }
