package mboxfile

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// A mender takes the findings of a check and plans an edit for each.
type mender struct {
	*inspect.File
	r *repair

	pending bool
	start   int64 // where the messages begin
	edits   []mend.Edit
	ix      mbox.Index
	numbers bool // UIDs are not in order
	badBase int64
	baseless
}

// baseless says what has lost UIDVALIDITY.
type baseless struct {
	noBase bool  // X-IMAPbase cannot be read
	pseudo int64 // so does X-IMAP of the pseudo-message; its offset
	lacks  bool  // pseudo is set
}

// look looks at the file, and plans.
func (m *mender) look() error {
	start, end, err := m.r.d.recognise(m.File)
	if err != nil {
		return err
	}
	m.pending = m.Sides(m.r.d.env, m.r.d.journal(), m.r.d.format.Name(), m.r.d.env.Config.DotLockTimeout)
	if m.pending {
		return m.Err
	}
	if start > 0 {
		m.start = start
		m.setAside(0, start, true, "they stand before the first message")
	}
	if end == 0 { // the first line is bad
		return m.firstLine()
	}
	silent := *m.r.d.env
	silent.Notify = func(mailbox.Level, string) {}
	m.ix = mbox.Index{End: start}
	s := mbox.Scanner{
		Format: m.r.d.format, Env: &silent, W: winread.New(m.File, windowSize, end), Ix: &m.ix, ReadOnly: true,
		Check: m.r.d.format.NewCheck(m),
	}
	err = s.Run()
	m.In.Messages = uint32(len(m.ix.Msgs))
	if err != nil {
		return err
	}
	if m.numbers || m.noBase || m.lacks {
		return m.number()
	}
	return nil
}

// step adds to what is done.
func (m *mender) step(action string, off, octets int64, seq uint32, format string, args ...any) {
	m.r.steps = append(m.r.steps, mailbox.Step{Action: action, Off: off, Octets: octets, Seq: seq, Text: fmt.Sprintf(format, args...)})
}

// setAside leaves octets out.
func (m *mender) setAside(off, end int64, salvage bool, why string) {
	m.r.lost = append(m.r.lost, mend.Lost{Off: off, End: end, Why: why, Salvage: salvage, From: m.source()})
	m.r.acc.SetAside += end - off
	m.step("set-aside", off, end-off, 0, "set %d octets aside: %s", end-off, why)
}

// source is what offsets of this round are about.
func (m *mender) source() io.ReaderAt {
	if len(m.r.all) == 0 {
		return nil
	}
	return m.r.all[len(m.r.all)-1]
}

func (m *mender) edit(off, n int64, text string) {
	m.edits = append(m.edits, mend.Edit{Off: off, N: n, New: []byte(text)})
}

// Damage takes a finding of the check.
func (m *mender) Damage(code string, off int64, seq uint32, format string, args ...any) {
	m.File.Damage(code, off, seq, format, args...)
	_, code, _ = strings.Cut(code, ".")
	switch code {
	case "from-in-header":
		m.step("end-header", off, 0, seq, "end the header of the message there, which is cut off, and let the next one begin")
		m.edit(off, 0, "\n"+m.r.d.format.Tail())
		m.r.acc.Partial++
	case "from-lost":
		m.beginHere(off, seq)
	case "from-bad":
		m.writeFrom(off, seq, "")
	case "torn-tail":
		m.tornTail(off, seq, format)
	case "nul-tail":
		m.setAside(off, m.Size, false, "NULs, which were never written")
		m.edit(off, m.Size-off, m.closing(off))
	case "uid-bad", "uid-twice", "uid-order":
		m.numbers = true
	case "base-bad":
		m.noBase, m.badBase = true, off
	case "pseudo-bad":
		m.lacks, m.pseudo = true, off
	}
}

// Doubt takes what may be right.
func (m *mender) Doubt(code string, off int64, seq uint32, format string, args ...any) {
	m.File.Doubt(code, off, seq, format, args...)
	_, code, _ = strings.Cut(code, ".")
	switch {
	case code == "from-garbled" && m.r.o.SplitFrom:
		m.beginHere(off, seq+1)
	case m.r.o.QuoteFrom && off > m.start && (code == "from-prose" || code == "from-no-blank" || code == "from-content-length" || code == "from-no-header"):
		m.step("quote-from", off, 0, seq, "put > before the line, which then is text")
		m.edit(off, 0, ">")
	}
}

