// Package damage breaks mailbox files for tests, and knows what is left of
// them: each octet of a File remembers where it came from.
package damage

import (
	"bytes"
	"math/rand/v2"
	"slices"
)

// A Message is a message of the file before it was damaged: the octets
// [Line, Text) say what it is, [Text, End) are its text.
type Message struct{ Line, Text, End int }

// A File is a mailbox file and where its octets came from.
type File struct {
	Octets []byte
	From   []int32 // offset before the damage, -1 for what was not there
	Msgs   []Message
	old    []byte
	rnd    *rand.Rand
}

// New returns a file that is whole. Damage of the same seed is the same.
func New(octets []byte, msgs []Message, seed uint64) *File {
	f := &File{Octets: bytes.Clone(octets), Msgs: slices.Clone(msgs), old: octets, rnd: rand.New(rand.NewPCG(seed, 7)), From: make([]int32, len(octets))}
	for i := range f.From {
		f.From[i] = int32(i)
	}
	return f
}

// pick chooses a message, not the first few octets of the file.
func (f *File) pick() Message { return f.Msgs[f.rnd.IntN(len(f.Msgs))] }

// mid chooses a message that is not the last.
func (f *File) mid() Message { return f.Msgs[f.rnd.IntN(max(1, len(f.Msgs)-1))] }

// big chooses a message with a long text.
func (f *File) big() Message {
	var all []Message
	for _, m := range f.Msgs {
		if m.End-m.Text > 1500 {
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		return f.pick()
	}
	return all[f.rnd.IntN(len(all))]
}

func (f *File) between(from, to int) int {
	if to <= from {
		return from
	}
	return from + f.rnd.IntN(to-from)
}

// set overwrites octets.
func (f *File) set(at int, b []byte) {
	for i, c := range b {
		if at+i < len(f.Octets) && f.Octets[at+i] != c {
			f.Octets[at+i], f.From[at+i] = c, -1
		}
	}
}

func (f *File) fill(at, n int, c byte) {
	if at < len(f.Octets) {
		f.set(at, bytes.Repeat([]byte{c}, min(n, len(f.Octets)-at)))
	}
}

func (f *File) cut(at, n int) {
	n = max(0, min(n, len(f.Octets)-at))
	f.Octets = slices.Delete(f.Octets, at, at+n)
	f.From = slices.Delete(f.From, at, at+n)
}

func (f *File) insert(at int, b []byte) {
	f.Octets = slices.Insert(f.Octets, at, b...)
	f.From = slices.Insert(f.From, at, slices.Repeat([]int32{-1}, len(b))...)
}

// double puts a copy of [at, at+n) behind it.
func (f *File) double(at, n int) { f.copyTo(at, at+n, at+n) }

func (f *File) copyTo(from, end, to int) {
	end = min(end, len(f.Octets))
	f.Octets = slices.Insert(f.Octets, to, slices.Clone(f.Octets[from:end])...)
	f.From = slices.Insert(f.From, to, slices.Clone(f.From[from:end])...)
}

// garbage is octets without meaning.
func (f *File) garbage(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(f.rnd.UintN(256))
	}
	return b
}

// edit makes the file anew line by line.
func (f *File) edit(each func(line []byte, from []int32) ([]byte, []int32)) {
	var octets []byte
	var from []int32
	for at := 0; at < len(f.Octets); {
		n := bytes.IndexByte(f.Octets[at:], '\n') + 1
		if n == 0 {
			n = len(f.Octets) - at
		}
		o, w := each(f.Octets[at:at+n], f.From[at:at+n])
		octets, from = append(octets, o...), append(from, w...)
		at += n
	}
	f.Octets, f.From = octets, from
}

// A Left is what is left of a message.
type Left struct {
	Text bool // all of its text, in order
	Line bool // all of what says what it is, right before it
}

// Left says what is left of message k.
func (f *File) Left(k int) (l Left) {
	m := f.Msgs[k]
	for at, from := range f.From {
		if int(from) != m.Text || !f.run(at, m.Text, m.End) {
			continue
		}
		l.Text = true
		if n := m.Text - m.Line; at >= n && f.run(at-n, m.Line, m.Text) {
			l.Line = true
			return l
		}
	}
	return l
}

// Restorable reports whether the lines of message k all ended in CR LF, so that
// they can again.
func (f *File) Restorable(k int) bool {
	text := f.old[f.Msgs[k].Text:f.Msgs[k].End]
	n := bytes.Count(text, []byte("\r\n"))
	return n == bytes.Count(text, []byte("\n")) && n == bytes.Count(text, []byte("\r"))
}

// InPlace reports whether all octets of message k are where they were.
func (f *File) InPlace(k int) bool {
	m := f.Msgs[k]
	return f.run(m.Text, m.Text, m.End)
}

