package imap

import (
	"unicode/utf8"

	"mailutil/pkg/internal/utf7"
)

// encodeName returns a mailbox name as it goes over the wire. A name of 7-bit
// octets is one that the server has spelled, or a local one, which is in
// modified UTF-7 as well: it stays as it is, also where it is not good. Another
// is UTF-8 that a person has typed.
func encodeName(name string) string {
	if isASCII(name) || !utf8.ValidString(name) {
		return name
	}
	return utf7.Encode(name)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
