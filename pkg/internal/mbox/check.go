package mbox

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"

	"mailutil/pkg/mailbox"
)

// A Reporter takes the findings of a Check, and has the octets of the file.
type Reporter interface {
	io.ReaderAt
	Damage(code string, off int64, seq uint32, format string, args ...any)
	Doubt(code string, off int64, seq uint32, format string, args ...any)
	Stopped() bool // findings are no longer wanted
}

// A Check is a Watcher that reports what is not as it should be.
type Check struct {
	Reporter

	// Quoted says that all From_ lines got a > before them: such a line is one, where
	// the UID behind it fits.
	Quoted bool

	format  Format
	lines   int   // header lines of the message being read
	claim   int64 // its Content-Length, -1 for none
	claimAt int64
	odd     bool  // a line that is no header field was reported
	crlf    bool  // CR LF was reported
	based   bool  // UIDs were believed
	badBase int64 // the first X-IMAPbase of the message that cannot be read, -1 for none
	buf     []byte

	last  uint32     // UID of the message before, 0 for none
	inner []innerUID // what stands in its body
	glued []int64    // From_ lines in the one that is looked at
}

// NewCheck returns a check of a file of the format f that reports to r.
func (f Format) NewCheck(r Reporter) *Check {
	return &Check{Reporter: r, format: f, claim: -1, badBase: -1}
}

func (c *Check) damage(code string, off int64, seq uint32, format string, args ...any) {
	c.Damage(c.format.Name()+"."+code, off, seq, format, args...)
}

func (c *Check) doubt(code string, off int64, seq uint32, format string, args ...any) {
	c.Doubt(c.format.Name()+"."+code, off, seq, format, args...)
}

// line looks at a header line of m, of which ln is the beginning, before the
// scanner takes it. ours says that the line before is a status header.
func (c *Check) line(s *Scanner, m *Message, ln []byte, ours bool) {
	c.lines++
	seq := uint32(s.number())
	if ln[0] == ' ' || ln[0] == '\t' {
		if ours {
			c.doubt("status-continuation", s.Off, seq, "continuation of a status header is ignored: %.60q", bytes.TrimSpace(ln))
		}
		if !c.gluedIn(s, ln, seq) {
			c.unveiledIn(s, ln, seq)
		}
		return
	}
	f, exact, value := hiddenField(ln)
	switch {
	case c.gluedIn(s, ln, seq):
	case c.unveiledIn(s, ln, seq):
	case f == notOurs:
		c.foreign(s, ln, seq)
	case !exact:
		c.doubt("status-spelling", s.Off, seq, "status header is ignored, its name must be %s: %.60q", fieldNames[f], bytes.TrimSpace(ln))
	case f == fieldXIMAP || f == fieldXIMAPbase:
		c.base(s, f, value, seq)
	case f == fieldXUID:
		c.uid(s, m, value, seq)
	case f == fieldXKeywords:
		c.keywords(s, value, seq)
	}
}

// foreign looks at a line of mail.
func (c *Check) foreign(s *Scanner, ln []byte, seq uint32) {
	_, isFrom := ParseFrom(ln)
	switch {
	case isFrom && c.lines > 1 && c.format == Unix:
		c.damage("from-in-header", s.Off, seq, "From_ line stands in the header: the message ends there, cut off, and the next one cannot be seen")
	case isFrom && c.lines == 1:
		c.doubt("from-twice", s.Off, seq, "From_ line stands behind another: it is taken for a header line")
	case isField(ln):
	case !c.odd && !bytes.HasPrefix(ln, []byte(">From ")):
		c.odd = true
		c.doubt("header-line", s.Off, seq, "line in the header is no header field: %.60q", bytes.TrimSpace(ln))
	}
	const name = "content-length:"
	if len(ln) > len(name) && strings.EqualFold(string(ln[:len(name)]), name) {
		if n, err := strconv.ParseInt(string(bytes.TrimSpace(ln[len(name):])), 10, 48); err == nil && n >= 0 {
			c.claim, c.claimAt = n, s.Off
		}
	}
}

