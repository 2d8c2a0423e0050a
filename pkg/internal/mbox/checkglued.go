package mbox

import (
	"bytes"
	"io"
	"strings"
	"time"
	"unicode"
)

// addGlued looks for From_ lines that stand at the end of another line: the
// message there was torn, or octets were lost, or NULs stand before the line.
func (k *bodyCheck) addGlued(b []byte, off int64) {
	for at := 0; len(k.glued) < maxGarbled; {
		i := bytes.Index(b[at:], fromWord)
		if i < 0 {
			return
		}
		at += i
		if n := len(k.glued); at > 0 && (n == 0 || k.glued[n-1] < off+int64(at)) && isGlued(b, at) {
			k.glued = append(k.glued, off+int64(at))
		}
		at += len(fromWord)
	}
}

// isGlued reports whether a From_ line begins at b[at:], within a line, that can
// be nothing else: no quotation of one, with a sender, a date that can be, and
// the header of mail behind it.
func isGlued(b []byte, at int) bool {
	if b[at-1] == 0 {
		return isWholeFrom(b[at:])
	}
	before := bytes.TrimRight(b[bytes.LastIndexByte(b[:at], '\n')+1:at], " \t")
	if !bytes.ContainsFunc(before, func(c rune) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }) ||
		bytes.IndexByte([]byte(":|>\"'`([{<"), before[len(before)-1]) >= 0 {
		return false
	}
	return isWholeFrom(b[at:]) && IsMail(afterLine(b[at:]))
}

// isWholeFrom reports whether b begins with a From_ line that has a sender and
// a date that can be.
func isWholeFrom(b []byte) bool {
	eol := bytes.IndexByte(b, '\n') + 1
	if eol == 0 {
		return false
	}
	f, ok := ParseFrom(b[:eol])
	if !ok || len(f.Sender) == 0 || bytes.IndexByte(f.Sender, ' ') >= 0 {
		return false
	}
	_, ok = f.Date(time.UTC)
	return ok && isField(b[eol:])
}

// IsMail reports whether b begins with the header of mail: two fields, and one
// of those that all mail has.
func IsMail(b []byte) bool {
	known := false
	for n := range 40 {
		eol := bytes.IndexByte(b, '\n') + 1
		if eol <= 1 {
			return false
		}
		name, _, _ := bytes.Cut(b[:eol], []byte(":"))
		switch strings.ToLower(string(name)) {
		case "from", "date", "received", "return-path", "message-id", "subject", "to", "delivered-to":
			known = true
		}
		if !(isField(b[:eol]) && bytes.ContainsFunc(name, unicode.IsLetter)) && (n == 0 || b[0] != ' ' && b[0] != '\t') {
			return false // what is left of a time is no name
		}
		if known && n > 0 {
			return true
		}
		b = b[eol:]
	}
	return false
}

// gluedIn reports a From_ line that begins within a header line.
func (c *Check) gluedIn(s *Scanner, ln []byte, seq uint32) bool {
	i := bytes.LastIndex(ln, fromWord)
	if i < 1 || c.format != Unix {
		return false
	}
	if _, ok := ParseFrom(ln[i:]); !ok {
		return false
	}
	b := make([]byte, len(ln)+4<<10)
	n, err := c.ReadAt(b, s.Off)
	if err != nil && err != io.EOF || !isGlued(b[:n], i) {
		return false
	}
	c.damage("from-glued-header", s.Off+int64(i), seq, "From_ line stands at the end of a header line: the message ends there, cut off, and the next one cannot be seen")
	return true
}

// unveiledIn reports mail that begins in a header line behind octets that were wiped,
// and what they left of a From_ line, or behind a line that ends as one.
func (c *Check) unveiledIn(s *Scanner, ln []byte, seq uint32) bool {
	blank := ln[0] == ' ' || ln[0] == '\t' // a field goes on, which may end in a date
	ends := c.lines > 1 && !blank && !isField(ln) && isTornFrom(ln)
	if !ends && bytes.IndexByte(ln, 0) < 1 && bytes.IndexByte(ln, 0xFF) < 1 {
		return false
	}
	b := make([]byte, len(ln)+16<<10)
	n, err := c.ReadAt(b, s.Off)
	if err != nil && err != io.EOF {
		return false
	}
	run, mail, ok := Unveiled(b[:n], "\n", 64, restOfFrom)
	if _, whole := ParseFrom(ln); ends && !whole && IsMail(b[len(ln):n]) {
		run, mail, ok = 1, len(ln), true
	}
	if !ok || run == 0 || run >= len(ln) || headUID(b[mail:n]) == c.last+1 {
		return false // or there is no UID left for the message that was cut off
	}
	c.damage("header-wiped", s.Off+int64(mail), seq, "octets of the header were wiped or overwritten, and the header of another message follows, of which the From_ line is lost")
	return true
}

// headUID is the UID in the header that b begins with, 0 for none.
func headUID(b []byte) (uid uint32) {
	if end := bytes.Index(b, []byte("\n\n")); end >= 0 {
		b = b[:end]
	}
	if i := bytes.Index(b, []byte(statusTail)); i >= 0 {
		uid, _, _ = parseNumber(b[i+len(statusTail):])
	}
	return uid
}

// sayGlued reports the From_ lines in the body of the message that was read.
// Whose the X-UID lines behind them are is seen when they are lines.
func (c *Check) sayGlued(seq uint32) {
	if len(c.glued) > 0 {
		c.inner = nil
	}
	for _, off := range c.glued {
		c.damage("from-glued", off, seq, "From_ line stands at the end of another line: message %d ends there, cut off, and the next one cannot be seen", seq)
	}
	c.glued = nil
}
