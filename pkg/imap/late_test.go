package imap_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/imap"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// A latecomer stands before a server, cuts its first client off and keeps some
// of what that has sent. When the next client has looked into the mailbox and
// sends mail, the server gets it.
type latecomer struct {
	t     *testing.T
	to    string
	multi bool // the server has MULTIAPPEND, and what is kept is the end of it

	held     strings.Builder
	first    net.Conn      // to the server
	stored   chan struct{} // for each APPEND of the first client that the server is done with
	heldMany int
	sessions int
}

func (l *latecomer) listen() int {
	l.t.Helper()
	l.stored = make(chan struct{}, 100)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { listener.Close() })
	go func() {
		for { // one after the other, as the client does it
			c, err := listener.Accept()
			if err != nil {
				return
			}
			l.sessions++
			l.serve(c, l.sessions)
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func (l *latecomer) serve(c net.Conn, session int) {
	defer c.Close()
	server, err := net.Dial("tcp", l.to)
	if err != nil {
		l.t.Error(err)
		return
	}
	if session == 1 {
		l.first = server
	}
	go l.answers(server, c, session)
	r := bufio.NewReader(c)
	appends, waiting := 0, true
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			break
		}
		if strings.Contains(line, " APPEND ") {
			appends++
			if session == 2 && waiting {
				waiting = false
				l.release()
			}
		}
		body := ""
		if m := literal.FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			n := 0
			fmt.Sscan(m[1], &n)
			b := make([]byte, n)
			if _, err := io.ReadFull(r, b); err != nil {
				break
			}
			body = string(b)
		}
		switch keep := session == 1 && (l.multi && line == "\r\n" || !l.multi && appends > 5); {
		case !keep:
			io.WriteString(server, line+body)
		default:
			l.held.WriteString(line + body)
			if l.multi || line == "\r\n" {
				l.heldMany++
			}
			if l.multi || l.heldMany == 3 {
				return
			}
		}
	}
	if session > 1 {
		server.Close()
	}
}

// answers passes on what the server says, as long as the client is there.
func (l *latecomer) answers(server io.Reader, c io.Writer, session int) {
	r := bufio.NewReader(server)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if session == 1 && strings.Contains(line, "APPEND completed") {
			l.stored <- struct{}{}
		}
		if !l.multi {
			line = strings.Replace(line, " MULTIAPPEND", "", 1)
		}
		io.WriteString(c, line)
	}
}

// release gives the server what was kept, and waits until it is stored.
func (l *latecomer) release() {
	io.WriteString(l.first, l.held.String())
	want := 8
	if l.multi {
		want = 1
	}
	for range want {
		<-l.stored
	}
}

// What a server stores late, after we have looked and sent it again, is there
// once in the end.
func TestStoredLate(t *testing.T) {
	for _, multi := range []bool{false, true} {
		env := mailboxtest.NewEnv(t)
		env.Config.NewFormat = "mbx"
		l := &latecomer{t: t, to: fmt.Sprintf("127.0.0.1:%d", endpoint(t, env)), multi: multi}
		port := l.listen()
		d := imap.New(env, options())
		t.Cleanup(func() { d.Close() })
		direct := imap.New(env, options())
		t.Cleanup(func() { direct.Close() })
		var to int
		fmt.Sscanf(l.to, "127.0.0.1:%d", &to)
		if err := direct.Create(context.Background(), at(to, "box")); err != nil {
			t.Fatal(err)
		}
		want := append(letters(30), letters(4)...) // some of them twice
		_, err := deliver(d, at(port, "box"), want)
		if multi {
			if err == nil {
				t.Fatal("the first delivery ends well, though it was cut off")
			}
			_, err = deliver(d, at(port, "box"), want)
		}
		if err != nil {
			t.Fatal(err)
		}
		mb, err := direct.Open(context.Background(), at(to, "box"), mailbox.ReadOnly)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(mb)
		if err != nil {
			t.Fatal(err)
		}
		mb.Close()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("multi %v: got %d messages, want %d", multi, len(got), len(want))
		}
	}
}
