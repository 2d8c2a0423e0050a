// Package utf7 is modified UTF-7, in which IMAP and the mailboxes of its servers
// spell names (RFC 3501, 5.1.3).
package utf7

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

var alphabet = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// Encode returns a name, which is UTF-8, in modified UTF-7.
func Encode(name string) string {
	var out strings.Builder
	var wide []byte // UTF-16 that is not written yet
	flush := func() {
		if len(wide) > 0 {
			out.WriteString("&" + alphabet.EncodeToString(wide) + "-")
			wide = wide[:0]
		}
	}
	for _, r := range name {
		switch {
		case r == '&':
			flush()
			out.WriteString("&-")
		case r >= ' ' && r <= '~':
			flush()
			out.WriteRune(r)
		default:
			for _, u := range utf16.AppendRune(nil, r) {
				wide = binary.BigEndian.AppendUint16(wide, u)
			}
		}
	}
	flush()
	return out.String()
}
