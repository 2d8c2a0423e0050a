package mbx

import (
	"bytes"
	"errors"
	"hash/maphash"
	"io"
	"math"
	"slices"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/mbox"
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
	b = bytes.Clone(b)
	l, fault := parseUsable(b)
	switch {
	case isBlockHead(b):
		p.kind = isBlock
		p.end, err = w.blockEnd(s.pos)
		w.last, w.top, w.most = 0, 0, math.MaxUint32
	case fault == lineGood && w.isCopy(l, b):
		p.kind = isCopies
		p.end, err = w.toNext(p.off + 1)
	case fault == lineGood && l.uid != 0 && l.uid <= w.top || fault != lineGood && w.top > 0:
		if p.end, err = w.copied(p.off); p.end > p.off || err != nil {
			p.kind = isCopies
			break
		}
		if fault == lineGood {
			err = w.record(&p, l, b)
		} else {
			err = w.damaged(&p, b, fault)
		}
	case fault == lineGood:
		err = w.record(&p, l, b)
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

// record takes a readable record. One that does not lead to another, and whose
// line is there once more in its text, where it does, was written twice in part.
func (w *walker) record(p *piece, l line, b []byte) error {
	own := bytes.Clone(b[:l.length])
	text := p.off + int64(l.length)
	ok, err := w.begins(text + l.size)
	if err != nil {
		return err
	}
	if !ok && l.uid != 0 {
		again, err := w.again(own, text, text+l.size)
		if again >= 0 || err != nil {
			p.kind, p.end = isCopies, again
			return err
		}
	}
	l.date = own[:len(l.date)]
	w.remember(l, own)
	return w.message(p, l)
}

// again returns where the line of a record is once more before the next one,
// with a whole text behind it; -1 for nowhere, or where the first is whole, too.
func (w *walker) again(own []byte, text, claim int64) (int64, error) {
	next, err := w.toNext(text)
	if err != nil {
		return -1, err
	}
	found, size, failed := int64(-1), claim-text, error(nil)
	err = eachLine(w.s.r, text, min(next+maxLine, w.s.size), func(off int64) bool {
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
	if err = errors.Join(err, failed); err != nil || found < claim {
		return found, err
	}
	first, err := digestOf(io.NewSectionReader(w.s.r, text, size))
	if err != nil {
		return -1, err
	}
	second, err := digestOf(io.NewSectionReader(w.s.r, found+int64(len(own)), size))
	if first == second {
		found = -1
	}
	return found, err
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

// message finds out how long the text of a readable record is.
func (w *walker) message(p *piece, l line) error {
	p.line = l
	p.text = p.off + int64(l.length)
	p.claim = p.text + l.size
	if l.uid != 0 && uint64(l.uid) <= uint64(w.most)+uidSlack { // one that is higher is damaged itself
		w.last, w.top = l.uid, max(w.top, l.uid)
		if d, err := mailbox.ParseDate(string(l.date), time.UTC); err == nil {
			w.came = d.Time()
		}
	}
	var err error
	p.end, err = w.extent(p.off, p.text, p.claim)
	return err
}

// extent returns where a text ends that should end at claim. own is where its
// line is.
func (w *walker) extent(own, text, claim int64) (int64, error) {
	size := w.s.size
	if ok, err := w.begins(claim); ok || err != nil {
		return claim, err
	}
	if ok, err := w.onlyBlank(claim); ok || err != nil {
		return claim, err
	}
	next, err := w.twice(text, claim)
	if next >= 0 || err != nil {
		return next, err
	}
	sure, header, err := w.wasLine(claim)
	if sure || err != nil {
		return claim, err
	}
	if next, err = w.inner(text, claim); err != nil {
		return next, err
	}
	if next >= 0 {
		return w.torn(text, next)
	}
	if next, err = w.tail(text, min(claim, size)); next < min(claim, size) || err != nil {
		return next, err
	}
	if claim > size {
		return w.toNext(text) // torn, for the most part
	}
	if next, err = w.beyond(claim); err != nil {
		return 0, err
	}
	if next, err = w.tail(claim, next); err != nil {
		return 0, err
	}
	if header {
		ended, err := flocked.HeaderEnds(w.s.r, text, claim)
		if ended && !flocked.OneDigit(claim-text, next-text) || err != nil {
			return claim, err
		}
	}
	return w.judge(text, claim, next)
}

// torn is tail for a text that may end at next: a line of which only the end is left
// is none of the text, one of which a little is damaged can be.
func (w *walker) torn(text, next int64) (int64, error) {
	at, err := w.tail(text, next)
	if err != nil || at == next {
		return next, err
	}
	b, err := w.read(at, maxLine)
	if flocked.WasLine(b) {
		at = next
	}
	return at, err
}

// onlyBlank reports whether there are only line ends between claim and the next
// record, or the end of the file.
func (w *walker) onlyBlank(claim int64) (bool, error) {
	b, err := w.read(claim-1, 1+maxLine)
	blank := flocked.StrayLineEnds(b)
	if err != nil || blank == 0 {
		return false, err
	}
	return w.begins(claim + int64(blank))
}

// twice returns where the next record begins if all that keeps a text from
// having its size is that some of its octets are there twice, else -1.
func (w *walker) twice(text, claim int64) (int64, error) {
	if claim > w.s.size {
		return -1, nil
	}
	next, err := w.toNext(claim)
	if err != nil || next-claim > claim-text {
		return -1, err
	}
	_, ok, err := mend.Doubled(w.s.r, text, next, next-claim)
	if !ok {
		next = -1
	}
	return next, err
}

// near is how far a size may be wrong for the next record to be believed without
// more.
const near = 64

// inner looks for the record behind a text that ends before claim, -1 for none:
// the first whose chain leads there or beyond, else the last that is near to
// claim, else the first that fits. Mail that was forwarded as a file is text.
func (w *walker) inner(text, claim int64) (int64, error) {
	best, fit := int64(-1), int64(-1)
	for from := text; from < min(claim, w.s.size); {
		next, err := w.candidate(from)
		if err != nil || next < 0 || next >= claim {
			return best, err
		}
		end, _, err := w.chain(next, claim)
		if err != nil {
			return 0, err
		}
		if end >= claim || end == w.s.size {
			if best < 0 || fit < 0 {
				fit = next
			}
			return fit, nil
		}
		if ok, err := w.sure(next); ok || err != nil {
			return next, err
		}
		fits := claim-next <= near
		if best < 0 && !fits {
			if fits, err = w.fits(next, end); err != nil {
				return -1, err
			}
			if fits {
				fit = next
			}
		}
		if fits {
			best = next
		}
		from = max(end, next+1)
	}
	return best, nil
}

// fits reports whether a chain of records that ends at end, where nothing
// readable is, can be one of the file: a damaged line is there, or the next
// record has a higher UID. Records in a text have UIDs of another mailbox.
func (w *walker) fits(first, end int64) (bool, error) {
	_, readable, err := w.lineAt(end)
	if err != nil {
		return false, err
	}
	if !readable { // else it is none that can be
		if ok, err := w.broken(end); ok || err != nil {
			return ok, err
		}
	}
	last, n := uint32(0), 0
	ordered := true
	for off := first; off < end; n++ {
		l, ok, err := w.lineAt(off)
		if err != nil || !ok {
			return false, err
		}
		d, err := mailbox.ParseDate(string(l.date), time.UTC)
		ordered = ordered && l.uid > max(last, w.last) && err == nil && !d.Time().Before(w.came)
		if n == 0 && err == nil && d.Time().Before(w.came) {
			return false, nil
		}
		last = max(last, l.uid)
		off += int64(l.length) + l.size
	}
	if ordered && n > 1 {
		return true, nil
	}
	next, err := w.candidate(max(end, first+1))
	if err != nil || next < 0 {
		return err == nil, err
	}
	l, _, err := w.lineAt(next)
	return l.uid == 0 || last == 0 || l.uid > last, err
}

// chain follows records from off on, until one leads to claim or beyond, and
// returns where it ends and how many there were.
func (w *walker) chain(off, claim int64) (end int64, n int, err error) {
	for ; off < claim && off < w.s.size; n++ {
		l, ok, err := w.lineAt(off)
		if err != nil || !ok {
			return off, n, err
		}
		off += int64(l.length) + l.size
	}
	if off >= w.s.size {
		return off, n, nil
	}
	// What leads beyond must lead to something.
	if ok, err := w.proven(off); !ok {
		return min(off, claim-1), n, err
	}
	return off, n, nil
}

// wasLine reports whether a line is at off of which enough is left to be sure,
// or a header without one.
func (w *walker) wasLine(off int64) (sure, header bool, err error) {
	b, err := w.read(off, maxLine)
	if err != nil || flocked.WasLine(b) {
		return err == nil, false, err
	}
	n, err := w.lineArea(off)
	return n > 0, n == 0, err
}

// judge decides whether a text ends at claim, where nothing readable begins, or
// only at next, where something does, or the file ends.
func (w *walker) judge(text, claim, next int64) (int64, error) {
	b, err := w.read(claim, maxLine)
	if err != nil || nuls(b) >= 16 {
		return claim, err
	}
	copies, err := w.copies(claim, next)
	if copies || err != nil {
		return claim, err
	}
	if n := next - claim; n <= claim {
		var same mend.Shared
		if err := same.Grow(w.s.r, claim-n, next, claim-n, claim); err != nil || same.Adjoins() {
			return claim, err // what stands there is the end of the text once more
		}
	}
	b, err = w.read(claim-1, min(next-claim+1, int64(cap(w.buf))))
	if err != nil {
		return 0, err
	}
	before, gap := b[0], b[1:]
	switch {
	case next < w.s.size && isText(gap) && flocked.OneDigit(claim-text, next-text):
		return next, nil
	case before == '\n', before != '\r' && len(bytes.Trim(gap, "\r\n\x00")) == 0, flocked.TornLine(gap), !isText(gap):
		return claim, nil
	}
	return next, nil
}

// damaged makes something of octets that are no readable line.
func (w *walker) damaged(p *piece, b []byte, fault lineFault) error {
	p.fault = fault
	if flocked.WasLine(b) {
		if err := w.damagedLine(p); err != nil || p.claim > 0 || p.kind == isJunk {
			return err
		}
		return w.hollow(p)
	}
	blank := nuls(b) >= 16
	next, err := w.toNext(p.off + 1)
	if err != nil {
		return err
	}
	if copies, err := w.copies(p.off, next); copies || err != nil {
		p.kind, p.end = isCopies, next
		return err
	}
	n, err := w.lineArea(p.off)
	switch {
	case err != nil:
		return err
	case n < 0 && blank:
		return w.wiped(p)
	case n < 0:
		return w.skip(p)
	}
	p.text, p.wiped = p.off+int64(n), true
	return w.measure(p)
}

// measure finds out how long the text of a message is whose line is damaged:
// its size is believed when it leads to something.
func (w *walker) measure(p *piece) error {
	from := max(p.off, p.text-maxLine)
	b, err := w.read(from, p.text-from)
	if err != nil {
		return err
	}
	if s := salvage(b); s.numbered && uint64(s.uid) <= uint64(w.most)+uidSlack && s.uid != 0 {
		w.last = s.uid
	}
	if size := sizeIn(b); size > 0 {
		claim := p.text + size
		ok, err := w.proven(claim)
		if err != nil {
			return err
		}
		if ok {
			p.claim, p.end = claim, claim
			return nil
		}
		p.said = claim
	}
	p.end, err = w.follow(max(p.text, p.off+1))
	return err
}

// hollow makes a message junk of which only a part of its line is left, and
// octets behind it that were wiped.
func (w *walker) hollow(p *piece) error {
	if p.text == p.end {
		return nil
	}
	for off := p.text; off < p.end; {
		b, err := w.read(off, min(p.end-off, int64(cap(w.buf))))
		if err != nil {
			return err
		}
		off += int64(len(b))
		if off-int64(len(b)) == p.text {
			rest := bytes.TrimLeft(b, "0123456789abcdef;,:-+ \r\n")
			if len(b)-len(rest) > maxLine || len(rest) < minLine {
				return nil
			}
			b = rest
		}
		if len(bytes.Trim(b, "\x00\xFF")) > 0 {
			return nil
		}
	}
	p.kind = isJunk
	return nil
}

// proven reports whether a record begins at off, if a damaged one.
func (w *walker) proven(off int64) (bool, error) {
	if ok, err := w.begins(off); ok || err != nil {
		return ok, err
	}
	return w.broken(off)
}

// broken reports whether what was a line is at off.
func (w *walker) broken(off int64) (bool, error) {
	b, err := w.read(off, maxLine)
	if err != nil {
		return false, err
	}
	if flocked.WasLine(b) || nuls(b) >= 16 {
		return true, nil
	}
	n, err := w.lineArea(off)
	return n > 0, err
}

// A line has at least this many octets.
const minLine = dateLen + 2 + tailLen + 2

// lineArea returns how many octets at off were a line of which the date cannot
// be seen any more, -1 where there was none: what is left of one, or octets
// of that length before a header, or nothing where a header begins at once.
func (w *walker) lineArea(off int64) (int, error) {
	back := int(min(off, maxLine))
	b, err := w.read(off-int64(back), int64(back)+maxLine+8+headLook)
	if err != nil || len(b) <= back || lineEndingAt(b, back) >= 0 || b[back] == '\r' || b[back] == '\n' { // behind a line is a text
		return -1, err
	}
	closed := off == w.start || back > 1 && string(b[back-2:back]) == "\r\n"
	whole := b
	b = b[back:]
	elsewhere := false
	for n := tailLen + 2; n <= min(maxLine, len(b)) && !elsewhere; n++ {
		if tailFits(b[n-2-tailLen:n-2]) < minTail || b[n-1] != '\n' {
			continue
		}
		if start := lineEndingAt(whole, back+n); start >= 0 && start != back {
			elsewhere = true // a whole line begins there
		} else if startsHeader(b[n:]) {
			return n, nil
		}
	}
	if n := remnant(b, off == w.start); n > 0 && !elsewhere {
		if start := lineEndingAt(whole, back+n); start < 0 || start == back {
			return n, nil
		}
		elsewhere = true
	}
	switch {
	case mend.StartsMail(b) && (closed || startsMessage(b)) && isText(firstLine(b)):
		return 0, nil
	case elsewhere:
		return -1, nil
	}
	for n := minLine; (closed || wipedOctet(b[0])) && n <= min(maxLine, len(b)); n++ {
		if !isText(b[:n]) && startsMessage(b[n:]) {
			return n, nil
		}
	}
	return -1, nil
}

// firstLine is the first line of b.
func firstLine(b []byte) []byte { return b[:bytes.IndexByte(b, '\n')+1] }

// remnant returns the length of what b begins with if that is the end of a line,
// with all of its UID, unless any will do, and mail behind it; 0 for none.
func remnant(b []byte, any bool) int {
	eol := bytes.Index(b[:min(len(b), maxLine)], []byte("\r\n"))
	if eol < 0 || eol < 8 && (!any || eol == 0 || !allHex(b[:eol])) || !mend.StartsMail(b[eol+2:]) {
		return 0
	}
	if flocked.DateFits(b[:eol]) >= 20 && b[2] == '-' && b[6] == '-' {
		return eol + 2
	}
	if eol >= 8 && (!isUID(b[:eol]) || len(bytes.Trim(b[:eol], "0123456789abcdef;,:-+ ")) > 0) {
		return 0
	}
	return eol + 2
}

// isUID reports whether b ends in a UID that can be nothing else: it stands behind
// a dash, or has zeros before it.
func isUID(b []byte) bool {
	n := len(b)
	return n >= 8 && allHex(b[n-8:]) && (n > 8 && b[n-9] == '-' || bytes.HasPrefix(b[n-8:], []byte("000")))
}

// wipedOctet reports whether disks have c where they have nothing.
func wipedOctet(c byte) bool { return c == 0 || c == 0xFF }

// headLook is how much of a header is looked at.
const headLook = 2 << 10

// startsMessage reports whether b begins with what can hardly be anything but
// the header of a message: two fields, or one and an empty line.
func startsMessage(b []byte) bool {
	for n := 0; ; n++ {
		i := 0
		for i < len(b) && (b[i] > ' ' && b[i] < 0x7F && b[i] != ':') {
			i++
		}
		if i < 2 || i+1 >= len(b) || b[i] != ':' || b[i+1] != ' ' && b[i+1] != '\r' && b[i+1] != '\t' {
			return n > 0 && bytes.HasPrefix(b, []byte("\r\n"))
		}
		if n == 1 {
			return true
		}
		for { // to the end of the field
			eol := bytes.IndexByte(b, '\n')
			if eol < 0 {
				return len(b) >= headLook-maxLine
			}
			b = b[eol+1:]
			if len(b) == 0 || b[0] != ' ' && b[0] != '\t' {
				break
			}
		}
	}
}

// sizeIn returns the size in a damaged line, 0 for none.
func sizeIn(b []byte) int64 {
	end := bytes.LastIndexByte(b, ';')
	if end < 0 || end < len(b)-semiBack-2 {
		end = len(b) - semiBack
	}
	start := end
	for start > 0 && isDigit(b[start-1]) {
		start--
	}
	if start >= end || start < dateLen-2 && flocked.WasLine(b) {
		return 0
	}
	if size, ok := parseSize(b[start:end]); ok && size > 0 {
		return size
	}
	return 0
}

// skip passes over what no reader knows, to the next record, if a damaged one.
func (w *walker) skip(p *piece) error {
	next, err := w.beyond(p.off + 1)
	if err != nil {
		return err
	}
	p.kind = isJunk
	p.end, err = w.tail(p.off+1, next)
	return err
}

// tail returns where in [from, to) a line begins of which the end can be seen
// and the date cannot, or which was wiped, to for none.
func (w *walker) tail(from, to int64) (int64, error) {
	win := make([]byte, scanWindow)
	for off := max(from-1, 0); off < to; {
		n, err := w.s.r.ReadAt(win[:min(int64(len(win)), w.s.size-off)], off)
		if n == 0 {
			if err == io.EOF {
				err = mailbox.ErrChanged
			}
			return to, err
		}
		at, err := w.tailIn(win[:n], off, from, to)
		if at >= 0 || err != nil {
			return at, err
		}
		if off+int64(n) >= min(to, w.s.size) {
			break
		}
		off += int64(max(n-2*maxLine-headLook, 1))
	}
	return to, nil
}

// tailIn is tail for what is in b, which is at off; -1 for none.
func (w *walker) tailIn(b []byte, off, from, to int64) (int64, error) {
	wiped, err := w.unveiled(b, off, from, to)
	if err != nil {
		return -1, err
	}
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte("\r\n"))
		if i < 0 {
			return wiped, nil
		}
		at += i + 2
		if off+int64(at) >= to {
			return wiped, nil
		}
		start := at - 2 - tailLen
		switch {
		case at == len(b) || lineEndingAt(b, at) >= 0:
			continue
		case start >= 0 && tailFits(b[start:at-2]) == tailLen && startsHeader(b[at:]):
			start = flocked.LineBegin(b[:start])
		case isUID(b[:at-2]) && mend.StartsMail(b[at:]):
			rest := bytes.TrimRight(b[max(0, at-2-maxLine/2):at-2], "0123456789abcdef;-")
			start = max(0, at-2-maxLine/2) + len(rest)
		default:
			continue
		}
		begin := max(off+int64(start), from)
		if wiped >= 0 {
			begin = min(begin, wiped)
		}
		return begin, nil
	}
}

// unveiled returns where in [from, to) a line begins that was wiped with octets
// before it, in b, which is at off: behind them, or behind what is left of it,
// mail begins. -1 for none. Where the header of the text at from has no end
// before them what is behind them is the rest of that.
func (w *walker) unveiled(b []byte, off, from, to int64) (int64, error) {
	for skip := max(from-off, 0); skip < int64(len(b)); {
		run, mail, ok := mbox.Unveiled(b[skip:], "\r\n", maxLine, mbox.IsLineRest)
		begin := max(off+skip+int64(run), off+skip+int64(mail-minLine))
		if !ok || off+skip+int64(mail) >= to {
			return -1, nil
		}
		head, err := w.read(from, maxLine)
		if err != nil {
			return -1, err
		}
		if startsHeader(head) {
			ended, err := flocked.HeaderEnds(w.s.r, from, off+skip+int64(run))
			if err != nil {
				return -1, err
			}
			ok = ended
		}
		if ok {
			return begin, nil
		}
		skip += int64(mail)
	}
	return -1, nil
}

// damagedLine takes a line of which the date is still to be seen.
func (w *walker) damagedLine(p *piece) error {
	b, err := w.read(p.off, maxLine+headLook)
	if err != nil {
		return err
	}
	head := bytes.Clone(b)
	b = head[:min(len(head), maxLine+32)]
	if eol := bytes.Index(b, []byte("\r\n")) + 2; eol >= 2 {
		if start := lineEndingAt(b, eol); start > 0 { // a whole line stands within what was one
			p.kind, p.end = isJunk, p.off+int64(start)
			return nil
		}
	}
	ends := lineEndings(b)
	if len(ends) == 0 {
		p.text, p.end = w.s.size, w.s.size // the line itself is torn
		if int64(len(b)) < w.s.size-p.off {
			p.text = p.off + min(dateLen, int64(len(b)))
			p.end, err = w.follow(p.text)
		}
		return err
	}
	p.line.date = b[:dateLen]
	best := -1
	for _, n := range ends {
		p.text, p.said = p.off+int64(n), 0
		if size := parsedSize(b[:n]); size > 0 {
			ok, err := w.proven(p.text + size)
			if err != nil {
				return err
			}
			if ok {
				p.claim, p.end = p.text+size, p.text+size
				return nil
			}
		}
		if best < 0 && startsHeader(b[n:]) {
			best = n
		}
	}
	p.text = p.off + int64(max(best, 0))
	if best < 0 {
		p.text = p.off + int64(ends[0])
	}
	size := parsedSize(b[:p.text-p.off])
	if size > 0 {
		p.said = p.text + size
	}
	if p.end, err = w.follow(p.text); err != nil || size == 0 {
		return err
	}
	if n := p.end - size - p.off; 0 < n && n <= int64(len(b)) && p.off+n != p.text && startsMessage(head[n:]) { // the line is torn
		p.text, p.claim = p.off+n, p.end
	}
	return nil
}

// follow returns where a text ends that begins at text and is as long as nobody
// knows: at the next record, if it has lost its line.
func (w *walker) follow(text int64) (int64, error) {
	next, err := w.toNext(text)
	if err != nil {
		return 0, err
	}
	return w.tail(text, next)
}

// parsedSize is the size behind the date of a line.
func parsedSize(b []byte) int64 {
	if len(b) <= dateLen+1 {
		return 0
	}
	from := dateLen + 1
	if comma := bytes.IndexByte(b[dateLen-2:min(len(b), dateLen+3)], ','); comma >= 0 { // the date has lost octets or got some
		from = dateLen - 2 + comma + 1
	}
	if size, ok := parseSize(digits(b[from:])); ok && size > 0 {
		return size
	}
	return sizeIn(b)
}

// lineEndings are the places where the text behind a damaged line may begin,
// the most likely first.
func lineEndings(b []byte) (ends []int) {
	add := func(n int) {
		if n <= len(b) && !slices.Contains(ends, n) {
			ends = append(ends, n)
		}
	}
	best, at := minTail-1, -1
	for e := dateLen + tailLen; e <= min(len(b), maxLine+8); e++ {
		if n := tailFits(b[e-tailLen : e]); n > best {
			best, at = n, e
		}
	}
	eol := bytes.IndexByte(b[min(dateLen, len(b)):], '\n') + min(dateLen, len(b))
	if at >= 0 {
		if eol >= at && eol < at+4 {
			add(eol + 1)
		}
		n := at
		if n < len(b) && b[n] == '\r' {
			n++
		}
		if n < len(b) && b[n] == '\n' {
			n++
		}
		add(n)
		add(at + 2)
		add(at + 1)
		add(at)
	}
	for n := dateLen + tailLen; at < 0 && n <= min(len(b), maxLine+8); n++ {
		if b[n-1] == '\n' && b[n-2] == '\r' && isUID(b[:n-2]) {
			add(n)
		}
	}
	if eol >= min(dateLen, len(b)) {
		add(eol + 1)
	}
	return ends
}

// wiped takes NULs where a line should be: the text behind them is a message
// when it begins like one.
func (w *walker) wiped(p *piece) error {
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
			rest, err := w.lineRest(text)
			if err != nil {
				return err
			}
			if rest >= 0 {
				p.text, p.end, p.wiped = text+int64(rest), next, true
				return w.measure(p)
			}
			break
		}
	}
	return w.skip(p)
}

// lineRest returns how many octets of a line are left at off, behind NULs,
// before a header; -1 where that is not so.
func (w *walker) lineRest(off int64) (int, error) {
	b, err := w.read(off, maxLine+headLook)
	if err != nil {
		return -1, err
	}
	if startsHeader(b) {
		return 0, nil
	}
	eol := bytes.Index(b[:min(len(b), maxLine)], []byte("\r\n"))
	if eol >= 8 && startsHeader(b[eol+2:]) && allHex(b[eol-8:eol]) || eol >= 0 && eol < 8 && allHex(b[:eol]) && mend.StartsMail(b[eol+2:]) {
		return eol + 2, nil
	}
	return -1, nil
}

// toNext returns where the next record begins, or the end of the file. Records
// that do not lead on are the text of mail that was forwarded as a file, unless
// there are no others.
func (w *walker) toNext(from int64) (int64, error) {
	first := w.s.size
	for from < w.s.size {
		next, err := w.candidate(from)
		if err != nil || next < 0 {
			return first, err
		}
		end, n, err := w.lead(next)
		if err != nil || n >= manyLinks || end == w.s.size || end > w.s.size && n > 1 {
			return next, err
		}
		if ok, err := w.sure(next); ok || err != nil {
			return next, err
		}
		if end > w.s.size && n == 1 { // torn, or text
			first = min(first, next)
			from = next + 1
			continue
		}
		if ok, err := w.fits(next, end); ok || err != nil {
			return next, err
		}
		first = min(first, next)
		from = max(end, next+1)
	}
	return first, nil
}

// beyond is toNext where no text is known to reach.
func (w *walker) beyond(from int64) (int64, error) {
	w.loose = true
	defer func() { w.loose = false }()
	return w.toNext(from)
}

// manyLinks records that follow each other are no text.
const manyLinks = 16

// lead follows records from off on and returns where they end, or where so many
// have been seen that they are no text.
func (w *walker) lead(off int64) (end int64, n int, err error) {
	for ; n < manyLinks && off < w.s.size; n++ {
		l, ok, err := w.lineAt(off)
		if err != nil || !ok || n > 0 && !w.canBe(l, off) {
			return off, n, err
		}
		off += int64(l.length) + l.size
	}
	return off, n, nil
}

// canBe reports whether the line at off can be that of a record, by UID and size.
func (w *walker) canBe(l line, off int64) bool {
	return uint64(l.uid) <= uint64(max(w.most, w.last))+uidSlack && l.size < w.s.size
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
