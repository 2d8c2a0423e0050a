package search

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode"

	"mailutil/pkg/mailbox"
)

// content is a message that is given in pieces.
type content struct {
	*strings.Reader
	text   string
	piece  int
	err    error // of WriteTo at the end
	read   *int  // octets given
	header *int  // calls of Header
}

func (c *content) Header() ([]byte, error) {
	if c.header != nil {
		*c.header++
	}
	if i := strings.Index(c.text, "\r\n\r\n"); i >= 0 {
		return []byte(c.text[:i+4]), nil
	}
	return []byte(c.text), nil
}

func (c *content) WriteTo(w io.Writer) (n int64, err error) {
	for rest := c.text; len(rest) > 0; {
		p := []byte(rest[:min(c.piece, len(rest))])
		rest = rest[len(p):]
		if c.read != nil {
			*c.read += len(p)
		}
		k, err := w.Write(p)
		n += int64(k)
		if err != nil {
			return n, fmt.Errorf("wrapped: %w", err)
		}
		clear(p) // it was lent
	}
	return n, c.err
}

func open(text string) func() (mailbox.Content, error) {
	return openPieces(text, max(1, len(text)))
}

func openPieces(text string, n int) func() (mailbox.Content, error) {
	return func() (mailbox.Content, error) { return &content{text: text, piece: n}, nil }
}

func matcher(t testing.TB, criteria string) *Matcher {
	t.Helper()
	c, err := Parse(criteria, now)
	if err != nil {
		t.Fatalf("Parse(%q): %v", criteria, err)
	}
	return NewMatcher(c, mailbox.Status{})
}

// check matches text, given whole and in pieces of all sizes up to 70.
func check(t *testing.T, criteria, text string, want bool) {
	t.Helper()
	text = strings.ReplaceAll(text, "\n", "\r\n")
	m := matcher(t, criteria)
	for _, n := range []int{len(text) + 1, 1, 2, 3, 4, 5, 7, 11, 16, 31, 64, 70} {
		got, err := m.Match(mailbox.Message{}, openPieces(text, n))
		if err != nil || got != want {
			t.Errorf("%s: %q\nin pieces of %d\n got %v, %v\nwant %v", criteria, text, n, got, err, want)
			return
		}
	}
}

func TestHeaders(t *testing.T) {
	const msg = "Received: from x\n\tby y\nFrom: Joe =?iso-8859-1?Q?Caf=E9?= <joe@Example.com>\nTo: a@b,\n c@d\nto: second@b\n" +
		"Cc: Bob <bob@b>\nSubject: a folded\n\tsubject =?utf-8?b?w6nDqA==?=\n =?utf-8?q?_end?=\nX-Raw: na\xefve\nX-Empty:\n" +
		"Date: Fri, 2 Feb 2024 23:30:00 -0800 (PST)\n\nFrom: body@b\n"
	for in, want := range map[string]bool{
		"from joe": true, "FROM JOE@EX": true, "from café": true, "from CAFÉ": true, "from body": false, `from "joe cafÉ"`: true,
		"to c@d": true, "to second": true, "cc bob": true, "bcc x": false, "bcc bob": false, "to bob": false,
		`subject "folded subject"`: true, "subject éè": true, `subject "ÉÈ END"`: true, "subject =?utf-8": false,
		"header x-raw naïve": true, "header X-Raw: NAÏVE": true, `header x-empty ""`: true, `header x-none ""`: false, "header x-empty x": false,
		"header received by": true, "sentbefore 2-Feb-2024": false, "senton 2-Feb-2024": true, "sentsince 2-Feb-2024": true,
		"sentbefore 3-Feb-2024": true, "sentsince 3-Feb-2024": false, "senton 3-Feb-2024": false,
		"from joe subject end": true, "from joe subject nosuch": false, "or from nosuch cc bob": true, "not from nosuch": true,
		"text second@b": true, "text body@b": true, "text CAFÉ": true, "text naïve": true, "body joe": false, "body body@": true,
		`text "a folded subject"`: true, "from joe body body": true, "text subject": true, `text "cc: bob"`: true,
	} {
		check(t, in, msg, want)
	}
	check(t, `subject "a b"`, "Subject: a\n b\n\n", true)
	check(t, "text \"a\tb\"", "Subject: a\n\tb\n\n", true)
	check(t, "sentbefore 1-Jan-2050", "Date: sometime\n\n", false)
	check(t, "sentbefore 1-Jan-2050", "\n\n", false)
	check(t, "senton 2-Feb-2024", "Date: 2 Feb 2024\n 10:00:00 +0000\n\n", true)
}

