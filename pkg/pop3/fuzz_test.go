package pop3

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"mailutil/pkg/internal/session"
	"mailutil/pkg/internal/session/sessiontest"
	"mailutil/pkg/remote"
)

// What the server's half sends, the client's half gives back, but for a missing
// line end; and what is behind it is left for the next answer.
func FuzzDots(f *testing.F) {
	for _, s := range []string{"", ".", "..\r\n.\r\n", "a\r\n.b", "\r\n.\r\n\r\n", "x\n.\ny", strings.Repeat(".", 70000), "\r.\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var wire bytes.Buffer
		s := &Server{conn: noDeadline{}, w: bufio.NewWriter(&wire)}
		s.Trace = func(string, []byte) {}
		s.Begin(t.Context())
		if err := s.send(bytes.NewReader(text), -1); err != nil {
			t.Fatal(err)
		}
		s.w.WriteString("+OK next\r\n")
		s.w.Flush()
		c := &conn{Conn: &remote.Conn{R: bufio.NewReader(&wire)}}
		got, err := io.ReadAll(&dotReader{c: c})
		want := text
		if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
			want = append(bytes.Clone(text), "\r\n"...)
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %q, %v\nwant %q", got, err, want)
		}
		if rest, _ := c.R.ReadString('\n'); rest != "+OK next\r\n" {
			t.Fatalf("behind it: got %q", rest)
		}
	})
}

// Whatever a client says, logged in or not, each answer is whole, and so is each
// message.
func FuzzServer(f *testing.F) {
	for _, s := range []string{
		"CAPA\r\nSTAT\r\nLIST\r\nUIDL 2\r\nRETR 1\r\nTOP 2 1\r\nDELE 1\r\nRSET\r\nNOOP\r\nLAST\r\n", "DELE 1\r\nQUIT\r\n", "LIST 3\r\nRETR 0\r\nTOP 1 -1\r\nDELE 99999999999\r\n",
		"USER alice\r\nPASS secret\r\n", "APOP alice 00\r\nAUTH\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nAUTH CRAM-MD5\r\n*\r\n", "STLS\r\n", "retr\t1\nuidl  1 2\r\n\r\n\xff\r\n",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	tree := sessiontest.NewTree(f)
	f.Fuzz(func(t *testing.T, in []byte, known bool) {
		c := &sessiontest.Conn{In: bytes.NewReader(in)}
		s := &Server{}
		s.Session = session.Session{Tree: tree, Host: "h", Plain: true, Log: func(string) {}, Trace: func(string, []byte) {}}
		s.Password = func(user string) (string, bool) { return "secret", user == "alice" }
		if known {
			s.User = "alice"
		}
		s.Serve(context.Background(), c)
		for _, line := range strings.SplitAfter(c.Out.String(), "\r\n") {
			if line != "" && !strings.HasSuffix(line, "\r\n") {
				t.Errorf("%q: an answer does not end: %q", in, line)
			}
		}
	})
}
