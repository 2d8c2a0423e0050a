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
	next, found := firstFrom(rest)
	switch {
	case found && next <= len("\xEF\xBB\xBF"): // a byte order mark
		return Junk, skipped + int64(next)
	case from && !whole && isField(rest[len(first):]), !from && hasStatus(rest),
		!whole && (wasFrom(rest) || endOfFrom(first)) && hasStatus(rest[len(first):]):
		return BadFrom, skipped
	case found && (from || isField(rest) || bytes.HasPrefix(head, []byte("\x00")) || !isText(rest[:next]) || anyStatus(rest[next:])):
		return Junk, skipped + int64(next)
	}
	return Foreign, 0
}

// endOfFrom reports whether a line is what is left of a From_ line.
func endOfFrom(line []byte) bool {
	const most = 64
	return len(line) > 0 && len(line) < most && restOfFrom(bytes.TrimRight(line, "\r\n"))
}

// anyStatus reports whether a From_ line in b has a header behind it that has
// status fields.
func anyStatus(b []byte) bool {
	for {
		i := bytes.Index(b, []byte("\nFrom "))
		if hasStatus(afterLine(b)) {
			return true
		}
		if i < 0 {
			return false
		}
		b = b[i+1:]
	}
}

// firstFrom returns where the first From_ line begins in b that has a field
// behind it and stands at the beginning of a line, or behind octets that are no
// text.
func firstFrom(b []byte) (at int, ok bool) {
	for at := 0; at < len(b); {
		i := bytes.Index(b[at:], fromWord)
		if i < 0 {
			return 0, false
		}
		at += i
		line := b[bytes.LastIndexByte(b[:at], '\n')+1 : at]
		if rest := afterLine(b[at:]); isField(rest) && (len(line) == 0 || !isText(line)) {
			if _, ok := ParseFrom(b[at : len(b)-len(rest)]); ok {
				return at, true
			}
		}
		at += len(fromWord)
	}
	return 0, false
}

// firstLine is the first line of b, with its line end; nothing where that has none.
func firstLine(b []byte) []byte { return b[:bytes.IndexByte(b, '\n')+1] }

// afterLine is what is behind the first line of b, nothing where that has no
// end.
func afterLine(b []byte) []byte {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[i+1:]
	}
	return nil
}

// isText reports whether all of b can be text: it has no control characters, and
// no octet of 8 bits.
func isText(b []byte) bool {
	return !bytes.ContainsFunc(b, func(c rune) bool { return c < ' ' && c != '\n' && c != '\r' && c != '\t' || c >= 0x7F })
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
	mail := func(b []byte) bool {
		from, _, _ := bytes.Cut(b, []byte("\n"))
		_, ok := ParseFrom(append(bytes.Clone(from), '\n'))
		return ok || isField(b)
	}
	eol := bytes.IndexByte(head, '\n') + 1
	if eol > 0 && garbledDelimiter(head) && mail(head[eol:]) {
		return BadDelimiter, 0
	}
	_, whole := ParseFrom(head[:eol])
	if i := bytes.Index(head, []byte("\n"+Delimiter)); i >= 0 && !whole && (hasStatus(head) || (wasFrom(head) || endOfFrom(head[:eol])) && hasStatus(head[eol:])) {
		return BadFrom, 0
	}
	for b := head; ; {
		i := bytes.Index(b, []byte(Delimiter))
		if i < 0 {
			return Foreign, 0
		}
		b = b[i:]
		at := len(head) - len(b)
		line := head[bytes.LastIndexByte(head[:at], '\n')+1 : at]
		if mail(b[len(Delimiter):]) && (len(line) == 0 || !isText(line)) {
			return Junk, int64(at)
		}
		b = b[len(Delimiter)-1:]
	}
}
