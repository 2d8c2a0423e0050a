package rfc822

import (
	"errors"
	"io"
	"strings"
	"testing"
)

const multi = "Content-Type: multipart/mixed; boundary=b\n\n"

var walkTests = []struct{ name, in, want string }{
	{"empty", "", `[message text/plain 0 ""]|`},
	{"plain", "A: b\n\nx\n--b\n", `[message text/plain 0 "A: b\n\n"]` + "x\n--b\n|"},
	{"CRLF", "A: b\r\n\r\nx\r\n", `[message text/plain 0 "A: b\r\n\r\n"]` + "x\r\n|"},
	{"no header", "\nx", `[message text/plain 0 "\n"]x|`},
	{"no body", "A: b", `[message text/plain 0 "A: b"]|`},
	{
		"multipart", multi + "pre\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nx\n--b \t\n\ny\n--bb\n--b-\n-\n--\n--b--\npost\n--b\n",
		`[in message multipart/mixed 0 "Content-Type: multipart/mixed; boundary=b\n\n"]` + "pre\n|" +
			`[part image/png 1 "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n"]` + "x\n|" +
			`[part text/plain 0 "\n"]` + "y\n--bb\n--b-\n-\n--\n|" + `[part text/plain 0 ""]` + "post\n--b\n|",
	},
	{
		"part without a blank line", multi + "--b\nno header\n\nx\n--b\nA: b\n--b\n--b--",
		`[in message multipart/mixed 0 "Content-Type: multipart/mixed; boundary=b\n\n"]|` +
			`[part text/plain 0 ""]` + "no header\n\nx\n|" + `[part text/plain 0 "A: b\n"]|` + `[part text/plain 0 ""]|` + `[part text/plain 0 ""]|`,
	},
	{
		"never closed", multi + "--b\n\nx", `[in message multipart/mixed 0 "Content-Type: multipart/mixed; boundary=b\n\n"]|[part text/plain 0 "\n"]x|`,
	},
	{
		"hyphens, a long line of them", multi + strings.Repeat("-", 3+maxPadding) + "--b\n" + strings.Repeat("--b ", 200) + "--b\n",
		`[in message multipart/mixed 0 "Content-Type: multipart/mixed; boundary=b\n\n"]` + strings.Repeat("-", 3+maxPadding) + "--b\n" + strings.Repeat("--b ", 200) + "--b\n|",
	},
	{"no field", "no field\nA: b\n\nx", `[message text/plain 0 "no field\nA: b\n\n"]x|`},
	{
		"no boundary", "Content-Type: multipart/mixed\n\nx\n--\n", `[message text/plain 0 "Content-Type: multipart/mixed\n\n"]` + "x\n--\n|",
	},
	{
		"nested message", multi + "--b\nContent-Type: message/rfc822\n\nSubject: s\nContent-Type: multipart/x; boundary=c\n\n--c\n\nx\n--b\n\ny\n--c\n--b--\n",
		`[in message multipart/mixed 0 "Content-Type: multipart/mixed; boundary=b\n\n"]|` +
			`[in part message/rfc822 0 "Content-Type: message/rfc822\n\n"]|` +
			`[in message multipart/x 0 "Subject: s\nContent-Type: multipart/x; boundary=c\n\n"]|` +
			`[part text/plain 0 "\n"]` + "x\n|" + `[part text/plain 0 "\n"]` + "y\n--c\n|" + `[part text/plain 0 ""]|`,
	},
	{
		"encoded message", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nx",
		`[message message/rfc822 1 "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"]x|`,
	},
	{
		"digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: s\n\nx\n--b\nContent-Type: text/plain\n\ny\n--b\n no header\n\nz",
		`[in message multipart/digest 0 "Content-Type: multipart/digest; boundary=b\n\n"]|` +
			`[in part message/rfc822 0 "\n"]|[message text/plain 0 "Subject: s\n\n"]` + "x\n|" +
			`[part text/plain 0 "Content-Type: text/plain\n\n"]` + "y\n|" +
			`[in part message/rfc822 0 ""]|[message text/plain 0 " no header\n\n"]z|`,
	},
	{
		"message that ends in its header", "Content-Type: message/rfc822\n\n",
		`[in message message/rfc822 0 "Content-Type: message/rfc822\n\n"]|[message text/plain 0 ""]|`,
	},
}

