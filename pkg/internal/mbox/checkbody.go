package mbox

import (
	"bytes"
	"io"
)

// manyNULs is a run of NULs that is more likely lost octets than mail.
const manyNULs = 64

// header looks how the header begins and ends.
func (c *Check) header(s *Scanner, m *Message, seq uint32) error {
	start := m.From + int64(m.Header)
	tail := make([]byte, min(3, m.Body-start))
	if _, err := c.ReadAt(tail, m.Body-int64(len(tail))); err != nil && err != io.EOF {
		return err
	}
	ended := len(tail) > 0 && (m.Body-start == 1 || m.Body-start == 2 && tail[0] == '\r') && tail[len(tail)-1] == '\n' ||
		bytes.HasSuffix(tail, []byte("\n\n")) || bytes.HasSuffix(tail, []byte("\n\r\n"))
	switch {
	case c.lines == 0:
		c.doubt("from-no-header", m.From, seq, "From_ line has no header behind it")
	case c.odd && c.lines == 1:
		c.doubt("from-no-header", m.From, seq, "From_ line has text behind it, no header")
	}
	switch {
	case ended:
	case m.Body < s.W.End() && c.format == MMDF:
		c.doubt("header-only", m.Body, seq, "delimiter stands behind the header, without an empty line between")
	case m.Body < s.W.End():
	case len(tail) > 0 && tail[len(tail)-1] != '\n':
		c.damage("torn-tail", m.Body-1, seq, "file ends within a header line: adding a message was interrupted")
	default:
		c.doubt("header-only", m.Body-1, seq, "file ends with the header of a message, without an empty line behind it")
	}
	return nil
}

// after looks at how m ends, and at the next From_ line, where the scanner
// stands.
func (c *Check) after(s *Scanner, m *Message, seq uint32) {
	last := s.Off >= s.W.End()
	if c.format == MMDF {
		c.afterDelimited(s, m, seq)
		c.contentLength(s, m, seq, true)
		return
	}
	switch {
	case m.Bits&BitTornFrom != 0:
		c.damage("torn-tail", s.W.End()-1, seq, "file ends with a From_ line that has no line end: adding a message was interrupted")
	case m.Bits&BitOpen != 0 && c.tornFrom(m, s.W.End()):
		c.damage("torn-tail", s.W.End()-1, seq, "file ends within a From_ line that has no line end: adding a message was interrupted")
	case m.Bits&BitOpen != 0:
		c.doubt("no-newline", s.W.End()-1, seq, "file does not end with a line end")
	}
	if !last && m.End == s.Off && m.Body < s.Off {
		c.doubt("from-no-blank", s.Off, seq+1, "From_ line has no empty line before it: it may be a line of the message before")
	}
	c.contentLength(s, m, seq, last)
}

// leads looks at the delimiters before a message; the scanner stands behind
// them.
func (c *Check) leads(s *Scanner, n int) {
	if c.format != MMDF {
		return
	}
	want, seq := 2, uint32(s.number())
	if s.first() {
		want = 1
	}
	from := s.Off - int64(n*len(Delimiter))
	switch {
	case n > want:
		c.doubt("delimiter-extra", from, seq, "%d delimiters stand before the message, not %d", n, want)
	case n < want:
		c.doubt("delimiter-single", from, seq, "one delimiter stands between two messages, not two: this may be a part of the one before")
	}
}

// afterDelimited looks at how m ends.
func (c *Check) afterDelimited(s *Scanner, m *Message, seq uint32) {
	end := make([]byte, len(Delimiter))
	n, _ := c.ReadAt(end, s.Off) // a short read is the end of the file
	if s.Off+int64(n) > s.W.End() {
		n = int(s.W.End() - s.Off)
	}
	before := make([]byte, 1)
	c.ReadAt(before, m.End-1)
	switch {
	case string(end[:n]) != Delimiter:
		c.damage("torn-tail", max(s.W.End()-1, 0), seq, "file ends without a delimiter: adding a message was interrupted")
	case m.End > m.From && before[0] != '\n':
		c.doubt("delimiter-glued", s.Off, seq, "delimiter stands at the end of a line of text")
	}
}

// contentLength compares Content-Length with what there is.
func (c *Check) contentLength(s *Scanner, m *Message, seq uint32, last bool) {
	if c.claim < 0 || m.Body+c.claim == m.End || m.Body+c.claim == s.Off {
		return
	}
	end := m.Body + c.claim
	if end > s.Off && !last {
		c.doubt("from-content-length", s.Off, seq+1, "From_ line stands %d octets before the end of message %d as its Content-Length has it: it may be a line of that",
			end-s.Off, seq)
		return
	}
	c.doubt("content-length", c.claimAt, seq, "Content-Length is %d, the body has %d octets", c.claim, m.End-m.Body)
}

