package mix

import (
	"bytes"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/mailbox"
)

// What can be read of a damaged line.
type known uint8

const (
	knowUID known = 1 << iota
	knowDate
	knowSize
	knowPlace  // file and position
	knowHeader // its size
	knowKeywords
	knowFlags
	knowSeq
)

func (k known) has(w known) bool { return k&w == w }

// The fields of the three kinds of line, by the octets that they have as
// written; a colon is before each and behind the last.
var (
	indexFields  = []int{8, dateLen, 8, 8, 8, 8, 8}
	statusFields = []int{8, 8, 4, 8}
	tokenFields  = []int{3, 8, dateLen, 8}
)

// fieldsOf divides a line without its end into its fields: at the colons, where
// there are as many as there should be, else where they should be. A field that
// is not as long as it should be is nil.
func fieldsOf(line []byte, widths []int) [][]byte {
	out := make([][]byte, len(widths))
	parts := bytes.Split(line, []byte{':'})
	if len(parts) == len(widths)+2 && len(parts[0]) == 0 {
		for n, w := range widths {
			if len(parts[n+1]) == w {
				out[n] = parts[n+1]
			}
		}
		return out
	}
	if at := 1; len(line) == lineLen(widths) {
		for n, w := range widths {
			out[n] = line[at : at+w]
			at += w + 1
		}
	}
	return out
}

// lineLen is how long a line with these fields is, without its end.
func lineLen(widths []int) int {
	n := 1
	for _, w := range widths {
		n += w + 1
	}
	return n
}

// number reads a field of hex digits.
func number(field []byte) (v uint64, ok bool) {
	if len(field) == 0 || !allHex(field) {
		return 0, false
	}
	v, _, ok = takeHex(field)
	return v, ok
}

// uidIn reads a field with a UID.
func uidIn(field []byte) (uid uint32, ok bool) {
	v, ok := number(field)
	return uint32(v), ok && v != 0 && v < 1<<32-1
}

// realDate reads a field with a date that can be.
func realDate(field []byte) (d mailbox.Date, ok bool) {
	if len(field) != dateLen {
		return d, false
	}
	d, ok = parseDate(field)
	return d, ok && storable(d)
}

// inBoth reads the fields that a record of the index and the line in front of a
// message have both.
func inBoth(uid, date, size []byte) (m message, k known) {
	var ok bool
	if m.uid, ok = uidIn(uid); ok {
		k |= knowUID
	}
	if m.date, ok = realDate(date); ok {
		k |= knowDate
	}
	if v, ok := number(size); ok {
		m.size, k = int64(v), k|knowSize
	}
	return m, k
}

// salvageIndex takes from a record of the index what can be read of it.
func salvageIndex(line []byte) (m message, k known) {
	f := fieldsOf(line, indexFields)
	m, k = inBoth(f[0], f[1], f[2])
	file, ok1 := number(f[3])
	pos, ok2 := number(f[4])
	if ok1 && ok2 {
		m.file, m.pos, k = uint32(file), int64(pos), k|knowPlace
	}
	m.lead = tokenLen
	return m, k
}

// salvageStatus takes from a record of the status what can be read of it.
func salvageStatus(line []byte) (s status, k known) {
	f := fieldsOf(line, statusFields)
	if uid, ok := uidIn(f[0]); ok {
		s.uid, k = uid, k|knowUID
	}
	if v, ok := number(f[1]); ok && v>>maxKeywords == 0 {
		s.keywords, k = uint32(v), k|knowKeywords
	}
	if v, ok := number(f[2]); ok && v&^allBits == 0 {
		s.flags, k = uint16(v), k|knowFlags
	}
	if v, ok := number(f[3]); ok {
		s.modseq, k = uint32(v), k|knowSeq
	}
	return s, k
}

// allBits are the flags that have a meaning.
const allBits = bitSeen | bitDeleted | bitFlagged | bitAnswered | bitOld | bitDraft

// tokenShape is the line in front of a message: x is a hex digit, 9 a digit, +
// a sign.
const tokenShape = ":msg:xxxxxxxx:99999999999999+9999:xxxxxxxx:"

