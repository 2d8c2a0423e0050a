package search

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// fold returns s in the form in which texts that differ in case only are the
// same.
func fold(s string) string { return strings.Map(foldRune, s) }

// foldRune returns one rune for all that simple folding takes for the same,
// lower case for ASCII. Of those outside ASCII it is the first: the Kelvin sign
// is no k and the long s no s, so that ASCII can be looked for in octets.
func foldRune(r rune) rune {
	switch {
	case 'A' <= r && r <= 'Z':
		return r + 'a' - 'A'
	case r < utf8.RuneSelf, 0x3000 <= r && r < 0xA640, 0xAC00 <= r && r < 0xFB00: // no case there
		return r
	}
	first := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		if next >= utf8.RuneSelf && next < first {
			first = next
		}
	}
	return first
}
