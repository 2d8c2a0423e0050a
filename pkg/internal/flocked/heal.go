package flocked

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// Lines say how internal lines look.
type Lines struct {
	From int64  // where the first record begins
	EOL  string // what ends a line
	Most int    // octets of a line

	// EndingAt returns where the line begins that ends, with its EOL, at b[:end],
	// as it is written, -1 where none does; and the size of the text that it
	// tells, -1 where that cannot be read.
	EndingAt func(b []byte, end int) (start int, size int64)
}

// Heal looks whether f ends with a whole record, and cuts off what a killed
// append of the original left, or garbage, after saving it in NAME.lost: mail
// that is added behind it would be swallowed. Where messages may be in there
// the file is left alone. Only where the end itself does not show that it is
// whole are the records walked through, by walk, which returns the offset and
// the error of the first that cannot be read: a delivery takes no longer into a
// large mailbox. The caller holds the temp lock.
func (o Files) Heal(f fsx.File, l Lines, walk func(size int64) (pos int64, err error)) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	whole, err := l.endsWhole(f, fi.Size())
	if whole || err != nil {
		return err
	}
	pos, cause := walk(fi.Size())
	if cause == nil || !errors.Is(cause, mailbox.ErrCorrupt) {
		return cause
	}
	torn, messages := false, false
	err = l.Each(f, pos, fi.Size(), func(off int64) bool {
		torn, messages = torn || off == pos, off != pos
		return !messages
	})
	if err != nil {
		return err
	}
	if messages || pos == 0 && !torn { // a file whose first block is lost looks like this
		return &mailbox.Error{Off: pos, Err: fmt.Errorf("%w, with messages behind the damage (%w): run mailutil repair",
			mailbox.ErrCorrupt, cause)}
	}
	return o.CutTail(f, pos, fi.Size())
}

const (
	tailWindow = 64 << 10 // octets looked at at once
	tailLimit  = 4 << 20  // and in all: a walk through the records is as quick then
)

// endsWhole reports whether the first size octets of r end with a whole record,
// as far as the end itself tells: the last internal line announces a text that
// ends there. It costs the same however large the mailbox is. False means that
// only a walk through all records can tell.
func (l Lines) endsWhole(r io.ReaderAt, size int64) (bool, error) {
	buf := make([]byte, tailWindow)
	for end := size; ; {
		begin := max(l.From, end-tailWindow)
		b := buf[:end-begin]
		if n, err := r.ReadAt(b, begin); n < len(b) {
			if err == io.EOF {
				err = nil // cut meanwhile: the walk says so
			}
			return false, err
		}
		for at := len(b); ; {
			i := bytes.LastIndex(b[:at], []byte(l.EOL))
			if i < 0 {
				break
			}
			if start, text := l.EndingAt(b, i+len(l.EOL)); start >= 0 {
				return text >= 0 && begin+int64(i+len(l.EOL))+text == size, nil
			}
			at = i + len(l.EOL) - 1
		}
		if begin == l.From || size-begin > tailLimit {
			return size == l.From, nil
		}
		end = begin + int64(l.Most) // a line may lie across
	}
}

// Each calls do for the offsets of all octets in [pos, size) that look like an
// internal line as it is written, until it returns false.
func (l Lines) Each(r io.ReaderAt, pos, size int64, do func(off int64) bool) error {
	buf := make([]byte, tailWindow)
	next := pos // where a line may begin that do has not got
	for off := pos; off < size; {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-off)], off)
		if n == 0 {
			if err == io.EOF {
				return mailbox.ErrChanged
			}
			return err
		}
		b := buf[:n]
		for from := 0; ; {
			i := bytes.Index(b[from:], []byte(l.EOL))
			if i < 0 {
				break
			}
			from += i + len(l.EOL)
			start, _ := l.EndingAt(b, from)
			if start < 0 || off+int64(start) < next {
				continue
			}
			next = off + int64(from)
			if !do(off + int64(start)) {
				return nil
			}
		}
		if off+int64(n) == size {
			break
		}
		off += int64(max(n-l.Most, 1)) // a line may lie across
	}
	return nil
}
