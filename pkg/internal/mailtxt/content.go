package mailtxt

import (
	"errors"
	"fmt"
	"io"

	"mailutil/pkg/mailbox"
)

// Open streams message seq.
func (b *box) Open(seq uint32) (mailbox.Content, error) {
	if seq == 0 || seq > uint32(len(b.index)) {
		return nil, b.Fail("read", fmt.Errorf("no message %d", seq))
	}
	if b.Broken != nil {
		return nil, b.Fail("read", b.Broken)
	}
	b.use(&b.index[seq-1])
	return &b.text, nil
}

// use makes text that of r.
func (b *box) use(r *record) {
	b.opened = r
	b.text.Piece, b.text.LF = b.piece, b.d.format.EOL == "\n"
	b.text.Reset(r.size)
}

// piece gives octets of the text that is open.
func (b *box) piece(off, want int64) ([]byte, error) {
	p, err := b.win.From(b.opened.text() + off)
	if err == nil && len(p) == 0 || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it became shorter", mailbox.ErrChanged)
	}
	if err != nil {
		return nil, b.Fail("read", err)
	}
	return p[:min(int64(len(p)), want)], nil
}

// measure finds out the size of r with CRLF line ends.
func (b *box) measure(r *record) (err error) {
	if r.crlf == 0 {
		b.use(r)
		r.crlf, err = b.text.Measure()
	}
	return err
}
