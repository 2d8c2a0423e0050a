package search

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// A finder looks for a needle in a text that comes in pieces.
type finder interface {
	reset()
	find(p []byte) bool // reports whether the needle ends in p
	end() bool          // the same for what find still holds back
}

func newFinder(n *needle) finder {
	if n.ascii {
		return &asciiFinder{n: n}
	}
	return &foldFinder{n: n}
}

// An asciiFinder looks for ASCII in octets of an ASCII-compatible charset.
type asciiFinder struct {
	n    *needle
	tail []byte // what the needle may begin in: less than its length
}

func (f *asciiFinder) reset()    { f.tail = f.tail[:0] }
func (f *asciiFinder) end() bool { return false }

func (f *asciiFinder) find(p []byte) bool {
	k := len(f.n.text) - 1
	if len(f.tail) > 0 {
		f.tail = append(f.tail, p[:min(k, len(p))]...) // the border
		if f.n.inWindow(f.tail) {
			return true
		}
	}
	if len(p) < k {
		if len(f.tail) == 0 {
			f.tail = append(f.tail, p...)
		}
		f.tail = keepEnd(f.tail, k)
		return false
	}
	if f.n.in(p) {
		return true
	}
	f.tail = append(f.tail[:0], p[len(p)-k:]...)
	return false
}

// keepEnd moves the last k octets of p to its start.
func keepEnd(p []byte, k int) []byte {
	return p[:copy(p, p[max(0, len(p)-k):])]
}

// A foldFinder looks for a needle that is not ASCII in UTF-8. Octets that are
// not UTF-8 are taken for Latin-1.
type foldFinder struct {
	n    *needle
	buf  []byte // case folded, not yet searched but for the first octets
	held []byte // an unfinished character
}

// foldSize is how much a foldFinder folds before it searches.
const foldSize = 8 << 10

func (f *foldFinder) reset() { f.buf, f.held = f.buf[:0], f.held[:0] }

func (f *foldFinder) find(p []byte) bool {
	for len(f.held) > 0 && len(p) > 0 {
		f.held = append(f.held, p[0])
		p = p[1:]
		rest := f.held[f.runes(f.held):]
		run := asciiRun(rest)
		f.fold(rest[:run])
		f.held = f.held[:copy(f.held, rest[run:])]
	}
	for len(p) > 0 {
		run := asciiRun(p)
		f.ascii(p[:run])
		p = p[run:]
		n := f.runes(p[:min(len(p), foldSize)])
		p = p[n:]
		if len(f.buf) >= foldSize && f.search() {
			return true
		}
		if n == 0 && len(p) > 0 { // an unfinished character
			f.held = append(f.held, p...)
			break
		}
	}
	return f.search()
}

func (f *foldFinder) end() bool {
	for _, c := range f.held {
		f.buf = utf8.AppendRune(f.buf, foldRune(rune(c)))
	}
	f.held = f.held[:0]
	return f.search()
}

// search looks at what was folded and keeps what the needle may begin in.
func (f *foldFinder) search() bool {
	found := bytes.Contains(f.buf, f.n.text)
	f.buf = keepEnd(f.buf, len(f.n.text)-1)
	return found
}

// ascii takes ASCII. The needle is not all ASCII, so what is far from other
// characters cannot be part of it, nor can it be in both ends put together.
func (f *foldFinder) ascii(p []byte) {
	k := len(f.n.text) - 1
	if len(p) > 2*k+64 {
		f.fold(p[:k])
		p = p[len(p)-k:]
	}
	f.fold(p)
}

func (f *foldFinder) fold(p []byte) {
	for _, c := range p {
		f.buf = append(f.buf, lowerTable[c])
	}
}

// runes takes characters up to the next ASCII and returns their length. What
// may be the beginning of a character at the end of p is left.
func (f *foldFinder) runes(p []byte) (n int) {
	for n < len(p) && p[n] >= utf8.RuneSelf {
		r, size := utf8.DecodeRune(p[n:])
		if r == utf8.RuneError && size == 1 {
			if !utf8.FullRune(p[n:]) {
				return n
			}
			r = rune(p[n])
		}
		f.buf = utf8.AppendRune(f.buf, foldRune(r))
		n += size
	}
	return n
}

// asciiRun returns how many octets below 0x80 p begins with.
func asciiRun(p []byte) int {
	n := 0
	for ; len(p)-n >= 8; n += 8 {
		if high := binary.LittleEndian.Uint64(p[n:]) & 0x8080808080808080; high != 0 {
			return n + bits.TrailingZeros64(high)/8
		}
	}
	for n < len(p) && p[n] < utf8.RuneSelf {
		n++
	}
	return n
}
