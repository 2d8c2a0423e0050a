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

const (
	scanWindow = 64 << 10 // what is read at once when records are small
	smallStep  = 8 << 10  // records are small up to here
)

// A scanner reads internal lines one after the other.
type scanner struct {
	format *Format
	local  *time.Location
	r      io.ReaderAt
	pos    int64 // where it stands
	size   int64 // of the file

	win  []byte // the octets at base
	base int64
	buf  [scanWindow]byte
	step int64 // length of the last record
	torn bool  // the file ends within the record at pos
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
	if s.torn = rec.end() > s.size; s.torn {
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
	want := min(maxLine, s.size-s.pos)
	if i := s.pos - s.base; i >= 0 && i+want <= int64(len(s.win)) {
		return s.win[i : i+want], nil
	}
	n := int64(maxLine)
	if s.step < smallStep {
		n = scanWindow
	}
	got, err := s.r.ReadAt(s.buf[:min(n, s.size-s.pos)], s.pos)
	if got == 0 && err == io.EOF {
		return nil, s.corrupt("Unable to read internal header at %d, size = %d: no data read", s.pos, s.size)
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	s.win, s.base = s.buf[:got], s.pos
	return s.win[:min(int64(got), maxLine)], nil
}

// corrupt makes the error of damage at pos.
func (s *scanner) corrupt(format string, args ...any) error {
	return flocked.Damage(s.pos, format, args...)
}