// tornTail ends what an interrupted append left.
func (m *mender) tornTail(off int64, seq uint32, why string) {
	if strings.Contains(why, "From_ line") {
		line, err := m.lineStart(m.Size)
		if err != nil {
			m.Err = err
			return
		}
		m.setAside(line, m.Size, false, "a From_ line without a message")
		m.edit(line, m.Size-line, "")
		return
	}
	if m.r.d.format == mbox.MMDF {
		start, junk, err := m.lastPart()
		if err != nil {
			m.Err = err
			return
		}
		if junk {
			m.setAside(start, m.Size, true, "they stand behind the last message")
			m.edit(start, m.Size-start, "")
			return
		}
	}
	m.r.acc.Partial++
	m.step("end-message", m.Size, 0, seq, "keep what is there of the message, and end it")
	m.edit(m.Size, 0, m.closing(m.Size)+"\n"+strings.TrimPrefix(m.r.d.format.Tail(), "\n"))
}

// lastPart returns where the octets behind the last delimiter begin, and whether
// they are no message: they have neither a whole From_ line nor a field.
func (m *mender) lastPart() (start int64, junk bool, err error) {
	const step = 64 << 10
	for end := m.Size; end > 0; end -= step {
		b := make([]byte, min(end, step+int64(len(mbox.Delimiter))))
		if _, err := m.ReadAt(b, end-int64(len(b))); err != nil && err != io.EOF {
			return 0, false, err
		}
		if i := bytes.LastIndex(b, []byte(mbox.Delimiter)); i >= 0 {
			start = end - int64(len(b)) + int64(i+len(mbox.Delimiter))
			break
		}
	}
	b := make([]byte, min(m.Size-start, 4096))
	if _, err := m.ReadAt(b, start); err != nil && err != io.EOF {
		return 0, false, err
	}
	eol := bytes.IndexByte(b, '\n') + 1
	_, from := mbox.ParseFrom(b[:eol])
	return start, start > 0 && !from && (eol == 0 || !mend.StartsHeader(b)), nil
}

// closing is what has to stand at off so that a line and a message end there.
func (m *mender) closing(off int64) string {
	var b [1]byte
	if _, err := m.ReadAt(b[:], off-1); err == nil && off > 0 && b[0] == '\n' {
		return ""
	}
	return "\n"
}

// lineStart returns where the line begins that ends before end.
func (m *mender) lineStart(end int64) (int64, error) {
	b := make([]byte, min(end, 4096))
	if _, err := m.ReadAt(b, end-int64(len(b))); err != nil && err != io.EOF {
		return 0, err
	}
	return end - int64(len(b)) + int64(bytes.LastIndexByte(bytes.TrimSuffix(b, []byte("\n")), '\n')) + 1, nil
}

// firstLine gives a file its first line back.
func (m *mender) firstLine() error {
	b := make([]byte, min(m.Size, 64<<10))
	if _, err := m.ReadAt(b, 0); err != nil && err != io.EOF {
		return err
	}
	if m.r.d.format == mbox.MMDF {
		n := bytes.IndexByte(b, '\n') + 1
		m.step("write-delimiter", 0, int64(n), 1, "write the first delimiter anew")
		m.edit(0, int64(n), mbox.Delimiter)
		return nil
	}
	_, at := mbox.Begin(b)
	if at > 0 {
		m.setAside(0, at, false, "they stand before the first message")
	}
	m.start = at
	m.beginHere(at, 1)
	return m.Err
}

// beginHere lets a message begin at off, where its From_ line is lost or
// garbled.
func (m *mender) beginHere(off int64, seq uint32) { m.writeFrom(off, seq, m.lead(off)) }

// writeFrom writes a From_ line at off, with what has to stand before it.
func (m *mender) writeFrom(off int64, seq uint32, lead string) {
	b := make([]byte, min(m.Size-off, 64<<10))
	if _, err := m.ReadAt(b, off); err != nil && err != io.EOF {
		m.Err = err
		return
	}
	old := int64(0)
	if !mend.StartsHeader(b) { // a garbled line
		old = int64(garbledLine(b[:bytes.IndexByte(b, '\n')+1]))
	}
	date := mend.Arrival(b[old:], func(s string) (mailbox.Date, error) { return mailbox.ParseDate(s, m.r.d.env.Now().Location()) })
	if n := len(m.ix.Msgs); date.IsZero() && n > 0 {
		date = m.ix.Msgs[n-1].Date
	}
	if date.IsZero() {
		date = mailbox.DateOf(m.r.d.env.Now())
	}
	line := lead + string(mbox.AppendFrom(nil, sender(b[:old], b[old:]), date))
	m.r.acc.Dates++
	if old > 0 {
		m.step("write-from", off, old, seq, "write the From_ line anew, instead of %.60q", bytes.TrimSpace(b[:old]))
	} else {
		m.step("write-from", off, 0, seq, "write the From_ line, which is lost")
	}
	m.edit(off, old, line)
}

