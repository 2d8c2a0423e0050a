package mix

import (
	"fmt"
	"path/filepath"
	"strings"

	"mailutil/pkg/mailbox"
)

// The files of a mailbox, in its directory.
const (
	prefix     = ".mix"
	metaName   = ".mixmeta"
	indexName  = ".mixindex"
	statusName = ".mixstatus"

	lostName    = ".mixlost"    // ours: octets that were no whole message
	copyName    = ".mixcopy"    // ours: a data file that is being copied
	deletedName = ".mixdeleted" // ours: the mailbox is being deleted
)

// dataName is the name of data file n.
func dataName(n uint32) string {
	if n == 0 {
		return prefix
	}
	return fmt.Sprintf("%s%08x", prefix, n)
}

// dataNumber returns the number of the data file of that name; ok is false for
// other names.
func dataNumber(name string) (n uint32, ok bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok || digits != "" && !allHex([]byte(digits)) || len(digits) > 8 {
		return 0, false
	}
	n = uint32(fromHex([]byte(digits)))
	return n, dataName(n) == name
}

// isOurs reports whether the name in a mailbox directory belongs to the
// mailbox; all others are its children.
func isOurs(name string) bool { return strings.HasPrefix(name, prefix) }

// validName reports whether a mailbox may be called so: the last part must not
// look like a file of a mailbox.
func validName(n mailbox.Name) bool {
	return !isOurs(filepath.Base(strings.TrimRight(n.Path, "/")))
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func allHex(b []byte) bool {
	for _, c := range b {
		if !isHex(c) {
			return false
		}
	}
	return true
}

// fromHex is the value of hex digits, as far as 64 bits hold it.
func fromHex(b []byte) (v uint64) {
	for _, c := range b {
		if c <= '9' {
			c -= '0'
		} else {
			c = c&^0x20 - 'A' + 10
		}
		v = v<<4 | uint64(c)
	}
	return v
}

// takeHex reads the hex digits that b begins with, any number of them.
func takeHex(b []byte) (v uint64, rest []byte, ok bool) {
	n := 0
	for n < len(b) && isHex(b[n]) {
		n++
	}
	return fromHex(b[:n]), b[n:], n > 0 && len(strings.TrimLeft(string(b[:n]), "0")) <= 16
}

func appendHex(b []byte, v uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[v>>shift&15])
	}
	return b
}
