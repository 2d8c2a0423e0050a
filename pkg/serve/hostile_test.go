package serve_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/ops"
	"mailutil/pkg/serve"
)

// A client is one that says what a test wants it to.
type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, port int) *client {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &client{t, c, bufio.NewReader(c)}
}

// until reads to a line that begins so, and returns all of it. The end of the
// connection is "EOF".
func (c *client) until(start string) string {
	c.t.Helper()
	c.patient()
	var out strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		out.WriteString(line)
		if strings.HasPrefix(line, start) || err == io.EOF && start == "EOF" {
			return out.String()
		}
		if err != nil {
			c.t.Fatalf("waiting for %q: %v after %q", start, err, out.String())
		}
	}
}

// patient limits how long an answer may take, so that a failure has words.
func (c *client) patient() { c.SetReadDeadline(time.Now().Add(30 * time.Second)) }

func (c *client) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// login is an IMAP client that is logged in.
func login(t *testing.T, port int) *client {
	c := dial(t, port)
	c.until("* OK")
	c.say("a LOGIN alice secret\r\n")
	c.until("a OK")
	return c
}

// What no client should say is answered, or ends that one session.
func TestHostileClients(t *testing.T) {
	e := start(t, letters)
	for _, tt := range []struct{ name, say, want string }{
		{"nothing", "\r\n", "* BAD Null command"},
		{"no command", "a\r\n", "a BAD Missing command"},
		{"unknown", "a FROB x\r\n", "a BAD Command unrecognized: FROB"},
		{"bad tag", "{5}\r\n", "* BAD"},
		{"literal of 1 GB that waits", "a SELECT {1000000000}\r\n", "a BAD Literal too large"},
		{"literal of 1 GB that does not", "a SELECT {1000000000+}\r\n", "* BYE Literal too large"},
		{"long line", "a SELECT " + strings.Repeat("x", 100000) + "\r\n", "* BYE Command line too long"},
		{"section too deep", "a SELECT INBOX\r\nb FETCH 1 BODY[" + strings.Repeat("1.", 1000) + "1]\r\n", "b BAD"},
		{"no such section", "a SELECT INBOX\r\nb FETCH 1 BODY.PEEK[1.2.3.4]\r\n", "* 1 FETCH (BODY[1.2.3.4] NIL)"},
		{"bogus set", "a SELECT INBOX\r\nb FETCH 0 FLAGS\r\nc FETCH 9 FLAGS\r\nd FETCH 1:x FLAGS\r\n", "d BAD Bogus sequence"},
		{"parentheses", "a SELECT INBOX\r\nb SEARCH " + strings.Repeat("(", 10000) + "\r\n", "b BAD"},
		{"names outside", "a SELECT ../spool/alice\r\nb SELECT /etc/passwd\r\nc SELECT {h}x\r\nd SELECT #mh/x\r\n", "d NO"},
		{"not selected", "a FETCH 1 FLAGS\r\n", "a BAD No mailbox is selected"},
		{"append to nowhere", "a APPEND nowhere {3+}\r\nabc\r\n", "a NO [TRYCREATE]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := login(t, e.imap)
			c.say(tt.say)
			c.until(tt.want)
		})
	}
	c := login(t, e.imap) // and all that did no harm
	c.say("a SELECT INBOX\r\n")
	c.until("* 3 EXISTS")
}