// isField reports whether a line begins with a field name and a colon.
func isField(ln []byte) bool {
	i := 0
	for i < len(ln) && ln[i] > ' ' && ln[i] < 0x7F && ln[i] != ':' {
		i++
	}
	return i > 0 && i < len(ln) && bytes.HasPrefix(bytes.TrimLeft(ln[i:], " \t"), []byte(":"))
}

// base looks at X-IMAP and X-IMAPbase.
func (c *Check) base(s *Scanner, f field, value []byte, seq uint32) {
	_, _, _, ok := parseBase(value)
	switch {
	case !s.first():
		c.doubt("base-misplaced", s.Off, seq, "%s counts in the first message only", fieldNames[f])
	case !ok && c.badBase < 0:
		c.badBase = s.Off
	case s.Ix.Validity != 0:
		c.doubt("base-twice", s.Off, seq, "%s is there twice, the first counts", fieldNames[f])
	}
	c.based = c.based || ok && s.first()
}

// uid looks at X-UID as the scanner will.
func (c *Check) uid(s *Scanner, m *Message, value []byte, seq uint32) {
	uid, _, ok := parseNumber(bytes.TrimLeft(value, " "))
	before, made := uint32(0), false
	if n := len(s.Ix.Msgs); n > 0 {
		before, made = s.Ix.Msgs[n-1].UID, s.Ix.Msgs[n-1].Bits&BitUIDless != 0
	}
	switch {
	case s.imap:
	case s.Ix.Validity == 0 && !c.based:
		c.doubt("uid-unbased", s.Off, seq, "X-UID counts for nothing without X-IMAPbase before it")
	case s.Ix.Validity == 0: // after the first that was wrong
	case !ok || uid == 0:
		c.damage("uid-bad", s.Off, seq, "X-UID is no number above 0: this message and all behind it get new UIDs: %.20q", bytes.TrimSpace(value))
	case m.UID != 0:
		c.damage("uid-twice", s.Off, seq, "message has the UIDs %d and %d: this one and all behind it get new UIDs", m.UID, uid)
	case uid <= before && made:
		c.damage("uid-order", s.Off, seq, "UID %d stands behind a message without UID: this message and all behind it get new UIDs", uid)
	case uid <= before:
		c.damage("uid-order", s.Off, seq, "UID %d stands behind UID %d: this message and all behind it get new UIDs", uid, before)
	case uid > s.Ix.Last:
		c.doubt("uid-high", s.Off, seq, "UID %d is above %d, the last that was given", uid, s.Ix.Last)
	}
}

// keywords looks for names that the mailbox does not have.
func (c *Check) keywords(s *Scanner, value []byte, seq uint32) {
	for word := range bytes.FieldsFuncSeq(value, isWordEnd) {
		if KeywordIndex(s.Ix.Keywords, string(word)) < 0 {
			c.doubt("keyword-unknown", s.Off, seq, "keyword is not in the list of the mailbox and is ignored: %.60q", word)
		}
	}
}

// message looks at m as a whole, when the scanner stands behind it.
func (c *Check) message(s *Scanner, m *Message) error {
	seq := uint32(s.number())
	if err := c.from(s, m, seq); err != nil {
		return err
	}
	switch {
	case s.imap && s.mark:
		seq = 0
	case s.mark && s.first() && s.Ix.Validity != 0:
		c.doubt("pseudo-old", m.From, seq, "first message once held data of the mailbox and is shown as mail now")
	case s.mark && s.first():
		c.damage("pseudo-bad", m.From, seq, "first message holds data of the mailbox but has lost them: it is shown, and all messages get new UIDs")
	case s.mark:
		c.doubt("pseudo-second", m.From, seq, "message holds data of a mailbox, but is not the first: it is shown as mail")
	}
	switch {
	case c.badBase < 0:
	case s.Ix.Validity == 0:
		c.damage("base-bad", c.badBase, seq, "X-IMAPbase does not hold UIDVALIDITY and the last UID: all messages get new UIDs")
	default:
		c.doubt("base-bad", c.badBase, seq, "X-IMAPbase does not hold UIDVALIDITY and the last UID, and another one counts")
	}
	if err := c.header(s, m, seq); err != nil {
		return err
	}
	if err := c.lost(s, m.UID); err != nil {
		return err
	}
	if m.UID != 0 {
		c.last = m.UID
	}
	if err := c.body(s, m, seq); err != nil {
		return err
	}
	c.sayGlued(seq)
	c.after(s, m, seq)
	c.lines, c.claim, c.odd, c.badBase = 0, -1, false, -1
	if c.Stopped() {
		return mailbox.ErrTemporary // the reporter knows why
	}
	return nil
}

