package mbox

import "bytes"

// minWiped is how many octets in a row that are NUL, or 0xFF, were wiped, or never
// written.
const minWiped = 16

// Unveiled returns where mail begins in b right behind octets that were wiped, or
// behind what they left of the line before it, which ends in eol and has at most
// most octets; isRest says whether that can be. run is where the octets begin. ok is
// false where that is nowhere.
func Unveiled(b []byte, eol string, most int, isRest func(b []byte) bool) (run, mail int, ok bool) {
	for at := 0; ; {
		if run = nextWiped(b, at); run < 0 {
			return 0, 0, false
		}
		at = run
		for at < len(b) && wasWiped(b[at]) {
			at++
		}
		if at-run < minWiped || at == len(b) {
			continue
		}
		if IsMail(b[at:]) {
			return run, at, true
		}
		if b[at] == '\n' && IsMail(b[at+1:]) { // the end of a line end
			return run, at + 1, true
		}
		n := bytes.Index(b[at:min(len(b), at+most)], []byte(eol))
		if n >= 0 && isRest(b[at:at+n]) && IsMail(b[at+n+len(eol):]) {
			return run, at + n + len(eol), true
		}
	}
}

func wasWiped(c byte) bool { return c == 0 || c == 0xFF }

// nextWiped returns where the next octet is that may have been wiped, -1 for
// nowhere.
func nextWiped(b []byte, at int) int {
	nul, ff := bytes.IndexByte(b[at:], 0), bytes.IndexByte(b[at:], 0xFF)
	switch {
	case nul < 0 && ff < 0:
		return -1
	case nul < 0 || ff >= 0 && ff < nul:
		return at + ff
	}
	return at + nul
}

// IsLineRest reports whether b can be the end of a line that says what a message is.
func IsLineRest(b []byte) bool {
	for i, c := range b {
		hex := '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
		if !hex && (i >= len(b)-8 || c != ' ' && c != ';' && c != ',' && c != ':' && c != '-' && c != '+') {
			return false
		}
	}
	return true
}
