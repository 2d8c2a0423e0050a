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
	first := rest[:bytes.IndexByte(rest, '\n')+1]
	_, whole := ParseFrom(first)
	from := nearFrom(first)
	switch {
	case !from && !isField(rest) && !bytes.HasPrefix(head, []byte("\x00")):
		return Foreign, 0
	case from && !whole && isField(rest[len(first):]), !from && hasStatus(rest):
		return BadFrom, skipped
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
	return Foreign, 0
}

// nearFrom reports whether a line is nearly a From_ line.
func nearFrom(line []byte) bool {
	if bytes.HasPrefix(line, []byte(">From ")) {
		return true
	}
	const from = "From "
	same := 0
	for i := range min(len(from), len(line)) {
		if line[i]|0x20 == from[i]|0x20 {
			same++
		}
	}
	if same >= 4 {
		return true
	}
	for n := 3; n <= 6 && n <= len(line); n++ {
		if _, ok := ParseFrom(append([]byte(from), line[n:]...)); ok {
			return true
		}
	}
	return false
}

// hasStatus reports whether b begins with a header that has status fields: the
// message was in a mailbox.
func hasStatus(b []byte) bool {
	end := bytes.Index(b, []byte("\n\n"))
	return isField(b) && end >= 0 && bytes.Contains(b[:end], []byte("\nX-UID: "))
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
