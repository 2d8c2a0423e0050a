package flocked

import (
	"bytes"
	"io"
)

const (
	tailWindow = 64 << 10 // octets looked at at once
	tailLimit  = 4 << 20  // and in all: a walk through the records is as quick then
)

// EndsWhole reports whether the octets [from, size) of r end with a whole
// record, as far as the end itself tells: the last internal line announces a
// text that ends at size. It costs the same however large the mailbox is.
// False means that only a walk through all records can tell.
//
// Lines end with eol and have at most maxLine octets; lineAt returns where the
// line begins that ends at b[:end], -1 for none, and the size of its text.
func EndsWhole(r io.ReaderAt, from, size int64, eol string, maxLine int, lineAt func(b []byte, end int) (start int, text int64)) (bool, error) {
	buf := make([]byte, tailWindow)
	for end := size; ; {
		begin := max(from, end-tailWindow)
		b := buf[:end-begin]
		if n, err := r.ReadAt(b, begin); n < len(b) {
			if err == io.EOF {
				err = nil // cut meanwhile: the walk says so
			}
			return false, err
		}
		for at := len(b); ; {
			i := bytes.LastIndex(b[:at], []byte(eol))
			if i < 0 {
				break
			}
			if start, text := lineAt(b, i+len(eol)); start >= 0 {
				return begin+int64(i+len(eol))+text == size, nil
			}
			at = i + len(eol) - 1
		}
		if begin == from || size-begin > tailLimit {
			return size == from, nil
		}
		end = begin + int64(maxLine) // a line may lie across
	}
}
