package mbx

import (
	"bytes"
	"fmt"
	"strings"

	"mailutil/pkg/mailbox"
)

// The file block, in the order of its octets.
const (
	blockSize = 2048
	magic     = "*mbx*\r\n"

	validityOff = 7  // UIDVALIDITY, 8 hex digits
	uidLastOff  = 15 // UIDLAST, 8 hex digits
	magicEnd    = 25 // behind the CRLF of the first line
	pidOff      = 2038
	maxKeywords = 30 // slots
	maxName     = 50 // octets of a keyword
)

// A block is the head of the file.
type block struct {
	validity uint32 // UIDVALIDITY
	uidLast  uint32 // highest UID ever given
	lines    []string
	pid      uint32 // LASTPID: who wrote flags last
	hasPID   bool   // as long as nobody wrote flags there is none
}

// isMbx reports whether b begins a mailbox of this format.
func isMbx(b []byte) bool {
	return len(b) >= blockSize && string(b[:validityOff]) == magic &&
		allHex(b[validityOff:magicEnd-2]) && string(b[magicEnd-2:magicEnd]) == "\r\n"
}

// parseBlock reads a block; ok is what isMbx says.
func parseBlock(b []byte) (k block, ok bool) {
	if !isMbx(b) {
		return block{}, false
	}
	b = b[:blockSize]
	k.validity = uint32(fromHex(b[validityOff:uidLastOff]))
	k.uidLast = uint32(fromHex(b[uidLastOff : magicEnd-2]))
	k.lines = parseKeywords(b[magicEnd:])
	if pid := b[pidOff:]; allHex(pid[:8]) && string(pid[8:]) == "\r\n" {
		// Of the eight digits that are written the original reads six.
		k.pid, k.hasPID = uint32(fromHex(pid[2:8])), true
	}
	return k, true
}

// parseKeywords reads keyword lines up to the first empty one.
func parseKeywords(b []byte) (lines []string) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	for len(lines) < maxKeywords {
		i := bytes.IndexByte(b, '\r')
		if i <= 0 {
			break
		}
		lines = append(lines, string(b[:i]))
		b = b[min(i+2, len(b)):]
	}
	return lines
}

// print returns the 2048 octets of k.
func (k *block) print() ([]byte, error) {
	b := make([]byte, 0, blockSize)
	b = fmt.Appendf(b, "%s%08x%08x\r\n", magic, k.validity, k.uidLast)
	for i := range maxKeywords {
		if i < len(k.lines) {
			b = append(b, k.lines[i]...)
		}
		b = append(b, "\r\n"...)
	}
	if len(b) > pidOff {
		return nil, fmt.Errorf("%w: the keywords do not fit into the file block", mailbox.ErrUnsupported)
	}
	b = b[:blockSize]
	if k.hasPID {
		copy(b[pidOff:], fmt.Sprintf("%08x\r\n", k.pid))
	}
	return b, nil
}

// names returns the names of the keyword bits. A line that is too long to be a
// name leaves its bit without one.
func (k *block) names() []string {
	out := make([]string, len(k.lines))
	for i, l := range k.lines {
		if len(l) <= maxName {
			out[i] = l
		}
	}
	return out
}

// named is the set of bits that have a name.
func (k *block) named() (bits uint32) {
	for i, l := range k.lines {
		if len(l) <= maxName {
			bits |= 1 << i
		}
	}
	return bits
}

// bit returns the bit of keyword name, 0 where there is none.
func (k *block) bit(name string) uint32 {
	for i, l := range k.lines {
		if len(l) <= maxName && strings.EqualFold(l, name) {
			return 1 << i
		}
	}
	return 0
}

// create adds a keyword and returns its bit. The error is ErrUnsupported, in
// the words of the original, where name cannot be a keyword or no slot is free.
func (k *block) create(name string) (uint32, error) {
	if !mailbox.ValidKeyword(name) {
		return 0, mailbox.Sayf(mailbox.ErrUnsupported, "Invalid flag: %.80s", name)
	}
	full := mailbox.Sayf(mailbox.ErrUnsupported, "Unknown flag: %.80s", name)
	if len(k.lines) == maxKeywords {
		return 0, full
	}
	longer := block{lines: append(k.lines[:len(k.lines):len(k.lines)], name)}
	if _, err := longer.print(); err != nil { // over-long lines of others take the room
		return 0, full
	}
	k.lines = longer.lines
	return 1 << (len(k.lines) - 1), nil
}

// samePID compares process ids as far as the original reads them.
func samePID(a, b uint32) bool { return (a^b)&0xffffff == 0 }

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func allHex(b []byte) bool {
	for _, c := range b {
		if !isHex(c) {
			return false
		}
	}
	return true
}

// fromHex is the value of at most 16 hex digits.
func fromHex(b []byte) (v uint64) {
	for _, c := range b {
		switch {
		case c <= '9':
			c -= '0'
		default:
			c = c&^0x20 - 'A' + 10
		}
		v = v<<4 | uint64(c)
	}
	return v
}