// A password that is wrong three times ends the session; so do too many
// sessions, and the others go on.
func TestLimits(t *testing.T) {
	e := start(t, letters)
	c := dial(t, e.imap)
	c.until("* OK")
	for range 3 {
		c.say("a LOGIN alice wrong\r\n")
	}
	if out := c.until("EOF"); strings.Count(out, "a NO") != 3 || !strings.Contains(out, "* BYE Too many login failures") {
		t.Errorf("got %q", out)
	}
	p := dial(t, e.pop3)
	p.until("+OK")
	p.say("USER alice\r\nPASS x\r\nUSER alice\r\nPASS x\r\nUSER alice\r\nPASS x\r\n")
	if out := p.until("EOF"); strings.Count(out, "-ERR [AUTH]") != 3 {
		t.Errorf("got %q", out)
	}

	e.wait(t, func() bool {
		return strings.Count(e.said(), "Login excessive login failures user=alice auth=alice host=localhost [127.0.0.1]") == 2
	})
	var inside []*client
	full := ""
	for full == "" && len(inside) < 200 { // the sessions of before may be ending still
		c := dial(t, e.imap)
		c.say("a LOGIN alice secret\r\n")
		line, _ := c.r.ReadString('\n')
		if strings.HasPrefix(line, "* BYE Too many sessions") {
			full = line
			break
		}
		c.until("a OK")
		inside = append(inside, c)
	}
	if full == "" || len(inside) < 90 {
		t.Fatalf("%d sessions, then %q", len(inside), full)
	}
	inside[0].say("b SELECT INBOX\r\n")
	inside[0].until("b OK")
}

// Clients that come and do nothing do not keep others out.
func TestFlood(t *testing.T) {
	e := start(t, letters)
	for range 300 {
		c := dial(t, e.imap)
		c.say("a LOGIN alice ") // and never more
	}
	c := login(t, e.imap)
	for range 300 {
		dial(t, e.imap)
		c.say("b NOOP\r\n")
		c.until("b OK")
	}
	c.say("c SELECT INBOX\r\n")
	c.until("c OK")
}

// A client that says an octet now and then to log in has no longer for it than
// others.
func TestSlowLoris(t *testing.T) {
	e := start(t, letters, func(o *serve.Options) { o.Limits.Login = 200 * time.Millisecond })
	for _, tt := range []struct {
		port       int
		want, word string
	}{{e.imap, "* BYE Autologout", "a NOOP\r\n"}, {e.pop3, "-ERR Autologout", "NOOP\r\n"}} {
		c := dial(t, tt.port)
		go func() {
			for i := 0; ; i++ {
				if _, err := io.WriteString(c, tt.word[i%len(tt.word):][:1]); err != nil {
					return
				}
				time.Sleep(time.Millisecond) // as it does
			}
		}()
		c.until(tt.want)
	}
}

// Who has logged in and says nothing is logged out; so is who stops in the
// middle of a message.
func TestAutologout(t *testing.T) {
	e := start(t, letters, func(o *serve.Options) { o.Limits.Idle, o.Limits.Silent = 100*time.Millisecond, 100*time.Millisecond })
	login(t, e.imap).until("* BYE Autologout (idle for too long)")
	c := login(t, e.imap)
	c.say("a APPEND INBOX {100+}\r\nSubject: ")
	c.until("* BYE Autologout (idle for too long)")
	p := dial(t, e.pop3)
	p.say("USER alice\r\nPASS secret\r\n")
	p.until("-ERR Autologout; idle for too long")
	e.wait(t, func() bool { return strings.Count(e.said(), "Autologout user=alice host=localhost [127.0.0.1]") == 3 })
	if got := texts(t, ops.Session{Env: e.env, Drivers: ours(e.env)}, "INBOX"); len(got) != len(letters) {
		t.Errorf("%d messages, want %d", len(got), len(letters))
	}
}

// While a client sends 1 GB that nobody wants, others are served and little is
// kept.
func TestGigabyte(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	e := start(t, letters)
	big, c := login(t, e.imap), login(t, e.imap)
	c.say("a SELECT INBOX\r\n")
	c.until("a OK")
	done := make(chan error, 1)
	go func() {
		_, err := fmt.Fprintf(big, "a APPEND nowhere {%d+}\r\n", 1<<30)
		block := bytes.Repeat([]byte("0123456789abcde\n"), 1<<16)
		for range 1 << 10 {
			if err == nil {
				_, err = big.Write(block)
			}
		}
		_, err2 := io.WriteString(big, "\r\nb NOOP\r\n")
		done <- errors.Join(err, err2)
	}()
	most := uint64(0)
	for sent := false; !sent; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			sent = true
		default:
		}
		c.say("a FETCH 1:* BODY[]\r\n")
		c.until("a OK")
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
	}
	big.until("a NO [TRYCREATE]")
	big.until("b OK")
	if most > 64<<20 {
		t.Errorf("%d MiB in use", most>>20)
	}
}