// garbledLine returns how many octets of a line were a From_ line: a field may
// follow at once, where its line end was lost or wiped.
func garbledLine(b []byte) int {
	for n := len(b); n > 27; n-- {
		if _, ok := mbox.ParseFrom(append(bytes.Clone(b[:n-1]), '\n')); ok && n <= len(b) {
			if mend.StartsHeader(b[n-1:]) {
				return n - 1
			}
		}
	}
	wiped := max(bytes.LastIndexByte(b, 0), bytes.LastIndexByte(b, 0xFF)) + 1
	if rest := b[wiped:]; wiped > 0 && mend.StartsHeader(rest) && 'A' <= rest[0] && bytes.Contains(rest, []byte(": ")) {
		return wiped
	}
	return len(b)
}

// lead is what has to stand before a From_ line at off.
func (m *mender) lead(off int64) string {
	if m.r.d.format != mbox.MMDF || off == 0 {
		return ""
	}
	return mbox.Delimiter + mbox.Delimiter
}

// sender finds the sender of a message: in what is left of its From_ line, or
// in Return-Path.
func sender(line, header []byte) string {
	for _, word := range strings.Fields(string(line)) {
		if strings.Contains(word, "@") && !strings.ContainsAny(word, "<>\x00") {
			return word
		}
	}
	if at := bytes.Index(header, []byte("Return-Path: <")); at >= 0 {
		text := header[at+len("Return-Path: <"):]
		if end := bytes.IndexAny(text, "> \r\n\x00"); end > 0 && text[end] == '>' {
			return string(text[:end])
		}
	}
	return "MAILER-DAEMON"
}

// A uidLine is where the X-UID of a message is.
type uidLine struct {
	off, n int64 // n is 0 where there is none, and off where it belongs
}

// number gives the messages UIDs that ascend, and the mailbox its UIDVALIDITY.
func (m *mender) number() error {
	uids := make([]mend.UID, len(m.ix.Msgs))
	lines := make([]uidLine, len(m.ix.Msgs))
	base := uidLine{off: -1}
	for i := range m.ix.Msgs {
		if err := m.uidOf(i, &uids[i], &lines[i], &base); err != nil {
			return err
		}
	}
	if m.ix.Pseudo {
		if err := m.baseOf(&m.ix.Internal, &base); err != nil {
			return err
		}
	}
	validity, last, keywords := m.readBase(base)
	last, changed := mend.Number(uids, last)
	if changed || validity == 0 {
		validity = max(uint32(m.r.d.env.Now().Unix()), validity+1)
		m.r.acc.Raised = true
	}
	m.writeBase(base, validity, last, keywords)
	for i, u := range uids {
		if u.Lost && u.Now != 0 {
			if twice, err := m.twice(i); err != nil {
				return err
			} else if twice {
				continue
			}
		}
		if u.Then == u.Now && !u.Lost || u.Then == 0 && lines[i].n == 0 {
			continue
		}
		if u.Then == 0 {
			m.edit(lines[i].off, lines[i].n, "")
			continue
		}
		m.r.acc.UIDs++
		m.step("write-uid", lines[i].off, lines[i].n, uint32(i)+1, "give it the UID %d", u.Then)
		m.edit(lines[i].off, lines[i].n, fmt.Sprintf("X-UID: %d\n", u.Then))
	}
	return nil
}

// twice leaves message i out if it is the same as an earlier one, to the octet,
// with the same UID.
func (m *mender) twice(i int) (bool, error) {
	msg := &m.ix.Msgs[i]
	end := m.Size
	if i+1 < len(m.ix.Msgs) {
		end = m.ix.Msgs[i+1].From
	}
	for k := range i {
		o := &m.ix.Msgs[k]
		if o.Header != msg.Header || o.Body-o.From != msg.Body-msg.From || o.End-o.Body != msg.End-msg.Body {
			continue
		}
		same, err := m.same(o.From, msg.From, msg.End-msg.From)
		if err != nil {
			return false, err
		}
		if same {
			m.setAside(msg.From, end, false, "a message that is there twice")
			m.edit(msg.From, end-msg.From, "")
			return true, nil
		}
	}
	return false, nil
}

