package unix

import (
	"bytes"
	"fmt"
	"math"

	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// A message is where one message is in the file, and its state: 64 octets.
type message struct {
	from     int64 // offset of the From_ line
	body     int64 // offset of the body
	end      int64 // of the body, without the empty line that closes it
	size     int64 // as presented
	keywords uint32
	uid      uint32
	header   uint32 // length of the From_ line
	visible  uint32 // length of the header lines that are presented, with LF
	date     mailbox.Date
	system   mailbox.SystemFlags
	bits     uint8
}

// Bits of a message.
const (
	bitCR       = 1 << iota // some line of the body ends in CR LF
	bitOpen                 // the last line of the body has no LF
	bitChanged              // the status block in the file is not what it should be
	bitUIDless              // the file does not have its UID
	bitTornFrom             // the last line of the body would be a From_ line, if it had an LF
)

// An index is what a scan of the file gave.
type index struct {
	msgs     []message
	pseudo   bool
	internal message // the pseudo-message
	validity uint32
	made     bool // validity was made up: the file has none
	last     uint32
	keywords []string
	end      int64 // offset up to which the file was scanned
	dirty    bool  // the file should be rewritten when the session ends
	late     bool  // UIDs are missing in the file; reason to rewrite at the next Ping only
}

func (ix *index) recent() (n uint32) {
	for i := range ix.msgs {
		if ix.msgs[i].system&mailbox.Recent != 0 {
			n++
		}
	}
	return n
}

// A scanner reads messages into an index.
type scanner struct {
	env      *mailbox.Env
	w        *winread.Window
	ix       *index
	off      int64
	readOnly bool // what is made up will not be stored
	imap     bool // it has a valid X-IMAP line
	mark     bool // it looks like the pseudo-message
}

// run scans from ix.end to the end of the window. The octets there must begin
// a message, or be blank.
func (s *scanner) run() error {
	s.off = s.ix.end
	if err := s.blanks(); err != nil {
		return err
	}
	for s.off < s.w.End() {
		if err := s.message(); err != nil {
			return err
		}
	}
	s.ix.end = s.w.End()
	if s.ix.validity == 0 {
		s.ix.validity = uint32(s.env.Now().Unix())
		s.ix.dirty, s.ix.made = true, true
		if len(s.ix.msgs) > 0 && !s.readOnly {
			s.env.Notify(mailbox.Info, "Assigning new unique identifiers to all messages")
		}
	}
	return nil
}

// blanks passes over what may stand before the first message.
func (s *scanner) blanks() error {
	for s.off < s.w.End() {
		b, err := s.w.From(s.off)
		if err != nil {
			return err
		}
		rest := bytes.TrimLeft(b, "\n\r \t")
		s.off += int64(len(b) - len(rest))
		if len(rest) > 0 {
			break
		}
	}
	return nil
}

// message reads one message.
func (s *scanner) message() error {
	m := message{from: s.off}
	ln, err := s.w.Line(s.off)
	if err != nil {
		return err
	}
	f, ok := parseFrom(ln)
	if !ok {
		return &mailbox.Error{
			Op: "open", Driver: "unix", Off: s.off, Err: mailbox.ErrFormat,
			Said: fmt.Sprintf("Unexpected changes to mailbox (try restarting): %.20s", ln),
		}
	}
	if m.date, ok = f.date(s.env.Now().Location()); !ok {
		s.env.Notify(mailbox.Warn, "Unable to parse internal date: "+f.said())
	}
	m.header = uint32(len(ln))
	s.off += int64(len(ln))
	s.imap, s.mark = false, false
	last := s.ix.last
	if err := s.headers(&m); err != nil {
		return err
	}
	if err := s.text(&m); err != nil {
		return err
	}
	if s.imap && s.mark {
		s.ix.pseudo, s.ix.internal = true, m
		s.ix.last = max(last, s.ix.last) // a UID of its own means nothing
		return nil
	}
	s.assign(&m)
	s.ix.msgs = append(s.ix.msgs, m)
	return nil
}

// assign gives a message without a valid UID the next one.
func (s *scanner) assign(m *message) {
	ix := s.ix
	if m.system&mailbox.Recent != 0 {
		ix.dirty = true
	}
	if m.uid != 0 {
		return
	}
	if ix.last == math.MaxUint32 { // begin again
		for i := range ix.msgs {
			ix.msgs[i].uid = uint32(i + 1)
			ix.msgs[i].bits |= bitUIDless
		}
		ix.last, ix.validity = uint32(len(ix.msgs)), 0
		s.env.Notify(mailbox.Warn, "UIDs are used up, all messages get new ones")
	}
	ix.last++
	m.uid = ix.last
	m.bits |= bitUIDless
	ix.late = true
}

// first reports whether the message being read is the first of the file.
func (s *scanner) first() bool { return len(s.ix.msgs) == 0 && !s.ix.pseudo }

// headers reads the header block.
func (s *scanner) headers(m *message) error {
	m.system = mailbox.Recent
	inOurs := false // within the lines of a status field
	for s.off < s.w.End() {
		ln, err := s.w.Line(s.off)
		if err != nil {
			return err
		}
		begin := ln[0]
		if ln[0] == '\n' || begin == '\r' && len(ln) == 2 && ln[1] == '\n' {
			s.off += int64(len(ln))
			m.size += 2
			break
		}
		hidden := false
		if begin == ' ' || begin == '\t' {
			if hidden = inOurs; hidden {
				s.env.Notify(mailbox.Warn, fmt.Sprintf("Discarding bogus continuation in msg %d: %.80s", s.number(), bytes.TrimRight(ln, "\r\n")))
			}
		} else {
			f, exact, value := hiddenField(ln)
			if hidden = f != notOurs; hidden {
				s.take(m, ln, f, exact, value)
			} else {
				s.mark = s.mark || isMark(ln)
			}
			inOurs = hidden
		}
		if err := s.header(m, ln, hidden); err != nil {
			return err
		}
	}
	m.body = s.off
	return nil
}

// header passes over one header line, of which ln is the beginning.
func (s *scanner) header(m *message, ln []byte, hidden bool) error {
	var t tally
	for {
		s.off += int64(len(ln))
		t.add(ln)
		if ln[len(ln)-1] == '\n' || s.off >= s.w.End() {
			break
		}
		var err error
		if ln, err = s.w.Line(s.off); err != nil {
			return err
		}
	}
	if hidden {
		return nil
	}
	m.size += t.disk + t.lines
	if ln[len(ln)-1] != '\n' {
		t.disk++ // it will have a line end when it is written
	}
	if int64(m.visible)+t.disk > math.MaxUint32 {
		return &mailbox.Error{Op: "open", Driver: "unix", Off: m.from, Err: fmt.Errorf("%w: message %d has a header of more than 4 GiB", mailbox.ErrCorrupt, s.number())}
	}
	m.visible += uint32(t.disk)
	return nil
}

// A tally counts the octets of lines as they are stored by us, and lines. It
// takes pieces of lines.
type tally struct {
	disk  int64
	lines int64
	crs   int // CRs at the end of what was added, at most 2
}

// add counts a piece of at most one line.
func (t *tally) add(p []byte) {
	t.disk += int64(len(p))
	text := p
	if p[len(p)-1] == '\n' {
		t.lines++
		text = p[:len(p)-1]
	}
	crs := 0
	for crs < 2 && crs < len(text) && text[len(text)-1-crs] == '\r' {
		crs++
	}
	if crs == len(text) {
		crs = min(2, crs+t.crs)
	}
	t.crs = crs
	if len(text) == len(p) {
		return
	}
	t.crs = 0
	switch crs {
	case 1:
		t.disk-- // CR LF becomes LF
	case 2:
		t.lines-- // CR CR LF stays, or a CR would be lost: it reads as CR, line end
	}
}

// isMark reports whether a header line is one by which the pseudo-message is
// known: X-IMAP alone may come from anywhere.
func isMark(ln []byte) bool {
	if v, ok := bytes.CutPrefix(ln, []byte("Subject: ")); ok {
		return bytes.HasPrefix(v, []byte(pseudoSubject))
	}
	v, ok := bytes.CutPrefix(ln, []byte("From: "))
	return ok && bytes.HasPrefix(v, []byte(pseudoFrom))
}

// number is the message's number in warnings.
func (s *scanner) number() int { return len(s.ix.msgs) + 1 }

// take takes a line of ours into the state.
func (s *scanner) take(m *message, ln []byte, f field, exact bool, value []byte) {
	if !exact {
		name := ln[:len(fieldNames[f])] // in another case
		s.env.Notify(mailbox.Warn, fmt.Sprintf("Discarding bogus %s header in message %d", name, s.number()))
		return
	}
	switch f {
	case fieldStatus, fieldXStatus:
		sys, old := parseStatus(value)
		m.system |= sys
		if old {
			m.system &^= mailbox.Recent
		}
	case fieldXKeywords:
		m.keywords |= uint32(parseKeywords(value, s.ix.keywords))
	case fieldXIMAP, fieldXIMAPbase:
		s.base(f, value)
	case fieldXUID:
		s.uid(m, value)
	}
}

// base takes X-IMAP or X-IMAPbase; the first valid one of the first message
// counts.
func (s *scanner) base(f field, value []byte) {
	if !s.first() || s.ix.validity != 0 {
		return
	}
	validity, last, keywords, ok := parseBase(value)
	if !ok {
		return
	}
	s.ix.validity, s.ix.last, s.ix.keywords = validity, max(s.ix.last, last), keywords
	s.imap = f == fieldXIMAP
}

// uid takes X-UID. One that cannot be true means that somebody else numbered
// the messages: none from here on is believed, and UIDVALIDITY changes.
func (s *scanner) uid(m *message, value []byte) {
	ix := s.ix
	if ix.validity == 0 {
		return
	}
	uid, _, _ := parseNumber(bytes.TrimLeft(value, " "))
	var before uint32
	if n := len(ix.msgs); n > 0 {
		before = ix.msgs[n-1].uid
	}
	switch {
	case s.imap: // of the pseudo-message, probably
	case m.uid != 0:
		s.env.Notify(mailbox.Warn, fmt.Sprintf("Message %d UID %d already has UID %d", s.number(), uid, m.uid))
		ix.validity, m.uid = 0, 0
	case uid <= before:
		s.env.Notify(mailbox.Warn, fmt.Sprintf("Message %d UID %d less than %d", s.number(), uid, uint64(before)+1))
		ix.validity = 0
	default:
		m.uid = uid
		if uid > ix.last {
			ix.last, ix.dirty = uid, true
		}
	}
}

// text passes over the body, to the next From_ line or the end of the file.
func (s *scanner) text(m *message) error {
	var (
		lines int64       // LFs
		crs   int64       // of them after CR
		bol   = true      // at the beginning of a line
		fresh = false     // the window begins here and holds as much as it can
		cr    bool        // the octet before is CR
		blank int64       // length of the last line, if that is empty
		end   = s.w.End() // of the file
	)
	for s.off < end {
		b, err := s.w.From(s.off)
		if err != nil {
			return err
		}
		i := 0
		for i < len(b) {
			rest := b[i:]
			n := bytes.IndexByte(rest, '\n') + 1
			if bol && rest[0] == 'F' {
				if n == 0 && s.off+int64(len(b)) < end && !(fresh && i == 0) { // look at the whole line
					break
				}
				if _, ok := parseFrom(rest[:n]); ok {
					s.off += int64(i)
					return s.close(m, lines, crs, blank, false)
				}
			}
			if n == 0 {
				if bol && s.off+int64(len(b)) == end && tornFrom(rest) {
					m.bits |= bitTornFrom
				}
				bol, blank, cr = false, 0, rest[len(rest)-1] == '\r'
				i = len(b)
				break
			}
			lines++
			switch {
			case n >= 2 && rest[n-2] == '\r' || n == 1 && cr:
				crs++
				blank = 0
				if n == 2 && bol {
					blank = 2
				}
			case n == 1 && bol:
				blank = 1
			default:
				blank = 0
			}
			bol, cr = true, false
			i += n
		}
		s.off += int64(i)
		if fresh = i < len(b); fresh {
			if _, err := s.w.Refill(s.off); err != nil {
				return err
			}
		}
	}
	return s.close(m, lines, crs, blank, !bol)
}

// tornFrom reports whether a line without LF is a whole From_ line otherwise.
func tornFrom(ln []byte) bool {
	if ln[0] != 'F' {
		return false
	}
	_, ok := parseFrom(append(bytes.Clone(ln), '\n'))
	return ok
}

// close ends the body at s.off.
func (s *scanner) close(m *message, lines, crs, blank int64, open bool) error {
	m.end = s.off - blank
	if blank > 0 {
		lines--
		if blank == 2 {
			crs--
		}
	}
	m.size += m.end - m.body + lines - crs
	if crs > 0 || blank == 2 {
		m.bits |= bitCR
	}
	if open && m.end > m.body {
		m.bits |= bitOpen
	}
	return nil
}