// Whatever is sent, little is kept.
func TestLittleMemory(t *testing.T) {
	e := start(t, letters)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var all []*client
	for range 20 {
		c := login(t, e.imap)
		c.say("a APPEND INBOX {1000000000+}\r\n")
		c.say(strings.Repeat("0123456789abcde\n", 1<<16)) // 1 MiB of it
		all = append(all, c)
	}
	big := login(t, e.imap)
	big.say("a NOOP\r\n")
	big.until("a OK")
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("20 sessions take %d MiB", grown>>20)
	}
	for _, c := range all {
		c.Close()
	}
}

// A client that waits is told what others do.
func TestIdle(t *testing.T) {
	e := start(t, letters)
	a, b := login(t, e.imap), login(t, e.imap)
	a.say("b SELECT INBOX\r\nc IDLE\r\n")
	a.until("+ idling")
	b.say("b APPEND INBOX (\\Flagged) {14+}\r\nSubject: x\r\n\r\n\r\n")
	b.until("b OK")
	a.until("* 4 EXISTS")
	b.say("c SELECT INBOX\r\nd STORE 1 +FLAGS (\\Answered new)\r\n")
	b.until("d OK")
	a.until("* 1 FETCH (UID 1 FLAGS (\\Answered")
	b.say("e STORE 2 +FLAGS.SILENT (\\Deleted)\r\nf EXPUNGE\r\n")
	b.until("f OK")
	a.until("* 2 EXPUNGE")
	a.say("DONE\r\n")
	a.until("c OK")
}

// Read-only is what it says.
func TestReadOnly(t *testing.T) {
	e := start(t, letters, func(o *serve.Options) { o.ReadWrite = false })
	c := login(t, e.imap)
	c.say("b SELECT INBOX\r\n")
	c.until("b OK [READ-ONLY]")
	for _, command := range []string{"STORE 1 +FLAGS (\\Seen)", "CREATE x", "DELETE INBOX", "RENAME INBOX x", "APPEND INBOX {3+}\r\nabc", "COPY 1 INBOX", "MOVE 1 INBOX"} {
		c.say("c " + command + "\r\n")
		c.until("c NO")
	}
	c.say("d FETCH 1 BODY[]\r\ne FETCH 1 FLAGS\r\n")
	if out := c.until("e OK"); strings.Contains(out, `\Seen`) {
		t.Errorf("got %q", out)
	}
	p := dial(t, e.pop3)
	p.until("+OK")
	p.say("USER alice\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n")
	if out := p.until("EOF"); !strings.Contains(out, "-ERR This mailbox is read-only") {
		t.Errorf("got %q", out)
	}
	if got := texts(t, ops.Session{Env: e.env, Drivers: ours(e.env)}, "INBOX"); len(got) != len(letters) {
		t.Errorf("%d messages are left", len(got))
	}
}

// On a pair of pipes the client is logged in.
func TestStdio(t *testing.T) {
	e := start(t, letters)
	s := serve.New(serve.Options{Session: ops.Session{Env: e.env, Drivers: ours(e.env)}})
	in, toServer := io.Pipe()
	fromServer, out := io.Pipe()
	done := make(chan error)
	go func() { done <- s.Stdio(t.Context(), "imap", in, out) }()
	go io.WriteString(toServer, "a SELECT INBOX\r\nb LOGOUT\r\n")
	r := bufio.NewReader(fromServer)
	var all strings.Builder
	for !strings.Contains(all.String(), "b OK") {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(line)
	}
	if err := <-done; err != nil || !strings.HasPrefix(all.String(), "* PREAUTH") || !strings.Contains(all.String(), "* 3 EXISTS") {
		t.Errorf("got %v, %q", err, all.String())
	}
}

func TestReadPasswords(t *testing.T) {
	got, err := serve.ReadPasswords(strings.NewReader("# x\ty\nalice\tse cret\nbob\nBob\tb\r\n\tx\neve\te"))
	if err != nil || len(got) != 3 || got["alice"] != "se cret" || got["Bob"] != "b" || got["eve"] != "e" {
		t.Errorf("got %v, %v", got, err)
	}
}
