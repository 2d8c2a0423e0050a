package damage

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// A Class is one kind of damage, for files in which messages are one behind the
// other.
type Class struct {
	Name string
	Do   func(f *File)

	Restores  string // all texts come back of which all lines ended in this
	Renumbers bool   // most UIDs are wrong: the others cannot stay
	Harmless  bool   // nothing may lack, whatever the mail
}

const sector = 512

// Classes are the kinds of damage that any file can have.
var Classes = []Class{
	{Name: "one bit flipped", Do: func(f *File) {
		at := f.rnd.IntN(len(f.Octets))
		f.set(at, []byte{f.Octets[at] ^ 1<<f.rnd.UintN(8)})
	}},
	{Name: "a bit flipped in a line", Do: func(f *File) {
		m := f.pick()
		at := f.between(m.Line, m.Text)
		f.set(at, []byte{f.Octets[at] ^ 1<<f.rnd.UintN(8)})
	}},
	{Name: "twenty bits flipped", Do: func(f *File) {
		for range 20 {
			at := f.rnd.IntN(len(f.Octets))
			f.set(at, []byte{f.Octets[at] ^ 1<<f.rnd.UintN(8)})
		}
	}},
	{Name: "octet changed in a line", Do: func(f *File) {
		m := f.pick()
		f.set(f.between(m.Line, m.Text), f.garbage(1))
	}},
	{Name: "three octets changed in a line", Do: func(f *File) {
		m := f.pick()
		f.set(f.between(m.Line, m.Text-3), f.garbage(3))
	}},
	{Name: "octet lost in a line", Do: func(f *File) { m := f.pick(); f.cut(f.between(m.Line, m.Text), 1) }},
	{Name: "octet added in a line", Do: func(f *File) { m := f.pick(); f.insert(f.between(m.Line+1, m.Text), []byte{'0'}) }},
	{Name: "digit changed in a line", Do: func(f *File) {
		m := f.pick()
		for range 100 {
			if at := f.between(m.Line, m.Text); '0' <= f.Octets[at] && f.Octets[at] <= '9' {
				f.set(at, []byte{'0' + byte(f.rnd.UintN(10))})
				return
			}
		}
	}},
	{Name: "line wiped with NULs", Do: func(f *File) { m := f.pick(); f.fill(m.Line, m.Text-m.Line, 0) }},
	{Name: "half of a line wiped", Do: func(f *File) { m := f.pick(); f.fill(m.Line, (m.Text-m.Line)/2, 0) }},
	{Name: "line wiped with 0xFF", Do: func(f *File) { m := f.pick(); f.fill(m.Line, m.Text-m.Line, 0xFF) }},
	{Name: "line lost", Do: func(f *File) { m := f.pick(); f.cut(m.Line, m.Text-m.Line) }},
	{Name: "line end lost", Do: func(f *File) { m := f.pick(); f.cut(m.Text-1, 1) }},
	{Name: "octet lost in a text", Do: func(f *File) { m := f.big(); f.cut(f.between(m.Text, m.End), 1) }},
	{Name: "hundred octets lost in a text", Do: func(f *File) { m := f.big(); f.cut(f.between(m.Text, m.End-100), 100) }},
	{Name: "octet added in a text", Do: func(f *File) { m := f.big(); f.insert(f.between(m.Text+1, m.End), []byte{'x'}) }},
	{Name: "hundred octets added in a text", Do: func(f *File) { m := f.big(); f.insert(f.between(m.Text+1, m.End), f.garbage(100)) }},
	{Name: "sector zeroed", Do: func(f *File) { f.fill(f.rnd.IntN(len(f.Octets)/sector)*sector, sector, 0) }},
	{Name: "sector of 0xFF", Do: func(f *File) { f.fill(f.rnd.IntN(len(f.Octets)/sector)*sector, sector, 0xFF) }},
	{Name: "page zeroed", Do: func(f *File) { f.fill(f.rnd.IntN(len(f.Octets)/4096+1)*4096, 4096, 0) }},
	{Name: "three sectors zeroed", Do: func(f *File) {
		for range 3 {
			f.fill(f.rnd.IntN(len(f.Octets)/sector)*sector, sector, 0)
		}
	}},
	{Name: "sectors swapped", Do: func(f *File) {
		a, b := f.rnd.IntN(len(f.Octets)/sector)*sector, f.rnd.IntN(len(f.Octets)/sector)*sector
		if a == b {
			return
		}
		for i := range sector {
			f.Octets[a+i], f.Octets[b+i] = f.Octets[b+i], f.Octets[a+i]
			f.From[a+i], f.From[b+i] = f.From[b+i], f.From[a+i]
		}
	}},
	{Name: "sector lost", Do: func(f *File) { f.cut(f.rnd.IntN(len(f.Octets)/sector)*sector, sector) }},
	{Name: "sector doubled", Do: func(f *File) { f.double(f.rnd.IntN(len(f.Octets)/sector)*sector, sector) }},
	{Name: "region doubled in a text", Do: func(f *File) {
		m := f.big()
		n := min(300, (m.End-m.Text)/3)
		f.double(f.between(m.Text, m.End-n), n)
	}},
	{Name: "messages doubled", Do: func(f *File) {
		k := f.rnd.IntN(f.Own - 2)
		f.double(f.Msgs[k].Line, f.Msgs[k+1].Next-f.Msgs[k].Line)
	}},
	{Name: "tail torn", Do: func(f *File) { m := f.Msgs[f.Own-1]; f.cut(f.between(m.Text, m.End), len(f.Octets)) }},
	{Name: "tail torn in a line", Do: func(f *File) { m := f.Msgs[f.Own-1]; f.cut(f.between(m.Line, m.Text), len(f.Octets)) }},
	{Name: "cut anywhere", Do: func(f *File) { f.cut(f.between(f.Msgs[1].Line, len(f.Octets)), len(f.Octets)) }},
	{Name: "NULs at the end", Do: func(f *File) { f.insert(len(f.Octets), make([]byte, 4096)) }},
	{Name: "garbage at the end", Do: func(f *File) { f.insert(len(f.Octets), f.garbage(333)) }},
	{Name: "torn append with appends behind", Do: func(f *File) {
		k := f.Own - 1 - f.rnd.IntN(3)
		m := f.Msgs[k]
		at := f.between(m.Text+1, m.End)
		f.cut(at, m.Next-at)
	}},
	{Name: "line end between messages", Do: func(f *File) { f.insert(f.mid().End, []byte("\r\n")) }},
	{Name: "garbage between messages", Do: func(f *File) { f.insert(f.mid().End, f.garbage(77)) }},
	{Name: "NULs between messages", Do: func(f *File) { f.insert(f.mid().End, make([]byte, 512)) }},
	{Name: "final line end lost", Do: func(f *File) { f.cut(len(f.Octets)-1, 1) }},
	{Name: "editor: LF at the end", Do: func(f *File) { f.insert(len(f.Octets), []byte("\n")) }},
	{Name: "compaction interrupted", Do: compacted},
	{Name: "bytes replaced in texts by ?", Do: func(f *File) { // a conversion of charsets
		for i, c := range f.Octets {
			if c >= 0x80 {
				f.set(i, []byte("?"))
			}
		}
	}},
}

