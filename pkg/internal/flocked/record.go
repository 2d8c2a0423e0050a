package flocked

import (
	"errors"
	"fmt"
	"io"
	"time"

	"mailutil/pkg/mailbox"
)

// DateLen is the length of the date that begins an internal line.
const DateLen = 26 // " 1-Jul-2001 02:03:04 -0700"

// AppendDate appends the date of an internal line. The day of a date that is
// given is padded with a blank, that of "now" with a zero.
func AppendDate(b []byte, d mailbox.Date, now bool) []byte {
	at := len(b)
	b = d.Append(b)
	if now && b[at] == ' ' {
		b[at] = '0'
	}
	return b
}

// Storable reports whether a date survives being written and read.
func Storable(d mailbox.Date) bool {
	var buf [48]byte
	s := d.Append(buf[:0])
	back, err := mailbox.ParseDate(string(s), time.UTC)
	return err == nil && len(s) == DateLen && back == d
}

// IsDate reports whether b has the shape of a date as it is written.
func IsDate(b []byte) bool { return len(b) == DateLen && DateFits(b) == DateLen }

// DateFits returns how many of the first octets of b have the shape of a date:
// 9 stands for a digit, a for a letter, + for a sign.
func DateFits(b []byte) (n int) {
	const shape = "99-aaa-9999 99:99:99 +9999"
	for i := range min(len(b), DateLen) {
		if fits(shape[i], b[i], i == 0) {
			n++
		}
	}
	return n
}

// fits reports whether c can stand where shape has s; the first digit may be a
// blank.
func fits(s, c byte, first bool) bool {
	switch s {
	case '9':
		return '0' <= c && c <= '9' || first && c == ' '
	case 'a':
		return 'A' <= c&^0x20 && c&^0x20 <= 'Z'
	case '+':
		return c == '+' || c == '-'
	}
	return c == s
}

// Exactly lets write give w a text, which must be size octets.
func Exactly(w io.Writer, size int64, write func(io.Writer) error) error {
	e := exact{to: w, left: size}
	if err := write(&e); err != nil {
		return err
	}
	if e.left > 0 {
		return fmt.Errorf("the text is %d octets shorter than its size of %d", e.left, size)
	}
	return nil
}

// exact passes on as many octets as were announced.
type exact struct {
	to   io.Writer
	left int64
}

func (e *exact) Write(p []byte) (int, error) {
	if int64(len(p)) > e.left {
		return 0, errors.New("the text is longer than its size")
	}
	n, err := e.to.Write(p)
	e.left -= int64(n)
	return n, err
}
