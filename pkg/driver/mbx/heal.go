package mbx

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// heal looks whether f ends with a whole record, and cuts off what a killed
// append of the original left, or garbage, after saving it in NAME.lost: mail
// that is added behind it would be swallowed. Where messages may be in there
// the file is left alone. Only where the end itself does not show that it is
// whole are the records walked through: a delivery takes no longer into a large
// mailbox. The caller holds the temp lock.
func (d *Driver) heal(f fsx.File) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	whole, err := flocked.EndsWhole(f, blockSize, fi.Size(), "\r\n", maxLine, lineAndSize)
	if whole || err != nil {
		return err
	}
	s := newScanner(f, blockSize, fi.Size())
	for {
		_, ok, err := s.next()
		if err == nil && ok {
			continue
		}
		if err == nil || !errors.Is(err, mailbox.ErrCorrupt) {
			return err
		}
		return d.cutTail(f, s.pos, fi.Size(), err)
	}
}

// cutTail moves the octets [pos, size), which cannot be read for the reason
// given, to NAME.lost.
func (d *Driver) cutTail(f fsx.File, pos, size int64, cause error) error {
	at, err := findLine(f, pos, size)
	if err != nil {
		return err
	}
	if at >= 0 {
		return &mailbox.Error{Off: pos, Err: fmt.Errorf("%w, with messages behind the damage (%w): run mailutil repair",
			mailbox.ErrCorrupt, cause)}
	}
	return d.files().CutTail(f, pos, size)
}

// findLine returns the offset of the first octets in [pos, size) that look
// like an internal line as it is written, or -1. One at pos itself, whose text
// is torn, does not count.
func findLine(f io.ReaderAt, pos, size int64) (int64, error) {
	found := int64(-1)
	err := eachLine(f, pos, size, func(off int64) bool {
		if off != pos {
			found = off
		}
		return found < 0
	})
	return found, err
}

// eachLine calls do for the offsets of all octets in [pos, size) that look
// like an internal line as it is written, until it returns false.
func eachLine(f io.ReaderAt, pos, size int64, do func(off int64) bool) error {
	buf := make([]byte, scanWindow)
	next := pos // where a line may begin that do has not got
	for off := pos; off < size; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-off)], off)
		if n == 0 {
			if err == io.EOF {
				return mailbox.ErrChanged
			}
			return err
		}
		b := buf[:n]
		for from := 0; ; {
			i := bytes.Index(b[from:], []byte("\r\n"))
			if i < 0 {
				break
			}
			from += i + 2
			start := lineEndingAt(b, from)
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
		off += int64(max(n-maxLine, 1)) // a line may lie across
	}
	return nil
}

// lineEndingAt returns where the internal line begins that ends at b[:end],
// -1 where none does. It takes only what is written, not all that is read.
func lineEndingAt(b []byte, end int) int {
	dash, semi := end-dashBack, end-semiBack
	if semi < dateLen+2 || b[semi] != ';' || b[dash] != '-' ||
		!allHex(b[semi+1:dash]) || !allHex(b[dash+1:end-2]) {
		return -1
	}
	comma := semi - 1
	for comma > 0 && isDigit(b[comma]) {
		comma--
	}
	start := comma - dateLen
	if b[comma] != ',' || comma == semi-1 || start < 0 || end-start > maxLine {
		return -1
	}
	if !flocked.IsDate(b[start:comma]) {
		return -1
	}
	return start
}

// lineAndSize is lineEndingAt with the size that the line tells.
func lineAndSize(b []byte, end int) (start int, size int64) {
	start = lineEndingAt(b, end)
	if start < 0 {
		return -1, 0
	}
	l, fault := parseLine(b[start:end])
	if fault != lineGood {
		return -1, 0
	}
	return start, l.size
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