func mime(parts ...string) string {
	return "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=_b\"\n\npreamble\n--=_b\n" +
		strings.Join(parts, "\n--=_b\n") + "\n--=_b--\nepilogue\n"
}

func TestBodies(t *testing.T) {
	const (
		qp     = "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n"
		b64    = "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: BASE64\n\n"
		png    = "Content-Type: image/png; name=pic.png\n\n"
		nested = "Content-Type: message/rfc822\n\nSubject: =?utf-8?q?=C3=A9tude?=\n\ninner text\n"
		report = "Content-Type: message/delivery-status\n\nFinal-Recipient: x@y\n"
	)
	for _, tt := range []struct {
		criteria, text string
		want           bool
	}{
		{"body hello", "\nwell HeLLo there", true},
		{"body hello", "Subject: hello\n\n", false},
		{"text hello", "Subject: hello\n\n", true},
		{"text hello", "Subject: hello", true},
		{"body hello", "\nhel\nlo", false},
		{"body café", "\nun CAFÉ", true},
		{"body café", "\nun caf\xe9 sans charset", true},
		{"body café", "Content-Type: text/plain; charset=x-nosuch\n\nun caf\xc9", true},
		{"body café", qp + "un caf=\n=E9", true},
		{"body CAFÉ", qp + "un caf=e9", true},
		{"body caf", qp + "un ca=\nF=e9", true},
		{"body café", "Content-Type: text/plain; charset=latin1\n\nun caf\xe9", true},
		{"body 日本", "Content-Type: text/plain; charset=iso-2022-jp\n\n\x1b$BF|K\\\x1b(B", true},
		{"body K\\", "Content-Type: text/plain; charset=iso-2022-jp\n\n\x1b$BF|K\\\x1b(B", false},
		{"body \\", "Content-Type: text/plain; charset=Shift_JIS\n\n\x95\x5c", false},
		{"body 表", "Content-Type: text/plain; charset=Shift_JIS\n\n\x95\x5c", true},
		{"body 功", "Content-Type: text/plain; charset=big5\n\n\xb3\x5c\xa5\x5c", true},
		{"body привет", "Content-Type: text/plain; charset=koi8-r\n\n\xf0\xf2\xe9\xf7\xe5\xf4", true},
		{"body привет", "Content-Type: text/plain; charset=UTF-16LE\nContent-Transfer-Encoding: base64\n\nHwRABDgEMgQ1BEIE", true},
		{"body hello", "Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\nAGgAZQBsAGwAbw==", true},
		{"body ok", "Content-Type: text/plain; charset=iso-2022-jp\n\n\x1b$BF|K\\\x1b(B OK", true},
		{"body hello", b64 + "PHA+SGVs\nbG88L3A+", true},
		{"body hello", "Content-Transfer-Encoding: base64\n\n*SGVs\n--bG8=--", true},
		{"body SGVs", b64 + "PHA+SGVs\nbG88L3A+", false},
		{"body hello", mime(png+"hello", qp+"h=65llo"), true},
		{"body hello", mime(png + "hello"), false},
		{"text hello", mime(png + "hello"), false},
		{"text pic.png", mime(png + "hello"), true},
		{"body pic.png", mime(png + "hello"), false},
		{"body preamble", mime(png), true},
		{"body epilogue", mime(png), true},
		{"body inner", mime(png, nested), true},
		{"text étude", mime(png, nested), true},
		{"body étude", mime(png, nested), false},
		{"body x@y", mime(report), true},
		{"body =_b", mime(png), false},
		{"body one body two", mime("\none", "\ntwo"), true},
		{"body one body three", mime("\none", "\ntwo"), false},
		{`body "one two"`, mime("\none ", "\ntwo"), false},
		{"body {8}\r\none\r\ntwo", mime("\none\n--=_b\n\ntwo"), false},
		{"body {8}\r\none\r\ntwo", mime("\none\ntwo"), true},
		{"or body three text two", mime("\none", "\ntwo"), true},
		{"body one not body two", mime("\none", "\ntwo"), false},
		{"body one not body three", mime("\none", "\ntwo"), true},
		{"body café body hello", mime(qp + "caf=E9 hello"), true},
		{"body hello", "Content-Type: multipart/mixed\n\n--x\nhello", true},
		{"body hello", "Content-Type: multipart/mixed; boundary=y\n\n--x\nhello", true},
		{"body hello", mime("hello\n--=_b"), true},
		{"body hello", "Content-Type: /;;=\n\nhello", true},
		{"body hello", "Content-Type: application/x\n\nhello", false},
		{"body K", "\n\u212A", false},
		{"body ſtraße", "\nſTRAßE", true},
		{"body Ωμέγα", "\nωΜΈΓΑ", true},
		{"body ωμέγας", "\nΩΜΈΓΑΣ", true},
		{"body {4}\r\na\r\nb", "\na\nb", true},
	} {
		check(t, tt.criteria, tt.text, tt.want)
	}
}

