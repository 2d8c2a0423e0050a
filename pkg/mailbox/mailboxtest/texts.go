package mailboxtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
)

// texts are what mail looks like at its worst. may is the most that a format
// may alter in a text, unless it is Exact.
var texts = []struct {
	name, text string
	may        mailbox.Altered
}{
	{"plain", "From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n", mailbox.Altered{}},
	{"empty body", "Subject: x\r\n\r\n", mailbox.Altered{}},
	{"body of empty lines", "Subject: x\r\n\r\n\r\n\r\n\r\n", mailbox.Altered{}},
	{"empty lines at the end", "Subject: x\r\n\r\nbody\r\n\r\n\r\n", mailbox.Altered{}},
	{"no header", "\r\nbody\r\n", mailbox.Altered{}},
	{"one empty line", "\r\n", mailbox.Altered{}},
	{"folded header", "Subject: x\r\n y\r\n\tz\r\nTo: b\r\n\r\nbody\r\n", mailbox.Altered{}},
	{"line without colon", "Subject: x\r\nno colon here\r\nTo: b\r\n\r\nbody\r\n", mailbox.Altered{}},
	{"8-bit", "Subject: \xe9\xff\r\n\r\n\x80\xa0caf\xc3\xa9\xff\r\n", mailbox.Altered{}},
	{"NUL", "Subject: a\x00b\r\n\r\n\x00\x00body\x00\r\n\x00", mailbox.Altered{Newlines: 1}},
	{"control octets", "Subject: x\r\n\r\n\x01\x01\x01\x01\r\n\x0c\x1a\x7f\r\n", mailbox.Altered{Octets: 1}},
	{"delimiters of mmdf", "Subject: x\r\n\x01\x01\x01\x01\r\n\x01\x01\x01\x01\r\nX-UID: 7\r\n\r\nbody\x01\x01\x01\x01\r\n" +
		"x\x01\x01\x01\x01\r\n\x01\x01\x01\x01\r\n\x01\x01\x01\x01\x01\r\n", mailbox.Altered{RenamedHeaders: 1, Octets: 7}},
	{"bare CR", "Subject: a\rb\r\n\r\nx\ry\r\n\rz\r\n", mailbox.Altered{}},
	{"CR CR LF", "Subject: x\r\n\r\nx\r\r\ny\r\r\r\nz\r\n", mailbox.Altered{}},
	{"CR at the end", "Subject: x\r\n\r\nbody\r", mailbox.Altered{Newlines: 1}},
	{"bare LF", "Subject: x\r\n\r\none\ntwo\r\n\nthree\n", mailbox.Altered{LineEnds: 3}},
	{"bare LF all over", "Subject: x\nTo: b\n\none\ntwo\n", mailbox.Altered{LineEnds: 5}},
	{"no final newline", "Subject: x\r\n\r\nbody", mailbox.Altered{Newlines: 1}},
	{"header only", "Subject: x\r\nTo: b\r\n", mailbox.Altered{Newlines: 1}},
	{"header only, no newline", "Subject: x", mailbox.Altered{Newlines: 2}},
	{
		"From lines", "Subject: x\r\n\r\nFrom here\r\n>From there\r\n>>From\r\n From\r\nFrom: me\r\nFrom\r\nfrom you\r\n" +
			"From a@b Wed Jan  1 01:02:03 2020\r\nFrom the end\r\n", mailbox.Altered{QuotedFrom: 3},
	},
	{"From line first", "From a@b Wed Jan  1 01:02:03 2020\r\nSubject: x\r\n\r\nbody\r\n", mailbox.Altered{QuotedFrom: 1}},
	{
		"status headers", "X-Mailer: q\r\nStatus: RO\r\nX-Status: DFAT\r\nX-Keywords: forged\r\nX-UID: 4000000000\r\n" +
			"X-IMAP: 1 2 forged\r\nX-IMAPbase: 3 4 forged\r\nstatus: D\r\nX-UID: 7\r\n and more\r\nSubject: x\r\n\r\n" +
			"Status: RO\r\nX-UID: 1\r\n", mailbox.Altered{RenamedHeaders: 8},
	},
	{"status headers alone", "Status: RO\r\nX-UID: 9\r\n\r\n", mailbox.Altered{RenamedHeaders: 2}},
	{"longer name than status", "Statuses: 1\r\nX-UIDs: 2\r\nX-IMAPbases: 3\r\nSubject: x\r\n\r\nbody\r\n", mailbox.Altered{}},
	{"looks like mbx", "Subject: x\r\n\r\n 1-Jul-2001 02:03:04 -0700,47;000000000011-00000001\r\n*mbx*\r\n", mailbox.Altered{}},
	{"long lines", "Subject: " + strings.Repeat("s", 70000) + "\r\n\r\n" + strings.Repeat("b", 70000) + "\r\nFrom " + strings.Repeat("c", 70000) + "\r\n", mailbox.Altered{QuotedFrom: 1}},
	{"CR LF across a buffer", "Subject: x\r\n\r\n" + strings.Repeat("123456789\r\n", 30000), mailbox.Altered{}},
	{"large", "Subject: x\r\n\r\n" + strings.Repeat("All work and no play makes Jack a dull boy.\r\nFrom", 3<<20/49), mailbox.Altered{Newlines: 1}},
}

