package mboxfile

import (
	"bytes"
	"fmt"
	"io"
	"math/bits"
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
	ended   bool     // the end of the file is dealt with
	later   bool     // UIDs are not looked at in this round
	numbers bool     // UIDs are not in order
	unbased bool     // UIDs count for nothing, there is no base
	copied  bool     // messages that are there twice are left out
	pseudos []uint32 // messages that hold data of those
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
	m.r.headless = m.r.headless || start > 0 || end == 0
	if start > 0 {
		m.start = start
		m.setAside(0, start, true, "they stand before the first message")
	}
	if end < 0 {
		return nil
	}
	if end == 0 { // the first line is bad
		return m.firstLine()
	}
	silent := *m.r.d.env
	silent.Notify = func(mailbox.Level, string) {}
	m.ix = mbox.Index{End: start}
	check := m.r.d.format.NewCheck(m)
	check.Quoted = m.r.quoted || m.r.o.SplitFrom
	s := mbox.Scanner{
		Format: m.r.d.format, Env: &silent, W: winread.New(m.File, windowSize, end), Ix: &m.ix, ReadOnly: true,
		Check: check,
	}
	err = s.Run()
	m.In.Messages = uint32(len(m.ix.Msgs))
	if err != nil {
		return err
	}
	m.noBase = m.noBase || m.unbased && m.ix.Made && m.r.headless
	if m.later || len(m.edits) > 0 {
		return nil // UIDs are looked at when all messages are there
	}
	if m.numbers || m.noBase || m.lacks || len(m.r.names) > 0 {
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
	case "header-wiped":
		m.later = true
		m.step("end-header", off, 0, seq, "end the header of the message there, which is cut off, and let the next one begin")
		m.edit(off, 0, "\n\n"+m.r.d.format.Tail())
		m.r.acc.Partial++
		m.beginHere(off, seq+1)
	case "from-in-header":
		m.later = true
		m.step("end-header", off, 0, seq, "end the header of the message there, which is cut off, and let the next one begin")
		m.edit(off, 0, "\n"+m.r.d.format.Tail())
		m.r.acc.Partial++
	case "from-glued":
		m.endLine(off, seq, "\n\n")
	case "from-glued-header":
		m.later = true
		m.endLine(off, seq, "\n\n\n")
	case "no-message":
		m.noMessage(off)
	case "nul-end":
		m.nulEnd(off)
	case "from-lost":
		switch {
		case m.isFrom(off) && m.r.d.format == mbox.MMDF: // behind what is too short for a line with a delimiter
			m.step("end-message", off, 0, seq, "end the message there, and let the next one begin")
			m.edit(off, 0, m.closing(off)+m.lead(off))
			m.r.acc.Partial++
		case m.isFrom(off):
			m.endLine(off, seq, "\n\n")
		case m.isFrom(off + 1): // behind a >, as its place shows
			m.step("write-from", off, 1, seq, "take the > away before the From_ line")
			m.edit(off, 1, "")
		default:
			m.beginHere(off, seq)
		}
	case "from-bad":
		m.writeFrom(off, seq, "")
	case "delimiter-garbled":
		n := m.lineLen(off)
		m.r.lost = append(m.r.lost, mend.Lost{Off: off, End: off + n, Why: "what was a delimiter", From: m.source()})
		m.step("write-delimiter", off, n, seq, "write the delimiter anew")
		m.edit(off, n, mbox.Delimiter)
	case "torn-tail":
		m.tornTail(off, seq, format)
	case "nul-tail":
		m.setAside(off, m.Size, false, "NULs, which were never written")
		m.edit(off, m.Size-off, m.closing(off))
	case "uid-bad", "uid-twice", "uid-order":
		m.numbers = true
	case "base-bad":
		m.noBase = true
	case "pseudo-bad":
		m.lacks, m.pseudo = true, off
	}
}

// Doubt takes what may be right.
func (m *mender) Doubt(code string, off int64, seq uint32, format string, args ...any) {
	m.File.Doubt(code, off, seq, format, args...)
	_, code, _ = strings.Cut(code, ".")
	switch {
	case code == "uid-unbased":
		m.unbased = true
	case code == "pseudo-second":
		m.pseudos = append(m.pseudos, seq)
	case code == "from-garbled" && m.r.o.SplitFrom:
		m.beginHere(off, seq+1)
	case m.r.o.QuoteFrom && off > m.start && (code == "from-prose" || code == "from-no-blank" || code == "from-content-length" || code == "from-no-header"):
		m.step("quote-from", off, 0, seq, "put > before the line, which then is text")
		m.edit(off, 0, ">")
	}
}

// endLine ends a message, with what that needs, before the From_ line at off,
// which stands at the end of a line. NULs before it go.
func (m *mender) endLine(off int64, seq uint32, end string) {
	start := off
	b := make([]byte, 64<<10)
	for start > m.start {
		part := b[:min(int64(len(b)), start-m.start)]
		if _, err := m.ReadAt(part, start-int64(len(part))); err != nil && err != io.EOF {
			m.Err = err
			return
		}
		rest := bytes.TrimRight(part, "\x00")
		start -= int64(len(part) - len(rest))
		if len(rest) > 0 {
			break
		}
	}
	if start < off {
		m.setAside(start, off, false, "NULs, which were never written")
	}
	had := b[:min(start, 2)]
	if _, err := m.ReadAt(had, start-int64(len(had))); err != nil && err != io.EOF {
		m.Err = err
		return
	}
	missing := end[min(len(had)-len(bytes.TrimRight(had, "\n")), len(end)):]
	if missing != "" {
		m.r.acc.Partial++
	}
	m.step("end-message", start, 0, seq, "end the message there, and let the next one begin")
	m.edit(start, off-start, missing)
}

