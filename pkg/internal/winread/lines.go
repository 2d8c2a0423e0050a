package winread

import (
	"bytes"
	"io"
)

// Lines tells the line numbers of offsets. It reads what lies between one
// question and the next, so questions in nearly ascending order cost one pass at most.
type Lines struct {
	r    io.ReaderAt
	off  int64 // what was counted
	n    int64 // LFs before off
	kept int64 // no octet before this one is read any more
	lfs  int64 // LFs before kept
	buf  []byte
	size int64
}

// NewLines returns the line numbers of the octets of r before size.
func NewLines(r io.ReaderAt, size int64) *Lines { return &Lines{r: r, size: size} }

// At returns the number, from 1, of the line that the octet at off is in.
func (l *Lines) At(off int64) (int64, error) {
	off = min(off, l.size)
	if off-l.kept < l.off-off {
		l.off, l.n = l.kept, l.lfs
	}
	n, err := l.count(min(off, l.off), max(off, l.off))
	if err != nil {
		return 0, err
	}
	if off < l.off {
		n = -n
	}
	l.off, l.n = off, l.n+n
	return l.n + 1, nil
}

// Keep says that there will be no question about octets before off, which may
// not be there any more.
func (l *Lines) Keep(off int64) error {
	_, err := l.At(off)
	l.kept, l.lfs = l.off, l.n
	return err
}

// count counts the LFs in [from, to).
func (l *Lines) count(from, to int64) (lfs int64, err error) {
	if l.buf == nil {
		l.buf = make([]byte, 64<<10)
	}
	for from < to {
		n, err := l.r.ReadAt(l.buf[:min(int64(len(l.buf)), to-from)], from)
		if n == 0 {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF // cut while we read
			}
			return 0, err
		}
		lfs += int64(bytes.Count(l.buf[:n], []byte("\n")))
		from += int64(n)
	}
	return lfs, nil
}
