package mbox

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// A Scanner reads messages into an index.
type Scanner struct {
	Format   Format
	Dialect  Dialect // of the format Unix
	Bare     bool    // IsBare lines are From_ lines, too; without a "-", behind an empty line
	Env      *mailbox.Env
	W        *winread.Window
	Ix       *Index
	Off      int64
	ReadOnly bool      // what is made up will not be stored
	Written  time.Time // when the file was: the date of MMDF messages without one
	Check    Watcher   // looks at all more closely; nil for none
	imap     bool      // it has a valid X-IMAP line
	mark     bool      // it looks like the pseudo-message
	claimed  claim     // of the message being read
}

// A Watcher goes with a Scanner. It is an interface for the sake of programs that
// never have one: a Check, which it always is, is as large as the Scanner.
type Watcher interface {
	leads(s *Scanner, n int)
	line(s *Scanner, m *Message, ln []byte, ours bool)
	message(s *Scanner, m *Message) error
	lost(s *Scanner, next uint32) error
}

// Run scans from ix.end to the end of the window. The octets there must begin
// a message, or be blank.
func (s *Scanner) Run() error {
	s.Off = s.Ix.End
	if err := s.start(); err != nil {
		return err
	}
	for s.Off < s.W.End() {
		if err := s.message(); err != nil {
			return err
		}
	}
	return s.finish()
}

// Next reads messages of a stream up to one that is for people, into ix, whose
// End is where it goes on; false at the end of the window.
func (s *Scanner) Next() (bool, error) {
	s.Off = s.Ix.End
	if s.Off == 0 {
		if err := s.blanks(); err != nil {
			return false, err
		}
	}
	for n := len(s.Ix.Msgs); s.Off < s.W.End(); {
		if err := s.message(); err != nil {
			return false, err
		}
		s.Ix.End = s.Off
		if len(s.Ix.Msgs) > n {
			return true, nil
		}
	}
	return false, s.finish()
}

// finish is called at the end of the window.
func (s *Scanner) finish() error {
	if s.Check != nil {
		if err := s.Check.lost(s, 0); err != nil {
			return err
		}
	}
	s.Ix.End = s.W.End()
	if s.Ix.Validity == 0 {
		s.Ix.Validity = uint32(s.Env.Now().Unix())
		s.Ix.Dirty, s.Ix.Made = true, true
		if len(s.Ix.Msgs) > 0 && !s.ReadOnly {
			s.Env.Notify(mailbox.Info, "Assigning new unique identifiers to all messages")
		}
	}
	return nil
}

// blanks passes over what may stand before the first message.
func (s *Scanner) blanks() error {
	for s.Off < s.W.End() {
		b, err := s.W.From(s.Off)
		if err != nil {
			return err
		}
		rest := bytes.TrimLeft(b, "\n\r \t")
		s.Off += int64(len(b) - len(rest))
		if len(rest) > 0 {
			break
		}
	}
	return nil
}

// start looks at what stands before the first message to be read.
func (s *Scanner) start() error {
	if s.Format == Unix {
		return s.blanks()
	}
	ln, err := s.W.Line(s.Off)
	if err == nil && len(ln) > 0 && string(ln) != Delimiter {
		err = s.unexpected(ln)
	}
	return err
}

// unexpected is the error where no message begins with ln.
func (s *Scanner) unexpected(ln []byte) error {
	return &mailbox.Error{
		Op: "open", Driver: s.Format.Name(), Off: s.Off, Err: mailbox.ErrFormat,
		Said: fmt.Sprintf("Unexpected changes to mailbox (try restarting): %.20s", ln),
	}
}

// message reads one message; in MMDF there may be none.
func (s *Scanner) message() error {
	var m Message
	if some, err := s.begin(&m); err != nil || !some {
		return err
	}
	s.imap, s.mark = false, false
	last := s.Ix.Last
	ended, err := s.headers(&m)
	if err != nil {
		return err
	}
	switch {
	case s.Format == Unix:
		err = s.body(&m)
	case ended:
		err = s.closeDelimited(&m, bodyTally{}, false)
	default:
		err = s.delimited(&m)
	}
	if err == nil && s.Check != nil {
		err = s.Check.message(s, &m)
	}
	if err != nil {
		return err
	}
	if s.imap && s.mark {
		s.Ix.Pseudo, s.Ix.Internal = true, m
		s.Ix.Last = max(last, s.Ix.Last) // a UID of its own means nothing
		return nil
	}
	s.assign(&m)
	s.Ix.Msgs = append(s.Ix.Msgs, m)
	return nil
}

