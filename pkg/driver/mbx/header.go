package mbx

import (
	"bytes"
	"strconv"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// The internal line, which stands before each text:
//
//	date "," size ";" 8HEX keywords 4HEX flags "-" 8HEX uid CRLF
//
// The flags have a fixed distance to its end.
const (
	dateLen   = flocked.DateLen
	maxLine   = flocked.MaxLine
	maxSize   = 1e13 - 1 // what fits into such a line
	semiBack  = 24       // the ";" stands this many octets before the line's end
	flagsBack = 23       // and so the keywords,
	dashBack  = 11       // and the "-"
	flagsLen  = 21       // keywords, flags, "-" and uid: what is patched
)

// The flags of a record, as they are stored.
const (
	bitSeen     = sysbits.Seen
	bitDeleted  = sysbits.Deleted
	bitFlagged  = sysbits.Flagged
	bitAnswered = sysbits.Answered
	bitOld      = sysbits.Old
	bitDraft    = sysbits.Draft
	bitExpunged = 0x8000
	bitsKnown   = bitSeen | bitDeleted | bitFlagged | bitAnswered | bitOld | bitDraft | bitExpunged
)

// A line is a parsed internal line.
type line struct {
	length   int // octets with the CRLF
	size     int64
	keywords uint32
	flags    uint16
	uid      uint32
	date     []byte // as written
}

// A lineFault says what is wrong with a line; the order is that of the tests.
type lineFault int

const (
	lineGood lineFault = iota
	noCRLF
	noHeader
	badFlags
	badUID
	badSize
)

// parseLine reads the internal line at the start of b, as leniently as the
// original. b is as much of the file as there is, at most 64 octets.
func parseLine(b []byte) (l line, fault lineFault) {
	cr := bytes.IndexByte(b, '\r')
	if nul := bytes.IndexByte(b, 0); nul >= 0 && nul < cr {
		cr = -1
	}
	if cr < 0 || cr+1 >= len(b) || b[cr+1] != '\n' {
		return l, noCRLF
	}
	l.length = cr + 2
	b = b[:cr]
	comma := bytes.IndexByte(b, ',')
	if comma < 0 {
		return l, noHeader
	}
	semi := bytes.IndexByte(b[comma:], ';')
	if semi < 0 {
		return l, noHeader
	}
	semi += comma
	l.date = b[:comma]
	tail := b[semi+1:]
	if len(tail) < 12 || !allHex(tail[:12]) {
		return l, badFlags
	}
	if len(tail) != 21 || tail[12] != '-' || !allHex(tail[13:]) {
		return l, badUID
	}
	l.keywords = uint32(fromHex(tail[:8]))
	l.flags = uint16(fromHex(tail[8:12]))
	l.uid = uint32(fromHex(tail[13:]))
	var ok bool
	if l.size, ok = parseSize(b[comma+1 : semi]); !ok {
		return l, badSize
	}
	return l, lineGood
}

// parseSize reads a size as strtoul(3) does: leading blanks, a sign, digits,
// and junk behind them are taken, and no digits at all are 0. Only a plain 0
// or nothing is bad.
func parseSize(b []byte) (n int64, ok bool) {
	rest := b
	for len(rest) > 0 && (rest[0] == ' ' || '\t' <= rest[0] && rest[0] <= '\r') {
		rest = rest[1:]
	}
	negative := false
	if len(rest) > 0 && (rest[0] == '+' || rest[0] == '-') {
		negative = rest[0] == '-'
		rest = rest[1:]
	}
	digits := 0
	for ; digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9'; digits++ {
		if n > maxSize {
			return 0, false // more digits than a line can hold
		}
		n = n*10 + int64(rest[digits]-'0')
	}
	if digits > 0 {
		b = rest[digits:]
	}
	if negative {
		n = -n
	}
	return n, n != 0 || len(b) > 0
}

// appendLine appends the internal line of a record; now says that the date is
// the time of arrival.
func appendLine(b []byte, date mailbox.Date, now bool, size int64, keywords uint32, flags uint16, uid uint32) []byte {
	b = flocked.AppendDate(b, date, now)
	b = append(b, ',')
	b = strconv.AppendInt(b, size, 10)
	b = append(b, ';')
	b = appendFlags(b, keywords, flags, uid)
	return append(b, "\r\n"...)
}

// appendFlags appends the 21 octets that are patched in place.
func appendFlags(b []byte, keywords uint32, flags uint16, uid uint32) []byte {
	b = appendHex(b, uint64(keywords), 8)
	b = appendHex(b, uint64(flags), 4)
	b = append(b, '-')
	return appendHex(b, uint64(uid), 8)
}

func appendHex(b []byte, v uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[v>>shift&15])
	}
	return b
}
