package mbox

import (
	"bytes"
	"io"
	"time"

	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// A Format is one of the two that this package reads and writes. They differ in
// what stands between messages.
type Format int

// Unix has From_ lines, MMDF a line of four 0x01 before and behind each
// message.
const (
	Unix Format = iota
	MMDF
)

// Delimiter is the line that stands around messages in MMDF.
const Delimiter = "\x01\x01\x01\x01\n"

// shortGlued is the length of the shortest line that ends in a delimiter and
// is one: the original takes a single octet before it, but not two, for text.
const shortGlued = len(Delimiter) + 2

// Name is the name of the format's driver.
func (f Format) Name() string {
	if f == MMDF {
		return "mmdf"
	}
	return "unix"
}

// Lead is what stands before a message.
func (f Format) Lead() string {
	if f == MMDF {
		return Delimiter
	}
	return ""
}

// Tail is what stands behind a message whose last line has an end.
func (f Format) Tail() string {
	if f == MMDF {
		return Delimiter
	}
	return "\n"
}

// OpenTail is what is written behind a message whose last line has none.
func (f Format) OpenTail() string {
	if f == MMDF {
		return "\n" + Delimiter
	}
	return "\n" // as by the original: the empty line comes at the next change
}

// Probe reports whether a file is of the format: whether it begins with a
// delimiter, or has a From_ line in its first 1023 octets.
func (f Format) Probe(file io.ReaderAt) (bool, error) {
	if f == Unix {
		return Probe(file)
	}
	b := make([]byte, len(Delimiter))
	n, err := file.ReadAt(b, 0)
	if err == io.EOF {
		err = nil
	}
	return string(b[:n]) == Delimiter, err
}

// Holds reports whether m begins where the index says it does.
func (f Format) Holds(w *winread.Window, m Message) (bool, error) {
	lead := int64(len(f.Lead()))
	if lead > 0 {
		b, err := w.Line(m.From - lead)
		if err != nil || string(b) != f.Lead() {
			return false, err
		}
	}
	if m.Header == 0 {
		return true, nil
	}
	ln, err := w.Line(m.From)
	if err != nil {
		return false, err
	}
	_, ok := ParseFrom(ln)
	return (ok || IsBare(ln)) && len(ln) == int(m.Header), nil
}

// torn is a delimiter at the end of a file, which has no LF.
const torn = "\x01\x01\x01\x01"

// cutDelimiter cuts the delimiter from the end of a line; of the last one of a
// file it may be a torn one. More of the line may stand before ln.
func cutDelimiter(ln []byte, last, more bool) (text []byte, found bool) {
	text, found = bytes.CutSuffix(ln, []byte(Delimiter))
	if !found && last {
		text, found = bytes.CutSuffix(ln, []byte(torn))
	}
	if found && !more && isShort(int64(len(text))) {
		return ln, false
	}
	return text, found
}

// isShort reports whether a delimiter behind so many octets of a line is none.
func isShort(text int64) bool { return text > 0 && text+int64(len(Delimiter)) < int64(shortGlued) }

// delimiters passes over delimiters and returns how many there were.
func (s *Scanner) delimiters() (n int, err error) {
	for s.Off < s.W.End() {
		ln, err := s.W.Line(s.Off)
		if err != nil || !s.isDelimiter(ln) {
			return n, err
		}
		s.Off += int64(len(ln))
		n++
	}
	return n, nil
}

// isDelimiter reports whether the line at s.Off is a delimiter.
func (s *Scanner) isDelimiter(ln []byte) bool {
	return string(ln) == Delimiter || string(ln) == torn && s.Off+int64(len(ln)) == s.W.End()
}

// undated is the date of a message without a From_ line: that of the file.
func (s *Scanner) undated() mailbox.Date {
	at := s.Written
	if at.IsZero() {
		at = s.Env.Now()
	}
	return mailbox.DateOf(at.In(time.UTC))
}

// delimited passes over a body of MMDF, to the delimiter or the end of the
// file.
func (s *Scanner) delimited(m *Message) error {
	var t bodyTally
	before := int64(0) // octets of the line that lie before the window
	for s.Off < s.W.End() {
		b, err := s.W.From(s.Off)
		if err != nil {
			return err
		}
		if len(b) < shortGlued && s.Off+int64(len(b)) < s.W.End() {
			if b, err = s.W.Refill(s.Off); err != nil {
				return err
			}
		}
		last := s.Off+int64(len(b)) == s.W.End()
		n, found := findDelimiter(b, before, last)
		if !found && !last {
			n = len(b) - len(Delimiter) // the rest may begin one
		}
		t.add(b[:n])
		s.Off += int64(n)
		if found {
			return s.closeDelimited(m, t, false)
		}
		if lf := bytes.LastIndexByte(b[:n], '\n'); lf >= 0 {
			before = int64(n - lf - 1)
		} else {
			before += int64(n)
		}
	}
	return s.closeDelimited(m, t, s.Off > m.Body && !t.ended)
}

// findDelimiter returns where the delimiter stands in b, len(b) where none
// does. The line that b begins in has octets before b; last says that the file
// ends with b.
func findDelimiter(b []byte, before int64, last bool) (at int, found bool) {
	is := func(at int) bool {
		text := int64(at - bytes.LastIndexByte(b[:at], '\n') - 1)
		if text == int64(at) {
			text += before
		}
		return !isShort(text)
	}
	for at < len(b) {
		i := bytes.Index(b[at:], []byte(Delimiter))
		if i < 0 {
			break
		}
		if at += i; is(at) {
			return at, true
		}
		at += len(Delimiter)
	}
	if at := len(b) - len(torn); last && at >= 0 && string(b[at:]) == torn && is(at) {
		return at, true
	}
	return len(b), false
}

// closeDelimited ends the body at s.Off.
func (s *Scanner) closeDelimited(m *Message, t bodyTally, open bool) error {
	m.End = s.Off
	m.Size += m.End - m.Body + t.lfs - t.crlfs
	if t.crlfs > 0 {
		m.Bits |= BitCR
	}
	if open {
		m.Bits |= BitOpen
	}
	return nil
}

// A bodyTally counts line ends.
type bodyTally struct {
	lfs, crlfs int64
	cr         bool // the last octet was CR
	ended      bool // it was LF
}

func (t *bodyTally) add(b []byte) {
	if len(b) == 0 {
		return
	}
	t.lfs += int64(bytes.Count(b, []byte("\n")))
	t.crlfs += int64(bytes.Count(b, []byte("\r\n")))
	if t.cr && b[0] == '\n' {
		t.crlfs++
	}
	last := b[len(b)-1]
	t.cr, t.ended = last == '\r', last == '\n'
}

// A breaker takes delimiters out of text: of more than three 0x01 in a row the
// rest is dropped. CRs between them do not count, for the original drops those
// when it rewrites a mailbox.
type breaker struct {
	run     int
	dropped int
}

// clean returns p without what is dropped, in place.
func (k *breaker) clean(p []byte) []byte {
	if k.run == 0 && bytes.IndexByte(p, 1) < 0 {
		return p
	}
	out := p[:0]
	for _, c := range p {
		switch c {
		case 1:
			if k.run == len(Delimiter)-2 {
				k.dropped++
				continue
			}
			k.run++
		case '\r':
		default:
			k.run = 0
		}
		out = append(out, c)
	}
	return out
}
