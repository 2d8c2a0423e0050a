package mbx

import (
	"io"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
)

// lines say how internal lines look.
var lines = flocked.Lines{From: blockSize, EOL: "\r\n", Most: maxLine, EndingAt: lineAndSize}

// heal sees that mail can be added at the end of f. The caller holds the temp
// lock.
func (d *Driver) heal(f fsx.File) error {
	return d.files().Heal(f, lines, func(size int64) (pos int64, err error) {
		s := newScanner(f, blockSize, size)
		for ok := true; ok && err == nil; {
			_, ok, err = s.next()
		}
		return s.pos, err
	})
}

// eachLine calls do for the offsets of all octets in [pos, size) that look
// like an internal line as it is written, until it returns false.
func eachLine(r io.ReaderAt, pos, size int64, do func(off int64) bool) error {
	return lines.Each(r, pos, size, do)
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

// lineAndSize is lineEndingAt with the size that the line tells, -1 for none.
func lineAndSize(b []byte, end int) (start int, size int64) {
	if start = lineEndingAt(b, end); start < 0 {
		return -1, -1
	}
	l, fault := parseLine(b[start:end])
	if fault != lineGood {
		return start, -1
	}
	return start, l.size
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
