package mend

import (
	"bytes"
	"strings"

	"mailutil/pkg/mailbox"
)

// Arrival returns the date at which the message that begins with b says that it
// came here (the topmost Received), or was written (Date); the zero Date where
// it says neither.
func Arrival(b []byte, parse func(string) (mailbox.Date, error)) mailbox.Date {
	for _, name := range []string{"received", "date"} {
		text, ok := field(b, name)
		if !ok {
			continue
		}
		if name == "received" { // RFC 5322, 3.6.7
			text = text[strings.LastIndexByte(text, ';')+1:]
		}
		if d, err := parse(strings.TrimSpace(text)); err == nil && !d.IsZero() {
			return d
		}
	}
	return mailbox.Date{}
}

// field returns the first field of that name in the header that b begins with,
// in one line.
func field(b []byte, name string) (text string, ok bool) {
	for len(b) > 0 {
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			n = len(b)
		}
		line := bytes.TrimRight(b[:n], "\r\n")
		b = b[n:]
		switch {
		case ok && len(line) > 0 && (line[0] == ' ' || line[0] == '\t'):
			text += string(line)
		case ok || len(line) == 0:
			return text, ok
		case len(line) > len(name) && line[len(name)] == ':' && strings.EqualFold(string(line[:len(name)]), name):
			text, ok = string(line[len(name)+1:]), true
		}
	}
	return text, ok
}
