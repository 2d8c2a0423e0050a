package mailtxt

import (
	"bytes"
	"io"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/mbox"
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

	came    time.Time // when the message before came
	suspect bool      // the piece before is damaged: records behind it may be copies
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
	if good && s.pos == 0 { // readers know the file by it
		b, err := w.read(0, maxLine)
		if err != nil {
			return p, false, err
		}
		good = s.format.owns(b)
	}
	if good {
		err = w.record(&p, l)
	} else {
		err = w.damaged(&p)
	}
	w.suspect = p.junk || p.bad || p.copied || p.claim != p.end
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
	w.came = l.date.Time()
	if done, err := w.copyAgain(p); done || err != nil {
		return err
	}
	ok, err := w.begins(p.claim)
	if err != nil {
		return err
	}
	if !ok {
		done, err := w.copies(p, p.text)
		if done || err != nil {
			return err
		}
		if ok, err = w.again(p); p.copied || err != nil {
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
	if next, err := w.moreCRs(text, claim); next >= 0 || err != nil {
		return next, err
	}
	if ok, err := w.onlyBlank(claim); ok || err != nil {
		return claim, err
	}
	line, err := w.lineArea(claim)
	if line > 0 || err != nil {
		return claim, err
	}
	next, err := w.inner(text, min(claim, size), date)
	if err != nil {
		return next, err
	}
	if next >= 0 {
		return w.torn(text, next)
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

// moreCRs returns where the next record begins if all that keeps a text from
// having its size are the CRs that lines have got, else -1.
func (w *walker) moreCRs(text, claim int64) (int64, error) {
	if w.s.format.EOL != "\n" || claim >= w.s.size {
		return -1, nil
	}
	next, err := w.find(claim, w.s.size)
	if err != nil {
		return -1, err
	}
	if next < 0 {
		next = w.s.size
	}
	if next-claim > (next-text)/2 {
		return -1, nil
	}
	n, err := mend.CRLFs(w.s.r, text, next)
	if err != nil || n != next-claim {
		return -1, err
	}
	return next, nil
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
		if ok, err := w.sure(next); ok || err != nil {
			return next, err
		}
		l, good, err := w.lineAt(next)
		leads := !good
		if good {
			leads, err = w.begins(next + int64(l.length) + l.size)
		}
		switch {
		case err != nil:
			return -1, err
		case claim-next <= near && (leads || !l.date.Time().Before(date.Time())):
			last = next
		case claim-next <= near:
		case !l.date.Time().Before(date.Time()):
			return next, nil
		}
		from = max(off, next+1)
	}
	return last, nil
}

// sure reports whether the line at off is that of a record, whatever is before it:
// it stands within a line of text, or three records follow each other. Mail that
// was forwarded as a file has neither, but for large ones.
func (w *walker) sure(off int64) (bool, error) {
	b, err := w.read(off-1, 1)
	if err != nil || len(b) > 0 && b[0] != '\n' {
		return err == nil, err
	}
	for n := 0; n < 3; n++ {
		l, ok, err := w.lineAt(off)
		if err != nil || !ok || l.size >= w.s.size {
			return false, err
		}
		off += int64(l.length) + l.size
	}
	return true, nil
}

// next returns where the next record begins, if it has lost the beginning of its
// line, or the end of the file. One that came before the last one and does not lead
// on is text, unless there is no other.
func (w *walker) next(from int64) (int64, error) {
	first := w.s.size
	for at := from; at < w.s.size; {
		off, err := w.find(at, w.s.size)
		if err != nil {
			return 0, err
		}
		if off < 0 {
			break
		}
		l, good, err := w.lineAt(off)
		if err != nil {
			return 0, err
		}
		ok := !good || !l.date.Time().Before(w.came)
		if !ok {
			if ok, err = w.begins(off + int64(l.length) + l.size); err != nil {
				return 0, err
			}
		}
		if ok {
			return w.tail(from, off)
		}
		first = min(first, off)
		at = off + 1
	}
	return w.tail(from, first)
}

// tail returns where in [from, to) a line begins of which the beginning is lost,
// or which was wiped, to for none.
func (w *walker) tail(from, to int64) (int64, error) {
	win := make([]byte, scanWindow)
	for off := max(from-1, 0); off < to; {
		n, err := w.s.r.ReadAt(win[:min(int64(len(win)), w.s.size-off)], off)
		if n == 0 {
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
	eol := w.s.format.EOL
	wiped, err := w.unveiled(b, off, from, to)
	if err != nil {
		return -1, err
	}
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte(eol))
		if i < 0 || off+int64(at+i+len(eol)) >= to {
			return wiped, nil
		}
		at += i + len(eol)
		end := at - len(eol)
		start := end - tailLen
		switch {
		case at == len(b) || lineEndingAt(b, end) >= 0 || !mend.StartsMail(b[at:]):
			continue
		case start > 0 && b[start] == ';' && allDigits(b[start+1:end]) && isDigit(b[start-1]):
			start = flocked.LineBegin(b[:start])
		case isFlags(b[:end]):
			start = len(bytes.TrimRight(b[:end], "01234567;"))
		default:
			continue
		}
		begin := min(max(off+int64(start), from), to)
		if wiped >= 0 {
			begin = min(begin, wiped)
		}
		return begin, nil
	}
}

// isFlags reports whether b ends in what is left of the flags of a line: octal
// digits, with zeros before them.
func isFlags(b []byte) bool {
	n := len(b) - len(bytes.TrimRight(b, "01234567"))
	return 7 <= n && n <= flagsLen && bytes.Contains(b[len(b)-n:], []byte("0000")) && (n == len(b) || b[len(b)-n-1] != '-')
}

// unveiled returns where in [from, to) a line begins that was wiped with octets
// before it, in b, which is at off: behind them, or behind what is left of it,
// mail begins. -1 for none. Where the header of the text at from has no end
// before them what is behind them is the rest of that.
func (w *walker) unveiled(b []byte, off, from, to int64) (int64, error) {
	for skip := max(from-off, 0); skip < int64(len(b)); {
		run, mail, ok := mbox.Unveiled(b[skip:], w.s.format.EOL, maxLine, mbox.IsLineRest)
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
	if start := w.s.format.lineEndingAt(b, eol); eol > 0 && start > 0 { // a whole line stands within what was one
		p.junk, p.end = true, p.off+int64(start)
		return nil
	}
	if !flocked.WasLine(b) || eol == 0 {
		n, err := w.lineArea(p.off)
		if err != nil {
			return err
		}
		if n >= 0 {
			p.bad, p.text = true, p.off+int64(n)
			return w.measure(p, b[:min(n, len(b))])
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
	ends := w.ends(b, eol)
	p.bad, p.text = true, p.off+int64(ends[0])
	said := int64(0)
	for _, n := range ends {
		from := min(flocked.DateLen+1, n)
		if comma := bytes.IndexByte(b[min(n, flocked.DateLen-2):min(n, flocked.DateLen+3)], ','); comma >= 0 { // the date has lost octets or got some
			from = flocked.DateLen - 2 + comma + 1
		}
		size, ok := parseSize(digits(b[from:n]))
		if !ok {
			continue
		}
		said = size
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
	if p.end, err = w.next(max(p.text, p.off+1)); err != nil {
		return err
	}
	if n := p.end - said - p.off; said > 0 && 0 < n && n <= maxLine && p.off+n != p.text { // the line is torn
		head, err := w.read(p.off+n, headLook)
		if err != nil {
			return err
		}
		if startsFields(head, 2) {
			p.text, p.claim = p.off+n, p.end
			return nil
		}
	}
	return w.hollow(p)
}

// measure finds out how long the text of a message is of whose line only b is
// left: its size is believed when it leads to something.
func (w *walker) measure(p *piece, b []byte) (err error) {
	semi := bytes.LastIndexByte(b, ';')
	if semi > 0 {
		size, ok := parseSize(b[len(bytes.TrimRight(b[:semi], "0123456789")):semi])
		if ok, err = w.proven(p.text+size, ok && size > 0); ok || err != nil {
			p.claim, p.end = p.text+size, p.text+size
			return err
		}
	}
	p.end, err = w.next(max(p.text, p.off+1))
	return err
}

// proven is begins where that is asked for.
func (w *walker) proven(off int64, asked bool) (bool, error) {
	if !asked {
		return false, nil
	}
	return w.begins(off)
}

// hollow makes a message junk of which only a part of its line is left, and
// octets behind it that were wiped.
func (w *walker) hollow(p *piece) error {
	if p.text == p.end {
		return nil
	}
	for off := p.text; off < p.end; {
		b, err := w.read(off, min(p.end-off, 4096))
		if err != nil {
			return err
		}
		off += int64(len(b))
		if off-int64(len(b)) == p.text {
			rest := bytes.TrimLeft(b, "01234567;,\r\n")
			if len(b)-len(rest) > maxLine || len(rest) < minLine {
				return nil
			}
			b = rest
		}
		if len(bytes.Trim(b, "\x00\xFF")) > 0 {
			return nil
		}
	}
	p.junk, p.bad = true, false
	return nil
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
	if off == 0 || b[at] != '\r' && b[at] != '\n' {
		if n := w.remnant(b, at, off == 0); n > 0 {
			return n, nil
		}
	}
	if mend.StartsMail(b[at:]) && (closed || startsFields(b[at:], 3)) && isText(b[at:at+bytes.IndexByte(b[at:], '\n')+1]) {
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

// remnant returns the length of what b[at:] begins with if that is what is left of
// a line, its end or its date, and mail is behind it; at the beginning of a file
// any end will do. 0 for none.
func (w *walker) remnant(b []byte, at int, any bool) int {
	eol := w.s.format.EOL
	n := bytes.Index(b[at:min(len(b), at+maxLine)], []byte(eol))
	if any && b[at] == '\n' && mend.StartsMail(b[at+1:]) {
		return 1
	}
	if n < 0 || !mend.StartsMail(b[at+n+len(eol):]) {
		return 0
	}
	if start := lineEndingAt(b, at+n); start >= 0 && start != at {
		return 0
	}
	line := b[at : at+n]
	switch {
	case flocked.DateFits(line) >= 20 && line[2] == '-' && line[6] == '-':
	case any && n > 0 && allDigits(line):
	case isFlags(line) && len(bytes.Trim(line, "0123456789;,:-+ JanFebMrApyulgSOctNvDec")) == 0:
	default:
		return 0
	}
	return n + len(eol)
}

// startsFields reports whether b begins with n header fields.
func startsFields(b []byte, n int) bool {
	for range n {
		name := bytes.IndexByte(b, ':')
		if name < 2 || b[0] <= ' ' || !startsHeader(b) || name+1 < len(b) && b[name+1] > ' ' {
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

// ends are the places where the text behind a damaged line may begin, the most
// likely first: behind flags, behind the first line end, or where a header begins.
func (w *walker) ends(b []byte, eol int) (ends []int) {
	for n := flocked.DateLen + 2 + tailLen; n <= min(maxLine, len(b)); n++ {
		end := n - len(w.s.format.EOL)
		if n != eol && bytes.HasSuffix(b[:n], []byte(w.s.format.EOL)) && b[end-tailLen] == ';' && allDigits(b[end-flagsLen:end]) && startsHeader(b[n:]) {
			ends = append(ends, n)
		}
	}
	ends = append(ends, eol)
	for n := flocked.DateLen + 2 + tailLen; n < min(maxLine, eol); n++ {
		if startsHeader(b[n:]) {
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
