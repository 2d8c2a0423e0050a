package mbx

import (
	"bytes"
	"fmt"
	"io"

	"mailutil/pkg/mailbox"
)

const (
	windowSize  = 1 << 20
	firstHeader = 8 << 10 // what is read for a header at first
)

// A window is the piece of the file that was read last.
type window struct {
	buf  []byte
	base int64
	n    int
	hdr  []byte
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

// A content is the text of one message.
type content struct {
	b         *box
	off, size int64
	pos       int64 // octets read
}

// Open streams message seq.
func (b *box) Open(seq uint32) (mailbox.Content, error) {
	if seq == 0 || seq > uint32(len(b.index)) {
		return nil, b.d.fail("read", b.name, fmt.Errorf("no message %d", seq))
	}
	if b.broken != nil {
		return nil, b.d.fail("read", b.name, b.broken)
	}
	r := &b.index[seq-1]
	return &content{b: b, off: r.text(), size: r.size}, nil
}

// next returns more of the text, at least one octet or io.EOF.
func (c *content) next() ([]byte, error) {
	left := c.size - c.pos
	if left == 0 {
		return nil, io.EOF
	}
	w := &c.b.win
	if len(w.at(c.off+c.pos)) == 0 {
		if err := w.fill(c.b.f, c.off+c.pos, left); err != nil {
			return nil, c.b.d.fail("read", c.b.name, err)
		}
	}
	p := w.at(c.off + c.pos)
	return p[:min(int64(len(p)), left)], nil
}

// Read reads the text.
func (c *content) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	from, err := c.next()
	if err != nil {
		return 0, err
	}
	n := copy(p, from)
	c.pos += int64(n)
	return n, nil
}

// WriteTo writes the text in large pieces.
func (c *content) WriteTo(w io.Writer) (int64, error) {
	var done int64
	for {
		p, err := c.next()
		if err == io.EOF {
			return done, nil
		}
		if err != nil {
			return done, err
		}
		n, err := w.Write(p)
		c.pos += int64(n)
		done += int64(n)
		if err != nil {
			return done, err
		}
	}
}

// Header returns the header block, which ends with the first empty line.
func (c *content) Header() ([]byte, error) {
	limit := min(c.size, mailbox.MaxHeader)
	h := c.b.win.hdr[:0]
	for want := min(limit, firstHeader); ; want = min(limit, 4*want) {
		var err error
		if h, err = c.read(h, int(want)); err != nil {
			return nil, c.b.d.fail("read", c.b.name, err)
		}
		c.b.win.hdr = h
		if n := headerLen(h); n > 0 {
			return h[:n], nil
		}
		if want == limit {
			return h, nil
		}
	}
}

// read lengthens h, the start of the text, to want octets.
func (c *content) read(h []byte, want int) ([]byte, error) {
	if cap(h) < want {
		h = append(make([]byte, 0, want), h...)
	}
	for len(h) < want {
		off := c.off + int64(len(h))
		if p := c.b.win.at(off); len(p) > 0 {
			h = append(h, p[:min(len(p), want-len(h))]...)
			continue
		}
		n, err := c.b.f.ReadAt(h[len(h):want], off)
		if n == 0 && err == io.EOF {
			return h, fmt.Errorf("%w: it became shorter", mailbox.ErrChanged)
		}
		if n == 0 {
			return h, err
		}
		h = h[:len(h)+n]
	}
	return h, nil
}

// headerLen is the length of a header with its empty line, 0 where h does not
// hold its end.
func headerLen(h []byte) int {
	if bytes.HasPrefix(h, []byte("\r\n")) {
		return 2
	}
	if i := bytes.Index(h, []byte("\r\n\r\n")); i >= 0 {
		return i + 4
	}
	return 0
}
