package mbx

import (
	"bytes"
	"slices"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// damaged makes something of octets that are no readable line.
func (w *walker) damaged(p *piece, b []byte, fault lineFault) error {
	p.fault = fault
	if flocked.WasLine(b) {
		if err := w.damagedLine(p); err != nil || p.claim > 0 || p.kind == isJunk {
			return err
		}
		return w.hollow(p)
	}
	blank := wiped(b) >= 16
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
	hollow, err := layout.Hollow(w.s.r, p.text, p.end)
	if hollow {
		p.kind = isJunk
	}
	return err
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
		} else if mend.BeginsText(b[n:]) {
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
	case startsWithout(layout.UpToLine(b), closed):
		return 0, nil
	case elsewhere:
		return -1, nil
	}
	for n := minLine; (closed || wipedOctet(b[0])) && n <= min(maxLine, len(b)); n++ {
		if !mend.IsText(b[:n]) && startsMessage(b[n:]) {
			return n, nil
		}
	}
	return -1, nil
}

// startsWithout reports whether b begins with the header of mail that has lost its
// line; closed says that something ends before it.
func startsWithout(b []byte, closed bool) bool {
	return mend.StartsMail(b) && (closed || startsMessage(b)) && mend.IsText(b[:bytes.IndexByte(b, '\n')+1])
}

// remnant returns the length of what b begins with if that is the end of a line,
// with all of its UID, unless any will do, and mail behind it; 0 for none.
func remnant(b []byte, any bool) int {
	eol := bytes.Index(b[:min(len(b), maxLine)], []byte("\r\n"))
	if eol < 0 || eol < 8 && (!any || !allHex(b[:eol])) || !mend.StartsMail(b[eol+2:]) {
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

// wiped counts the octets that b begins with of that kind.
func wiped(b []byte) int { return len(b) - len(bytes.TrimLeft(b, "\x00\xFF")) }

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
	if d, err := mailbox.ParseDate(string(p.line.date), time.UTC); err == nil {
		w.came = d.Time()
	}
	if proven, err := w.place(p, b, ends); proven || err != nil {
		return err
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

// place finds out which of ends, behind a damaged line in b, is where its text begins:
// the one from which its size leads to something, else one where a header begins, else
// the most likely.
func (w *walker) place(p *piece, b []byte, ends []int) (proven bool, err error) {
	for _, n := range ends {
		size := parsedSize(b[:n])
		if size == 0 {
			continue
		}
		p.text = p.off + int64(n)
		if proven, err = w.proven(p.text + size); proven || err != nil {
			p.claim, p.end = p.text+size, p.text+size
			return proven, err
		}
	}
	likely := max(0, slices.IndexFunc(ends, func(n int) bool { return mend.BeginsText(b[n:]) }))
	p.text = p.off + int64(ends[likely])
	return false, nil
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
	if size, ok := parseSize(flocked.SizeDigits(b)); ok && size > 0 {
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

// wiped takes octets that were wiped where a line should be: the text behind them
// is a message when it begins like one.
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
		n := wiped(b)
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
	if len(b) > 0 && b[0] == '\n' && mend.StartsMail(b[1:]) {
		return 1, nil
	}
	eol := bytes.Index(b[:min(len(b), maxLine)], []byte("\r\n"))
	switch {
	case eol >= 0 && eol < 8 && allHex(b[:eol]) && mend.StartsMail(b[eol+2:]),
		eol >= 8 && allHex(b[eol-8:eol]) && mend.BeginsText(b[eol+2:]) && !mend.BeginsText(b):
		return eol + 2, nil
	case mend.BeginsText(b):
		return 0, nil
	}
	return -1, nil
}
