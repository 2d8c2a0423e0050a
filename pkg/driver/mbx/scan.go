package mbx

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/mailbox"
)

// A record is what the index keeps of one message.
type record struct {
	off      int64 // of the internal line
	size     int64 // of the text
	uid      uint32
	keywords uint32
	date     mailbox.Date
	flags    uint16
	length   uint8 // of the internal line
	recent   bool
	unsaved  bool // the line has no UID yet, or lacks bitOld
}

// text is the offset of the text.
func (r *record) text() int64 { return r.off + int64(r.length) }

// end is the offset behind the text.
func (r *record) end() int64 { return r.text() + r.size }

// patch is the offset of the octets that are changed in place.
func (r *record) patch() int64 { return r.text() - flagsBack }

// A scanner reads internal lines one after the other.
type scanner struct {
	r    io.ReaderAt
	pos  int64 // where it stands
	size int64 // of the file

	ahead *flocked.Lookahead
	step  int64  // length of the last record
	date  []byte // of the last record, in ahead
}

// newScanner reads the records of r from offset pos to size.
func newScanner(r io.ReaderAt, pos, size int64) *scanner {
	return &scanner{r: r, pos: pos, size: size, ahead: &flocked.Lookahead{R: r, Size: size, Most: maxLine}}
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
	l, fault := parseLine(b)
	if fault != lineGood {
		return rec, false, s.faulty(fault, b)
	}
	if l.size < 0 { // the original steps back there
		return rec, false, s.unread(s.pos + int64(l.length) + l.size)
	}
	rec = record{
		off: s.pos, size: l.size, uid: l.uid, keywords: l.keywords,
		flags: l.flags & bitsKnown, length: uint8(l.length),
	}
	if rec.end() > s.size {
		return rec, false, s.corrupt("Last message (at %d) runs past end of file (%d > %d)", s.pos, rec.end(), s.size)
	}
	s.date = l.date
	s.step = rec.end() - s.pos
	s.pos = rec.end()
	return rec, true, nil
}

// readDate reads the date of r, the record that next gave last.
func (s *scanner) readDate(r *record, local *time.Location) (err error) {
	if r.date, err = mailbox.ParseDate(string(s.date), local); err != nil {
		return flocked.Damage(r.off, "Unable to parse message date at %d: %.80s", r.off, s.date)
	}
	return nil
}

// peek returns the next 64 octets, or as many as there are.
func (s *scanner) peek() ([]byte, error) {
	b, err := s.ahead.At(s.pos, s.step)
	if err == nil && len(b) == 0 {
		return nil, s.unread(s.pos)
	}
	return b, err
}

// unread is the error of an internal line at a place where nothing is.
func (s *scanner) unread(pos int64) error {
	return s.corrupt("Unable to read internal header at %d, size = %d: no data read", uint64(pos), s.size)
}

// faulty says in the original's words what is wrong with the line at pos.
func (s *scanner) faulty(fault lineFault, b []byte) error {
	text := cString(b)
	if fault == noCRLF {
		return s.corrupt("Unable to find CRLF at %d in %d bytes, text: %s", s.pos, len(b), text)
	}
	for i, c := range text {
		if c == '\r' {
			text = text[:i]
			break
		}
	}
	what := map[lineFault]string{
		noHeader: "internal header", badFlags: "message flags", badUID: "message UID", badSize: "message size",
	}[fault]
	return s.corrupt("Unable to parse %s at %d: %s", what, s.pos, text)
}

// corrupt makes the error of damage at pos.
func (s *scanner) corrupt(format string, args ...any) error {
	return flocked.Damage(s.pos, format, args...)
}

// cString is what C prints of b.
func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// A numbering gives UIDs to records, in file order.
type numbering struct {
	last     uint32 // UID of the record before
	uidLast  uint32 // highest UID given
	validity uint32
	fresh    uint32                // UIDVALIDITY to take when numbers have to change
	all      bool                  // give every record a new number
	warn     func(uid, seq uint32) // called once, before numbers change
	rebuilt  bool
}

// errNoUIDs means that 4294967295 is given: all records need new numbers.
var errNoUIDs = errors.New("no UIDs left")

// number gives r its UID; seq is the sequence number it would get.
func (n *numbering) number(r *record, seq uint32) error {
	if n.all {
		r.uid = 0
	}
	if r.uid != 0 && (r.uid <= n.last || r.uid > n.uidLast) {
		n.rebuild(r.uid, seq)
		n.uidLast = n.last
		r.uid = 0
	}
	unnumbered := r.uid == 0
	if unnumbered {
		if n.uidLast == math.MaxUint32 {
			return errNoUIDs
		}
		n.uidLast++
		r.uid = n.uidLast
	}
	n.last = r.uid
	r.recent = r.flags&bitExpunged == 0 && (unnumbered || r.flags&bitOld == 0)
	r.unsaved = r.recent
	return nil
}

// rebuild starts a new UIDVALIDITY.
func (n *numbering) rebuild(uid, seq uint32) {
	if n.rebuilt {
		return
	}
	n.rebuilt = true
	n.validity = n.fresh
	n.warn(uid, seq)
}

func invalidUID(uid, seq uint32) string {
	return fmt.Sprintf("Invalid UID %08x in message %d, rebuilding UIDs", uid, seq)
}