// nulEnd is a run of NULs that no message ends with.
const nulEnd = 16

// A bodyCheck is what is to be said about a body.
type bodyCheck struct {
	uids        []innerUID // X-UID lines
	first, nuls int64      // the first long run of NULs
	runAt, run  int64      // the run that goes on
	bareAt      int64      // the first CR without LF
	bares       int64
	crlfAt      int64 // the first CR LF
	crlfs, lfs  int64
	garbled     []int64 // lines that may have been a From_ line or a delimiter once
	glued       []int64 // From_ lines at the end of another line
	lastAt      int64   // the last run of NULs
	last        int64   // its length
}

// partSize is how much of a body is looked at at once.
const partSize = 256 << 10

// overlap is how much of a part of the body is looked at again with the next,
// for what lies across.
const overlap = 1 << 10

// body looks at the octets of a body.
func (c *Check) body(s *Scanner, m *Message, seq uint32) error {
	b := bodyCheck{first: -1, bareAt: -1, crlfAt: -1}
	if want := min(s.Off-m.Body, partSize); int64(len(c.buf)) < want {
		c.buf = make([]byte, want)
	}
	var kept int
	for off := m.Body; off < s.Off && !c.Stopped(); {
		n, err := c.ReadAt(c.buf[kept:kept+int(min(int64(len(c.buf)-kept), s.Off-off))], off)
		if n == 0 {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		b.add(c.format, c.buf[:kept+n], kept, off-int64(kept))
		off += int64(n)
		next := min(overlap, kept+n)
		copy(c.buf, c.buf[kept+n-next:kept+n])
		kept = next
	}
	tail := b.run
	b.flush()
	c.inner, c.glued = b.uids, b.glued
	c.say(&b, s, m, seq, tail)
	return nil
}

// say reports what was seen.
func (c *Check) say(b *bodyCheck, s *Scanner, m *Message, seq uint32, tail int64) {
	switch {
	case tail > 1 && s.Off == s.W.End():
		c.damage("nul-tail", b.runAt, seq, "file ends with %d NULs: an older program was interrupted when it wrote the mailbox, and messages may be damaged", tail)
	case b.last >= nulEnd && b.lastAt+b.last >= m.End-1 && m.Bits&BitOpen == 0:
		c.damage("nul-end", b.lastAt, seq, "the message ends with %d NULs, which were never written", b.last)
	case b.first >= 0:
		c.doubt("nuls", b.first, seq, "%d NULs in a row stand in the body: a block of it may be lost", b.nuls)
	}
	if b.bares > 0 {
		c.doubt("bare-cr", b.bareAt, seq, "%d CRs without LF stand in the body", b.bares)
	}
	switch {
	case b.crlfs > 0 && b.lfs > 0 && b.crlfs != b.lfs:
		c.doubt("mixed-lines", b.crlfAt, seq, "%d of %d lines of the body end in CR LF, the others in LF", b.crlfs, b.lfs)
	case b.crlfs > 0 && !c.crlf:
		c.crlf = true
		c.doubt("crlf", b.crlfAt, seq, "lines end in CR LF: the next session that changes the mailbox makes them LF")
	}
	for _, off := range b.garbled {
		switch {
		case c.format == Unix:
			c.doubt("from-garbled", off, seq, "line begins like a From_ line and a header follows: two messages may be one here")
		case c.wasDelimiter(off, m.End):
			c.inner = nil // whose they are is seen when it is a delimiter
			c.damage("delimiter-garbled", off, seq, "line was a delimiter: two messages are one here, or it is taken for text")
		default:
			c.doubt("delimiter-garbled", off, seq, "line is nearly a delimiter: two messages may be one here")
		}
	}
}

// wasDelimiter reports whether the line at off, which is nearly a delimiter, is
// followed by what a delimiter is followed by, in a message that ends at end.
func (c *Check) wasDelimiter(off, end int64) bool {
	b := make([]byte, 1<<10)
	n, _ := c.ReadAt(b, off) // fewer octets are the end of the file
	rest := afterLine(b[:n])
	next := firstLine(rest)
	if isQuotedDelimiter(b[:n]) && c.beginsLine(off) && end >= 0 {
		return isDelimiter(next) && len(rest) > len(next) && !isDelimiter(rest[len(next):])
	}
	_, from := ParseFrom(next)
	return from || off+int64(n-len(rest)) == end || string(next) == Delimiter || garbledDelimiter(next)
}

// beginsLine reports whether a line begins at off.
func (c *Check) beginsLine(off int64) bool {
	var b [1]byte
	c.ReadAt(b[:], off-1)
	return b[0] == '\n'
}

// isQuotedDelimiter reports whether b begins with what a Formatter makes of a
// delimiter in a text. In a text it is one only where another one is missing: one
// delimiter, and no second, stands behind it.
func isQuotedDelimiter(b []byte) bool {
	return string(bytes.TrimRight(firstLine(b), "\r\n")) == Delimiter[:3]
}

// isDelimiter reports whether b begins with a delimiter, which may end in CR LF.
func isDelimiter(b []byte) bool {
	return string(bytes.TrimRight(firstLine(b), "\r\n")) == Delimiter[:4]
}

// add looks at part b of the body, which is at off in the file. What is before
// b[new:] was looked at before.
func (k *bodyCheck) add(f Format, b []byte, new int, off int64) {
	k.addNULs(b[new:], off+int64(new))
	k.lfs += int64(bytes.Count(b[new:], []byte("\n")))
	if bytes.IndexByte(b, '\r') >= 0 {
		k.addCRs(b, new, off)
	}
	k.addUIDs(b, off)
	if f == Unix {
		k.addGlued(b, off)
	}
	k.addGarbled(f, b, off)
}

// addGarbled looks for lines that may have been a From_ line or a delimiter.
func (k *bodyCheck) addGarbled(f Format, b []byte, off int64) {
	before, is := "\n\n", garbled
	begin := "From "
	if f == MMDF {
		before, begin, is = "\n", "\x01", garbledDelimiter
		k.addWiped(b, off)
	}
	for at := 0; len(k.garbled) < maxGarbled; {
		i := bytes.Index(b[at:], []byte(before+begin))
		if i < 0 {
			return
		}
		at += i + len(before)
		if n := len(k.garbled); is(b[at:]) && (n == 0 || k.garbled[n-1] < off+int64(at)) {
			k.garbled = append(k.garbled, off+int64(at))
		}
	}
}

// addWiped looks for what is left of a delimiter behind octets that were wiped.
func (k *bodyCheck) addWiped(b []byte, off int64) {
	const rest = "\x01\n"
	for at := 0; len(k.garbled) < maxGarbled; {
		i := bytes.Index(b[at:], []byte(rest+"From "))
		if i < 0 {
			return
		}
		at += i + len(rest)
		start := len(bytes.TrimRight(b[:at-1], "\x01"))
		if n := len(k.garbled); start > 0 && wasWiped(b[start-1]) && garbledDelimiter(b[start:]) && (n == 0 || k.garbled[n-1] < off+int64(start)) {
			k.garbled = append(k.garbled, off+int64(start))
		}
	}
}

// maxGarbled is how many lines of one message that look like From_ lines or
// delimiters are reported.
const maxGarbled = 100

// garbled reports whether a line that begins "From " and is no From_ line has
// a header field behind it.
func garbled(b []byte) bool {
	eol := bytes.IndexByte(b, '\n') + 1
	if eol == 0 || eol == len(b) {
		return false
	}
	if _, ok := ParseFrom(b[:eol]); ok {
		return false
	}
	return isField(b[eol:])
}

// garbledDelimiter reports whether b begins with a line that is no delimiter but
// may have been one: it has little but 0x01, or CRs.
func garbledDelimiter(b []byte) bool {
	eol := bytes.IndexByte(b, '\n')
	if eol < 2 || string(b[:eol+1]) == Delimiter {
		return false
	}
	ones := bytes.Count(b[:eol], []byte("\x01"))
	return len(bytes.Trim(b[:eol], "\x01\r")) == 0 || ones > 2 && eol-ones <= 2
}

// addCRs counts CRs that are new, but for one at the end of b, which is judged
// with what follows it.
func (k *bodyCheck) addCRs(b []byte, new int, off int64) {
	for i := max(0, new-1); i+1 < len(b); i++ {
		n := bytes.IndexByte(b[i:len(b)-1], '\r')
		if n < 0 {
			return
		}
		i += n
		if b[i+1] == '\n' {
			if k.crlfs++; k.crlfAt < 0 {
				k.crlfAt = off + int64(i)
			}
		} else if k.bares++; k.bareAt < 0 {
			k.bareAt = off + int64(i)
		}
	}
}

func (k *bodyCheck) addNULs(b []byte, off int64) {
	for n := 0; n < len(b); {
		if b[n] != 0 {
			k.flush()
			i := bytes.IndexByte(b[n:], 0)
			if i < 0 {
				return
			}
			n += i
		}
		if k.run == 0 {
			k.runAt = off + int64(n)
		}
		k.run++
		n++
	}
}

// flush ends a run of NULs.
func (k *bodyCheck) flush() {
	if k.first < 0 && k.run >= manyNULs {
		k.first, k.nuls = k.runAt, k.run
	}
	if k.run > 0 {
		k.lastAt, k.last = k.runAt, k.run
	}
	k.run = 0
}
