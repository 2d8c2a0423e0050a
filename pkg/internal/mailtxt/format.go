package mailtxt

import (
	"bytes"

	"mailutil/pkg/mailbox"
)

// A Format says in what the two formats differ.
type Format struct {
	Name  string // of the driver
	Title string // as sentences of the original have it
	Inbox string // file below the home directory that is INBOX where ~/INBOX is not
	EOL   string // what ends a line on disk
	noEOL string // what the original says is not there
}

// The formats.
var (
	MTX   = Format{Name: "mtx", Title: "MTX", Inbox: "INBOX.MTX", EOL: "\r\n", noEOL: "CRLF"}
	Tenex = Format{Name: "tenex", Title: "TENEX", Inbox: "mail.txt", EOL: "\n", noEOL: "newline"}
)

// other is the format that differs from f in what ends a line.
func (f *Format) other() *Format {
	if f.EOL == MTX.EOL {
		return &Tenex
	}
	return &MTX
}

// eol returns where the internal line in b ends, -1 where it does not. What is
// behind a NUL does not count.
func (f *Format) eol(b []byte) int {
	b = cString(b)
	if f.EOL == "\n" {
		return bytes.IndexByte(b, '\n')
	}
	cr := bytes.IndexByte(b, '\r')
	if cr < 0 || cr+1 >= len(b) || b[cr+1] != '\n' {
		return -1
	}
	return cr
}

// owns reports whether b, the first 64 octets of a file or all there are, is
// the start of a mailbox.
func (f *Format) owns(b []byte) bool {
	const dash = '-'
	end := f.eol(b)
	if end < 1 || f.EOL == "\n" && b[end-1] == '\r' {
		return false
	}
	b = b[:end]
	if len(b) < 18 || !(b[2] == dash && b[6] == dash || b[1] == dash && b[5] == dash) {
		return false
	}
	comma := bytes.IndexByte(b[18:], ',')
	return comma >= 0 && len(b) > 18+comma+2 && bytes.IndexByte(b[18+comma+2:], ';') >= 0
}

// cString is b up to the first NUL.
func cString(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// notOurs is the error where a file has another format.
func (f *Format) notOurs(n mailbox.Name) error {
	return mailbox.Sayf(mailbox.ErrFormat, "Not a %s-format mailbox: %.80s", f.Title, n.Text)
}
