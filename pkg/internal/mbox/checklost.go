package mbox

import (
	"bytes"
	"io"
)

// An innerUID is an X-UID line in a body, as the original writes it behind the
// other status headers: a message whose From_ line is lost may be there.
type innerUID struct {
	off int64
	uid uint32
}

// statusTail is how a status block ends.
const statusTail = "\nX-UID: "

// addUIDs looks for X-UID lines.
func (k *bodyCheck) addUIDs(b []byte, off int64) {
	for at := 0; len(k.uids) < maxGarbled; {
		i := bytes.Index(b[at:], []byte(statusTail))
		if i < 0 {
			return
		}
		at += i + len(statusTail)
		uid, _, ok := parseNumber(b[at:])
		if n := len(k.uids); ok && (n == 0 || k.uids[n-1].off < off+int64(at-len(statusTail)+1)) {
			k.uids = append(k.uids, innerUID{off + int64(at-len(statusTail)+1), uid})
		}
	}
}

// lost reports the messages in the body of the last message whose From_ lines
// are lost: their UIDs are between its own and next, that of the message behind
// it (0: there is none, or it has none).
func (c *Check) lost(s *Scanner, next uint32) error {
	inner, last := c.inner, c.last
	c.inner = nil
	inPseudo := s.Ix.Pseudo && len(s.Ix.Msgs) == 0 // whose text has no mail in it
	if last == 0 && !inPseudo || s.Ix.Validity == 0 {
		return nil
	}
	seq := uint32(len(s.Ix.Msgs))
	for _, in := range inner {
		if in.uid < last || next != 0 && in.uid >= next || next == 0 && in.uid > s.Ix.Last {
			continue
		}
		h, ok, err := c.headOf(in.off)
		if err != nil {
			return err
		}
		switch {
		case !ok, !h.torn && in.uid == last: // it is that of the message itself
		case h.quoted && !c.Quoted && !inPseudo:
			c.doubt("from-quoted", h.at, seq, "message with the UID %d stands in the text of this one, behind a From_ line that is text: somebody forwarded it, or all From_ lines were quoted", in.uid)
		default:
			last = in.uid
			c.damage("from-lost", h.at, seq, "message with the UID %d begins within the text of this one: its From_ line is lost", in.uid)
		}
	}
	return nil
}

// An innerHead is the header of a message within a body.
type innerHead struct {
	at     int64 // where it begins, or what is there of its From_ line
	torn   bool  // only the end of its From_ line is left
	quoted bool  // all of its From_ line is, and it is text
}

// headOf returns the header that has a status block with the X-UID line at off.
func (c *Check) headOf(off int64) (h innerHead, ok bool, err error) {
	from := max(off-16<<10, 0)
	b := make([]byte, off-from)
	if _, err := c.ReadAt(b, from); err != nil && err != io.EOF {
		return h, false, err
	}
	start := max(bytes.LastIndex(b, []byte("\n\n"))+2, bytes.LastIndex(b, []byte("\n\r\n"))+3)
	if c.format == MMDF {
		start = max(start, bytes.LastIndex(b, []byte(Delimiter))+len(Delimiter))
	}
	head := b[start:]
	if n := headBehind(head); n > 0 {
		start += n
		head, h.torn = b[start:], true
	} else if isAttached(b[:start]) {
		return h, false, nil
	} else {
		h.torn = isRemnant(firstLine(head))
	}
	h.quoted = c.isQuoted(head) && !bytes.HasSuffix(b[:start], []byte(Delimiter))
	if from, ok := lastFrom(head); ok && c.format == Unix && !bytes.HasPrefix(head, []byte(">From ")) {
		start += from
	} else if !isField(head) && !wasFrom(head) && !h.torn {
		return h, false, nil
	}
	if start < 3 || !bytes.HasPrefix(head, []byte("Status: ")) && !bytes.Contains(head, []byte("\nStatus: ")) {
		return h, false, nil
	}
	line := head[bytes.LastIndexByte(head[:max(len(head)-1, 0)], '\n')+1:]
	if !bytes.HasPrefix(line, []byte("X-Keywords:")) {
		return h, false, nil
	}
	h.at = from + int64(start)
	return h, true, nil
}

// isQuoted reports whether head begins with a whole From_ line that is text: behind
// a >, or, in MMDF, where none ends a message.
func (c *Check) isQuoted(head []byte) bool {
	line, quoted := bytes.CutPrefix(firstLine(head), []byte(">"))
	_, ok := ParseFrom(line)
	return ok && (quoted || c.format == MMDF)
}

// isAttached reports whether b ends with the header of a part of a message that is
// a message itself.
func isAttached(b []byte) bool {
	b = bytes.TrimRight(b, "\r\n")
	b = b[max(bytes.LastIndex(b, []byte("\n\n")), bytes.LastIndex(b, []byte("\n\r\n")), 0):]
	return bytes.Contains(bytes.ToLower(b), []byte("\ncontent-type: message/rfc822"))
}