// testTexts puts each text into a mailbox of its own.
func testTexts(b *bench) {
	for i, tt := range texts {
		b.T.Run(strings.ReplaceAll(tt.name, " ", "-"), func(t *testing.T) {
			b := &bench{T: t, h: b.h, d: b.d, env: b.env}
			n := b.box(fmt.Sprint("text", i))
			alt := b.add(n, mailbox.AppendOptions{}, item(tt.text))[0]
			b.checkAltered(alt, tt.may)
			got := b.fresh(n)
			if len(got) != 1 {
				b.Fatalf("got %d messages, want 1", len(got))
			}
			b.checkText(got[0].Text, tt.text, alt)
			b.settle(n)
			if again := b.fresh(n); again[0].Text != got[0].Text {
				b.Errorf("after a read-write session\n got %.200q\nwant %.200q", again[0].Text, got[0].Text)
			}
			b.checkContent(n, got[0].Text)
		})
	}
}

// testTextsTogether puts all texts into one mailbox, where one may run into
// the next, and plain ones between them.
func testTextsTogether(b *bench) {
	n := b.box("together")
	var want []string
	var items []mailbox.Item
	for _, tt := range texts {
		want = append(want, tt.text, texts[0].text)
		items = append(items, item(tt.text), item(texts[0].text))
	}
	alts := b.add(n, mailbox.AppendOptions{}, items...)
	check := func(when string) {
		got := b.fresh(n)
		if len(got) != len(want) {
			b.Fatalf("%s: got %d messages, want %d", when, len(got), len(want))
		}
		for i := range got {
			b.checkText(got[i].Text, want[i], alts[i])
		}
	}
	check("appended")
	b.settle(n)
	check("after a read-write session")
	mb := b.open(n, mailbox.ReadWrite)
	b.ok("store", mb.Store(mailbox.All, mailbox.Add, mailbox.FlagList{System: mailbox.Answered | mailbox.Flagged}))
	b.close(mb)
	check("after a change of all flags")
}

// testZeroLength adds a message without an octet: it may be refused, and is
// then no message.
// testZeroLength adds a message of no octets, which a format may refuse: that
// one only, between others.
func testZeroLength(b *bench) {
	n := b.box("zero")
	del := b.begin(n, mailbox.AppendOptions{})
	_, err := del.Add(letterOf("before"))
	b.ok("add", err)
	alt, refused := del.Add(item(""))
	if refused != nil && !errors.Is(refused, mailbox.ErrUnsupported) {
		b.Fatalf("add: got %v, want %v or none", refused, mailbox.ErrUnsupported)
	}
	_, err = del.Add(letterOf("behind"))
	b.ok("add behind it", err)
	_, err = del.Commit()
	b.ok("commit", err)
	got := b.fresh(n)
	want := "before  behind"
	if refused != nil {
		want = "before behind"
	}
	if subjects := subjects(got); subjects != want {
		b.Fatalf("got %q, want %q", subjects, want)
	}
	if refused == nil {
		b.checkText(got[1].Text, "", alt)
	}
}

// checkAltered reports alterations beyond what may be.
func (b *bench) checkAltered(got, may mailbox.Altered) {
	b.Helper()
	if b.h.Exact {
		may = mailbox.Altered{}
	}
	if got.QuotedFrom > may.QuotedFrom || got.RenamedHeaders > may.RenamedHeaders || got.LineEnds > may.LineEnds ||
		got.Newlines > may.Newlines || got.Keywords > may.Keywords || got.Dates > may.Dates || got.Octets > may.Octets {
		b.Errorf("altered: got %+v, want at most %+v", got, may)
	}
}

// checkText compares a text that was read with the one that was added: they
// differ exactly by what was reported.
func (b *bench) checkText(got, want string, said mailbox.Altered) {
	b.Helper()
	alt, ok := difference(got, want)
	said.Keywords, said.Dates = 0, 0
	if !ok {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		from := max(0, i-30)
		b.Errorf("text differs at octet %d of %d\n got %.100q\nwant %.100q", i, len(want), got[from:], want[from:])
	} else if alt != said {
		b.Errorf("text %.60q was altered by %+v, but reported was %+v", want, alt, said)
	}
}

// difference says how the text got differs from the text want. ok is false
// where no alteration that a format may make explains it.
func difference(got, want string) (alt mailbox.Altered, ok bool) {
	g, w := lines(got), lines(want)
	for i, line := range w {
		if i == len(g) {
			return alt, false
		}
		have, haveEnd := cutEnd(g[i])
		need, needEnd := cutEnd(line)
		switch {
		case have == need:
		case have == ">"+need && strings.HasPrefix(need, "From "):
			alt.QuotedFrom++
		case have == "X-Original-"+need:
			alt.RenamedHeaders++
		case strings.Contains(need, fourOnes) && have == threeOnes(need):
			alt.Octets += len(need) - len(have)
		default:
			return alt, false
		}
		switch {
		case haveEnd == needEnd:
		case haveEnd == "\r\n" && needEnd == "\n":
			alt.LineEnds++
		case haveEnd == "\r\n" && needEnd == "":
			alt.Newlines++
		default:
			return alt, false
		}
	}
	for _, line := range g[len(w):] {
		if line != "\r\n" {
			return alt, false
		}
		alt.Newlines++
	}
	return alt, true
}

// fourOnes ends a message of the mmdf format.
const fourOnes = "\x01\x01\x01\x01"

// threeOnes is a line with no more than three 0x01 in a row.
func threeOnes(line string) string {
	for strings.Contains(line, fourOnes) {
		line = strings.ReplaceAll(line, fourOnes, fourOnes[1:])
	}
	return line
}

// lines cuts a text after each LF.
func lines(text string) []string {
	all := strings.SplitAfter(text, "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

func cutEnd(line string) (text, end string) {
	for _, end := range []string{"\r\n", "\n"} {
		if text, ok := strings.CutSuffix(line, end); ok {
			return text, end
		}
	}
	return line, ""
}