func TestWalk(t *testing.T) {
	for _, tt := range walkTests {
		for n := len(tt.in) + 1; n > 0; n-- {
			if got := walk(tt.in, n); got != tt.want {
				t.Errorf("%s: in pieces of %d: %q\n got %s\nwant %s", tt.name, n, tt.in, got, tt.want)
				break
			}
		}
	}
}

func TestWalkDeep(t *testing.T) {
	for _, in := range []string{
		strings.Repeat("Content-Type: message/rfc822\n\n", 1000) + "\nx",
		strings.Repeat(multi+"--b\n", 1000) + "\nx",
	} {
		got := walk(in, 100)
		if n := strings.Count(got, "[in "); n != maxDepth || !strings.HasSuffix(got, "x|") {
			t.Errorf("got %d levels, ending in %.100q", n, got[max(0, len(got)-100):])
		}
	}
}

func TestWalkLongBoundary(t *testing.T) {
	for n, want := range map[int]int{maxBoundary: 2, maxBoundary + 1: 1} {
		b := strings.Repeat("b", n)
		got := walk("Content-Type: multipart/mixed; boundary="+b+"\n\n--"+b+"\n\nx", 100)
		if parts := strings.Count(got, "|"); parts != want {
			t.Errorf("boundary of %d octets: got %d parts, want %d", n, parts, want)
		}
	}
}

func TestWalkLongHeader(t *testing.T) {
	in := "A: " + strings.Repeat("x", MaxHeader) + "\n\nbody"
	header, body := 0, 0
	w := NewWalker(func(p *Part) (io.WriteCloser, error) {
		header = len(p.Header)
		return writer(func(p []byte) error { body += len(p); return nil }), nil
	})
	io.WriteString(w, in)
	if err := w.Close(); err != nil || header != MaxHeader || header+body != len(in) {
		t.Errorf("got header %d, body %d, %v", header, body, err)
	}
}

type writer func([]byte) error

func (w writer) Write(p []byte) (int, error) { return len(p), w(p) }
func (writer) Close() error                  { return nil }

func TestWalkError(t *testing.T) {
	stop := errors.New("stop")
	w := NewWalker(func(*Part) (io.WriteCloser, error) { return writer(func([]byte) error { return stop }), nil })
	if _, err := io.WriteString(w, "\nx"); err != stop {
		t.Errorf("Write: got %v, want %v", err, stop)
	}
	if err := w.Close(); err != stop {
		t.Errorf("Close: got %v, want %v", err, stop)
	}
}

func TestWalkReset(t *testing.T) {
	opened := 0
	w := NewWalker(func(p *Part) (io.WriteCloser, error) { opened++; return nil, nil })
	for range 2 {
		opened = 0
		w.Reset()
		io.WriteString(w, multi+"--b\n\nx\n--")
		w.Reset()
		io.WriteString(w, "\nx")
		if err := w.Close(); err != nil || opened != 3 {
			t.Errorf("got %d parts, %v", opened, err)
		}
	}
}

// Pieces must not matter, and all octets but boundary lines must come out.
func FuzzWalk(f *testing.F) {
	for _, tt := range walkTests {
		f.Add(tt.in, 3)
	}
	f.Fuzz(func(t *testing.T, in string, n int) {
		if n < 1 {
			return
		}
		whole := walk(in, len(in)+1)
		if got := walk(in, n); got != whole {
			t.Errorf("%q in pieces of %d\n got %s\nwant %s", in, n, got, whole)
		}
	})
}

func FuzzWord(f *testing.F) {
	for _, s := range []string{"=?utf-8?q?caf=C3=A9?= =?utf-8?q?x?=", "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "a =?x", "\xff", "=?utf-7?q?+AOk?="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := Decode([]byte(in))
		if strings.ToValidUTF8(got, "") != got {
			t.Errorf("%q: got %q, not UTF-8", in, got)
		}
		if plain := strings.Trim(in, " \t\r\n"); !strings.Contains(in, "=?") && !strings.Contains(in, "\n") &&
			strings.ToValidUTF8(in, "") == in && got != plain {
			t.Errorf("%q: got %q, want %q", in, got, plain)
		}
	})
}