// begin reads what stands before the header of a message: delimiters, and the
// From_ line, which MMDF can do without. It is false where there is nothing
// behind the delimiters.
func (s *Scanner) begin(m *Message) (some bool, err error) {
	leads := 0
	if s.Format == MMDF {
		if leads, err = s.delimiters(); err != nil || s.Off >= s.W.End() {
			return false, err
		}
	}
	m.From = s.Off
	ln, err := s.W.Line(s.Off)
	if err != nil {
		return false, err
	}
	if s.Check != nil {
		s.Check.leads(s, leads)
	}
	f, ok := ParseFrom(ln)
	switch {
	case !ok && s.Bare && IsBare(ln):
		m.Header = uint32(len(ln))
		s.Off += int64(len(ln))
		return true, nil
	case !ok && s.Format == Unix:
		return false, s.unexpected(ln)
	case !ok:
		m.Date = s.undated()
		return true, nil
	}
	if m.Date, ok = f.Date(s.Env.Now().Location()); !ok {
		s.Env.Notify(mailbox.Warn, "Unable to parse internal date: "+f.said())
	}
	m.Header = uint32(len(ln))
	s.Off += int64(len(ln))
	return true, nil
}

// assign gives a message without a valid UID the next one.
func (s *Scanner) assign(m *Message) {
	ix := s.Ix
	if m.System&mailbox.Recent != 0 {
		ix.Dirty = true
	}
	if m.UID != 0 {
		return
	}
	if ix.Last == math.MaxUint32 { // begin again
		for i := range ix.Msgs {
			ix.Msgs[i].UID = uint32(i + 1)
			ix.Msgs[i].Bits |= BitUIDless
		}
		ix.Last, ix.Validity = uint32(len(ix.Msgs)), 0
		s.Env.Notify(mailbox.Warn, "UIDs are used up, all messages get new ones")
	}
	ix.Last++
	m.UID = ix.Last
	m.Bits |= BitUIDless
	ix.Late = s.Format == Unix // as in the original
}

// first reports whether the message being read is the first of the file.
func (s *Scanner) first() bool { return len(s.Ix.Msgs) == 0 && !s.Ix.Pseudo }

// Head reads the header of the first message only.
func (s *Scanner) Head() error {
	if err := s.start(); err != nil {
		return err
	}
	var m Message
	some, err := s.begin(&m)
	if err == nil && some {
		_, err = s.headers(&m)
	}
	s.Ix.End = s.Off
	return err
}

