package mbox

import "bytes"

// A Beginning is what the beginning of a file that is no mbox looks like.
type Beginning int

// Foreign is nothing of ours. Junk is octets before a From_ line. BadFrom is a
// header behind a line that begins like a From_ line.
const (
	Foreign Beginning = iota
	Junk
	BadFrom
)

// Begin looks at the beginning of a file that readers do not take for an mbox:
// it may be a damaged one. at is where the first From_ line begins after Junk,
// or the bad one.
func Begin(head []byte) (what Beginning, at int64) {
	rest := bytes.TrimLeft(head, "\x00\r\n \t")
	skipped := int64(len(head) - len(rest))
	from := len(rest) >= 5 && bytes.EqualFold(rest[:5], []byte("From ")) || bytes.HasPrefix(rest, []byte(">From "))
	if !from && !isField(rest) && !bytes.HasPrefix(head, []byte("\x00")) {
		return Foreign, 0
	}
	for b := rest; len(b) > 0; {
		eol := bytes.IndexByte(b, '\n') + 1
		if eol == 0 {
			break
		}
		line := b[bytes.LastIndexByte(b[:eol], 0)+1 : eol] // NULs may stand before it
		b = b[eol:]
		if _, ok := ParseFrom(line); ok && isField(b) {
			return Junk, int64(len(head) - len(b) - len(line))
		}
	}
	eol := bytes.IndexByte(rest, '\n') + 1
	if from && eol > 0 && isField(rest[eol:]) {
		return BadFrom, skipped
	}
	return Foreign, 0
}
