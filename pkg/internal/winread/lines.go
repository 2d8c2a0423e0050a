package winread

import (
	"bytes"
	"io"
)

// Lines tells the line numbers of offsets. It reads what lies between one
// question and the next, so questions in ascending order cost one pass at most.
type Lines struct {
	r    io.ReaderAt
	off  int64 // what was counted
	n    int64 // LFs before off
	buf  []byte
	size int64
}

// NewLines returns the line numbers of the octets of r before size.
func NewLines(r io.ReaderAt, size int64) *Lines { return &Lines{r: r, size: size} }

// At returns the number, from 1, of the line that the octet at off is in.
func (l *Lines) At(off int64) (int64, error) {
	off = min(off, l.size)
	if off < l.off {
		l.off, l.n = 0, 0
	}
	if l.buf == nil {
		l.buf = make([]byte, 64<<10)
	}
	for l.off < off {
		n, err := l.r.ReadAt(l.buf[:min(int64(len(l.buf)), off-l.off)], l.off)
		if n == 0 {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF // cut while we read
			}
			return 0, err
		}
		l.n += int64(bytes.Count(l.buf[:n], []byte("\n")))
		l.off += int64(n)
	}
	return l.n + 1, nil
}
