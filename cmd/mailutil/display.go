package main

import (
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// printable makes text safe for terminals and for one line: line ends and tabs
// become blanks; control characters, marks that turn the direction of text and
// what is not UTF-8 become U+FFFD.
func printable(s string) string {
	if isPlain(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\r', r == '\n':
			return ' '
		case unicode.IsControl(r), r == '\u2028', r == '\u2029',
			'\u202A' <= r && r <= '\u202E', '\u2066' <= r && r <= '\u2069':
			return utf8.RuneError
		}
		return r
	}, s)
}

// isPlain reports whether s is printable ASCII, as most fields are.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// runeWidth returns how many columns of a terminal a character takes.
func runeWidth(r rune) int {
	if r < utf8.RuneSelf {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

func textWidth(s string) (n int) {
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// fit cuts or fills text to n columns. What is cut ends in an ellipsis.
func fit(s string, n int, right bool) string {
	w := textWidth(s)
	switch {
	case w > n:
		return cut(s, n)
	case right:
		return strings.Repeat(" ", n-w) + s
	}
	return s + strings.Repeat(" ", n-w)
}

// cut shortens text that has more than n columns to exactly so many.
func cut(s string, n int) string {
	w := 0
	for i, r := range s {
		if w+runeWidth(r) > n-1 {
			return s[:i] + "…" + strings.Repeat(" ", n-1-w)
		}
		w += runeWidth(r)
	}
	return s
}

// columns returns the width of the terminal that w is, 0 where it is none.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	n, _, err := term.GetSize(int(f.Fd()))
	if err != nil || n <= 0 {
		return defaultColumns
	}
	return n
}

// defaultColumns is the width of a terminal that does not tell.
const defaultColumns = 80
