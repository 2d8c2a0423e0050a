package mailtxt

import (
	"bytes"
	"io"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/mailbox"
)

// A record is what the index keeps of one message.
type record struct {
	off      int64 // of the internal line
	size     int64 // of the text on disk
	crlf     int64 // of the text with CRLF line ends, 0 where not counted yet
	uid      uint32
	keywords uint32
	date     mailbox.Date
	flags    uint8
	length   uint8 // of the internal line
	recent   bool
	unsaved  bool // the line lacks bitOld
}

// text is the offset of the text.
func (r *record) text() int64 { return r.off + int64(r.length) }

// end is the offset behind the text.
func (r *record) end() int64 { return r.text() + r.size }

// patch is the offset of the octets that are changed in place.
func (f *Format) patch(r *record) int64 { return r.text() - int64(len(f.EOL)) - flagsLen }

// scanWindow is how much is searched at once.
const scanWindow = 64 << 10

// A scanner reads internal lines one after the other.
type scanner struct {
	format *Format
	local  *time.Location
	r      io.ReaderAt
	pos    int64 // where it stands
	size   int64 // of the file

	ahead *flocked.Lookahead
	step  int64 // length of the last record
}

// newScanner reads the records of r from offset pos to size. Dates without a
// zone are in local.
func newScanner(f *Format, local *time.Location, r io.ReaderAt, pos, size int64) *scanner {
	ahead := &flocked.Lookahead{R: r, Size: size, Most: maxLine}
	return &scanner{format: f, local: local, r: r, pos: pos, size: size, ahead: ahead}
}

// next reads the record at pos and goes behind it. ok is false at the end.
func (s *scanner) next() (rec record, ok bool, err error) {
	if s.pos == s.size {
		return rec, false, nil
	}
	b, err := s.peek()
	if err != nil {
		return rec, false, err
	}
	l, err := s.parse(b)
	if err != nil {
		return rec, false, err
	}
	rec = record{off: s.pos, size: l.size, keywords: l.keywords, date: l.date, flags: l.flags, length: uint8(l.length)}
	if s.format.EOL == "\r\n" {
		rec.crlf = rec.size
	}
	if rec.end() > s.size {
		return rec, false, s.corrupt("Last message (at %d) runs past end of file (%d > %d)", s.pos, rec.end(), s.size)
	}
	s.step = rec.end() - s.pos
	s.pos = rec.end()
	return rec, true, nil
}

// parse reads the internal line at the start of b; what is wrong is said in the
// words of the original.
func (s *scanner) parse(b []byte) (l line, err error) {
	end := s.format.eol(b)
	if end < 0 {
		return l, s.corrupt("Unable to find %s at %d in %d bytes, text: %s", s.format.noEOL, s.pos, len(b), cString(b))
	}
	text := b[:end]
	if comma := bytes.IndexByte(text, ','); comma < 0 || bytes.IndexByte(text[comma:], ';') < 0 {
		return l, s.corrupt("Unable to parse internal header at %d: %s", s.pos, text)
	}
	l, ok := s.parseFields(text)
	if !ok {
		return l, s.corrupt("Unable to parse internal header elements at %d: %s", s.pos, text)
	}
	l.length = end + len(s.format.EOL)
	return l, nil
}

// peek returns the next 64 octets, or as many as there are.
func (s *scanner) peek() ([]byte, error) {
	b, err := s.ahead.At(s.pos, s.step)
	if err == nil && len(b) == 0 {
		return nil, s.corrupt("Unable to read internal header at %d, size = %d: no data read", s.pos, s.size)
	}
	return b, err
}

// corrupt makes the error of damage at pos.
func (s *scanner) corrupt(format string, args ...any) error {
	return flocked.Damage(s.pos, format, args...)
}
