package mix

import (
	"bytes"
	"cmp"
	"io"
	"math"
	"slices"

	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// A piece is what a walk makes of some octets of a data file that may be
// damaged. The pieces of a file cover it without gaps or overlaps.
type piece struct {
	file           uint32
	off, text, end int64 // [off, text) is the line in front, [text, end) the text
	junk           bool  // it is no message

	line  front // what the line in front says
	known known // of uid, date and size
	plain bool  // the line is as it is written

	size    int64 // of the text, as line or index say; 0 where neither does
	leads   bool  // something begins where it ends then
	lineEnd bool  // the text has that size once its lines end in CR LF again
	cut     int64 // or once [cut, cut+without), which is there twice, is left out
	without int64

	rec     int    // record of the index that lists it, -1 for none
	uid     uint32 // 0 for none that is known
	misread bool   // what the line says of its UID cannot be
	copy    bool   // of another piece
	foreign bool   // another message has its UID
	undead  bool   // it was removed, and is shown again
}

// A front is what the line in front of a message says.
type front struct {
	uid  uint32
	size int64
	date mailbox.Date
}

func (m *message) front() front { return front{m.uid, m.size, m.date} }

// fits reports whether the text has the size that it should have.
func (p *piece) fits() bool {
	return p.size > 0 && (p.lineEnd || p.end-p.text-p.without == p.size)
}

// worth says how sure it is that the text is as it was written.
func (p *piece) worth() (n int) {
	if p.fits() {
		n++
		if p.leads {
			n++
		}
	}
	return n
}

// write writes the text, out of the data file r.
func (p *piece) write(w io.Writer, r io.ReaderAt) error {
	if p.lineEnd {
		return mend.LineEnds(w, r, p.text, p.end)
	}
	from := p.text
	if p.without > 0 {
		if _, err := io.Copy(w, io.NewSectionReader(r, from, p.cut-from)); err != nil {
			return err
		}
		from = p.cut + p.without
	}
	_, err := io.Copy(w, io.NewSectionReader(r, from, p.end-from))
	return err
}

// A walker goes through a data file from message to message, and does not stop
// at damage. A message is believed where it ends where another begins, or the
// file; what is inside one that is believed is never looked at, so that a
// mailbox in an attachment stays text.
type walker struct {
	file uint32
	r    io.ReaderAt
	size int64
	at   int64
	last uint32 // UID of the message before

	index  *indexed
	places []int32 // records of the index for this file, by offset
	status *flagged

	buf  []byte
	next int64 // the line that was found last when looking from nextFrom on
	from int64
}

// listedAt returns what the index says of the message at off, nil where it says
// nothing.
func (w *walker) listedAt(off int64) *listed {
	k, ok := slices.BinarySearchFunc(w.places, off, func(n int32, off int64) int { return cmp.Compare(w.index.all[n].pos, off) })
	if !ok {
		return nil
	}
	return &w.index.all[w.places[k]]
}

// knows reports whether index or status know a UID.
func (w *walker) knows(uid uint32) bool {
	_, ok := w.status.of(uid)
	return ok || w.index.of(uid) != nil
}

// read returns up to n octets at off, valid until the next read.
func (w *walker) read(off, n int64) ([]byte, error) {
	if off >= w.size || off < 0 {
		return nil, nil
	}
	if int64(len(w.buf)) < n {
		w.buf = make([]byte, n)
	}
	k, err := w.r.ReadAt(w.buf[:min(n, w.size-off)], off)
	if err == io.EOF {
		err = nil
	}
	return w.buf[:k], err
}

// lineMost is what is read to see a line in front of a message.
const lineMost = 2 * tokenLen

// step returns the next piece; ok is false at the end.
func (w *walker) step() (p piece, ok bool, err error) {
	if w.at >= w.size {
		return p, false, nil
	}
	p = piece{file: w.file, off: w.at, rec: -1}
	b, err := w.read(w.at, lineMost)
	if err != nil {
		return p, false, err
	}
	m, n, strict, good := looseToken(b)
	switch {
	case good:
		p.text, p.line, p.plain = w.at+int64(n), m.front(), strict
		p.known = knowSize
		if m.uid < math.MaxUint32 {
			p.known |= knowUID
		}
		if storable(m.date) {
			p.known |= knowDate
		}
		err = w.extent(&p)
	default:
		err = w.damaged(&p, b)
	}
	if err != nil {
		return p, false, err
	}
	if p.known.has(knowUID) {
		w.last = p.line.uid
	}
	w.at = p.end
	return p, true, nil
}

// damaged looks what begins where no readable line is.
func (w *walker) damaged(p *piece, b []byte) error {
	b = bytes.Clone(b)
	if r := w.listedAt(w.at); r != nil && r.known.has(knowSize) {
		text := w.at + int64(r.lead)
		if ok, err := w.leads(text, text+r.size); err != nil {
			return err
		} else if ok && text < w.size && text+r.size > text {
			m, k, _ := salvageToken(b)
			p.line, p.known = m.front(), k
			p.text, p.end, p.size, p.leads = text, text+r.size, r.size, true
			return nil
		}
	}
	if m, k, n := salvageToken(b); n > 0 {
		p.line, p.known, p.text = m.front(), k, w.at+int64(n)
		for more := range int64(3) { // of its end, which is damaged
			if ok, err := w.leads(p.text+more, p.text+more+m.size); err != nil {
				return err
			} else if ok && k.has(knowSize) {
				p.text += more
				break
			}
		}
		return w.extent(p)
	}
	if r := w.nextRecord(); r != nil && mend.StartsHeader(b) {
		if ok, err := w.leads(w.at, w.at+r.size); ok || err != nil {
			p.text, p.end, p.size, p.leads = w.at, w.at+r.size, r.size, ok
			return err
		}
	}
	end, err := w.believed(w.at+1, w.last)
	if err != nil {
		return err
	}
	if end, err = w.chained(w.at+1, end); err != nil {
		return err
	}
	end = w.listedIn(w.at+1, end)
	p.end = end
	text, size, err := w.hidden(w.at, end)
	if err != nil || text < 0 {
		p.junk = text < 0
		return err
	}
	p.text, p.size = text, size
	return nil
}

// hidden looks for a message in octets that have no readable line in front: one
// that the index lists between its neighbours, or a header behind a line that
// was wiped or lost. text is where it begins, -1 for none.
func (w *walker) hidden(off, end int64) (text, size int64, err error) {
	if r, only := w.between(w.last, end); r != nil && r.known.has(knowSize) && r.size > 0 {
		front := end - off - r.size
		fits := front >= 0 && front <= lineMost
		if fits && !only {
			b, err := w.read(end-r.size, 512)
			if err != nil {
				return -1, 0, err
			}
			fits = mend.StartsHeader(b)
		}
		if fits {
			return end - r.size, r.size, nil
		}
	}
	b, err := w.read(off, min(end-off, 4<<10))
	if err != nil {
		return -1, 0, err
	}
	rest := bytes.TrimLeft(b, "\x00\xff")
	wiped := len(b) - len(rest)
	if wiped > 0 { // what is left of the line
		if i := bytes.IndexByte(rest, '\n'); i >= 0 && i < tokenLen && !mend.StartsHeader(rest) {
			wiped += i + 1
			rest = rest[i+1:]
		} else {
			line := bytes.TrimLeft(rest, "\r\n")
			wiped += len(rest) - len(line)
			rest = line
		}
	}
	if len(rest) > 0 && mend.StartsHeader(rest) {
		return off + int64(wiped), 0, nil
	}
	return -1, 0, nil
}

// extent finds out how long a text is whose line can be read, as far as it says
// so.
func (w *walker) extent(p *piece) error {
	var claims []int64
	if p.known.has(knowSize) && p.line.size > 0 {
		claims = append(claims, p.line.size)
	}
	if r := w.record(p); r != nil && r.known.has(knowSize) && r.size > 0 && (len(claims) == 0 || r.size != claims[0]) {
		claims = append(claims, r.size)
	}
	for _, size := range claims {
		if ok, err := w.leads(p.text, p.text+size); ok || err != nil {
			p.size, p.end, p.leads = size, p.text+size, true
			return err
		}
	}
	if len(claims) > 0 {
		p.size = claims[len(claims)-1] // the index says it again, or better
	}
	if done, err := w.restored(p, claims); done || err != nil {
		return err
	}
	if ok, err := w.agreed(p, claims); ok || err != nil {
		return err
	}
	last := w.last
	if p.known.has(knowUID) {
		last = p.line.uid
	}
	next, err := w.believed(p.text, last)
	if err != nil || p.size == 0 {
		p.end = next
		return err
	}
	p.end = next
	if split, err := w.swallowed(p); split || err != nil {
		return err
	}
	return w.tail(p, next)
}

// agreed reports whether a text ends as line and index say, though nothing that
// can be read begins there: with a line, and without one of another message in it.
func (w *walker) agreed(p *piece, claims []int64) (bool, error) {
	end := p.text + p.size
	if len(claims) != 1 || end >= w.size || !p.known.has(knowUID|knowSize) || w.index.of(p.line.uid) == nil {
		return false, nil
	}
	if short, err := w.short(end); short || err != nil {
		return false, err
	}
	b, err := w.read(end-1, 1)
	if err != nil || len(b) == 0 || b[0] != '\n' {
		return false, err
	}
	p.end, p.leads = end, true
	return true, nil
}

// swallowed looks whether another message stands at the end of a text, whose
// line is lost and whose size the index knows. Where more than one may be there
// the text has not ended where it should.
func (w *walker) swallowed(p *piece) (bool, error) {
	low := w.last
	if p.known.has(knowUID) {
		low = p.line.uid
	}
	r, only := w.between(low, p.end)
	if r == nil || !r.known.has(knowSize) || r.size == 0 || p.end-r.size < p.text {
		return false, nil
	}
	claim := p.text + p.size
	if !only {
		if b, err := w.read(claim-1, 1); err != nil || len(b) == 0 || b[0] == '\n' {
			return false, err
		}
	}
	b, err := w.read(p.end-r.size, min(r.size, 512))
	if err != nil || !mend.StartsHeader(b) {
		return false, err
	}
	p.end -= r.size
	if claim < p.end && p.end-claim <= lineMost { // what is left of its line
		p.end = claim
	}
	return true, nil
}

// tryEnds is how many places are tried as the end of a text.
const tryEnds = 4

// restored looks for a place where the text can end so that it has the size
// that it should have, once something is done about it.
func (w *walker) restored(p *piece, claims []int64) (done bool, err error) {
	next := p.text
	for n := range tryEnds {
		if next, err = w.following(next + 1); err != nil {
			return false, err
		}
		for _, size := range claims {
			if done, err := w.exact(p, size, next, n == 0); done || err != nil {
				p.size, p.end, p.leads = size, next, true
				return done, err
			}
		}
		if next == w.size || len(claims) == 0 {
			break
		}
	}
	return false, nil
}

// record returns what the index says of the message at p.
func (w *walker) record(p *piece) *listed {
	if p.known.has(knowUID) {
		if r := w.index.of(p.line.uid); r != nil && (!r.known.has(knowPlace) || r.file == w.file) {
			return r
		}
	}
	r := w.listedAt(p.off)
	if r != nil && p.known.has(knowUID) && !(p.known.has(knowDate) && r.known.has(knowDate) && r.date == p.line.date) {
		return nil // of another message
	}
	return r
}

// exact finds the one text that has the size that it should have, in octets
// that have another: line ends that were converted, or, where twice says so,
// octets that are there twice.
func (w *walker) exact(p *piece, size, next int64, twice bool) (bool, error) {
	n := next - p.text
	if n < size {
		bare, err := mend.BareLFs(w.r, p.text, next, size-n)
		p.lineEnd = err == nil && bare == size-n
		return p.lineEnd, err
	}
	b, err := w.read(p.text, min(n, 4<<10))
	if err != nil {
		return false, err
	}
	if bytes.Contains(b, []byte("\r\r\n")) {
		var count headerEnd
		err := mend.LineEnds(&count, w.r, p.text, next)
		p.lineEnd = err == nil && count.n == size
		if p.lineEnd || err != nil {
			return p.lineEnd, err
		}
	}
	if blank, err := isBlank(w.r, p.text+size, next); !twice || blank || err != nil {
		return false, err
	}
	cut, ok, err := mend.Doubled(w.r, max(p.text, next-2*(n-size)), next, n-size) // at its end, as readers take it
	if !ok && err == nil {
		cut, ok, err = mend.Doubled(w.r, p.text, next, n-size)
	}
	if ok && err == nil {
		p.cut, p.without = cut, n-size
	}
	return ok, err
}

// tail decides whether the octets between the size that a text should have and
// the next message belong to it.
func (w *walker) tail(p *piece, next int64) error {
	claim := p.text + p.size
	if claim >= next || claim < p.text {
		return nil // some are missing
	}
	b, err := w.read(claim-1, min(next-claim+1, 4<<10))
	if err != nil || len(b) < 2 {
		return err
	}
	closed, rest := b[0] == '\n', bytes.Clone(b[1:])
	behind, _, err := w.hidden(claim, next)
	if err != nil {
		return err
	}
	wiped := len(bytes.TrimLeft(rest, "\x00")) == 0 || len(bytes.TrimLeft(rest, "\xff")) == 0 || len(bytes.TrimLeft(rest, "\r\n")) == 0
	if closed || wiped || behind > claim || !isText(rest) {
		p.end = claim
	}
	return nil
}

// isText reports whether octets are mostly what a text has.
func isText(b []byte) bool {
	printable := 0
	for _, c := range b {
		if c >= ' ' && c != 0x7f || c == '\r' || c == '\n' || c == '\t' {
			printable++
		}
	}
	return printable*100 > len(b)*97
}
