package charset

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Casemap returns what stands for s where strings are compared by
// i;unicode-casemap, RFC 5051: characters in titlecase, taken apart into what
// they are made of.
func Casemap(s string) string { return norm.NFKD.String(strings.Map(unicode.ToTitle, s)) }