// Alone reports whether nothing was added right behind message k.
func (f *File) Alone(k int) bool {
	m := f.Msgs[k]
	if k == len(f.Msgs)-1 {
		return int(f.From[len(f.From)-1]) == len(f.old)-1
	}
	for at, from := range f.From {
		if int(from) == m.End-1 {
			return at+1 < len(f.From) && int(f.From[at+1]) == m.End || at+1 == len(f.From) && m.End == len(f.old)
		}
	}
	return false
}

// run reports whether the octets at are those that were [from, end).
func (f *File) run(at, from, end int) bool {
	if at+end-from > len(f.From) {
		return false
	}
	for i := range end - from {
		if int(f.From[at+i]) != from+i {
			return false
		}
	}
	return true
}

// A Class is one kind of damage, for files in which messages are one behind the
// other.
type Class struct {
	Name string
	Do   func(f *File)
}

const sector = 512

// Classes are the kinds of damage that any file can have.
var Classes = []Class{
	{"one bit flipped", func(f *File) {
		at := f.rnd.IntN(len(f.Octets))
		f.set(at, []byte{f.Octets[at] ^ 1<<f.rnd.UintN(8)})
	}},
	{"a bit flipped in a line", func(f *File) {
		m := f.pick()
		at := f.between(m.Line, m.Text)
		f.set(at, []byte{f.Octets[at] ^ 1<<f.rnd.UintN(8)})
	}},
	{"twenty bits flipped", func(f *File) {
		for range 20 {
			at := f.rnd.IntN(len(f.Octets))
			f.set(at, []byte{f.Octets[at] ^ 1<<f.rnd.UintN(8)})
		}
	}},
	{"octet changed in a line", func(f *File) {
		m := f.pick()
		f.set(f.between(m.Line, m.Text), f.garbage(1))
	}},
	{"three octets changed in a line", func(f *File) {
		m := f.pick()
		f.set(f.between(m.Line, m.Text-3), f.garbage(3))
	}},
	{"octet lost in a line", func(f *File) { m := f.pick(); f.cut(f.between(m.Line, m.Text), 1) }},
	{"octet added in a line", func(f *File) { m := f.pick(); f.insert(f.between(m.Line+1, m.Text), []byte{'0'}) }},
	{"digit changed in a line", func(f *File) {
		m := f.pick()
		for range 100 {
			if at := f.between(m.Line, m.Text); '0' <= f.Octets[at] && f.Octets[at] <= '9' {
				f.set(at, []byte{'0' + byte(f.rnd.UintN(10))})
				return
			}
		}
	}},
	{"line wiped with NULs", func(f *File) { m := f.pick(); f.fill(m.Line, m.Text-m.Line, 0) }},
	{"half of a line wiped", func(f *File) { m := f.pick(); f.fill(m.Line, (m.Text-m.Line)/2, 0) }},
	{"line wiped with 0xFF", func(f *File) { m := f.pick(); f.fill(m.Line, m.Text-m.Line, 0xFF) }},
	{"line lost", func(f *File) { m := f.pick(); f.cut(m.Line, m.Text-m.Line) }},
	{"line end lost", func(f *File) { m := f.pick(); f.cut(m.Text-1, 1) }},
	{"octet lost in a text", func(f *File) { m := f.big(); f.cut(f.between(m.Text, m.End), 1) }},
	{"hundred octets lost in a text", func(f *File) { m := f.big(); f.cut(f.between(m.Text, m.End-100), 100) }},
	{"octet added in a text", func(f *File) { m := f.big(); f.insert(f.between(m.Text+1, m.End), []byte{'x'}) }},
	{"hundred octets added in a text", func(f *File) { m := f.big(); f.insert(f.between(m.Text+1, m.End), f.garbage(100)) }},
	{"sector zeroed", func(f *File) { f.fill(f.rnd.IntN(len(f.Octets)/sector)*sector, sector, 0) }},
	{"sector of 0xFF", func(f *File) { f.fill(f.rnd.IntN(len(f.Octets)/sector)*sector, sector, 0xFF) }},
	{"page zeroed", func(f *File) { f.fill(f.rnd.IntN(len(f.Octets)/4096+1)*4096, 4096, 0) }},
	{"three sectors zeroed", func(f *File) {
		for range 3 {
			f.fill(f.rnd.IntN(len(f.Octets)/sector)*sector, sector, 0)
		}
	}},
	{"sectors swapped", func(f *File) {
		a, b := f.rnd.IntN(len(f.Octets)/sector)*sector, f.rnd.IntN(len(f.Octets)/sector)*sector
		if a == b {
			return
		}
		for i := range sector {
			f.Octets[a+i], f.Octets[b+i] = f.Octets[b+i], f.Octets[a+i]
			f.From[a+i], f.From[b+i] = f.From[b+i], f.From[a+i]
		}
	}},
	{"sector lost", func(f *File) { f.cut(f.rnd.IntN(len(f.Octets)/sector)*sector, sector) }},
	{"sector doubled", func(f *File) { f.double(f.rnd.IntN(len(f.Octets)/sector)*sector, sector) }},
	{"region doubled in a text", func(f *File) {
		m := f.big()
		n := min(300, (m.End-m.Text)/3)
		f.double(f.between(m.Text, m.End-n), n)
	}},
	{"messages doubled", func(f *File) {
		k := f.rnd.IntN(len(f.Msgs) - 2)
		f.double(f.Msgs[k].Line, f.Msgs[k+1].End-f.Msgs[k].Line)
	}},
	{"tail torn", func(f *File) { m := f.Msgs[len(f.Msgs)-1]; f.cut(f.between(m.Text, m.End), len(f.Octets)) }},
	{"tail torn in a line", func(f *File) { m := f.Msgs[len(f.Msgs)-1]; f.cut(f.between(m.Line, m.Text), len(f.Octets)) }},
	{"cut anywhere", func(f *File) { f.cut(f.between(f.Msgs[1].Line, len(f.Octets)), len(f.Octets)) }},
	{"NULs at the end", func(f *File) { f.insert(len(f.Octets), make([]byte, 4096)) }},
	{"garbage at the end", func(f *File) { f.insert(len(f.Octets), f.garbage(333)) }},
	{"torn append with appends behind", func(f *File) {
		k := len(f.Msgs) - 1 - f.rnd.IntN(3)
		m := f.Msgs[k]
		at := f.between(m.Text+1, m.End)
		f.cut(at, m.End-at)
	}},
	{"line end between messages", func(f *File) { f.insert(f.mid().End, []byte("\r\n")) }},
	{"garbage between messages", func(f *File) { f.insert(f.mid().End, f.garbage(77)) }},
	{"NULs between messages", func(f *File) { f.insert(f.mid().End, make([]byte, 512)) }},
	{"final line end lost", func(f *File) { f.cut(len(f.Octets)-1, 1) }},
	{"editor: LF at the end", func(f *File) { f.insert(len(f.Octets), []byte("\n")) }},
	{"compaction interrupted", compacted},
	{"bytes replaced in texts by ?", func(f *File) { // a conversion of charsets
		for i, c := range f.Octets {
			if c >= 0x80 {
				f.set(i, []byte("?"))
			}
		}
	}},
}

