package pop3

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"

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
