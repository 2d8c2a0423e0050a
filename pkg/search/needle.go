package search

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"mailutil/pkg/charset"
	"mailutil/pkg/rfc822"
)

// A needle is a string to look for.
type needle struct {
	text  []byte // case folded
	ascii bool   // text is ASCII
	blank bool   // text holds blanks, tabs or line ends
	tab   bool

	rare         int  // where in text its rarest octet is
	lower, upper byte // that octet in both cases
}

func newNeedle(s string) *needle {
	s = fold(charset.Octets.Decode([]byte(s)))
	n := &needle{text: []byte(s), ascii: true, blank: strings.ContainsAny(s, " \t\r\n"), tab: strings.Contains(s, "\t")}
	rarest := 0
	for i := range len(s) {
		n.ascii = n.ascii && s[i] < utf8.RuneSelf
		if r := rarity(s[i]); r > rarest {
			n.rare, rarest = i, r
		}
	}
	if len(s) > 0 {
		n.lower, n.upper = s[n.rare], upper(s[n.rare : n.rare+1])[0]
	}
	return n
}

// frequent are the most frequent octets in mail, in that order.
const frequent = " etaonirshdlcmup\n\rgfw.ybv-0,1k/2=3:5x4698<>7q_jz"

// rarity returns a number that is larger for octets that are rarer in mail.
func rarity(c byte) int {
	if i := strings.IndexByte(frequent, c); i >= 0 {
		return i + 1
	}
	return len(frequent) + 1
}

// window is how much is looked at for one case of an octet before the other:
// what stays in the cache.
const window = 32 << 10

// in reports whether ASCII text holds n.
func (n *needle) in(p []byte) bool {
	k := len(n.text) - 1
	for len(p) > window+k {
		if n.inWindow(p[:window+k]) {
			return true
		}
		p = p[window:]
	}
	return n.inWindow(p)
}

func (n *needle) inWindow(p []byte) bool {
	starts := len(p) - len(n.text) + 1
	if starts <= 0 {
		return false
	}
	area := p[n.rare : n.rare+starts] // where the rarest octet may be
	lo, up := bytes.IndexByte(area, n.lower), -1
	if n.upper != n.lower {
		up = bytes.IndexByte(area, n.upper)
	}
	for lo >= 0 || up >= 0 {
		at := lo
		if lo < 0 || up >= 0 && up < lo {
			at = up
		}
		if n.at(p[at:]) {
			return true
		}
		if at == lo {
			lo = next(area, at, n.lower)
		} else {
			up = next(area, at, n.upper)
		}
	}
	return false
}

// next returns where c is in p after position at, -1 if nowhere.
func next(p []byte, at int, c byte) int {
	i := bytes.IndexByte(p[at+1:], c)
	if i < 0 {
		return -1
	}
	return at + 1 + i
}

// at reports whether p, which is long enough, begins with n.
func (n *needle) at(p []byte) bool {
	p = p[:len(n.text)]
	for i, c := range n.text {
		if lowerTable[p[i]] != c {
			return false
		}
	}
	return true
}

// lowerTable holds each octet with ASCII letters in lower case.
var lowerTable = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c] = byte(c) + 'a' - 'A'
	}
	return t
}()

// inHeader reports whether a header block or the body of a field holds n, once
// it is decoded.
func (n *needle) inHeader(block []byte) bool {
	if len(n.text) == 0 {
		return true
	}
	if n.ascii && !n.blank && !bytes.Contains(block, []byte("=?")) {
		return n.in(block) // neither folding nor charsets matter
	}
	s := rfc822.DecodeBlock(block)
	if !n.tab {
		s = strings.ReplaceAll(s, "\t", " ")
	}
	if n.ascii {
		return n.in([]byte(s))
	}
	return strings.Contains(fold(s), string(n.text))
}