// LineEnds are kinds of damage by programs that take the file for text.
var LineEnds = []Class{
	{"editor: all lines end in LF", func(f *File) {
		f.edit(func(b []byte, w []int32) ([]byte, []int32) {
			if n := len(b); n > 1 && b[n-2] == '\r' && b[n-1] == '\n' {
				return append(slices.Clone(b[:n-2]), '\n'), append(slices.Clone(w[:n-2]), w[n-1])
			}
			return b, w
		})
	}},
	{"editor: CR doubled", func(f *File) {
		f.edit(func(b []byte, w []int32) ([]byte, []int32) {
			if n := len(b); b[n-1] == '\n' {
				return append(slices.Clone(b[:n-1]), '\r', '\n'), append(slices.Clone(w[:n-1]), -1, w[n-1])
			}
			return b, w
		})
	}},
	{"editor: one message in LF", func(f *File) {
		m := f.big()
		for at := m.End - 1; at > m.Text; at-- {
			if f.Octets[at] == '\n' && f.Octets[at-1] == '\r' {
				f.cut(at-1, 1)
			}
		}
	}},
	{"editor: blanks at line ends lost", func(f *File) {
		for at := len(f.Octets) - 2; at > f.Msgs[0].Text; at-- {
			if f.Octets[at] == '\r' && f.Octets[at-1] == ' ' {
				f.cut(at-1, 1)
			}
		}
	}},
}

// compacted is what a removal of some of the first messages leaves when it is
// killed: those behind have moved down in part, and the file is as long as
// before.
func compacted(f *File) {
	k := 1 + f.rnd.IntN(min(3, len(f.Msgs)-3))
	moved := 1 + f.rnd.IntN(len(f.Msgs)-k-1)
	from, to := f.Msgs[k].Line, f.Msgs[0].Line
	n := f.Msgs[k+moved-1].End - from
	// octet by octet, as ranges overlap
	for i := range n {
		f.Octets[to+i], f.From[to+i] = f.Octets[from+i], f.From[from+i]
	}
	for i := range k { // these were to go
		f.Msgs[i].Line = -1
	}
}

// Gone reports whether message k was to be removed.
func (f *File) Gone(k int) bool { return f.Msgs[k].Line < 0 }

// What formats need for damage of their own.

// Set overwrites octets.
func (f *File) Set(at int, b []byte) { f.set(at, b) }

// Fill overwrites n octets with c.
func (f *File) Fill(at, n int, c byte) { f.fill(at, n, c) }

// Cut takes n octets out.
func (f *File) Cut(at, n int) { f.cut(at, n) }

// Insert adds octets that were not there.
func (f *File) Insert(at int, b []byte) { f.insert(at, b) }

// Copy puts a copy of [from, end) at to.
func (f *File) Copy(from, end, to int) { f.copyTo(from, end, to) }

// Rand is a number below n.
func (f *File) Rand(n int) int { return f.rnd.IntN(n) }