// Single are kinds of damage that mailboxes have which are one file.
var Single = []Class{
	{Name: "hole of two pages", Do: func(f *File) { f.fill(f.rnd.IntN(len(f.Octets)/4096+1)*4096, 8192, 0) }},
	{Name: "NULs up to the end", Do: func(f *File) { m := f.pick(); f.fill(f.between(m.Text, m.End), len(f.Octets), 0) }},
	{Name: "NULs up to the next message", Do: func(f *File) { m := f.mid(); at := f.between(m.Text, m.End); f.fill(at, m.End-at, 0) }},
	{Name: "half of a file overwritten", Do: func(f *File) { f.set(f.Msgs[f.Own/2].Text, f.garbage(len(f.Octets)/3)) }},
	{Name: "thousand octets overwritten", Do: func(f *File) { f.set(f.rnd.IntN(len(f.Octets)), f.garbage(1000)) }},
	{Name: "byte order mark", Do: func(f *File) { f.insert(0, []byte("\xEF\xBB\xBF")) }},
	{Name: "line ends at the beginning", Do: func(f *File) { f.insert(0, []byte("\n\n")) }},
	{Name: "garbage at the beginning", Do: func(f *File) { f.insert(0, f.garbage(50)) }},
	{Name: "text at the end", Do: func(f *File) { f.insert(len(f.Octets), []byte("This is no mail.\n")) }},
	{Name: "stale sector", Do: func(f *File) { // one of another place in the file
		a, b := f.rnd.IntN(len(f.Octets)/sector)*sector, f.rnd.IntN(len(f.Octets)/sector)*sector
		copy(f.Octets[a:a+sector], f.Octets[b:b+sector])
		copy(f.From[a:a+sector], f.From[b:b+sector])
	}},
	{Name: "region moved", Do: func(f *File) {
		n := min(700, len(f.Octets)/2)
		from := f.between(f.Msgs[0].Line, len(f.Octets)-n)
		n = min(n, len(f.Octets)-from)
		f.move(from, n, f.between(f.Msgs[0].Line, len(f.Octets)-n))
	}},
	{Name: "message moved", Do: func(f *File) {
		m := f.Msgs[1+f.rnd.IntN(max(1, f.Own-3))]
		f.move(m.Line, m.Next-m.Line, f.Msgs[0].Line)
	}},
	{Name: "message lost", Do: func(f *File) { m := f.mid(); f.cut(m.Line, m.Next-m.Line) }},
	{Name: "end doubled", Do: func(f *File) { n := 1 + f.rnd.IntN(900); f.double(len(f.Octets)-n, n) }},
	{Name: "another mailbox behind", Do: func(f *File) { f.join(len(f.Octets), f.second) }},
	{Name: "another mailbox before", Do: func(f *File) { f.join(0, f.second) }},
	{Name: "messages of another mailbox within", Do: func(f *File) {
		if len(f.Msgs) > f.Own {
			f.join(f.mid().Next, f.Msgs[f.Own].Line)
		}
	}},
	{Name: "empty lines lost", Do: func(f *File) {
		f.edit(func(b []byte, w []int32) ([]byte, []int32) {
			if len(bytes.Trim(b, "\r\n")) == 0 {
				return nil, nil
			}
			return b, w
		})
	}},
	{Name: "beginning lost", Do: func(f *File) { f.cut(0, f.between(1, f.Msgs[min(2, f.Own-1)].Text)) }},
	{Name: "second half from an older copy", Do: func(f *File) { // of when a message was there that is gone now
		k := f.Own / 2
		at := f.between(f.Msgs[k].Text, f.Msgs[k].End)
		f.cut(at, min(f.Msgs[1].Next-f.Msgs[1].Line, len(f.Octets)-at))
	}},
	{Name: "second half from a newer copy", Do: func(f *File) { // of when a message had been removed
		k := f.Own / 2
		at := f.between(f.Msgs[k].Text, f.Msgs[k].End)
		from := max(f.Msgs[0].Line, at-(f.Msgs[1].Next-f.Msgs[1].Line))
		f.copyTo(from, at, at)
	}},
	{Name: "first 64 KB zeroed", Do: func(f *File) { f.fill(0, 64<<10, 0) }},
	{Name: "two appends at once", Do: func(f *File) { // parts of the last two, in turn
		a, b := f.Msgs[f.Own-2], f.Msgs[f.Own-1]
		f.interleave(a.Line, b.Line, b.Next)
	}},
	{Name: "NULs of a crash over the end", Do: func(f *File) { // the size was written, the octets were not
		at := f.between(f.Msgs[f.Own-1].Text, len(f.Octets)) / page * page
		f.fill(at, len(f.Octets)-at, 0)
		f.insert(len(f.Octets), make([]byte, 100<<10))
	}},
	{Name: "mail of another program behind", Do: func(f *File) { // without a look at the format
		f.insert(len(f.Octets), []byte("From carol@example.net Wed Jan  3 04:05:06 2024\n"+strings.ReplaceAll(delivered, "\r\n", "\n")+"\n"))
	}},
	{Name: "Latin-1 made UTF-8", Do: func(f *File) { // by an editor
		f.edit(func(b []byte, w []int32) ([]byte, []int32) { return recoded(b, w, true) })
	}},
	{Name: "tabs made blanks", Do: func(f *File) { // by an editor
		f.edit(func(b []byte, w []int32) ([]byte, []int32) { return recoded(b, w, false) })
	}},
}

