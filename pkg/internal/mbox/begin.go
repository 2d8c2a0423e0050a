package mbox

import "bytes"

// A Beginning is what the beginning of a file that is no mbox looks like.
type Beginning int

// Foreign is nothing of ours. Junk is octets before a From_ line or a delimiter.
// BadFrom is a header behind a line that begins like a From_ line, BadDelimiter
// mail behind a line that is nearly a delimiter. Whole is as it should be.
const (
	Foreign Beginning = iota
	Junk
	BadFrom
	BadDelimiter
	Whole
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

// BeginMMDF looks at the beginning of a file that may be of MMDF. at is where
// the first delimiter begins after Junk.
func BeginMMDF(head []byte) (what Beginning, at int64) {
	if bytes.HasPrefix(head, []byte(Delimiter)) {
		return Whole, 0
	}
	isMail := func(b []byte) bool {
		from, _, _ := bytes.Cut(b, []byte("\n"))
		_, ok := ParseFrom(append(bytes.Clone(from), '\n'))
		return ok || isField(b)
	}
	eol := bytes.IndexByte(head, '\n') + 1
	if eol > 0 && garbledDelimiter(head) && isMail(head[eol:]) {
		return BadDelimiter, 0
	}
	for b := head; ; {
		i := bytes.Index(b, []byte("\n"+Delimiter))
		if i < 0 {
			return Foreign, 0
		}
		if b = b[i+1:]; isMail(b[len(Delimiter):]) {
			return Junk, int64(len(head) - len(b))
		}
		b = b[len(Delimiter)-1:]
	}
}
