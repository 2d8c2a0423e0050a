package imap

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/internal/session"
	"mailutil/pkg/internal/session/sessiontest"
	"mailutil/pkg/mailbox"
)

// Whatever a server sends, the reader of responses neither panics nor keeps
// more than it may, and takes literals for what they are.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"* OK [CAPABILITY IMAP4rev1] hi\r\n", "* 1 FETCH (UID 1 FLAGS (\\Seen kw) INTERNALDATE \" 1-Jan-2020 00:00:00 +0000\" RFC822.SIZE 3 BODY[] {3}\r\nabc)\r\n",
		"* LIST (\\Noselect) \"/\" {3}\r\na&b\r\n", "* STATUS x (MESSAGES 1 UIDNEXT 2)\r\n", "* 1 FETCH (X {99999999999999999999}\r\n", "* 1 FETCH ((((((", "* FLAGS (a b", "* 2 EXPUNGE\r\n* 3 EXISTS\r\n", "* 1 FETCH (X \xff\xff UID 3)\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b := &openBox{exists: 3, msgs: make([]entry, 3)}
		r := reader{r: bufio.NewReader(bytes.NewReader(in))}
		for {
			r.begin()
			err := readOne(&r)
			if len(r.line) > maxResponse {
				t.Fatalf("a response of %d octets is kept", len(r.line))
			}
			if err != nil {
				return
			}
			b.untagged(r.line)
			parseList(r.line)
			parseStatus(r.line, &mailbox.Status{})
			status(r.line, "*")
			uidIn(r.line)
			if len(b.keywords) > mailbox.MaxKeywords || len(b.msgs) != 3 {
				t.Fatalf("%d keywords, %d messages", len(b.keywords), len(b.msgs))
			}
		}
	})
}

func readOne(r *reader) error {
	for {
		n, err := r.more()
		if err != nil || n < 0 {
			return err
		}
		if isItem(r.line, "BODY[]") {
			if _, err := io.CopyN(io.Discard, r.r, n); err != nil {
				return err
			}
			r.passed()
			continue
		}
		if err := r.keep(n); err != nil {
			return err
		}
	}
}

// The parts of a message lie within each other and in order, whatever it is,
// and do not depend on how it is cut into pieces.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{
		"Subject: x\r\n\r\nhi\r\n", "Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz\r\n--b--\r\nend\r\n",
		"Content-Type: multipart/x; boundary=\"a b\"\n\n--a b\n--a b\n--a b--", "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n", "", "\r\n", "x",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err := splitMessage(bytes.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		checkPart(t, whole, 0, int64(len(in)))
		pieces, err := splitMessage(iotestOne{bytes.NewReader(in)})
		if err != nil {
			t.Fatal(err)
		}
		a, b := appendStructure(nil, whole, true), appendStructure(nil, pieces, true)
		if !bytes.Equal(a, b) {
			t.Errorf("%q\nwhole %s\nin pieces %s", in, a, b)
		}
		p := parser{a}
		if err := p.skip(); err == nil && len(p.b) > 0 {
			t.Errorf("structure is more than one value: %s", a)
		}
	})
}

// iotestOne gives an octet at a time.
type iotestOne struct{ r io.Reader }

func (o iotestOne) Read(b []byte) (int, error) { return o.r.Read(b[:min(len(b), 1)]) }

func checkPart(t *testing.T, p *part, from, to int64) {
	t.Helper()
	if p.headerAt < from || p.bodyAt < p.headerAt || p.end < p.bodyAt || p.end > to || p.lines < 0 {
		t.Fatalf("part %d-%d-%d, %d lines, is not within %d-%d", p.headerAt, p.bodyAt, p.end, p.lines, from, to)
	}
	at := p.bodyAt
	for _, inner := range p.parts {
		checkPart(t, inner, at, p.end)
		at = inner.end
	}
}

// A server answers whatever a client sends, or hangs up.
func FuzzServer(f *testing.F) {
	for _, s := range []string{
		"a CAPABILITY\r\na NOOP\r\na LOGOUT\r\n", "a SELECT INBOX\r\na FETCH 1:* (UID FLAGS BODY.PEEK[1.2]<0.5> ENVELOPE BODYSTRUCTURE)\r\n", "a APPEND INBOX (\\Seen) {3+}\r\nabc\r\n",
		"a UID SEARCH RETURN (MIN MAX) CHARSET UTF-8 OR FROM x NOT (HEADER a {1+}\r\nb)\r\n", "a LIST \"\" *\r\na STATUS x (MESSAGES)\r\na IDLE\r\nDONE\r\n", "a SELECT {5+}\r\nINBOX\r\n",
		"a STORE 1 +FLAGS (x)\r\na COPY 1 y\r\na UID EXPUNGE 1\r\n", "a FETCH 1 BODY[HEADER.FIELDS (\xff\xfe x)]<0.1>\r\n", "a LOGIN x y\r\na AUTHENTICATE PLAIN =\r\n", "a {999999999999+}\r\n", "\r\n\r\n",
		"a SELECT INBOX\r\na SORT (REVERSE DATE SUBJECT) UTF-8 ALL\r\na UID THREAD REFERENCES {5+}\r\nUTF-8 FROM x\r\na THREAD ORDEREDSUBJECT US-ASCII 1:*\r\n",
	} {
		f.Add([]byte(s))
	}
	tree := sessiontest.NewTree(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		c := &sessiontest.Conn{In: bytes.NewReader(in)}
		s := &Server{Poll: time.Hour}
		s.Session = session.Session{Tree: tree, Host: "h", User: "alice", Log: func(string) {}, Trace: func(string, []byte) {}}
		s.Serve(context.Background(), c)
		for _, line := range strings.SplitAfter(c.Out.String(), "\r\n") {
			if line != "" && !strings.HasSuffix(line, "\r\n") {
				t.Errorf("%q: an answer does not end: %q", in, line)
			}
		}
	})
}
