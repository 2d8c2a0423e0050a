package serve_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
	"mailutil/pkg/serve"
)

// What an administrator writes into a file is shown, once for each change.
func TestAlerts(t *testing.T) {
	dir := t.TempDir()
	system, own := filepath.Join(dir, "imapd.alert"), filepath.Join(dir, ".imapalert")
	write(t, system, "Backup at noon\n\nk\xc3\xb6nnen\n", 0o600)
	e := start(t, letters, func(o *serve.Options) {
		o.Alerts, o.NoLogin, o.Limits.Alert = []string{system, own}, filepath.Join(dir, "nologin"), time.Nanosecond
	})
	c := login(t, e.imap)
	if got := c.until("* OK [ALERT] k"); got != "* OK [ALERT] Backup at noon\r\n* OK [ALERT] k nnen\r\n" {
		t.Errorf("got %q", got)
	}
	c.say("b NOOP\r\n")
	if got := c.until("b OK"); strings.Contains(got, "ALERT") {
		t.Errorf("shown again: %q", got)
	}
	write(t, own, "You have mail elsewhere", 0o600)
	c.say("b SELECT INBOX\r\nc IDLE\r\n")
	c.until("* OK [ALERT] You have mail elsewhere")
	c.say("DONE\r\n")
	c.until("c OK")
	write(t, filepath.Join(dir, "nologin"), "", 0o600)
	c.say("d NOOP\r\n")
	c.until("* OK [ALERT] Server shutting down shortly")
	c.say("e NOOP\r\n")
	c.until("* BYE Server shutting down")
	dial(t, e.imap).until("* BYE Service not available")
}

// foreign makes clients of a listener come from another machine.
type foreign struct{ net.Listener }

type foreignConn struct{ net.Conn }

func (f foreign) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return foreignConn{c}, nil
}

func (foreignConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 5} }

// Another machine cannot show a password without TLS, nor make somebody show it
// by mistake; what is logged is what administrators look for.
func TestLoginDisabled(t *testing.T) {
	e := start(t, letters)
	log := make(chan string, 100)
	waits := 0
	s := serve.New(serve.Options{
		Session: ops.Session{Env: e.env, Drivers: ours(e.env)}, Passwords: map[string]string{"alice": "secret"},
		Wait: func() { waits++ }, Log: func(_ int64, line string) { log <- line },
	})
	say := func(protocol, text, until string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Serve(ctx, []serve.Listener{{Listener: foreign{l}, Protocol: protocol}}) }()
		defer func() { cancel(); <-done }()
		c := dial(t, l.Addr().(*net.TCPAddr).Port)
		c.say(text)
		return c.until(until)
	}
	got := say("imap", "a LOGIN alice secret\r\nb AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\nc CAPABILITY\r\n", "c OK")
	if !strings.Contains(got, " LOGINDISABLED") || strings.Contains(got, "AUTH=PLAIN") || !strings.Contains(got, "AUTH=CRAM-MD5") ||
		!strings.Contains(got, "a NO LOGIN is disabled") || !strings.Contains(got, "b NO") {
		t.Errorf("got %q", got)
	}
	if waits != 1 {
		t.Errorf("it waits %d times, want 1", waits)
	}
	if got := say("pop3", "USER alice\r\nCAPA\r\n", "."); !strings.Contains(got, "-ERR Unknown command\r\n") || strings.Contains(got, "USER") {
		t.Errorf("got %q", got)
	}
	close(log)
	var lines []string
	for line := range log {
		lines = append(lines, line)
	}
	if all := strings.Join(lines, "\n"); !strings.Contains(all, "imap service init from 192.0.2.7") || !strings.Contains(all, "Login disabled user=alice auth=alice host=[192.0.2.7]") {
		t.Errorf("logged %s", all)
	}
}

// The log has the words of the original.
func TestLogLines(t *testing.T) {
	e := start(t, letters)
	c := login(t, e.imap)
	c.say("b LOGOUT\r\n")
	c.until("b OK")
	c = dial(t, e.imap)
	c.say("a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n")
	c.until("a OK")
	c.Close()
	dial(t, e.imap).Close()
	p := dial(t, e.pop3)
	p.say("USER alice\r\nPASS wrong\r\nUSER alice\r\nPASS secret\r\nRETR 1\r\nDELE 2\r\nQUIT\r\n")
	p.until("+OK Sayonara")
	for _, want := range []string{
		"imap service init from 127.0.0.1", "Login user=alice host=localhost [127.0.0.1]", "Logout user=alice host=localhost [127.0.0.1]",
		"Authenticated user=alice host=localhost [127.0.0.1] mech=PLAIN", "Hangup user=alice host=localhost [127.0.0.1]",
		"Hangup user=??? host=localhost [127.0.0.1]", "pop3 service init from 127.0.0.1",
		"Login failed user=alice auth=alice host=localhost [127.0.0.1]", "Login user=alice host=localhost [127.0.0.1] nmsgs=3/3",
		"Update user=alice host=localhost [127.0.0.1] nmsgs=2 ndele=1 nseen=1",
	} {
		e.wait(t, func() bool { return strings.Contains(e.said(), "] "+want+"\n") })
		if t.Failed() {
			t.Fatalf("%q is not logged", want)
		}
	}
}

// Another program that wants a mailbox gets it: the session ends, with what it
// has changed.
func TestKissOfDeath(t *testing.T) {
	e := start(t, letters, func(o *serve.Options) {
		o.Session.Env.Config.NewFormat = "unix"
		o.Limits.Ask = time.Nanosecond
	})
	s := ops.Session{Env: e.env, Drivers: ours(e.env)}
	fill(t, s, "#driver.unix/box", letters)
	free := login(t, e.imap)
	free.say("a SELECT INBOX\r\n") // an mbx: nobody asks for it
	free.until("a OK")
	c := login(t, e.imap)
	c.say("a SELECT box\r\nb STORE 1 +FLAGS (\\Deleted)\r\n")
	c.until("b OK")
	if out := wants(t, e.env, "box"); out != "read-write deleted" {
		t.Errorf("the other program says %s", out)
	}
	c.until("* BYE Killed (lost mailbox lock)")
	e.wait(t, func() bool {
		return strings.Contains(e.said(), "Killed (lost mailbox lock) user=alice host=localhost [127.0.0.1]")
	})
	free.say("b NOOP\r\n")
	free.until("b OK")
}

// wants runs another program that opens a mailbox for writing.
func wants(t *testing.T, env *mailbox.Env, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "TestOpenChild")
	cmd.Env = append(os.Environ(), "OPEN_HOME="+env.Home, "OPEN_NAME="+name)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, said, _ := strings.Cut(string(out), "open: ")
	said, _, _ = strings.Cut(said, "\n")
	return said
}

// TestOpenChild is that program.
func TestOpenChild(t *testing.T) {
	home := os.Getenv("OPEN_HOME")
	if home == "" {
		t.Skip("for TestKissOfDeath")
	}
	env := child(t, home)
	env.LockTimeout = 15 * time.Second
	n, err := env.Resolve(os.Getenv("OPEN_NAME"))
	if err != nil {
		t.Fatal(err)
	}
	mb, err := ours(env).Open(t.Context(), n, mailbox.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	out := "read-write"
	if mb.Status().ReadOnly {
		out = "read-only"
	}
	for m := range mb.Messages(mailbox.All) {
		if m.Flags.System&mailbox.Deleted != 0 {
			out += " deleted"
		}
	}
	fmt.Println("open: " + out)
}