// isFrom reports whether a From_ line is at off.
func (m *mender) isFrom(off int64) bool {
	b := make([]byte, min(m.Size-off, 4096))
	if _, err := m.ReadAt(b, off); err != nil && err != io.EOF {
		m.Err = err
		return false
	}
	_, ok := mbox.ParseFrom(b[:bytes.IndexByte(b, '\n')+1])
	return ok
}

// noMessage leaves out what stands at off, up to the delimiter behind it.
func (m *mender) noMessage(off int64) {
	b := make([]byte, min(m.Size-off, 64<<10+int64(len(mbox.Delimiter))))
	if _, err := m.ReadAt(b, off); err != nil && err != io.EOF {
		m.Err = err
		return
	}
	n := int64(len(b))
	if i := bytes.Index(b, []byte(mbox.Delimiter)); i >= 0 {
		n = int64(i + len(mbox.Delimiter))
	}
	m.later = true
	m.setAside(off, off+n, false, "no message stands there")
	m.edit(off, n, "")
}

// nulEnd takes the NULs away that a message ends with.
func (m *mender) nulEnd(off int64) {
	end, b := off, make([]byte, 64<<10)
	for end < m.Size {
		n, err := m.ReadAt(b, end)
		if n == 0 {
			m.Err = err
			return
		}
		rest := bytes.TrimLeft(b[:n], "\x00")
		end += int64(n - len(rest))
		if len(rest) > 0 {
			break
		}
	}
	m.setAside(off, end, false, "NULs, which were never written")
	closing := m.closing(off)
	if m.closing(end+1) == "" { // the NULs stand in a line of their own
		closing = ""
	}
	m.edit(off, end-off, closing)
}

// tornTail ends what an interrupted append left.
func (m *mender) tornTail(off int64, seq uint32, why string) {
	if m.ended { // it is torn in two ways
		return
	}
	m.ended = true
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
	if m.r.d.format == mbox.MMDF {
		m.endDelimited(seq)
		return
	}
	m.r.acc.Partial++
	m.step("end-message", m.Size, 0, seq, "keep what is there of the message, and end it")
	m.edit(m.Size, 0, m.closing(m.Size)+"\n")
}

// endDelimited writes the last delimiter, of which a part may be there.
func (m *mender) endDelimited(seq uint32) {
	b := make([]byte, min(m.Size, int64(len(mbox.Delimiter)-1)))
	if _, err := m.ReadAt(b, m.Size-int64(len(b))); err != nil && err != io.EOF {
		m.Err = err
		return
	}
	had := int64(len(b) - len(bytes.TrimRight(b, "\x01")))
	if had > 0 && m.closing(m.Size-had) == "" {
		m.step("write-delimiter", m.Size-had, had, seq, "write the last delimiter anew")
		m.edit(m.Size, 0, mbox.Delimiter[had:])
		return
	}
	m.r.acc.Partial++
	m.step("end-message", m.Size, 0, seq, "keep what is there of the message, and end it")
	m.edit(m.Size, 0, m.closing(m.Size)+mbox.Delimiter)
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
	line := b[:bytes.IndexByte(b, '\n')+1]
	_, from := mbox.ParseFrom(line)
	field := mend.StartsHeader(line) && !bytes.ContainsFunc(line, isGarbage)
	return start, 0 < start && start < m.Size && !from && !field, nil
}

// isGarbage reports whether no text has c in it.
func isGarbage(c rune) bool { return c < ' ' && c != '\t' && c != '\r' && c != '\n' }

// closing is what has to stand at off so that a line and a message end there.
func (m *mender) closing(off int64) string {
	var b [1]byte
	if _, err := m.ReadAt(b[:], off-1); err == nil && off > 0 && b[0] == '\n' {
		return ""
	}
	return "\n"
}

// lineLen is the length of the line at off.
func (m *mender) lineLen(off int64) int64 {
	b := make([]byte, min(m.Size-off, 4096))
	if _, err := m.ReadAt(b, off); err != nil && err != io.EOF {
		m.Err = err
	}
	return int64(bytes.IndexByte(b, '\n') + 1)
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
	if what, _ := mbox.BeginMMDF(b); m.r.d.format == mbox.MMDF && what == mbox.BadFrom {
		m.beginHere(0, 1)
		return m.Err
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
	m.r.quoted = bytes.HasPrefix(b[at:], []byte(">From "))
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
		m.r.lost = append(m.r.lost, mend.Lost{Off: off, End: off + old, Why: "what was a From_ line", From: m.source()})
		m.step("write-from", off, old, seq, "write the From_ line anew, instead of %.60q", bytes.TrimSpace(b[:old]))
	} else {
		m.step("write-from", off, 0, seq, "write the From_ line, which is lost")
	}
	m.edit(off, old, line)
}

// garbledLine returns how many octets of a line were a From_ line: a field may
// follow at once, where its line end was lost, changed or wiped.
func garbledLine(b []byte) int {
	line := bytes.Clone(b)
	for n := len(b); n > 27; n-- {
		line[n-1] = '\n'
		if _, ok := mbox.ParseFrom(line[:n]); !ok {
			continue
		}
		begins := n < len(b) && 'A' <= b[n] && b[n] <= 'Z' && mend.StartsHeader(b[n:])
		switch end := b[n-1]; {
		case begins && (bits.OnesCount8(end^'\n') == 1 || end <= ' ' || end >= 0x7F): // no name has that in it
			return n
		case mend.StartsHeader(b[n-1:]):
			return n - 1
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
	switch {
	case m.r.d.format != mbox.MMDF:
		return ""
	case off == 0:
		return mbox.Delimiter
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
