package pop3_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/pop3"
	"mailutil/pkg/remote"
)

var ctx = context.Background()

// A fake is a server that answers as a test wants it to, and as a good one
// where the test does not care.
type fake struct {
	port   int
	texts  []string
	caps   string
	answer func(session int, command string) (string, bool) // ends in HANGUP to end the connection

	listener net.Listener
	running  sync.WaitGroup
	once     sync.Once

	mu       sync.Mutex
	sessions int
	commands []string
}

func newFake(t *testing.T, texts ...string) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{listener: l, port: l.Addr().(*net.TCPAddr).Port, texts: texts, caps: "TOP\r\nUIDL\r\nUSER\r\nPIPELINING\r\n"}
	f.answer = func(int, string) (string, bool) { return "", false }
	t.Cleanup(func() {
		l.Close()
		f.running.Wait()
	})
	return f
}

// start begins to answer. The test has said by then what it wants.
func (f *fake) start() {
	f.once.Do(func() {
		f.running.Go(func() {
			for {
				c, err := f.listener.Accept()
				if err != nil {
					return
				}
				f.running.Go(func() { f.serve(c) })
			}
		})
	})
}

func (f *fake) serve(c net.Conn) {
	defer c.Close()
	f.mu.Lock()
	f.sessions++
	session := f.sessions
	f.mu.Unlock()
	r := bufio.NewReader(c)
	doomed := map[int]bool{}
	for line := "GREETING"; ; {
		f.mu.Lock()
		f.commands = append(f.commands, line)
		text, ok := f.answer(session, line)
		if !ok {
			text = f.good(line, doomed)
		}
		f.mu.Unlock()
		text, hangup := strings.CutSuffix(text, "HANGUP")
		if _, err := io.WriteString(c, text); err != nil || hangup {
			return
		}
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
	}
}

// good is what a good server answers. f.mu is held.
func (f *fake) good(line string, doomed map[int]bool) string {
	words := append(strings.Fields(line), "", "")
	n, _ := strconv.Atoi(words[1])
	switch words[0] {
	case "GREETING":
		return "+OK hi <1.2@here>\r\n"
	case "CAPA":
		return "+OK\r\n" + f.caps + ".\r\n"
	case "LIST", "UIDL":
		out := "+OK\r\n"
		for i, text := range f.texts {
			if words[0] == "LIST" {
				out += fmt.Sprintf("%d %d\r\n", i+1, len(text))
			} else {
				out += fmt.Sprintf("%d id-%d\r\n", i+1, len(text))
			}
		}
		return out + ".\r\n"
	case "RETR":
		return "+OK\r\n" + stuff(f.texts[n-1])
	case "TOP":
		head, _, _ := strings.Cut(f.texts[n-1], "\r\n\r\n")
		return "+OK\r\n" + stuff(head+"\r\n\r\n")
	case "DELE":
		doomed[n] = true
	case "QUIT":
		var left []string
		for i, text := range f.texts {
			if !doomed[i+1] {
				left = append(left, text)
			}
		}
		f.texts = left
		return "+OK\r\nHANGUP"
	}
	return "+OK\r\n"
}

func stuff(text string) string {
	out := strings.ReplaceAll("\n"+text, "\n.", "\n..")[1:]
	if !strings.HasSuffix(out, "\r\n") {
		out += "\r\n"
	}
	return out + ".\r\n"
}

func (f *fake) open(t *testing.T, m mailbox.Mode) (mailbox.Mailbox, error) {
	t.Helper()
	f.start()
	env := mailboxtest.NewEnv(t)
	d := pop3.New(env, remote.Options{Password: func(mailbox.Remote, bool) (string, error) { return "secret", nil }})
	r := mailbox.Remote{Host: "127.0.0.1", Port: f.port, Service: "pop3", User: "alice"}
	mb, err := d.Open(ctx, mailbox.Name{Text: r.Canonical(), Space: "pop3", Remote: r}, m)
	if err == nil {
		t.Cleanup(func() { mb.Close() })
	}
	return mb, err
}

func letters(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("Subject: %d\r\nDate: Mon, 1 Jan 2024 10:00:%02d +0100\r\n\r\n.dot\r\n..\r\n%s", i+1, i%60, strings.Repeat("line\r\n", 20*i)))
	}
	return out
}

func readAll(mb mailbox.Mailbox) (out []string, err error) {
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			return out, err
		}
		c, err := mb.Open(m.Seq)
		if err != nil {
			return out, err
		}
		b, err := io.ReadAll(c)
		if err != nil {
			return out, err
		}
		out = append(out, string(b))
	}
	return out, nil
}