// headers reads the header block. It tells whether a delimiter ended the
// message with it.
func (s *Scanner) headers(m *Message) (ended bool, err error) {
	m.System = mailbox.Recent
	s.claimed = claim{octets: -1}
	inOurs := false // within the lines of a status field
	for !ended && s.Off < s.W.End() {
		ln, err := s.W.Line(s.Off)
		if err != nil {
			return false, err
		}
		begin := ln[0]
		if begin == '\n' || begin == '\r' && len(ln) == 2 && ln[1] == '\n' {
			s.Off += int64(len(ln))
			m.Size += 2
			break
		}
		if s.Format == MMDF && s.isDelimiter(ln) {
			ended = true
			break
		}
		if s.Check != nil {
			s.Check.line(s, m, ln, inOurs)
		}
		hidden := false
		if begin == ' ' || begin == '\t' {
			if hidden = inOurs; hidden {
				s.Env.Notify(mailbox.Warn, fmt.Sprintf("Discarding bogus continuation in msg %d: %.80s", s.number(), bytes.TrimRight(ln, "\r\n")))
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
		length := s.Dialect.counted() && isLength(ln)
		if length {
			s.takeLength(ln)
			s.claimed.size -= m.Size
			s.claimed.disk -= int64(m.Visible)
		}
		if ended, err = s.header(m, ln, hidden); err != nil {
			return false, err
		}
		if length {
			s.claimed.size += m.Size
			s.claimed.disk += int64(m.Visible)
		}
	}
	m.Body = s.Off
	return ended, nil
}

// header passes over one header line, of which ln is the beginning. It tells
// whether a delimiter stands at the end of it.
func (s *Scanner) header(m *Message, ln []byte, hidden bool) (ended bool, err error) {
	var t tally
	for more := false; ; more = true {
		piece := ln
		if s.Format == MMDF {
			piece, ended = s.cut(ln, more)
		}
		s.Off += int64(len(piece))
		t.add(piece)
		if ended || piece[len(piece)-1] == '\n' || s.Off >= s.W.End() {
			ln = piece
			break
		}
		if ln, err = s.W.Line(s.Off); err != nil {
			return false, err
		}
	}
	if hidden {
		return ended, nil
	}
	m.Size += t.disk + t.lines
	if ln[len(ln)-1] != '\n' {
		t.disk++ // it will have a line end when it is written
	}
	if int64(m.Visible)+t.disk > math.MaxUint32 {
		return false, &mailbox.Error{
			Op: "open", Driver: s.Format.Name(), Off: m.From,
			Err: fmt.Errorf("%w: message %d has a header of more than 4 GiB", mailbox.ErrCorrupt, s.number()),
		}
	}
	m.Visible += uint32(t.disk)
	return ended, nil
}

// cut cuts a delimiter from the end of a piece of a line, which is not the
// first where more of it stands before. What may be the beginning of one is
// left for the next piece.
func (s *Scanner) cut(ln []byte, more bool) (piece []byte, found bool) {
	last := s.Off+int64(len(ln)) == s.W.End()
	if ln[len(ln)-1] != '\n' && !last {
		return ln[:len(ln)-len(Delimiter)], false
	}
	return cutDelimiter(ln, last, more)
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
func (s *Scanner) number() int { return len(s.Ix.Msgs) + 1 }

// take takes a line of ours into the state.
func (s *Scanner) take(m *Message, ln []byte, f field, exact bool, value []byte) {
	if !exact {
		name := ln[:len(fieldNames[f])] // in another case
		s.Env.Notify(mailbox.Warn, fmt.Sprintf("Discarding bogus %s header in message %d", name, s.number()))
		return
	}
	if f != fieldStatus && f != fieldXStatus && len(bytes.TrimSpace(value)) > 0 {
		m.Bits |= BitBound
	}
	switch f {
	case fieldStatus, fieldXStatus:
		sys, old := parseStatus(value)
		m.System |= sys
		if old {
			m.System &^= mailbox.Recent
		}
	case fieldXKeywords:
		m.Keywords |= uint32(parseKeywords(value, s.Ix.Keywords))
	case fieldXIMAP, fieldXIMAPbase:
		s.base(f, value)
	case fieldXUID:
		s.uid(m, value)
	}
}

// Base takes X-IMAP or X-IMAPbase; the first valid one of the first message
// counts.
func (s *Scanner) base(f field, value []byte) {
	if !s.first() || s.Ix.Validity != 0 {
		return
	}
	validity, last, keywords, ok := parseBase(value)
	if !ok {
		return
	}
	s.Ix.Validity, s.Ix.Last, s.Ix.Keywords = validity, max(s.Ix.Last, last), keywords
	s.imap = f == fieldXIMAP
}

// UID takes X-UID. One that cannot be true means that somebody else numbered
// the messages: none from here on is believed, and UIDVALIDITY changes.
func (s *Scanner) uid(m *Message, value []byte) {
	ix := s.Ix
	if ix.Validity == 0 {
		return
	}
	uid, _, _ := parseNumber(bytes.TrimLeft(value, " "))
	var before uint32
	if n := len(ix.Msgs); n > 0 {
		before = ix.Msgs[n-1].UID
	}
	switch {
	case s.imap: // of the pseudo-message, probably
	case m.UID != 0:
		s.Env.Notify(mailbox.Warn, fmt.Sprintf("Message %d UID %d already has UID %d", s.number(), uid, m.UID))
		ix.Validity, m.UID = 0, 0
	case uid <= before:
		s.Env.Notify(mailbox.Warn, fmt.Sprintf("Message %d UID %d less than %d", s.number(), uid, uint64(before)+1))
		ix.Validity = 0
	default:
		m.UID = uid
		if uid > ix.Last {
			ix.Last, ix.Dirty = uid, true
		}
	}
}

// body passes over a body of the format Unix.
func (s *Scanner) body(m *Message) error {
	if s.Dialect.counted() {
		if found, err := s.countedBody(m); found || err != nil {
			return err
		}
	}
	return s.text(m)
}

// text passes over the body, to the next From_ line or the end of the file.
func (s *Scanner) text(m *Message) error {
	var (
		lines int64   // LFs
		crs   int64   // of them after CR
		bol   = true  // at the beginning of a line
		fresh = false // the window begins here and holds as much as it can
		cr    bool    // the octet before is CR
		blank int64   // length of the last line, if that is empty
	)
	for s.Off < s.W.End() {
		b, err := s.W.From(s.Off)
		if err != nil {
			return err
		}
		i := 0
		for i < len(b) {
			rest := b[i:]
			n := bytes.IndexByte(rest, '\n') + 1
			if bol && (rest[0] == 'F' || rest[0] == '>' && s.Dialect.unquotes()) {
				if n == 0 && s.Off+int64(len(b)) < s.W.End() && !(fresh && i == 0) { // look at the whole line
					break
				}
				_, ok := ParseFrom(rest[:n])
				if ok || s.Bare && IsBare(rest[:n]) && (blank > 0 || rest[len(fromWord)] == '-') {
					s.Off += int64(i)
					return s.close(m, lines, crs, blank, false)
				}
				if s.Dialect.isQuoted(rest) {
					m.Size--
					m.Bits |= BitQuoted
				}
			}
			if n == 0 {
				if bol && s.Off+int64(len(b)) == s.W.End() && tornFrom(rest) {
					m.Bits |= BitTornFrom
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
		s.Off += int64(i)
		if fresh = i < len(b); fresh {
			if _, err := s.W.Refill(s.Off); err != nil {
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
	_, ok := ParseFrom(append(bytes.Clone(ln), '\n'))
	return ok
}

// close ends the body at s.off.
func (s *Scanner) close(m *Message, lines, crs, blank int64, open bool) error {
	m.End = s.Off - blank
	if blank > 0 {
		lines--
		if blank == 2 {
			crs--
		}
	}
	m.Size += m.End - m.Body + lines - crs
	if crs > 0 || blank == 2 {
		m.Bits |= BitCR
	}
	if open && m.End > m.Body {
		m.Bits |= BitOpen
	}
	return nil
}
