package mbx

import (
	"bytes"
	"hash/maphash"
	"io"
	"math"
	"time"

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
	wiped bool      // the line is NULs
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
	s    *scanner
	last uint32 // highest UID so far
	most uint32 // UIDLAST, for what UIDs can be
	buf  []byte

	next  int64  // the last candidate that was found, to find it again
	none  int64  // from here on there is no candidate,
	noneL uint32 // as long as last is this

	seen  []uint64        // digests of lines
	known map[uint64]bool // the same, made when it is needed
}

// newWalker walks through the octets [pos, size) of r.
func newWalker(r io.ReaderAt, pos, size int64, uidLast uint32) *walker {
	return &walker{s: newScanner(r, pos, size), most: uidLast, next: -1, none: math.MaxInt64, buf: make([]byte, 4*maxLine)}
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
	l, fault := parseUsable(b)
	switch {
	case isBlockHead(b):
		p.kind, p.end = isBlock, min(s.pos+blockSize, s.size)
		w.last, w.most = 0, math.MaxUint32
	case fault == lineGood && w.isCopy(l, b):
		err = w.skip(&p)
	case fault == lineGood:
		w.remember(l, b)
		err = w.message(&p, l)
	default:
		err = w.damaged(&p, b, fault)
	}
	if err != nil {
		return p, false, err
	}
	s.step = p.end - p.off
	s.pos = p.end
	return p, true, nil
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
	if _, err := mailbox.ParseDate(string(l.date), time.UTC); err != nil && !looksDamaged(b) {
		return l, noHeader // the end of a line, for one
	}
	return l, lineGood
}

// isBlockHead reports whether a file block begins here.
func isBlockHead(b []byte) bool {
	return len(b) >= magicEnd && string(b[:validityOff]) == magic && allHex(b[validityOff:magicEnd-2])
}

// message finds out how long the text of a readable record is.
func (w *walker) message(p *piece, l line) error {
	p.line = l
	p.text = p.off + int64(l.length)
	p.claim = p.text + l.size
	w.last = max(w.last, l.uid)
	var err error
	p.end, err = w.extent(p.text, p.claim)
	return err
}

// extent returns where a text ends that should end at claim.
func (w *walker) extent(text, claim int64) (int64, error) {
	size := w.s.size
	if ok, err := w.begins(claim); ok || err != nil {
		return claim, err
	}
	next, err := w.candidate(text)
	if err != nil {
		return 0, err
	}
	if claim > size {
		if next < 0 {
			return size, nil // torn
		}
		return next, nil
	}
	if next >= 0 && next < claim {
		if n, err := w.links(next, 1); err != nil || n > 0 {
			return next, err
		}
		if next, err = w.candidate(claim); err != nil {
			return 0, err
		}
	}
	return w.judge(claim, next)
}

// judge decides whether a text ends at claim, where nothing readable begins,
// or only at next, where something does; -1 stands for the end of the file.
func (w *walker) judge(claim, next int64) (int64, error) {
	b, err := w.read(claim, maxLine)
	if err != nil {
		return 0, err
	}
	if looksDamaged(b) || nuls(b) >= 16 {
		return claim, nil
	}
	end := next
	if next < 0 {
		end = w.s.size
	}
	copies, err := w.copies(claim, end)
	if copies || err != nil {
		return claim, err
	}
	before, err := w.read(claim-2, 2)
	if err != nil {
		return 0, err
	}
	closed := string(before) == "\r\n"
	if closed && next < 0 {
		return claim, nil
	}
	gap, err := w.read(claim, min(end-claim, int64(cap(w.buf))))
	if err != nil {
		return 0, err
	}
	if blank := len(bytes.Trim(gap, "\r\n\x00")) == 0; closed && blank || !isText(gap) {
		return claim, nil
	}
	return end, nil
}

// damaged makes something of octets that are no readable line.
func (w *walker) damaged(p *piece, b []byte, fault lineFault) error {
	switch {
	case looksDamaged(b):
		return w.damagedLine(p, fault)
	case nuls(b) >= 16:
		return w.wiped(p, fault)
	}
	return w.skip(p)
}

// skip passes over what no reader knows, to the next record.
func (w *walker) skip(p *piece) error {
	next, err := w.candidate(p.off + 1)
	if err != nil {
		return err
	}
	p.end = next
	if next < 0 {
		p.end = w.s.size
	}
	p.kind = isJunk
	copies, err := w.copies(p.off, p.end)
	if copies {
		p.kind = isCopies
	}
	return err
}

// damagedLine takes a line of which the date is still to be seen. Its size is
// believed when it leads to something.
func (w *walker) damagedLine(p *piece, fault lineFault) error {
	b, err := w.read(p.off, maxLine+16)
	if err != nil {
		return err
	}
	p.fault = fault
	eol := bytes.IndexByte(b, '\n')
	if eol < 0 {
		p.text, p.end = w.s.size, w.s.size // the line itself is torn
		if int64(len(b)) < w.s.size-p.off {
			p.text = p.off + min(dateLen, int64(len(b)))
			p.end, err = w.toNext(p.text)
		}
		return err
	}
	p.text = p.off + int64(eol) + 1
	p.line.date = bytes.Clone(b[:dateLen])
	if size, ok := parseSize(digits(b[dateLen+1 : max(eol, dateLen+1)])); ok && size > 0 {
		claim := p.text + size
		ok, err := w.begins(claim)
		if err != nil {
			return err
		}
		if !ok {
			next, err := w.read(claim, maxLine)
			if err != nil {
				return err
			}
			ok = looksDamaged(next) // so is the line behind it
		}
		if ok {
			p.claim, p.end = claim, claim
			return nil
		}
	}
	p.end, err = w.toNext(p.text)
	return err
}

// wiped takes NULs where a line should be: the text behind them is a message
// when it begins like one.
func (w *walker) wiped(p *piece, fault lineFault) error {
	next, err := w.toNext(p.off + 1)
	if err != nil {
		return err
	}
	text := p.off
	for text < next {
		b, err := w.read(text, min(next-text, int64(cap(w.buf))))
		if err != nil {
			return err
		}
		n := nuls(b)
		text += int64(n)
		if n < len(b) {
			if startsHeader(b[n:]) {
				p.text, p.end, p.fault, p.wiped = text, next, fault, true
				return nil
			}
			break
		}
	}
	return w.skip(p)
}

// toNext returns where the next record begins, or the end of the file.
func (w *walker) toNext(from int64) (int64, error) {
	next, err := w.candidate(from)
	if next < 0 {
		next = w.s.size
	}
	return next, err
}

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
	if l.uid == 0 || l.uid > w.last {
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
