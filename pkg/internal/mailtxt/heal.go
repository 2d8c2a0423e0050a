package mailtxt

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
	whole, err := flocked.EndsWhole(f, 0, fi.Size(), d.format.EOL, maxLine, d.format.lineAndSize)
	if whole || err != nil {
		return err
	}
	s := d.scanner(f, 0, fi.Size())
	for {
		_, ok, err := s.next()
		if err == nil && ok {
			continue
		}
		if err == nil || !errors.Is(err, mailbox.ErrCorrupt) {
			return err
		}
		if s.pos == 0 && !s.torn { // all would go: an mbx mailbox without its file block looks like this
			return beyond(s.pos, err)
		}
		return d.cutTail(f, s.pos, fi.Size(), err)
	}
}

// cutTail moves the octets [pos, size), which cannot be read for the reason
// given, to NAME.lost.
func (d *Driver) cutTail(f fsx.File, pos, size int64, cause error) error {
	at, err := d.format.findLine(f, pos, size)
	if err != nil {
		return err
	}
	if at >= 0 {
		return beyond(pos, cause)
	}
	return d.files().CutTail(f, pos, size)
}

// beyond is the error of damage at pos that an append cannot heal.
func beyond(pos int64, cause error) error {
	return &mailbox.Error{Off: pos, Err: fmt.Errorf("%w, with messages behind the damage (%w): run mailutil repair",
		mailbox.ErrCorrupt, cause)}
}

// findLine returns the offset of the first octets in [pos, size) that look
// like an internal line as it is written, or -1. One at pos itself, whose text
// is torn, does not count.
func (f *Format) findLine(r io.ReaderAt, pos, size int64) (int64, error) {
	buf := make([]byte, scanWindow)
	for off := pos; off < size; {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-off)], off)
		if n == 0 {
			if err == io.EOF {
				err = mailbox.ErrChanged
			}
			return -1, err
		}
		b := buf[:n]
		for from := 0; ; {
			i := bytes.Index(b[from:], []byte(f.EOL))
			if i < 0 {
				break
			}
			from += i + len(f.EOL)
			if start := lineEndingAt(b, from-len(f.EOL)); start >= 0 && off+int64(start) != pos {
				return off + int64(start), nil
			}
		}
		if off+int64(n) == size {
			break
		}
		off += int64(max(n-maxLine, 1)) // a line may lie across
	}
	return -1, nil
}

// lineEndingAt returns where the internal line begins whose EOL is at end, -1
// where none does. It takes only what is written, not all that is read.
func lineEndingAt(b []byte, end int) int {
	semi := end - flagsLen - 1
	if semi < flocked.DateLen+2 || b[semi] != ';' {
		return -1
	}
	if _, _, ok := parseFlags(b[semi+1 : end]); !ok {
		return -1
	}
	comma := semi - 1
	for comma > 0 && isDigit(b[comma]) {
		comma--
	}
	start := comma - flocked.DateLen
	if b[comma] != ',' || comma == semi-1 || start < 0 || end-start > maxLine || !flocked.IsDate(b[start:comma]) {
		return -1
	}
	return start
}

// lineAndSize returns where the line begins that ends at b[:end], with its EOL,
// -1 where none does, and the size of the text that it tells.
func (f *Format) lineAndSize(b []byte, end int) (start int, size int64) {
	end -= len(f.EOL)
	if start = lineEndingAt(b, end); start < 0 {
		return -1, 0
	}
	size, ok := parseSize(b[start+flocked.DateLen+1 : end-flagsLen-1])
	if !ok {
		return -1, 0
	}
	return start, size
}
