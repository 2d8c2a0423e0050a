package mailtxt

import (
	"bytes"
	"math/bits"
	"strconv"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// The internal line, which stands before each text:
//
//	date "," size ";" 10OCT keywords 2OCT flags EOL
//
// The flags have a fixed distance to its end.
const (
	maxLine     = flocked.MaxLine
	flagsLen    = 12      // octets: what is patched
	keywordsLen = 10      // of them
	maxKeywords = 30      // bits in ten octal digits
	maxSize     = 1 << 59 // octets of a text; what is larger is taken to be this
)

// The flags of a record, as they are stored.
const (
	bitSeen     = sysbits.Seen
	bitDeleted  = sysbits.Deleted
	bitFlagged  = sysbits.Flagged
	bitAnswered = sysbits.Answered
	bitOld      = sysbits.Old // a read-write session has seen it: it is not recent
	bitDraft    = sysbits.Draft
	bitsKnown   = 0o77
)

// A line is a parsed internal line.
type line struct {
	length   int // octets with the EOL
	comma    int // where it stands
	size     int64
	keywords uint32 // bit n is keyword n
	flags    uint8
	date     mailbox.Date
}

// parseFields reads b, an internal line without its EOL, from which the comma
// and the semicolon are known not to be missing.
func (s *scanner) parseFields(b []byte) (l line, ok bool) {
	comma := bytes.IndexByte(b, ',')
	semi := comma + 1 + bytes.IndexByte(b[comma+1:], ';')
	date, err := mailbox.ParseDate(string(b[:comma]), s.local)
	if err != nil {
		return l, false
	}
	l.date, l.comma = date, comma
	if l.size, ok = parseSize(b[comma+1 : semi]); !ok {
		return l, false
	}
	l.keywords, l.flags, ok = parseFlags(b[semi+1:])
	return l, ok
}

// parseSize reads a size as strtoul(3) does: leading blanks and a plus sign are
// taken, junk behind the digits is not, nor is 0.
func parseSize(b []byte) (n int64, ok bool) {
	for len(b) > 0 && (b[0] == ' ' || '\t' <= b[0] && b[0] <= '\r') {
		b = b[1:]
	}
	if len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), maxSize)
	}
	return n, n != 0
}

// parseFlags reads the twelve digits that are patched in place. They are octal
// but need not be, as for the original: the keywords end before an 8 or a 9.
func parseFlags(b []byte) (keywords uint32, flags uint8, ok bool) {
	if len(b) != flagsLen {
		return 0, 0, false
	}
	for _, c := range b {
		if !isDigit(c) {
			return 0, 0, false
		}
	}
	for _, c := range b[:keywordsLen] {
		if c > '7' {
			break
		}
		keywords = keywords<<3 | uint32(c-'0')
	}
	flags = (b[10]-'0')*8 + b[11] - '0'
	return reverse(keywords), flags & bitsKnown, true
}

// reverse turns 30 bits round: the first keyword is the highest bit on disk.
func reverse(v uint32) uint32 { return bits.Reverse32(v) >> (32 - maxKeywords) }

// appendLine appends the internal line of a record; now says that the date is
// the time of arrival.
func (f *Format) appendLine(b []byte, date mailbox.Date, now bool, size int64, keywords uint32, flags uint8) []byte {
	b = flocked.AppendDate(b, date, now)
	b = append(b, ',')
	b = strconv.AppendInt(b, size, 10)
	b = append(b, ';')
	b = appendFlags(b, keywords, flags)
	return append(b, f.EOL...)
}

// appendFlags appends the twelve digits.
func appendFlags(b []byte, keywords uint32, flags uint8) []byte {
	v := uint64(reverse(keywords))<<6 | uint64(flags)
	for shift := 3 * (flagsLen - 1); shift >= 0; shift -= 3 {
		b = append(b, '0'+byte(v>>shift&7))
	}
	return b
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
