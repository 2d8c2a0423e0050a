package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// served is serve at work in a home directory with mail.
type served struct {
	t    *testing.T
	home string
	cmd  *exec.Cmd
	err  strings.Builder
}

// serveCommand makes the command line; it is not started.
func serveCommand(t *testing.T, args ...string) *served {
	t.Helper()
	work := t.TempDir()
	if err := makeHome(work); err != nil {
		t.Fatal(err)
	}
	s := &served{t: t, home: filepath.Join(work, "home")}
	if err := os.WriteFile(filepath.Join(s.home, "passwords"), []byte("alice\tsecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(filepath.Join(programDir, "mailutil"), append([]string{"serve"}, args...)...)
	s.cmd.Dir = s.home
	s.cmd.Env = []string{"HOME=" + s.home, "TZ=UTC", "PATH=" + os.Getenv("PATH")}
	s.cmd.Stderr = &s.err
	return s
}

// talk sends text and reads up to a line that begins with end.
func talk(t *testing.T, c net.Conn, text, end string) string {
	t.Helper()
	c.SetDeadline(time.Now().Add(20 * time.Second)) // so that a failure has words
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		out.WriteString(line)
		if strings.HasPrefix(line, end) {
			return out.String()
		}
		if err != nil {
			t.Fatalf("%v after %q", err, out.String())
		}
	}
}

// socketPair is both ends of a connection over loopback, ours and the file of
// the other.
func socketPair(t *testing.T) (net.Conn, *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	theirs, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	f, err := theirs.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return ours, f
}

// As inetd starts it, the client has to log in, and sees nothing but IMAP, also
// on standard error.
func TestServeInetd(t *testing.T) {
	s := serveCommand(t, "--stdio", "imap", "--passwords", "passwords", "--quiet")
	client, f := socketPair(t)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = f, f, f
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got := talk(t, client, "a SELECT src\r\nb LOGIN alice secret\r\nc SELECT src\r\nd LOGOUT\r\n", "d OK")
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, got)
	}
	for _, line := range strings.Split(strings.TrimSpace(got), "\r\n") {
		if first, _, _ := strings.Cut(line, " "); !strings.Contains("* a b c d", first) {
			t.Errorf("the client got %q", line)
		}
	}
	if !strings.HasPrefix(got, "* OK [") || !strings.Contains(got, "\na BAD") || !strings.Contains(got, "\nc OK [READ-ONLY]") {
		t.Errorf("got %q", got)
	}

	s = serveCommand(t, "--stdio", "imap")
	_, f = socketPair(t)
	s.cmd.Stdin, s.cmd.Stdout = f, f
	if err := s.cmd.Run(); err == nil || !strings.Contains(s.err.String(), "standard input is a network connection: give --passwords") {
		t.Errorf("without passwords: %v, %s", err, &s.err)
	}
}

// On pipes, as ssh and tunnels have them, the client is logged in.
func TestServePipes(t *testing.T) {
	s := serveCommand(t, "--stdio", "pop3")
	s.cmd.Stdin = strings.NewReader("STAT\r\nQUIT\r\n")
	out, err := s.cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), "+OK POP3") || !strings.Contains(string(out), "+OK Sayonara") || s.err.Len() > 0 {
		t.Errorf("got %v\n%s%s", err, out, &s.err)
	}
}

// Sockets that systemd has opened are taken over by their names. LISTEN_PID is
// that of a program that a shell becomes.
func TestServeSystemd(t *testing.T) {
	s := serveCommand(t, "--passwords", "passwords")
	var addrs []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		s.cmd.ExtraFiles = append(s.cmd.ExtraFiles, f)
		addrs = append(addrs, l.Addr().String())
	}
	s.cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, s.cmd.Path}, s.cmd.Args[1:]...)
	s.cmd.Path = "/bin/sh"
	s.cmd.Env = append(s.cmd.Env, "LISTEN_FDS=2", "LISTEN_FDNAMES=imap:pop3")
	s.start()
	for i, say := range []struct{ text, end string }{{"a LOGIN alice secret\r\nb LOGOUT\r\n", "b OK"}, {"USER alice\r\nPASS secret\r\nQUIT\r\n", "+OK Sayonara"}} {
		c, err := net.Dial("tcp", addrs[i])
		if err != nil {
			t.Fatal(err)
		}
		talk(t, c, say.text, say.end)
		c.Close()
	}
	s.stop()
	for _, want := range []string{"imap service init from 127.0.0.1", "Login user=alice host=localhost [127.0.0.1]", "pop3 service init"} {
		if !strings.Contains(s.err.String(), want) {
			t.Errorf("%q is not in the log:\n%s", want, &s.err)
		}
	}
}

// Sockets of systemd for others, without a name or with a bad one.
func TestServeSystemdErrors(t *testing.T) {
	for _, tt := range []struct{ env, want string }{
		{"LISTEN_FDS=1 LISTEN_FDNAMES=smtp", `the socket called "smtp"`},
		{"LISTEN_FDS=x", `LISTEN_FDS is "x"`},
		{"LISTEN_FDS=1", ""}, // 3 is no socket
	} {
		s := serveCommand(t, "--passwords", "passwords")
		s.cmd.Args = append([]string{"sh", "-c", tt.env + ` LISTEN_PID=$$ exec "$0" "$@" 3</dev/null`, s.cmd.Path}, s.cmd.Args[1:]...)
		s.cmd.Path = "/bin/sh"
		if err := s.cmd.Run(); err == nil || !strings.Contains(s.err.String(), tt.want) || strings.Contains(s.err.String(), "panic") {
			t.Errorf("%s: got %v, %s", tt.env, err, &s.err)
		}
	}
	s := serveCommand(t, "--passwords", "passwords")
	s.cmd.Env = append(s.cmd.Env, "LISTEN_FDS=1", "LISTEN_PID=1") // another's
	if out, err := s.cmd.Output(); err == nil || !strings.Contains(string(out)+s.err.String(), "give an address") {
		t.Errorf("sockets of another: got %v, %s%s", err, out, &s.err)
	}
}

// Serve prints where it listens and who may log in, and takes an interrupt for
// an end.
func TestServeListens(t *testing.T) {
	s := serveCommand(t, "--imap", "127.0.0.1:0", "--trace")
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.start()
	r := bufio.NewReader(out)
	var user, password, addr string
	for range 2 {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("%v\n%s", err, &s.err)
		}
		fmt.Sscanf(line, "user %s password %s", &user, &password)
		fmt.Sscanf(line, "imap %s", &addr)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	talk(t, c, fmt.Sprintf("a LOGIN %s %s\r\nb SELECT src\r\n", user, password), "b OK")
	s.stop()
	for _, want := range []string{`> a LOGIN <suppressed>`, `< b OK [READ-ONLY] SELECT completed`, "Killed (terminated) user=alice"} {
		if !strings.Contains(s.err.String(), want) {
			t.Errorf("%q is not in\n%s", want, &s.err)
		}
	}
	if strings.Contains(s.err.String(), password) {
		t.Error("the password is in the trace")
	}
}

func (s *served) start() {
	s.t.Helper()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.cmd.Process.Kill() })
}

func (s *served) stop() {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil && s.cmd.ProcessState.ExitCode() < 0 {
		s.t.Errorf("it does not end: %v\n%s", err, &s.err)
	}
}