// headBehind returns where in head the header of mail begins behind what is left of
// a From_ line, at the end of another line or behind octets that were wiped; 0 for
// nowhere.
func headBehind(head []byte) (at int) {
	for from := 0; ; {
		run, mail, ok := Unveiled(head[from:], "\n", 64, restOfFrom)
		if !ok {
			break
		}
		if from += mail; run > 0 || at > 0 { // else it was the From_ line
			at = from
		}
	}
	first := firstLine(head)
	if at == 0 && isTornFrom(first) && !isRemnant(first) && !wasWiped(first[0]) && IsMail(head[len(first):]) {
		at = len(first)
	}
	for from := max(at, len(first)); ; {
		i := bytes.IndexByte(head[from:], '\n')
		if i < 0 {
			return at
		}
		line := head[from : from+i]
		blank := i > 0 && (line[0] == ' ' || line[0] == '\t')
		if from += i + 1; !blank && isTornFrom(head[from-i-1:from]) && IsMail(head[from:]) {
			at = from
		}
	}
}

// isTornFrom reports whether a line ends as a From_ line does and does not begin as
// one, be it quoted.
func isTornFrom(line []byte) bool {
	return endsFrom(bytes.TrimRight(line, "\r\n")) && !bytes.HasPrefix(bytes.TrimLeft(line, ">"), fromWord)
}

// isRemnant reports whether a line is nothing but the end of a From_ line.
func isRemnant(line []byte) bool {
	const whole = "From MAILER-DAEMON Mon Jan  1 00:00:00 2001 +0100\n"
	lost := whole[:max(len(whole)-len(line), len(fromWord))]
	_, ok := ParseFrom(append([]byte(lost), line...))
	return ok && isTornFrom(line)
}

// endsFrom reports whether b ends as a From_ line does, with a zone and what is left
// of a year before it.
func endsFrom(b []byte) bool { return len(b) > len("+0100") && restOfFrom(b) }

// restOfFrom reports whether b can be the end of a From_ line.
func restOfFrom(b []byte) bool {
	const shape = ":00 2004 +0100"
	n := len(b)
	for i := range min(n, len(shape)) {
		c, want := b[n-1-i], shape[len(shape)-1-i]
		switch {
		case want == '+' && (c == '+' || c == '-'), '0' <= want && want <= '9' && '0' <= c && c <= '9', c == want:
		default:
			return i >= len(" 2004 +0100") // another line may be before it
		}
	}
	return true
}

// tornFrom reports whether what the file ends with, behind an empty line, is
// the beginning of a From_ line.
func (c *Check) tornFrom(m *Message, end int64) bool {
	b := make([]byte, min(end-m.Body, 256))
	if n, _ := c.ReadAt(b, end-int64(len(b))); n < len(b) {
		return false
	}
	i := bytes.LastIndex(b, []byte("\n\n"))
	if i < 0 || bytes.IndexByte(b[i+2:], '\n') >= 0 || i+2 == len(b) {
		return false
	}
	line := b[i+2:]
	if len(line) <= len(fromWord) {
		return bytes.HasPrefix(fromWord, line)
	}
	if !bytes.HasPrefix(line, fromWord) {
		return false
	}
	words := bytes.Fields(line)
	return len(words) < 2 || bytes.IndexByte(words[1], '@') > 0 || len(words) > 2 && len(words[2]) == 3
}

// badFrom reports whether the header of m, which has no From_ line, begins with
// a line that was one: it is no field, and the message was in a mailbox.
func (c *Check) badFrom(m *Message) (bool, error) {
	b := make([]byte, min(m.Body-m.From, 64<<10))
	if _, err := c.ReadAt(b, m.From); err != nil && err != io.EOF {
		return false, err
	}
	first := b[:bytes.IndexByte(b, '\n')+1]
	return (nearFrom(first) || isWiped(b)) && bytes.Contains(b, []byte("\nX-UID: ")), nil
}

// lastFrom returns where the last From_ line begins in b, at whatever place of a
// line, before a field.
func lastFrom(b []byte) (at int, ok bool) {
	for at = bytes.LastIndex(b, fromWord); at > 0; at = bytes.LastIndex(b[:at], fromWord) {
		if b[at-1] != '\n' && b[at-1] != '>' && isWholeFrom(b[at:]) {
			return at, true
		}
	}
	return 0, false
}

// wasFrom reports whether b begins with a line that was a From_ line, as it
// seems, and a field behind it.
func wasFrom(b []byte) bool {
	line := b[:bytes.IndexByte(b, '\n')+1]
	clock := bytes.IndexByte(line, ':')
	timed := clock > 1 && clock+2 < len(line) && isDigits(line[clock-2:clock]) && isDigits(line[clock+1:clock+3])
	return (timed || nearFrom(line) || isWiped(b)) && isField(b[len(line):]) || isWiped(b) && isField(bytes.TrimLeft(line, "\x00\xFF"))
}

// isWiped reports whether octets of the first line of b were wiped.
func isWiped(b []byte) bool {
	line := b[:bytes.IndexByte(b, '\n')+1]
	return bytes.IndexByte(line, 0) >= 0 || bytes.IndexByte(line, 0xFF) >= 0
}