// Pages are kinds of damage by a file system that lost track of pages, or was
// stopped.
var Pages = []Class{
	{Name: "page of a log", Do: func(f *File) { f.foreign(page, logLine) }},
	{Name: "page of HTML", Do: func(f *File) { f.foreign(page, htmlLine) }},
	{Name: "first page zeroed", Do: func(f *File) { f.fill(0, page, 0) }},
	{Name: "cut at the end of a page", Do: func(f *File) { n := len(f.Octets) / page * page; f.cut(n, len(f.Octets)-n) }},
	{Name: "NULs of a crash at the end", Do: func(f *File) { f.insert(len(f.Octets), make([]byte, 300<<10+f.rnd.IntN(page))) }},
}

const page = 4096

// delivered is mail that another program adds.
const delivered = "X-Unique: foreign@x\r\nFrom: carol@example.net\r\nSubject: late\r\n\r\nToo late.\r\n"

func logLine(n int) string {
	return fmt.Sprintf("Nov 26 03:%02d:%02d mail postfix/smtpd[%d]: connect from unknown[192.0.2.%d]\n", n/60%60, n%60, 4000+n, n%250)
}

func htmlLine(n int) string {
	return fmt.Sprintf("<tr><td>%d</td><td><a href=\"/page/%d.html\">From here to there: 1,%03d;</a></td></tr>\n", n, n, n%1000)
}