// Each needle at each place, in text cut at each place.
func TestBorders(t *testing.T) {
	text := "\r\nabc aabaabx " + strings.Repeat("-", 40) + "\xe9É日" + strings.Repeat("=", 300) + "Ünd"
	naive := fold(strings.ReplaceAll(text, "\xe9", "é"))
	for _, needle := range []string{"x", "abc", "aabx", "abaabx", "AABAABX", "é", "éé", "éÉ日", "日=", "日===", "=ü", "-é", "--é", "nd", "zz", "日本", "a\u0301"} {
		m := matcher(t, `body "`+needle+`"`)
		want := strings.Contains(naive, fold(needle))
		for cut := range len(text) {
			for _, second := range []int{cut, cut + 1, cut + 2, len(text)} {
				got, err := m.Match(mailbox.Message{}, func() (mailbox.Content, error) {
					return pieces{text[:cut], text[cut:min(second, len(text))], text[min(second, len(text)):]}, nil
				})
				if err != nil || got != want {
					t.Fatalf("%q cut at %d and %d\n got %v, %v\nwant %v", needle, cut, second, got, err, want)
				}
			}
		}
	}
}

// pieces are a message without a header, given piece by piece.
type pieces []string

func (pieces) Header() ([]byte, error)  { return nil, nil }
func (pieces) Read([]byte) (int, error) { return 0, io.EOF }
func (p pieces) WriteTo(w io.Writer) (n int64, err error) {
	for _, s := range p {
		if _, err := io.WriteString(w, s); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"ABC abc": "abc abc", "\u212A": "\u212A", "\u017F": "\u017F", "ÉéÅ\u212B": "ÉÉÅÅ", "ΣσςΑ": "ΣΣΣΑ", "Ⅷⅷ": "ⅧⅧ",
		"日本": "日本", "İ": "İ", "ß": "ß", "ẞ": "ß", "\U00010428": "\U00010400",
	} {
		if got := fold(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// All that simple folding takes for the same must fold to the same, within
// ASCII and outside.
func TestFoldOrbits(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		next := unicode.SimpleFold(r)
		if (r < 0x80) == (next < 0x80) && foldRune(r) != foldRune(next) {
			t.Errorf("%U folds to %U, but %U to %U", r, foldRune(r), next, foldRune(next))
		}
		if (r < 0x80) != (foldRune(r) < 0x80) {
			t.Errorf("%U folds to %U", r, foldRune(r))
		}
	}
}

// What costs nothing comes first, then the header, and of the text no more
// than it takes.
func TestLazy(t *testing.T) {
	text := "Subject: needle\r\n\r\n" + strings.Repeat("hay\r\n", 1000) + "needle\r\n" + strings.Repeat("hay\r\n", 1000)
	for _, tt := range []struct {
		criteria       string
		want           bool
		opened, header int
		read           [2]int // at least, at most
	}{
		{"text needle seen", false, 0, 0, [2]int{0, 0}},
		{"or text needle unseen", true, 0, 0, [2]int{0, 0}},
		{"text hay subject nosuch", false, 1, 1, [2]int{0, 0}},
		{"or text hay subject needle", true, 1, 1, [2]int{0, 0}},
		{"text needle", true, 1, 0, [2]int{1, 100}},
		{"body needle", true, 1, 0, [2]int{5000, 5200}},
		{"subject needle body needle", true, 1, 1, [2]int{5000, 5200}},
		{"not body needle", false, 1, 0, [2]int{5000, 5200}},
		{"body needle body nosuch", false, 1, 0, [2]int{len(text), len(text)}},
	} {
		opened, header, read := 0, 0, 0
		got, err := matcher(t, tt.criteria).Match(mailbox.Message{}, func() (mailbox.Content, error) {
			opened++
			return &content{text: text, piece: 100, read: &read, header: &header}, nil
		})
		if err != nil || got != tt.want || opened != tt.opened || header != tt.header || read < tt.read[0] || read > tt.read[1] {
			t.Errorf("%s\n got %v, %v, opened %d, header %d, read %d\nwant %+v", tt.criteria, got, err, opened, header, read, tt)
		}
	}
}

func TestMatchErrors(t *testing.T) {
	broken := errors.New("broken")
	m := matcher(t, "text nosuch")
	if _, err := m.Match(mailbox.Message{}, func() (mailbox.Content, error) { return nil, broken }); err != broken {
		t.Errorf("open: got %v, want %v", err, broken)
	}
	_, err := m.Match(mailbox.Message{}, func() (mailbox.Content, error) {
		return &content{text: "\r\nx", piece: 9, err: broken}, nil
	})
	if err != broken {
		t.Errorf("WriteTo: got %v, want %v", err, broken)
	}
	if ok, err := m.Match(mailbox.Message{}, open("nosuch: x")); !ok || err != nil {
		t.Errorf("after errors: got %v, %v", ok, err)
	}
	_, err = m.Match(mailbox.Message{}, func() (mailbox.Content, error) {
		return &content{text: "\r\nx", piece: 9, err: broken}, nil
	})
	if err != broken {
		t.Errorf("WriteTo after a match: got %v, want %v", err, broken)
	}
}

// What was seen of one message must not matter for the next.
func TestManyMessages(t *testing.T) {
	m := matcher(t, "or (subject a body b) text z")
	for _, tt := range []struct {
		text string
		want bool
	}{
		{"Subject: a\r\n\r\nb", true},
		{"Subject: b\r\n\r\nb", false},
		{"Subject: a\r\n\r\nx", false},
		{"\r\nz", true},
		{"\r\nx", false},
		{"", false},
		{"Z: x", true},
	} {
		if got, err := m.Match(mailbox.Message{}, open(tt.text)); err != nil || got != tt.want {
			t.Errorf("%q\n got %v, %v\nwant %v", tt.text, got, err, tt.want)
		}
	}
}

// Text is looked at in windows: a string may be anywhere about their ends.
func TestWindows(t *testing.T) {
	for _, needle := range []string{"xyz", "x", "éxyz"} {
		m := matcher(t, "body "+needle)
		for size := window - 8; size < window+8; size++ {
			for _, before := range []int{0, window} {
				text := "\r\n" + strings.Repeat("-", before+size) + needle
				for _, text := range []string{text, text + "-", text + strings.Repeat("-", window), text[:len(text)-1]} {
					got, err := m.Match(mailbox.Message{}, open(text))
					if want := strings.Contains(text, needle); err != nil || got != want {
						t.Fatalf("%q after %d of %d octets: got %v, %v", needle, before+size, len(text), got, err)
					}
				}
			}
		}
	}
}

// FuzzMatch compares with a naive search where there is nothing to decode, and
// otherwise wants the same for all pieces.
func FuzzMatch(f *testing.F) {
	f.Add("needle", "Subject: x\r\n\r\na needle", 3)
	f.Add("é", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=\r\n=A9\r\n--b--", 1)
	f.Add("日", "Content-Type: text/x; charset=iso-2022-jp\r\n\r\n\x1b$BF|K\\\x1b(B", 2)
	f.Add("b", "Content-Type: message/rfc822\r\n\r\nContent-Transfer-Encoding: base64\r\n\r\nYmI=", 2)
	f.Fuzz(func(t *testing.T, needle, text string, n int) {
		if n < 1 || needle == "" || strings.Contains(needle, `"`) {
			return
		}
		m := matcher(t, `body "`+needle+`"`)
		whole, err := m.Match(mailbox.Message{}, open(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Match(mailbox.Message{}, openPieces(text, n))
		if err != nil || got != whole {
			t.Errorf("%q in %q in pieces of %d\n got %v, %v\nwant %v", needle, text, n, got, err, whole)
		}
		plain := "\r\n" + text
		got, err = m.Match(mailbox.Message{}, openPieces(plain, n))
		want := bytes.Contains(foldOctets(text), foldOctets(needle))
		if err != nil || got != want {
			t.Errorf("%q in plain %q in pieces of %d\n got %v, %v\nwant %v", needle, text, n, got, err, want)
		}
	})
}

// foldOctets is a slow and simple way to fold text that may not be UTF-8.
func foldOctets(s string) []byte {
	var out []rune
	for i, r := range s {
		if r == '\uFFFD' && !strings.HasPrefix(s[i:], "\uFFFD") {
			r = rune(s[i])
		}
		out = append(out, foldRune(r))
	}
	return []byte(string(out))
}
