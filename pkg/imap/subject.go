package imap

import (
	"strings"

	"mailutil/pkg/charset"
	"mailutil/pkg/rfc822"
)

// baseSubject is what is left of a Subject field without the marks that
// answers and forwards put on it, RFC 5256, 2.1, fit for comparing. marked
// says that there were such.
func baseSubject(raw []byte) (base string, marked bool) {
	s := strings.Join(strings.Fields(rfc822.Decode(raw)), " ") // step 1
	for {
		s, marked = cutTrailers(s, marked)
		s, marked = cutLeaders(s, marked)
		inner, ok := cutForward(s)
		if !ok {
			return charset.Casemap(s), marked
		}
		s, marked = inner, true
	}
}

// cutTrailers is step 2: any "(fwd)" at the end.
func cutTrailers(s string, marked bool) (string, bool) {
	for {
		s = strings.TrimRight(s, " ")
		n := len(s) - len("(fwd)")
		if n < 0 || !strings.EqualFold(s[n:], "(fwd)") {
			return s, marked
		}
		s, marked = s[:n], true
	}
}

// cutLeaders is steps 3 to 5: any "Re:" and the like, and "[list]" in front of
// it, or of anything but nothing.
func cutLeaders(s string, marked bool) (string, bool) {
	for {
		s = strings.TrimLeft(s, " ")
		if rest, ok := cutReply(s); ok {
			s, marked = rest, true
		} else if rest, ok := cutBlob(s); ok && rest != "" {
			s = rest
		} else {
			return s, marked
		}
	}
}

// cutReply takes off blobs, "Re", "Fw" or "Fwd", a blob, and ":".
func cutReply(s string) (string, bool) {
	for rest, ok := cutBlob(s); ok; rest, ok = cutBlob(s) {
		s = rest
	}
	word := 0
	for _, w := range []string{"fwd", "fw", "re"} {
		if len(s) >= len(w) && strings.EqualFold(s[:len(w)], w) {
			word = len(w)
			break
		}
	}
	if word == 0 {
		return s, false
	}
	s = strings.TrimLeft(s[word:], " ")
	if rest, ok := cutBlob(s); ok {
		s = rest
	}
	return strings.CutPrefix(s, ":")
}

// cutBlob takes off "[...]" and the blanks behind it.
func cutBlob(s string) (string, bool) {
	if !strings.HasPrefix(s, "[") {
		return s, false
	}
	end := strings.IndexAny(s[1:], "[]") + 1
	if end == 0 || s[end] == '[' {
		return s, false
	}
	return strings.TrimLeft(s[end+1:], " "), true
}

// cutForward is step 6: "[Fwd: ...]".
func cutForward(s string) (string, bool) {
	const open = "[fwd:"
	if len(s) <= len(open) || !strings.EqualFold(s[:len(open)], open) || s[len(s)-1] != ']' {
		return s, false
	}
	return s[len(open) : len(s)-1], true
}