// foreign overwrites n octets, where a page begins, with lines of another file.
func (f *File) foreign(n int, line func(n int) string) {
	var b []byte
	for k := f.rnd.IntN(1000); len(b) < n; k++ {
		b = append(b, line(k)...)
	}
	f.set(f.rnd.IntN(len(f.Octets)/n+1)*n, b[:n])
}

// interleave writes [from, mid) and [mid, end) in turn, in pieces of a page.
func (f *File) interleave(from, mid, end int) {
	octets, w := slices.Clone(f.Octets[from:end]), slices.Clone(f.From[from:end])
	at, a, b := from, 0, mid-from
	for a < mid-from || b < end-from {
		for _, p := range []struct {
			next *int
			end  int
		}{{&a, mid - from}, {&b, end - from}} {
			n := min(page, p.end-*p.next)
			copy(f.Octets[at:], octets[*p.next:*p.next+n])
			copy(f.From[at:], w[*p.next:*p.next+n])
			at, *p.next = at+n, *p.next+n
		}
	}
}

// recoded writes octets of 8 bits as UTF-8, or tabs as eight blanks.
func recoded(b []byte, w []int32, utf8 bool) (octets []byte, from []int32) {
	for i, c := range b {
		switch {
		case utf8 && c >= 0x80:
			octets = append(octets, string(rune(c))...)
		case !utf8 && c == '\t':
			octets = append(octets, "        "...)
		default:
			octets = append(octets, c)
		}
		for n := len(octets) - len(from); n > 0; n-- {
			if from = append(from, w[i]); octets[len(octets)-1] != c {
				from[len(from)-1] = -1
			}
		}
	}
	return octets, from
}

// LineEnds are kinds of damage by programs that take a file for text whose lines end
// in CR LF.
var LineEnds = []Class{
	{Name: "editor: all lines end in LF", Restores: "\r\n", Do: func(f *File) { f.edit(toLF) }},
	{Name: "editor: CR doubled", Restores: "\r\n", Do: func(f *File) { f.edit(moreCR) }},
	{Name: "editor: one message in LF", Restores: "\r\n", Do: func(f *File) {
		m := f.big()
		for at := m.End - 1; at > m.Text; at-- {
			if f.Octets[at] == '\n' && f.Octets[at-1] == '\r' {
				f.cut(at-1, 1)
			}
		}
	}},
	{Name: "editor: blanks at line ends lost", Do: func(f *File) { f.blanksLost('\r') }},
}

