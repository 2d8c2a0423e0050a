package damage

import (
	"os"
	"strings"
)

// lost returns octets of messages that readers had before and that are neither
// in the messages they have now, nor in the mailbox at path or its NAME.lost, ""
// for none. Line ends do not count.
func lost(before []string, after []Told, path string) string {
	plain := strings.NewReplacer("\r", "", "\x00", "")
	var now strings.Builder
	for _, m := range after {
		now.WriteString(plain.Replace(m.Text))
		now.WriteByte(0)
	}
	for _, path := range []string{path, path + ".lost"} { // what was text may be about messages now
		if b, err := os.ReadFile(path); err == nil {
			now.WriteString(plain.Replace(string(b)))
		}
	}
	for _, text := range before {
		if rest := missing(now.String(), plain.Replace(text)); rest != "" {
			return rest
		}
	}
	return ""
}

// maxParts is into how many parts a message may have been taken apart.
const maxParts = 12

// missing returns the part of text that is not in all, "" where all of it is,
// if in parts.
func missing(all, text string) string {
	for range maxParts {
		n := prefix(all, text)
		if n == len(text) {
			return ""
		}
		if n == 0 {
			return text
		}
		text = text[n:]
	}
	return text
}

// prefix returns how many octets of text are in all, from the first on.
func prefix(all, text string) int {
	if strings.Contains(all, text) {
		return len(text)
	}
	low, high := 0, len(text) // low octets are in it, high are not
	for high-low > 1 {
		if mid := (low + high) / 2; strings.Contains(all, text[:mid]) {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}