// from looks at the From_ line.
func (c *Check) from(s *Scanner, m *Message, seq uint32) error {
	if m.Header == 0 {
		bad, err := c.badFrom(m)
		if err != nil {
			return err
		}
		if why, err := c.noMessage(s, m); why != "" || err != nil {
			c.damage("no-message", m.From, seq, "%s stand between delimiters", why)
			return err
		}
		if c.format == MMDF && c.garbledLead(m) {
			c.damage("delimiter-garbled", m.From, seq, "first line of the message was a delimiter: its From_ line is taken for a header line")
		} else if bad {
			c.damage("from-bad", m.From, seq, "first line of the message is no From_ line, but status headers of a mailbox follow: its date is lost, and it is shown")
		} else {
			c.doubt("from-missing", m.From, seq, "message has no From_ line: its date is that of the file")
		}
		return nil
	}
	ln := make([]byte, m.Header)
	if _, err := c.ReadAt(ln, m.From); err != nil {
		return err
	}
	f, _ := ParseFrom(ln)
	if _, dated := f.Date(s.Env.Now().Location()); !dated {
		if c.format == MMDF || isDigits(f.year) && isDigits(bytes.TrimLeft(f.day, " ")) {
			c.doubt("from-undated", m.From, seq, "From_ line has no date that can be: %.80q", bytes.TrimSpace(ln))
		} else {
			c.doubt("from-prose", m.From, seq, "From_ line is text by its words, and should begin with \">\": %.80q", bytes.TrimSpace(ln))
		}
	}
	return nil
}

func isDigits(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c < '0' || c > '9' })
}

// noMessage says what stands between delimiters of MMDF that is no message: NULs,
// or the end of the message before, once more; "" for neither. The scanner stands
// behind it.
func (c *Check) noMessage(s *Scanner, m *Message) (why string, err error) {
	n := s.Off - m.From
	if c.format != MMDF || n > 64<<10 || s.Off >= s.W.End() {
		return "", nil
	}
	b := make([]byte, n)
	if _, err := c.ReadAt(b, m.From); err != nil && err != io.EOF {
		return "", err
	}
	if len(bytes.Trim(b, "\x00\n")) == 0 && bytes.IndexByte(b, 0) >= 0 {
		return "NULs", nil
	}
	before := m.From - int64(len(Delimiter)) - n
	if n < 24 || before < 0 { // less may be an accident
		return "", nil
	}
	o := make([]byte, n)
	if _, err := c.ReadAt(o, before); err != nil && err != io.EOF {
		return "", err
	}
	if bytes.Equal(b, o) {
		why = "octets of the end of the message before, once more,"
	}
	return why, nil
}

// garbledLead reports whether m begins with what was a delimiter: little but 0x01,
// or as short a line before a From_ line.
func (c *Check) garbledLead(m *Message) bool {
	b := make([]byte, 1<<10)
	n, _ := c.ReadAt(b, m.From) // fewer octets are the end of the file
	rest := afterLine(b[:n])
	_, from := ParseFrom(firstLine(rest))
	short := n-len(rest) <= len(Delimiter)+1
	return short && from || garbledDelimiter(b[:n]) && c.wasDelimiter(m.From, -1)
}