// LineEndsLF are the same where they end in LF.
var LineEndsLF = []Class{
	{Name: "editor: all lines end in CR LF", Restores: "\n", Do: func(f *File) { f.edit(moreCR) }},
	{Name: "editor: one message in CR LF", Restores: "\n", Do: func(f *File) {
		m := f.big()
		for at := m.End - 1; at > m.Text; at-- {
			if f.Octets[at] == '\n' {
				f.insert(at, []byte("\r"))
			}
		}
	}},
	{Name: "editor: blanks at line ends lost", Do: func(f *File) { f.blanksLost('\n') }},
}

// toLF makes CR LF LF.
func toLF(b []byte, w []int32) ([]byte, []int32) {
	if n := len(b); n > 1 && b[n-2] == '\r' && b[n-1] == '\n' {
		return append(slices.Clone(b[:n-2]), '\n'), append(slices.Clone(w[:n-2]), w[n-1])
	}
	return b, w
}

// moreCR puts a CR before each LF.
func moreCR(b []byte, w []int32) ([]byte, []int32) {
	if n := len(b); b[n-1] == '\n' {
		return append(slices.Clone(b[:n-1]), '\r', '\n'), append(slices.Clone(w[:n-1]), -1, w[n-1])
	}
	return b, w
}

// blanksLost takes away blanks before line ends, which begin with c.
func (f *File) blanksLost(c byte) {
	for at := len(f.Octets) - 2; at > f.Msgs[0].Text; at-- {
		if f.Octets[at] == c && f.Octets[at-1] == ' ' {
			f.cut(at-1, 1)
		}
	}
}

// Sized are kinds of damage to lines with a date, a size and flags:
//
//	14-Jul-2001 02:03:04 -0700,47;...
var Sized = []Class{
	{Name: "size too large", Do: func(f *File) { f.Set(f.size(f.pick()), []byte("9")) }},
	{Name: "size too small", Do: func(f *File) { f.Set(f.size(f.pick()), []byte("1")) }},
	{Name: "size ten times as large", Do: func(f *File) { f.Insert(f.size(f.pick()), []byte("7")) }},
	{Name: "size a tenth", Do: func(f *File) { f.Cut(f.size(f.pick()), 1) }},
	{Name: "size no number", Do: func(f *File) { f.Set(f.size(f.pick()), []byte("x")) }},
	{Name: "all sizes a little too large", Do: func(f *File) {
		for _, m := range f.own() {
			at := bytes.IndexByte(f.Octets[m.Line:m.Text], ';') + m.Line - 1
			f.Set(at, []byte{min(f.Octets[at]+1, '9')})
		}
	}},
	{Name: "date garbled", Do: func(f *File) { f.Set(f.pick().Line+f.rnd.IntN(20), f.garbage(6)) }},
	{Name: "flags garbled", Do: func(f *File) {
		m := f.pick()
		f.Set(bytes.IndexByte(f.Octets[m.Line:m.Text], ';')+m.Line+1, f.garbage(12))
	}},
	{Name: "semicolon lost", Do: func(f *File) { m := f.pick(); f.Cut(bytes.IndexByte(f.Octets[m.Line:m.Text], ';')+m.Line, 1) }},
}

// size is where the first digit of the size of m is.
func (f *File) size(m Message) int { return m.Line + bytes.IndexByte(f.Octets[m.Line:m.Text], ',') + 1 }

// compacted is what a removal of some of the first messages leaves when it is
// killed: those behind have moved down in part, and the file is as long as
// before.
func compacted(f *File) {
	k := 1 + f.rnd.IntN(min(3, f.Own-3))
	moved := 1 + f.rnd.IntN(f.Own-k-1)
	from, to := f.Msgs[k].Line, f.Msgs[0].Line
	n := f.Msgs[k+moved-1].End - from
	// octet by octet, as ranges overlap
	for i := range n {
		f.Octets[to+i], f.From[to+i] = f.Octets[from+i], f.From[from+i]
	}
	for i := range k {
		f.gone[i] = true
	}
}

// Gone reports whether message k was to be removed.
func (f *File) Gone(k int) bool { return f.gone[k] }
