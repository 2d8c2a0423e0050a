package imap

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// utf7 is the base64 of modified UTF-7, RFC 3501, 5.1.3.
var utf7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// encodeName returns a mailbox name as it goes over the wire. A name of 7-bit
// octets is one that the server has spelled, or a local one, which is in
// modified UTF-7 as well: it stays as it is, also where it is not good. Another
// is UTF-8 that a person has typed.
func encodeName(name string) string {
	if isASCII(name) || !utf8.ValidString(name) {
		return name
	}
	var out strings.Builder
	var wide []rune
	flush := func() {
		if len(wide) == 0 {
			return
		}
		var b []byte
		for _, u := range utf16.Encode(wide) {
			b = append(b, byte(u>>8), byte(u))
		}
		out.WriteString("&" + utf7.EncodeToString(b) + "-")
		wide = wide[:0]
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
			wide = append(wide, r)
		}
	}
	flush()
	return out.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