// All messages come, whatever a server can and however it says it.
func TestServers(t *testing.T) {
	want := letters(50)
	for _, tt := range []struct {
		name string
		caps string
		odd  func(session int, command string) (string, bool)
	}{
		{"good", "TOP\r\nUIDL\r\nUSER\r\nPIPELINING\r\n", nil},
		{"no pipelining", "USER\r\n", nil},
		{"no CAPA, UIDL and TOP", "", func(_ int, c string) (string, bool) {
			return "-ERR what?\r\n", c == "CAPA" || c == "UIDL" || strings.HasPrefix(c, "TOP")
		}},
		{"odd lines in LIST", "USER\r\n", func(_ int, c string) (string, bool) {
			out := "+OK\r\nfoo\r\n\r\n-1 5\r\n1\r\n"
			for i := range want {
				out += fmt.Sprintf("%d %d extra\r\n%d 7\r\n", i+1, 100000+i, i+1)
			}
			return out + ".\r\n", c == "LIST"
		}},
		{"connection breaks", "TOP\r\nUIDL\r\nUSER\r\nPIPELINING\r\n", func(session int, c string) (string, bool) {
			return "+OK\r\nSubject: HANGUP", session < 4 && c == fmt.Sprintf("RETR %d", 10*session)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, want...)
			f.caps = tt.caps
			if tt.odd != nil {
				f.answer = tt.odd
			}
			if tt.name == "connection breaks" { // in the middle of the message
				f.answer = func(session int, c string) (string, bool) {
					if session > 3 || c != fmt.Sprintf("RETR %d", 10*session) {
						return "", false
					}
					return "+OK\r\n" + stuff(want[10*session-1])[:60] + "HANGUP", true
				}
			}
			mb, err := f.open(t, mailbox.ReadOnly)
			if err != nil {
				t.Fatal(err)
			}
			got, err := readAll(mb)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("got %d messages, %v; want %d", len(got), err, len(want))
			}
		})
	}
}

func TestHostile(t *testing.T) {
	for _, tt := range []struct{ name, on, answer, want string }{
		{"not POP3", "GREETING", "* OK IMAP4rev1\r\n", "neither +OK nor -ERR"},
		{"refused", "GREETING", "-ERR \x1b[2Jgo away\r\n", "?[2Jgo away"},
		{"endless line", "GREETING", "+OK " + strings.Repeat("x", 1<<20) + "HANGUP", "longer than 16384 octets"},
		{"hang up", "LIST", "+OK\r\n1 5\r\nHANGUP", "hung up"},
		{"in use", "PASS", "-ERR [IN-USE] busy\r\n", "[IN-USE] busy"},
		{"no text", "RETR", "-ERR gone\r\n", "gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, letters(2)...)
			f.answer = func(_ int, c string) (string, bool) {
				if c == "AUTH" || strings.HasPrefix(c, "APOP") {
					return "-ERR no\r\n", true
				}
				return tt.answer, strings.HasPrefix(c, tt.on)
			}
			mb, err := f.open(t, mailbox.ReadOnly)
			if err == nil {
				_, err = readAll(mb)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

// A server that says that we are in, and has not shown that it knows the
// password, is not believed.
func TestDisguise(t *testing.T) {
	f := newFake(t, letters(1)...)
	f.caps = "SASL SCRAM-SHA-256\r\nUIDL\r\n"
	f.answer = func(_ int, c string) (string, bool) { return "+OK welcome\r\n", strings.HasPrefix(c, "AUTH SCRAM") }
	if _, err := f.open(t, mailbox.ReadOnly); err == nil || !strings.Contains(err.Error(), "in disguise") {
		t.Errorf("got %v", err)
	}
}

// Dates are those of the headers, and an expunge is done when the session has
// ended.
func TestExpunge(t *testing.T) {
	f := newFake(t, letters(5)...)
	mb, err := f.open(t, mailbox.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	for m := range mb.Messages(mailbox.One(3)) {
		want := mailbox.Date{Year: 2024, Month: 1, Day: 1, Hour: 10, Second: 2, Zone: 60}
		if m.Date != want {
			t.Errorf("got %v, want %v", m.Date, want)
		}
	}
	if n, err := mb.Expunge(mailbox.Range(2, 3)); n != 2 || err != nil {
		t.Fatalf("expunge: got %d, %v", n, err)
	}
	got, err := readAll(mb)
	all := letters(5)
	if want := slices.Delete(all, 1, 3); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %d messages, %v; want %d", len(got), err, len(want))
	}
	ro, err := f.open(t, mailbox.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ro.Expunge(mailbox.All); err == nil {
		t.Error("expunged from a mailbox that is open read-only")
	}
}
