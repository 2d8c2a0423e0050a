package mailtxt

import (
	"bytes"
	"slices"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

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
	isLine := flocked.WasLine(b) && eol > 0
	if !isLine {
		n, err := w.lineArea(p.off)
		if err != nil {
			return err
		}
		if n >= 0 {
			p.bad, p.text = true, p.off+int64(n)
			return w.measure(p, b[:min(n, len(b))])
		}
	}
	if done, err := w.copies(p, p.off+1); done || err != nil {
		return err
	}
	if isLine {
		return w.damagedLine(p, b, eol)
	}
	p.junk = true
	p.end, err = w.next(p.off + 1)
	return err
}

// damagedLine takes a line, in b, of which the date is still to be seen, and which ends
// at eol, if not elsewhere: where its size leads to something.
func (w *walker) damagedLine(p *piece, b []byte, eol int) (err error) {
	if d, err := mailbox.ParseDate(string(b[:min(flocked.DateLen, len(b))]), time.UTC); err == nil {
		w.came = d.Time()
	}
	ends := w.ends(b, eol)
	likely := max(0, slices.IndexFunc(ends, func(n int) bool { return mend.BeginsText(b[n:]) }))
	p.bad, p.text = true, p.off+int64(ends[likely])
	said := int64(0)
	for _, n := range ends {
		size, ok := parseSize(flocked.SizeDigits(b[:n]))
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
	if torn, err := w.torn(p, said); torn || err != nil {
		return err
	}
	return w.hollow(p)
}

// torn gives p, whose line says a size, the text of that size, if a header begins
// there: then octets of the line were lost.
func (w *walker) torn(p *piece, said int64) (bool, error) {
	text := p.end - said
	if said == 0 || text <= p.off || text > p.off+maxLine || text == p.text {
		return false, nil
	}
	head, err := w.read(text, headLook)
	if err != nil || !startsFields(head, 2) {
		return false, err
	}
	p.text, p.claim = text, p.end
	return true, nil
}

// measure finds out how long the text of a message is of whose line only b is
// left: its size is believed when it leads to something.
func (w *walker) measure(p *piece, b []byte) (err error) {
	semi := bytes.LastIndexByte(b, ';')
	if semi > 0 {
		if size, ok := parseSize(b[len(bytes.TrimRight(b[:semi], "0123456789")):semi]); ok {
			if ok, err = w.begins(p.text + size); ok || err != nil {
				p.claim, p.end = p.text+size, p.text+size
				return err
			}
		}
	}
	p.end, err = w.next(max(p.text, p.off+1))
	return err
}

// proven reports whether a record begins at off, or the file ends there, or a line is
// there of which most is left.
func (w *walker) proven(off int64) (bool, error) {
	if ok, err := w.begins(off); ok || err != nil {
		return ok, err
	}
	b, err := w.read(off, maxLine)
	return flocked.WasLine(b), err
}

// hollow makes a message junk of which only a part of its line is left, and
// octets behind it that were wiped.
func (w *walker) hollow(p *piece) error {
	hollow, err := w.layout().Hollow(w.s.r, p.text, p.end)
	if hollow {
		p.junk, p.bad = true, false
	}
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
	if off == 0 || b[at] != '\r' && b[at] != '\n' {
		if n := w.remnant(b, at, off == 0); n > 0 {
			return n, nil
		}
	}
	if startsWithout(w.layout().UpToLine(b[at:]), closed) {
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
		if mend.BeginsText(b[n:]) {
			return n - at, nil
		}
	}
	for n := at + minLine; n <= min(at+maxLine, len(b)); n++ {
		if !mend.IsText(b[at:n]) && startsFields(b[n:], 2) || len(bytes.Trim(b[at:n], "\x00\xFF")) == 0 && startsFields(b[n:], 1) {
			return n - at, nil
		}
	}
	return -1, nil
}

// startsWithout reports whether b begins with the header of mail that has lost its
// line; closed says that something ends before it.
func startsWithout(b []byte, closed bool) bool {
	return mend.StartsMail(b) && (closed || startsFields(b, 3)) && mend.IsText(b[:bytes.IndexByte(b, '\n')+1])
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
	case any && allDigits(line):
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
		if name < 2 || b[0] <= ' ' || !mend.BeginsText(b) || name+1 < len(b) && b[name+1] > ' ' {
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
// likely first: behind flags, behind the first line end or another one, or where a
// header begins.
func (w *walker) ends(b []byte, eol int) (ends []int) {
	others := []int{eol}
	for n := flocked.DateLen + 2 + tailLen; n <= min(maxLine, len(b)); n++ {
		end := n - len(w.s.format.EOL)
		switch {
		case n == eol || !bytes.HasSuffix(b[:n], []byte(w.s.format.EOL)):
		case b[end-tailLen] == ';' && allDigits(b[end-flagsLen:end]) && mend.BeginsText(b[n:]):
			ends = append(ends, n)
		default:
			others = append(others, n)
		}
	}
	ends = append(ends, others...)
	for n := flocked.DateLen + 2 + tailLen; n < min(maxLine, eol); n++ {
		if mend.BeginsText(b[n:]) {
			ends = append(ends, n)
		}
	}
	return ends
}

func allDigits(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return !isDigit(c) })
}