// same reports whether n octets at a and at b are the same.
func (m *mender) same(a, b, n int64) (bool, error) {
	p, q := make([]byte, 64<<10), make([]byte, 64<<10)
	for n > 0 {
		k := min(n, int64(len(p)))
		if _, err := m.ReadAt(p[:k], a); err != nil && err != io.EOF {
			return false, err
		}
		if _, err := m.ReadAt(q[:k], b); err != nil && err != io.EOF {
			return false, err
		}
		if !bytes.Equal(p[:k], q[:k]) {
			return false, nil
		}
		a, b, n = a+k, b+k, n-k
	}
	return true, nil
}

// headerOf reads the header of a message.
func (m *mender) headerOf(msg *mbox.Message) ([]byte, int64, error) {
	off := msg.From + int64(msg.Header)
	b := make([]byte, min(msg.Body-off, 4<<20))
	_, err := m.ReadAt(b, off)
	if err == io.EOF {
		err = nil
	}
	return b, off, err
}

// uidOf finds the X-UID of message i. All but the first in a header go.
func (m *mender) uidOf(i int, u *mend.UID, at *uidLine, base *uidLine) error {
	b, off, err := m.headerOf(&m.ix.Msgs[i])
	if err != nil {
		return err
	}
	if i == 0 {
		findBase(b, off, base)
	}
	found := false
	for len(b) > 0 {
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 || len(bytes.TrimRight(b[:n], "\r\n")) == 0 {
			break
		}
		if v, ok := bytes.CutPrefix(b[:n], []byte("X-UID:")); ok {
			if found {
				m.edit(off, int64(n), "")
			} else {
				*at = uidLine{off, int64(n)}
				uid, err := strconv.ParseUint(string(bytes.TrimSpace(v)), 10, 32)
				u.Now, u.Lost = uint32(uid), err != nil || uid == 0 || uid == 1<<32-1
				found = true
			}
		}
		b, off = b[n:], off+int64(n)
	}
	if !found {
		*at = uidLine{off: off}
	}
	return nil
}

// baseOf finds X-IMAP in the pseudo-message.
func (m *mender) baseOf(msg *mbox.Message, base *uidLine) error {
	b, off, err := m.headerOf(msg)
	if err == nil {
		findBase(b, off, base)
	}
	return err
}

// findBase finds X-IMAP or X-IMAPbase in a header.
func findBase(b []byte, off int64, base *uidLine) {
	for len(b) > 0 {
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			return
		}
		if bytes.HasPrefix(b, []byte("X-IMAP:")) || bytes.HasPrefix(b, []byte("X-IMAPbase:")) {
			*base = uidLine{off, int64(n)}
			return
		}
		b, off = b[n:], off+int64(n)
	}
}

// readBase reads what is left of the line.
func (m *mender) readBase(base uidLine) (validity, last uint32, keywords []string) {
	if base.off < 0 {
		return 0, 0, nil
	}
	b := make([]byte, base.n)
	m.ReadAt(b, base.off) // what cannot be read is not there
	_, value, _ := strings.Cut(string(b), ":")
	for n, word := range strings.Fields(value) {
		number, err := strconv.ParseUint(word, 10, 32)
		switch {
		case n == 0 && err == nil:
			validity = uint32(number)
		case n == 1 && err == nil:
			last = uint32(number)
		case n > 1 && mailbox.ValidKeyword(word) && len(keywords) < mbox.MaxKeywords:
			keywords = append(keywords, word)
		}
	}
	return validity, last, keywords
}

// writeBase writes the line that has UIDVALIDITY, where it changes.
func (m *mender) writeBase(base uidLine, validity, last uint32, keywords []string) {
	if !m.noBase && !m.lacks && !m.r.acc.Raised && last <= m.ix.Last && base.off >= 0 {
		return
	}
	name, off, n := "X-IMAPbase", base.off, base.n
	if off < 0 && len(m.ix.Msgs) > 0 {
		off = m.ix.Msgs[0].From + int64(m.ix.Msgs[0].Header)
	}
	if m.ix.Pseudo || m.lacks {
		name = "X-IMAP"
	}
	text := fmt.Sprintf("%s: %010d %010d", name, validity, last)
	for _, k := range keywords {
		text += " " + k
	}
	m.step("write-base", off, n, 0, "write %s anew: UIDVALIDITY %d, last UID %d", name, validity, last)
	m.edit(off, n, text+"\n")
}
