package flocked

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"mailutil/pkg/mailbox"
)

// DateLen is the length of the date that begins an internal line.
const DateLen = 26 // " 1-Jul-2001 02:03:04 -0700"

// MaxLine is how many octets an internal line has at most, with its line end: no
// reader takes more.
const MaxLine = 64

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

// WasLine reports whether b begins with what was an internal line, as it seems:
// most of a date, which is not that of a header, and a comma or a semicolon behind
// it, if anything.
func WasLine(b []byte) bool {
	return DateFits(b) >= 20 && (b[2] == '-' || b[6] == '-') && (len(b) <= DateLen || bytes.ContainsAny(b[DateLen-2:min(len(b), DateLen+22)], ",;"))
}

// SizeDigits returns the digits of the size in b, what is left of an internal line
// from its beginning on: behind the comma, if the date has lost octets or got some.
func SizeDigits(b []byte) []byte {
	from := min(DateLen+1, len(b))
	near := min(DateLen-2, len(b))
	if comma := bytes.IndexByte(b[near:min(DateLen+3, len(b))], ','); comma >= 0 {
		from = near + comma + 1
	}
	to := from
	for to < len(b) && '0' <= b[to] && b[to] <= '9' {
		to++
	}
	return b[from:to]
}

// LineBegin returns where a line begins of which b ends with what is left of date
// and size: where most of a date is to be seen, else as far as digits, blanks and
// the like go.
func LineBegin(b []byte) int {
	const farthest = DateLen + 1 + 12 // digits of a size
	best, most := -1, 19
	for at := len(b) - DateLen - 2; at >= 0 && at > len(b)-farthest; at-- {
		if n := DateFits(b[at:]); n > most {
			best, most = at, n
		}
	}
	if best >= 0 {
		return best
	}
	at := len(bytes.TrimRight(b, "0123456789"))
	if at == 0 || b[at-1] != ',' {
		return at
	}
	rest := bytes.TrimRight(b[:at-1], "0123456789 :+-")
	return max(len(rest), at-1-DateLen)
}

// StrayLineEnds returns how many octets of line ends b has behind its first one,
// which is the last of a text. They are not stray where the text ends between CR
// and LF: then it has got octets.
func StrayLineEnds(b []byte) int {
	if len(b) < 2 || b[0] == '\r' && b[1] == '\n' {
		return 0
	}
	return len(b) - 1 - len(bytes.TrimLeft(b[1:], "\r\n"))
}

// HeaderEnds reports whether the header that begins at text in r ends before
// claim, as far as that can be seen.
func HeaderEnds(r io.ReaderAt, text, claim int64) (bool, error) {
	const far = 64 << 10
	b := make([]byte, min(claim-text, far))
	if _, err := r.ReadAt(b, text); err != nil && err != io.EOF {
		return false, err
	}
	return len(b) == far || bytes.Contains(b, []byte("\n\n")) || bytes.Contains(b, []byte("\n\r\n")), nil
}

// TornLine reports whether b, which stands between two messages, can be the
// beginning of a line: day and month are there, or all of it fits but for an octet
// or two.
func TornLine(b []byte) bool {
	const day = len("15-Jul-")
	if len(b) > day && DateFits(b[:day]) == day {
		return true
	}
	n, whole := DateFits(b), min(len(b), DateLen)
	return n > 0 && n+min(whole/8, 2) >= whole && (len(b) <= DateLen || WasLine(b))
}

// OneDigit reports whether two sizes differ by one digit that is another, or was
// lost or added. Those that differ by little always do, and do not count.
func OneDigit(a, b int64) bool {
	if -10 < a-b && a-b < 10 {
		return false
	}
	s, t := strconv.FormatInt(a, 10), strconv.FormatInt(b, 10)
	if len(s) > len(t) {
		s, t = t, s
	}
	i := 0
	for i < len(s) && s[i] == t[i] {
		i++
	}
	switch len(t) - len(s) {
	case 0:
		return i < len(s) && s[i+1:] == t[i+1:]
	case 1:
		return s[i:] == t[i+1:]
	}
	return false
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