// tokenFits is how many octets of b are as in the line in front of a message.
func tokenFits(b []byte) (n int) {
	for i := range min(len(b), len(tokenShape)) {
		ok := b[i] == tokenShape[i]
		switch tokenShape[i] {
		case 'x':
			ok = hexValue[b[i]] != 0
		case '9':
			ok = isDigit(b[i])
		case '+':
			ok = b[i] == '+' || b[i] == '-'
		}
		if ok {
			n++
		}
	}
	return n
}

const (
	minFits   = 21 // octets of a damaged line in front of a message that must be right
	maxDamage = 8  // octets that such a line may have lost or got
)

// salvageToken takes what can be read of a damaged line in front of a message,
// which b begins with. length is that of the line with its end, 0 where there
// is none.
func salvageToken(b []byte) (m message, k known, length int) {
	if i := bytes.Index(b, []byte(token)); i > 0 {
		if _, _, _, ok := looseToken(b[i:]); ok {
			b = b[:i] // that is another
		}
	}
	length, best := 0, 0
	for n := tokenLen - 2 - maxDamage; n <= tokenLen-2+maxDamage && n < len(b); n++ {
		if end := lineEnd(b[n:]); end > 0 && b[n-1] != '\r' {
			if fits := max(tokenFits(b[:n]), tailFits(b[:n])); fits > best {
				best, length = fits, n+end
			}
		}
	}
	if best >= minFits {
		if m, k = tokenParts(bytes.TrimRight(b[:length], "\r\n")); k != 0 { // else it is text that has digits
			return m, k, length
		}
	}
	if n := len(tokenShape); len(b) > n && tokenFits(b[:n]) >= minFits { // its end is lost
		m, k = tokenParts(b[:n])
		rest := b[n:min(len(b), n+2)]
		return m, k, n + len(rest) - len(bytes.TrimLeft(rest, "\r\n"))
	}
	return m, 0, 0
}

// tailFits is tokenFits of a line that is longer or shorter than it should be,
// from its end on.
func tailFits(line []byte) int {
	if skip := len(tokenShape) - len(line); skip > 0 {
		line = append(make([]byte, skip), line...)
	} else {
		line = line[-skip:]
	}
	return tokenFits(line)
}

// lineEnd is the length of the line end that b begins with, as it is or as
// conversions leave it; 0 for none.
func lineEnd(b []byte) int {
	for _, end := range []string{"\r\n", "\n", "\r\r\n"} {
		if bytes.HasPrefix(b, []byte(end)) {
			return len(end)
		}
	}
	return 0
}

func tokenParts(line []byte) (m message, k known) {
	f := fieldsOf(line, tokenFields)
	return inBoth(f[1], f[2], f[3])
}

// looseToken reads the line in front of a message as parseToken does, also one
// whose end was converted. strict says that it is as it is written.
func looseToken(b []byte) (m message, length int, strict, ok bool) {
	n := bytes.IndexByte(b, '\n') + 1
	if n == 0 || !bytes.HasPrefix(b, []byte(token)) {
		return m, 0, false, false
	}
	line := bytes.TrimRight(b[:n], "\r\n")
	if line[len(line)-1] != ':' || bytes.Count(line, []byte{':'}) != len(tokenFields)+1 {
		return m, 0, false, false
	}
	m, _, ok = parseToken(append(bytes.Clone(line), crlf...))
	m.lead = uint32(n)
	return m, n, string(appendToken(nil, &m)) == string(b[:n]), ok
}

// complete finds the date that a damaged one was: what is left of it, with what
// is missing from near.
func complete(field []byte, near mailbox.Date) (mailbox.Date, bool) {
	if len(field) != dateLen {
		return near, false
	}
	now := appendDate(nil, near)
	b := bytes.Clone(field)
	for i, c := range b {
		if ok := isDigit(c); i != 14 && !ok || i == 14 && c != '+' && c != '-' {
			b[i] = now[i]
		}
	}
	d, ok := parseDate(b)
	return d, ok && storable(d) && flocked.Storable(d)
}
