// Package winread reads a file through a sliding window of ReadAt calls. It is
// not mmap on purpose: another program may truncate the file, and a mapped
// read would then kill us.
package winread

import (
	"bytes"
	"io"

	"mailutil/pkg/internal/fsx"
)

// page keeps reads aligned: read(2) into odd addresses or from odd offsets is
// several times slower.
const page = 4096

// A Window is a view of some octets of a file. It is not safe for concurrent
// use.
type Window struct {
	r    io.ReaderAt
	end  int64 // octets from here on do not exist for us
	size int   // of buf, which is smaller as long as the file is
	buf  []byte
	base int64 // offset in the file of buf[0]
	n    int   // octets in buf

	sum    io.Writer // the witness, nil for none
	summed int64     // octets that it was given

	stream *stream // in place of r; nil for a file
}

// New returns a window of the given size, at least two pages, on the octets of
// r before end.
func New(r io.ReaderAt, size int, end int64) *Window {
	return &Window{r: r, end: end, size: max(size, 2*page)}
}

// room makes buf as large as it has to be.
func (w *Window) room() {
	want := w.size
	if w.end < int64(w.size) {
		want = (int(w.end) + page - 1) &^ (page - 1)
	}
	if len(w.buf) < want {
		w.buf, w.n = make([]byte, want), 0
	}
}

// Reset forgets what was read and sets a new end: the file has changed.
func (w *Window) Reset(end int64) { w.end, w.n = end, 0 }

// Witness gives sum all octets of the file from its start on, once and in
// order, as they are read. What reading leaves out is read for it.
func (w *Window) Witness(sum io.Writer) { w.sum, w.summed, w.n = sum, 0, 0 }

// Testify gives the witness the rest of the file and dismisses it.
func (w *Window) Testify() error {
	err := w.catchUp(w.end)
	w.sum = nil
	return err
}

// catchUp gives the witness what lies before offset to.
func (w *Window) catchUp(to int64) error {
	if w.summed >= to {
		return nil
	}
	_, err := fsx.Copy(w.sum, io.NewSectionReader(w.r, w.summed, to-w.summed), nil)
	w.summed = to
	return err
}

// see gives the witness what is new in the window.
func (w *Window) see() error {
	if err := w.catchUp(w.base); err != nil {
		return err
	}
	if end := w.base + int64(w.n); end > w.summed {
		_, err := w.sum.Write(w.buf[w.summed-w.base : w.n])
		w.summed = end
		return err
	}
	return nil
}

// End is the offset at which the window's file ends.
func (w *Window) End() int64 { return w.end }

// From returns the octets from off on, as many as the window holds, at least
// one; none at the end. They are valid until the next call.
func (w *Window) From(off int64) ([]byte, error) {
	if off >= w.base && off < w.base+int64(w.n) {
		return w.buf[off-w.base : w.n], nil
	}
	return w.Refill(off)
}

// Refill is From with as many octets as the window can hold, less a page.
func (w *Window) Refill(off int64) ([]byte, error) {
	if off >= w.end {
		return nil, nil
	}
	w.room()
	if w.stream != nil {
		return w.refillStream(off)
	}
	w.base = off &^ (page - 1)
	w.n = 0
	want := min(int64(len(w.buf)), w.end-w.base)
	n, err := w.r.ReadAt(w.buf[:want], w.base)
	if int64(n) < want {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF // cut while we read
		}
		return nil, err
	}
	w.n = n
	if w.sum != nil {
		if err := w.see(); err != nil {
			return nil, err
		}
	}
	return w.buf[off-w.base : n], nil
}

// Line returns the line at off with its LF. A last line may have none, and of
// a line longer than the window the beginning is returned. It is valid until
// the next call.
func (w *Window) Line(off int64) ([]byte, error) {
	b, err := w.From(off)
	if err != nil {
		return nil, err
	}
	i := bytes.IndexByte(b, '\n')
	if i < 0 && off+int64(len(b)) < w.end {
		if b, err = w.Refill(off); err != nil {
			return nil, err
		}
		i = bytes.IndexByte(b, '\n')
	}
	if i < 0 {
		return b, nil
	}
	return b[:i+1], nil
}
