// Package damage breaks mailbox files for tests, and knows what is left of
// them: each octet of a File remembers where it came from.
package damage

import (
	"bytes"
	"math/rand/v2"
	"slices"
)

// A Message is a message of the file before it was damaged: the octets
// [Line, Text) say what it is, [Text, End) are its text, and the next message
// began at Next.
type Message struct{ Line, Text, End, Next int }

// A File is a mailbox file and where its octets came from.
type File struct {
	Octets []byte
	From   []int32 // offset before the damage, -1 for what was not there
	Msgs   []Message
	Own    int // how many of them are of the mailbox, not of the other one
	old    []byte
	second int // where the other mailbox begins in old
	gone   map[int]bool
	rnd    *rand.Rand
}

// New returns a file that is whole. Damage of the same seed is the same.
func New(octets []byte, msgs []Message, seed uint64) *File {
	f := &File{
		Octets: bytes.Clone(octets), Own: len(msgs), old: octets, second: len(octets),
		rnd: rand.New(rand.NewPCG(seed, 7)), From: make([]int32, len(octets)), gone: map[int]bool{},
	}
	for i := range f.From {
		f.From[i] = int32(i)
	}
	f.Msgs = chained(msgs, 0, len(octets))
	return f
}

// Beside gives damage the octets of another mailbox, which are not in the file,
// but can be.
func (f *File) Beside(other []byte, others []Message) {
	f.old = slices.Concat(f.old, other)
	f.Msgs = append(f.Msgs, chained(others, f.second, len(other))...)
}

// chained says where the next messages begin, in a file of size octets that is
// at off.
func chained(msgs []Message, off, size int) []Message {
	out := slices.Clone(msgs)
	for i := range out {
		m := &out[i]
		m.Next = size
		if i+1 < len(msgs) {
			m.Next = msgs[i+1].Line
		}
		m.Line, m.Text, m.End, m.Next = m.Line+off, m.Text+off, m.End+off, m.Next+off
	}
	return out
}

// own are the messages of the mailbox.
func (f *File) own() []Message { return f.Msgs[:f.Own] }

// pick chooses a message, not the first few octets of the file.
func (f *File) pick() Message { return f.Msgs[f.rnd.IntN(f.Own)] }

// mid chooses a message that is not the last.
func (f *File) mid() Message { return f.Msgs[f.rnd.IntN(max(1, f.Own-1))] }

// big chooses a message with a long text.
func (f *File) big() Message {
	var all []Message
	for _, m := range f.own() {
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

// set overwrites octets. Those at both ends that are the same as before are what
// they were.
func (f *File) set(at int, b []byte) {
	b = b[:max(0, min(len(b), len(f.Octets)-at))]
	for len(b) > 0 && f.Octets[at] == b[0] {
		at, b = at+1, b[1:]
	}
	for len(b) > 0 && f.Octets[at+len(b)-1] == b[len(b)-1] {
		b = b[:len(b)-1]
	}
	copy(f.Octets[at:], b)
	for i := range b {
		f.From[at+i] = -1
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

// move takes n octets out and puts them at to, as it is then.
func (f *File) move(from, n, to int) {
	octets, w := slices.Clone(f.Octets[from:from+n]), slices.Clone(f.From[from:from+n])
	f.cut(from, n)
	f.Octets = slices.Insert(f.Octets, to, octets...)
	f.From = slices.Insert(f.From, to, w...)
}

// join puts the octets of the other mailbox, from there on, at to.
func (f *File) join(to, from int) {
	w := make([]int32, len(f.old)-from)
	for i := range w {
		w[i] = int32(from + i)
	}
	f.Octets = slices.Insert(f.Octets, to, f.old[from:]...)
	f.From = slices.Insert(f.From, to, w...)
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
