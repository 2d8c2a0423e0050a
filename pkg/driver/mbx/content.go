package mbx

import (
	"fmt"
	"io"

	"mailutil/pkg/mailbox"
)

const windowSize = 1 << 20

// A window is the piece of the file that was read last.
type window struct {
	buf  []byte
	base int64
	n    int
}

// take gives the buffer away for other use.
func (w *window) take() []byte {
	if w.buf == nil {
		w.buf = make([]byte, windowSize)
	}
	w.n = 0
	return w.buf
}

// at returns the octets of the window from offset off, none where it is
// outside.
func (w *window) at(off int64) []byte {
	if i := off - w.base; i >= 0 && i < int64(w.n) {
		return w.buf[i:w.n]
	}
	return nil
}

// fill reads octets from off on: need, or as many as fit where reading goes on
// from where the window ended.
func (w *window) fill(r io.ReaderAt, off, need int64) error {
	end := w.base + int64(w.n)
	inOrder := w.n > 0 && off >= end && off <= end+maxLine
	buf := w.take()
	if !inOrder {
		buf = buf[:min(int64(len(buf)), need)]
	}
	n, err := r.ReadAt(buf, off)
	if n > 0 {
		w.base, w.n = off, n
		return nil
	}
	if err == io.EOF {
		return fmt.Errorf("%w: it became shorter", mailbox.ErrChanged)
	}
	return err
}

// Open streams message seq.
func (b *box) Open(seq uint32) (mailbox.Content, error) {
	if seq == 0 || seq > uint32(len(b.index)) {
		return nil, b.Fail("read", fmt.Errorf("no message %d", seq))
	}
	if b.Broken != nil {
		return nil, b.Fail("read", b.Broken)
	}
	r := &b.index[seq-1]
	b.opened = r.text()
	b.text.Piece = b.piece
	b.text.Reset(r.size)
	return &b.text, nil
}

// piece gives octets of the text that is open.
func (b *box) piece(off, want int64) ([]byte, error) {
	off += b.opened
	if len(b.win.at(off)) == 0 {
		if err := b.win.fill(b.F, off, want); err != nil {
			return nil, b.Fail("read", err)
		}
	}
	p := b.win.at(off)
	return p[:min(int64(len(p)), want)], nil
}
