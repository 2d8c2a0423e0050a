package mailtxt

import (
	"bytes"
	"io"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// A piece is what a walk makes of some octets of a file that may be damaged.
// The pieces of a file cover it without gaps or overlaps.
type piece struct {
	off, end int64
	junk     bool // they belong to no message
	copied   bool // they are there once more before them, or behind them

	// Of a message:
	text  int64 // where its text begins
	claim int64 // where the size says that it ends, 0 where there is none
	bad   bool  // readers stop at the line
	line  line
}

// A walker goes through the records of a file as a reader does, but goes on
// behind damage with the next octets that can be a record.
type walker struct {
	s    *scanner
	buf  []byte
	seen map[uint64]int64 // digests of lines, and where they were first

	copyOff, copyEnd int64 // the records there were before
}

// step returns the next piece; ok is false at the end.
func (w *walker) step() (p piece, ok bool, err error) {
	s := w.s
	if s.pos >= s.size {
		return p, false, nil
	}
	p.off = s.pos
	l, good, err := w.recordAt(s.pos)
	if err != nil {
		return p, false, err
	}
	if good {
		err = w.record(&p, l)
	} else {
		err = w.damaged(&p)
	}
	s.pos = p.end
	return p, err == nil, err
}

// record takes a readable record.
func (w *walker) record(p *piece, l line) error {
	if w.copyOff <= p.off && p.off < w.copyEnd {
		end, err := w.lastEnd(p.off, w.copyEnd)
		if p.copied, p.end = true, end; end > p.off || err != nil {
			return err
		}
		p.copied = false
	}
	p.line, p.text = l, p.off+int64(l.length)
	p.claim = p.text + l.size
	ok, err := w.begins(p.claim)
	if err != nil {
		return err
	}
	if !ok {
		done, err := w.copies(p, p.text)
		if done || err != nil {
			return err
		}
		if ok, err = w.again(p); err != nil {
			return err
		}
	}
	if err := w.remember(p.off, l); err != nil {
		return err
	}
	if p.end = p.claim; ok {
		return nil
	}
	p.end, err = w.extent(p.text, p.claim, l.date)
	return err
}

// read returns n octets at off, fewer at the end of the file. They are valid
// until the next call.
func (w *walker) read(off, n int64) ([]byte, error) {
	if off < 0 || off >= w.s.size {
		return nil, nil
	}
	n = min(n, w.s.size-off)
	if int64(len(w.buf)) < n {
		w.buf = make([]byte, n)
	}
	got, err := w.s.r.ReadAt(w.buf[:n], off)
	if int64(got) < n {
		if err == nil || err == io.EOF {
			err = mailbox.ErrChanged
		}
		return nil, err
	}
	return w.buf[:n], nil
}

// lineAt reads the line at off as a reader does; ok is false where there is
// none.
func (w *walker) lineAt(off int64) (l line, ok bool, err error) {
	b, err := w.read(off, maxLine)
	if err != nil || len(b) == 0 {
		return l, false, err
	}
	at := *w.s
	at.pos = off
	l, err = at.parse(b)
	return l, err == nil, nil
}

// recordAt is lineAt where the line is not only the end of another one.
func (w *walker) recordAt(off int64) (l line, ok bool, err error) {
	l, ok, err = w.lineAt(off)
	if err != nil || !ok || l.comma == flocked.DateLen {
		return l, ok, err
	}
	from := max(off-flocked.DateLen, 0)
	b, err := w.read(from, int64(l.length)+off-from)
	if err != nil {
		return l, false, err
	}
	start := w.s.format.lineEndingAt(b, len(b))
	return l, start < 0 || from+int64(start) == off, nil
}

// begins reports whether a record begins at off, if a damaged one, or the file
// ends there.
func (w *walker) begins(off int64) (bool, error) {
	if off == w.s.size {
		return true, nil
	}
	if _, ok, err := w.recordAt(off); ok || err != nil {
		return ok, err
	}
	b, err := w.read(off, maxLine)
	if flocked.WasLine(b) {
		start, err := w.find(off, min(off+maxLine, w.s.size))
		return start < 0, err
	}
	return false, err
}

// extent returns where a text ends that should end at claim, of a message that
// came at date.
func (w *walker) extent(text, claim int64, date mailbox.Date) (int64, error) {
	size := w.s.size
	if ok, err := w.onlyBlank(claim); ok || err != nil {
		return claim, err
	}
	line, err := w.lineArea(claim)
	if line > 0 || err != nil {
		return claim, err
	}
	next, err := w.inner(text, min(claim, size), date)
	if next >= 0 || err != nil {
		return next, err
	}
	if next, err = w.tail(text, min(claim, size)); next < min(claim, size) || err != nil {
		return next, err
	}
	if line == 0 {
		ended, err := flocked.HeaderEnds(w.s.r, text, claim)
		if err != nil {
			return claim, err
		}
		if next, err = w.next(claim); ended && !flocked.OneDigit(claim-text, next-text) || err != nil {
			return claim, err
		}
	}
	if claim > size {
		return w.next(text)
	}
	if next, err = w.next(claim); err != nil {
		return 0, err
	}
	return w.judge(text, claim, next)
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

// judge decides whether a text ends at claim, where nothing readable begins, or
// only at next, where something does, or the file ends.
func (w *walker) judge(text, claim, next int64) (int64, error) {
	var same mend.Shared
	if n := next - claim; n <= claim {
		if err := same.Grow(w.s.r, claim-n, next, claim-n, claim); err != nil || same.Adjoins() {
			return claim, err // what stands there is the end of the text once more
		}
	}
	b, err := w.read(claim-1, min(next-claim, 4096)+1)
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

// near is how far a size may be wrong for the next record to be believed without
// more.
const near = 1 << 10

// inner looks for the record behind a text that ends before claim, -1 for none:
// the first whose chain leads there or beyond, or that came later, else the last
// that is near to claim. Mail that was forwarded as a file is text.
func (w *walker) inner(text, claim int64, date mailbox.Date) (int64, error) {
	last := int64(-1)
	for from := text; from < claim; {
		next, err := w.find(from, claim)
		if err != nil || next < 0 {
			return last, err
		}
		off := next
		for off < claim && off < w.s.size {
			l, ok, err := w.lineAt(off)
			if err != nil {
				return -1, err
			}
			if !ok {
				break
			}
			off += int64(l.length) + l.size
		}
		if off >= claim {
			if ok, err := w.begins(off); ok || err != nil {
				return next, err
			}
		}
		l, _, err := w.lineAt(next)
		switch {
		case err != nil:
			return -1, err
		case claim-next <= near:
			last = next
		case !l.date.Time().Before(date.Time()):
			return next, nil
		}
		from = max(off, next+1)
	}
	return last, nil
}

// next returns where the next record begins, if it has lost the beginning of its
// line, or the end of the file.
func (w *walker) next(from int64) (int64, error) {
	at, err := w.find(from, w.s.size)
	if err != nil {
		return 0, err
	}
	if at < 0 {
		at = w.s.size
	}
	return w.tail(from, at)
}

// tail returns where in [from, to) a line begins of which the beginning is lost,
// to for none.
func (w *walker) tail(from, to int64) (int64, error) {
	eol := w.s.format.EOL
	win := make([]byte, scanWindow)
	for off := max(from-1, 0); off < to; {
		n, err := w.s.r.ReadAt(win[:min(int64(len(win)), w.s.size-off)], off)
		if n == 0 {
			return to, err
		}
		b := win[:n]
		for at := 0; ; {
			i := bytes.Index(b[at:], []byte(eol))
			if i < 0 {
				break
			}
			at += i + len(eol)
			semi := at - len(eol) - tailLen
			if semi > 0 && b[semi] == ';' && allDigits(b[semi+1:at-len(eol)]) && isDigit(b[semi-1]) &&
				lineEndingAt(b, at-len(eol)) < 0 && mend.StartsMail(b[at:]) {
				return min(max(off+int64(flocked.LineBegin(b[:semi])), from), to), nil
			}
		}
		if off+int64(n) >= min(to, w.s.size) {
			break
		}
		off += int64(max(n-2*maxLine-headLook, 1))
	}
	return to, nil
}

// find returns the first offset in [from, to) at which octets look like a line
// as it is written, with a header behind it; -1 for none.
func (w *walker) find(from, to int64) (int64, error) {
	win := make([]byte, scanWindow)
	for off := from; off < to; {
		n, err := w.s.r.ReadAt(win[:min(int64(len(win)), w.s.size-off)], off)
		if n == 0 {
			return -1, err
		}
		b := win[:n]
		for at := 0; ; {
			i := bytes.IndexByte(b[at:], '\n')
			if i < 0 {
				break
			}
			at += i + 1
			start := w.s.format.lineEndingAt(b, at)
			if start >= 0 && off+int64(start) < to && (at == len(b) || startsHeader(b[at:])) {
				return off + int64(start), nil
			}
		}
		if off+int64(n) >= w.s.size {
			break
		}
		off += int64(max(n-2*maxLine, 1))
	}
	return -1, nil
}

// weight says how much in the first octets of the file is of this format and of
// no other: lines as find finds them, and more those with a size that is right.
// An editor may have saved some in the other format, and their sizes are wrong.
func (w *walker) weight(octets int64) (n int, err error) {
	for from := int64(0); ; {
		at, err := w.find(from, min(octets, w.s.size))
		if at < 0 || err != nil {
			return n, err
		}
		l, _, err := w.lineAt(at)
		if err != nil {
			return n, err
		}
		n++
		text := at + int64(l.length)
		proven, err := w.begins(text + l.size)
		if err != nil {
			return n, err
		}
		if from = at + 1; proven {
			from = max(from, text+l.size)
			n += 2
		}
	}
}

// tailLen is the length of ";", keywords and flags.
const tailLen = 1 + flagsLen

// lineEndingAt returns where the line begins that ends, with its EOL, at
// b[:end], as it is written; -1 for none.
func (f *Format) lineEndingAt(b []byte, end int) int {
	if !bytes.HasSuffix(b[:end], []byte(f.EOL)) {
		return -1
	}
	return lineEndingAt(b, end-len(f.EOL))
}

// damaged makes something of octets that are no readable line: a record of
// which the date is still to be seen, or junk up to the next record.
func (w *walker) damaged(p *piece) error {
	b, err := w.read(p.off, maxLine+32)
	if err != nil {
		return err
	}
	b = bytes.Clone(b)
	eol := bytes.IndexByte(b, '\n') + 1
	if !flocked.WasLine(b) || eol == 0 {
		n, err := w.lineArea(p.off)
		if err != nil {
			return err
		}
		if n >= 0 {
			p.bad, p.text = true, p.off+int64(n)
			p.end, err = w.next(max(p.text, p.off+1))
			return err
		}
		if done, err := w.copies(p, p.off+1); done || err != nil {
			return err
		}
		p.junk = true
		p.end, err = w.next(p.off + 1)
		return err
	}
	if done, err := w.copies(p, p.off+1); done || err != nil {
		return err
	}
	p.bad, p.text = true, p.off+int64(eol)
	for _, n := range w.ends(b, eol) {
		from := min(flocked.DateLen+1, n)
		size, ok := parseSize(digits(b[from:n]))
		if !ok {
			continue
		}
		proven, err := w.begins(p.off + int64(n) + size)
		if err != nil {
			return err
		}
		if proven {
			p.text = p.off + int64(n)
			p.claim, p.end = p.text+size, p.text+size
			return nil
		}
	}
	p.end, err = w.next(max(p.text, p.off+1))
	return err
}

// minLine is the length of a line with a size of one digit, less a little.
const minLine = flocked.DateLen + 2 + tailLen

// headLook is how much of a header is looked at.
const headLook = 2 << 10

// lineArea returns how many octets at off were a line of which the date cannot
// be seen any more, -1 where there was none: what is left of one, or octets that
// were wiped before a header, or nothing where a header begins at once.
func (w *walker) lineArea(off int64) (int, error) {
	back := min(off, maxLine)
	b, err := w.read(off-back, back+maxLine+headLook)
	if err != nil || int64(len(b)) <= back {
		return -1, err
	}
	at := int(back)
	closed := at == 0 || b[at-1] == '\n'
	if at > 0 && w.s.format.lineEndingAt(b, at) >= 0 {
		return -1, nil // behind a line is a text
	}
	if closed && mend.StartsMail(b[at:]) || startsFields(b[at:], 3) && mend.StartsMail(b[at:]) {
		return 0, nil
	}
	for n := at + tailLen; n <= min(at+maxLine, len(b)); n++ {
		semi := n - len(w.s.format.EOL) - tailLen
		if !bytes.HasSuffix(b[:n], []byte(w.s.format.EOL)) || semi < at || b[semi] != ';' || !allDigits(b[semi+1:semi+tailLen]) {
			continue
		}
		if start := w.s.format.lineEndingAt(b, n); start >= 0 && start != at {
			return -1, nil
		}
		if startsHeader(b[n:]) {
			return n - at, nil
		}
	}
	for n := at + minLine; n <= min(at+maxLine, len(b)); n++ {
		if !isText(b[at:n]) && startsFields(b[n:], 2) || len(bytes.Trim(b[at:n], "\x00\xFF")) == 0 && startsFields(b[n:], 1) {
			return n - at, nil
		}
	}
	return -1, nil
}

// startsFields reports whether b begins with n header fields.
func startsFields(b []byte, n int) bool {
	for range n {
		name := bytes.IndexByte(b, ':')
		if name < 2 || !startsHeader(b) || name+1 < len(b) && b[name+1] > ' ' {
			return false
		}
		for {
			eol := bytes.IndexByte(b, '\n') + 1
			if eol == 0 {
				return false
			}
			b = b[eol:]
			if len(b) == 0 || b[0] != ' ' && b[0] != '\t' {
				break
			}
		}
	}
	return true
}

// ends are the places where the text behind a damaged line may begin.
func (w *walker) ends(b []byte, eol int) []int {
	ends := []int{eol}
	for n := flocked.DateLen + 2 + tailLen; n <= min(maxLine, len(b)); n++ {
		if n != eol && startsHeader(b[n:]) {
			ends = append(ends, n)
		}
	}
	return ends
}

// digits returns the digits that b begins with.
func digits(b []byte) []byte {
	n := 0
	for n < len(b) && isDigit(b[n]) {
		n++
	}
	return b[:n]
}

func allDigits(b []byte) bool { return len(digits(b)) == len(b) }

// isText reports whether most of b is text.
func isText(b []byte) bool {
	odd := 0
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' && c != '\f' && c != '\b' && c != 0x1B || c == 0x7F || c == 0xFF {
			odd++
		}
	}
	return odd < 2 || odd*32 <= len(b)
}

// startsHeader reports whether b begins with a header field or an empty line.
func startsHeader(b []byte) bool {
	i := 0
	for i < len(b) && b[i] > ' ' && b[i] < 0x7F && b[i] != ':' {
		i++
	}
	if i > 0 {
		return i < len(b) && b[i] == ':'
	}
	return len(b) > 0 && b[0] == '\n' || len(b) > 1 && b[0] == '\r' && b[1] == '\n'
}
