package mbx

import (
	"bytes"
	"errors"
	"hash/maphash"
	"io"
	"math"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// A piece is what a walk makes of some octets of a file that may be damaged.
// The pieces of a file cover it without gaps or overlaps.
type piece struct {
	kind kind
	off  int64
	end  int64

	// Of a message:
	text  int64     // where its text begins
	line  line      // as far as it could be read; date is valid until the next step
	fault lineFault // what is wrong with the line, lineGood for nothing
	wiped bool      // the line cannot be seen any more, or most of it
	said  int64     // what the size of a damaged line claims, but nothing is there
	claim int64     // where the size says that the text ends, 0 where there is none
}

// A kind of piece.
type kind int

const (
	isMessage kind = iota // an internal line and what is there of its text
	isBlock               // the file block of another file
	isCopies              // old copies of messages before them: removal was interrupted
	isJunk                // octets that belong to nothing
)

// sized reports whether a message is as long as its line says.
func (p *piece) sized() bool { return p.claim == p.end }

// A walker goes through the records of a file as a reader does, but does not
// stop at damage: it goes on with the next octets that can be a record. A
// record is believed when it ends where another begins, or the file; what is
// inside one that is believed is never looked at, so that a mailbox in an
// attachment stays text.
type walker struct {
	s     *scanner
	start int64     // where it began
	last  uint32    // UID of the message before, as far as it can be
	top   uint32    // highest UID so far
	came  time.Time // when the message before came
	most  uint32    // UIDLAST, for what UIDs can be
	buf   []byte

	next      int64 // the last candidate that was found, to find it again,
	nextFrom  int64 // and where it was looked for
	nextLoose bool
	none      int64  // from here on there is no candidate,
	noneL     uint32 // as long as last is this

	loose bool // no text is known to reach to what is looked at
	torn  bool // octets were there that are no whole record

	seen  []uint64        // digests of lines
	known map[uint64]bool // the same, made when it is needed
}

// newWalker walks through the octets [pos, size) of r.
func newWalker(r io.ReaderAt, pos, size int64, uidLast uint32) *walker {
	return &walker{s: newScanner(r, pos, size), start: pos, most: uidLast, next: -1, none: math.MaxInt64, buf: make([]byte, 4<<10)}
}

// step returns the next piece; ok is false at the end.
func (w *walker) step() (p piece, ok bool, err error) {
	s := w.s
	if s.pos >= s.size {
		return p, false, nil
	}
	b, err := s.peek()
	if err != nil {
		return p, false, err
	}
	p.off = s.pos
	if err := w.take(&p, bytes.Clone(b)); err != nil {
		return p, false, err
	}
	w.torn = w.torn || p.kind == isJunk || p.kind == isMessage && !p.sized()
	s.step = p.end - p.off
	s.pos = p.end
	return p, true, nil
}

// take makes something of the octets at p.off, which begin with b.
func (w *walker) take(p *piece, b []byte) (err error) {
	if isBlockHead(b) {
		p.kind = isBlock
		w.last, w.top, w.most = 0, 0, math.MaxUint32
		p.end, err = w.blockEnd(p.off)
		return err
	}
	l, fault := parseUsable(b)
	if fault == lineGood {
		whole, err := w.isWhole(l, p.off)
		if err != nil {
			return err
		}
		if !whole {
			fault = noHeader
		}
	}
	good := fault == lineGood
	if good && w.isCopy(l, b) {
		p.kind = isCopies
		p.end, err = w.toNext(p.off + 1)
		return err
	}
	if good && l.uid != 0 && l.uid <= w.top || !good && w.top > 0 {
		if p.end, err = w.copied(p.off); p.end > p.off || err != nil {
			p.kind = isCopies
			return err
		}
	}
	if good {
		return w.record(p, l, b)
	}
	return w.damaged(p, b, fault)
}

// blockEnd returns where the file block at off ends: where records begin, if that
// is before it should.
func (w *walker) blockEnd(off int64) (end int64, err error) {
	end = min(off+blockSize, w.s.size)
	err = eachLine(w.s.r, off, min(end+maxLine, w.s.size), func(line int64) bool {
		end = min(end, line)
		return false
	})
	return end, err
}

// record takes a readable record, unless it was written twice in part: it does not
// lead to another, but its line is there once more in its text, where it does, or it
// leads to its own line, and only its beginning is there before that.
func (w *walker) record(p *piece, l line, b []byte) error {
	own := bytes.Clone(b[:l.length])
	text := p.off + int64(l.length)
	ok, err := w.begins(text + l.size)
	if err != nil {
		return err
	}
	again := int64(-1)
	switch {
	case l.uid == 0: // it may be there twice by right
	case ok:
		again, err = w.rewritten(own, p.off, text+l.size)
	default:
		again, err = w.again(own, text, text+l.size)
	}
	if again >= 0 || err != nil {
		p.kind, p.end = isCopies, again
		return err
	}
	l.date = own[:len(l.date)]
	w.remember(l, own)
	return w.message(p, l)
}

// rewritten returns claim where the line own, which is at off, is once more, and
// octets from before off on up to within its text are: its text begins there twice,
// and is whole only the second time. Else -1.
func (w *walker) rewritten(own []byte, off, claim int64) (int64, error) {
	b, err := w.read(claim, int64(len(own)))
	if err != nil || !bytes.Equal(b, own) {
		return -1, err
	}
	var same mend.Shared
	if err := same.Grow(w.s.r, w.start, w.s.size, off, claim); err != nil || !same.Adjoins() || same.End >= claim {
		return -1, err
	}
	return claim, nil
}

// again returns where what is there of a record ends whose line is once more behind
// it, with a whole text; -1 where it is not, or the first is whole, too.
func (w *walker) again(own []byte, text, claim int64) (int64, error) {
	found, size, failed := int64(-1), claim-text, error(nil)
	err := eachLine(w.s.r, text, min(text+lookAhead, w.s.size), func(off int64) bool {
		b, err := w.read(off, int64(len(own)))
		if err == nil && bytes.Equal(b, own) {
			var ok bool
			if ok, err = w.begins(off + int64(len(own)) + size); ok {
				found = off
			}
		}
		failed = err
		return found < 0 && err == nil
	})
	if err = errors.Join(err, failed); found < 0 || err != nil {
		return -1, err
	}
	if found >= claim {
		first, err := digestOf(section(w.s.r, text, claim))
		if err != nil {
			return -1, err
		}
		second, err := digestOf(section(w.s.r, found+int64(len(own)), found+int64(len(own))+size))
		if first == second || err != nil {
			return -1, err
		}
	}
	next, err := w.toNext(text)
	return min(found, next), err
}

// lookAhead is how far octets are looked for that are there twice.
const lookAhead = 1 << 20

// copied returns up to where octets from off on are there once more before them,
// 0 for none: the next line was there before, and what is before that, too.
func (w *walker) copied(off int64) (end int64, err error) {
	again, first, failed := int64(-1), int64(-1), error(nil)
	var own []byte
	err = eachLine(w.s.r, off, min(off+lookAhead, w.s.size), func(at int64) bool {
		b, err := w.read(at, maxLine)
		if err != nil {
			failed = err
			return false
		}
		if l, fault := parseLine(b); fault == lineGood && w.isCopy(l, b) {
			again, own = at, bytes.Clone(b[:l.length])
		}
		return again < 0
	})
	if err = errors.Join(err, failed); again <= off || err != nil {
		return 0, err
	}
	err = eachLine(w.s.r, w.start, off, func(at int64) bool {
		b, err := w.read(at, int64(len(own)))
		if failed = err; err == nil && bytes.Equal(b, own) {
			first = at
		}
		return first < 0 && err == nil
	})
	if err = errors.Join(err, failed); first < 0 || err != nil {
		return 0, err
	}
	var same mend.Shared
	if err := same.Grow(w.s.r, w.start, w.s.size, first, again); err != nil {
		return 0, err
	}
	switch {
	case same.Adjoins() && same.Off <= off && off <= same.Off+same.By:
		return off + same.By, nil
	case same.Off+same.By <= off:
		return again, nil
	}
	return 0, nil
}

// parseUsable is parseLine for lines that lead forward and have a date, if a
// damaged one.
func parseUsable(b []byte) (line, lineFault) {
	l, fault := parseLine(b)
	if fault != lineGood {
		return l, fault
	}
	if l.size <= 0 {
		return l, badSize
	}
	if _, err := mailbox.ParseDate(string(l.date), time.UTC); err != nil && !flocked.WasLine(b) {
		return l, noHeader // the end of a line, for one
	}
	return l, lineGood
}

// isBlockHead reports whether a file block begins here.
func isBlockHead(b []byte) bool {
	return len(b) >= magicEnd && string(b[:validityOff]) == magic && allHex(b[validityOff:magicEnd-2])
}

// A line has at least this many octets.
const minLine = dateLen + 2 + tailLen + 2

// layout is what internal lines are like.
var layout = mend.Layout{EOL: "\r\n", Least: minLine, Most: maxLine, Octets: "0123456789abcdef;,:-+ \r\n", Begin: lineEndingAt}

// headLook is how much of a header is looked at.
const headLook = 2 << 10

// manyLinks records that follow each other are no text.
const manyLinks = 16

// read returns n octets at off, fewer at the end of the file. They are valid
// until the next call.
func (w *walker) read(off, n int64) ([]byte, error) {
	if off < 0 || off >= w.s.size {
		return nil, nil
	}
	n = min(n, w.s.size-off)
	got, err := w.s.r.ReadAt(w.buf[:n], off)
	if int64(got) < n {
		if err == nil || err == io.EOF {
			err = mailbox.ErrChanged
		}
		return nil, err
	}
	return w.buf[:n], nil
}

// lineSeed is of the digests of lines.
var lineSeed = maphash.MakeSeed()

// remember keeps a line, to know it again. One without a UID may be there
// twice by right.
func (w *walker) remember(l line, b []byte) {
	if l.uid == 0 {
		return
	}
	h := maphash.Bytes(lineSeed, b[:l.length])
	w.seen = append(w.seen, h)
	if w.known != nil {
		w.known[h] = true
	}
}

// isCopy reports whether a line, at the start of b, was there before.
func (w *walker) isCopy(l line, b []byte) bool {
	if l.uid == 0 || l.uid > w.top {
		return false
	}
	if w.known == nil {
		w.known = make(map[uint64]bool, len(w.seen))
		for _, h := range w.seen {
			w.known[h] = true
		}
	}
	return w.known[maphash.Bytes(lineSeed, b[:l.length])]
}
