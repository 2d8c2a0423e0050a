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
	if !ok || len(digits) > 8 {
		return 0, false
	}
	v, rest, some := takeHex([]byte(digits))
	n = uint32(v)
	return n, len(rest) == 0 && (some || digits == "") && dataName(n) == name
}

// isOurs reports whether the name in a mailbox directory belongs to the
// mailbox; all others are its children.
func isOurs(name string) bool { return strings.HasPrefix(name, prefix) }

// validName reports whether a mailbox may be called so: the last part must not
// look like a file of a mailbox.
func validName(n mailbox.Name) bool {
	return !isOurs(filepath.Base(strings.TrimRight(n.Path, "/")))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func allHex(b []byte) bool {
	for _, c := range b {
		if hexValue[c] == 0 {
			return false
		}
	}
	return true
}

// takeHex reads the hex digits that b begins with, any number of them; ok is
// false where there are none, or the value does not fit into 64 bits.
func takeHex(b []byte) (v uint64, rest []byte, ok bool) {
	n, ok := 0, true
	for ; n < len(b); n++ {
		d := hexValue[b[n]]
		if d == 0 {
			break
		}
		ok = ok && v>>60 == 0
		v = v<<4 | uint64(d-1)
	}
	return v, b[n:], ok && n > 0
}

// hexValue is the value of each hex digit, plus 1.
var hexValue = func() (t [256]byte) {
	for i := range byte(10) {
		t['0'+i] = i + 1
	}
	for i := range byte(6) {
		t['a'+i], t['A'+i] = i+11, i+11
	}
	return t
}()

func appendHex(b []byte, v uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[v>>shift&15])
	}
	return b
}
