package mailtxt

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"mailutil/pkg/internal/crlf"
	"mailutil/pkg/mailbox"
)

// pieceSize is how much is taken at a time.
const pieceSize = 128 << 10

// A content is the text of one message. There is one for a mailbox, used again
// for each message.
type content struct {
	b    *box
	off  int64  // of the next octet on disk
	end  int64  // of the text
	cr   bool   // the octet before is CR
	out  []byte // not yet read
	buf  []byte // backs out where it is converted
	r    *record
	head []byte
}

// Open streams message seq.
func (b *box) Open(seq uint32) (mailbox.Content, error) {
	if seq == 0 || seq > uint32(len(b.index)) {
		return nil, b.d.fail("read", b.name, fmt.Errorf("no message %d", seq))
	}
	if b.broken != nil {
		return nil, b.d.fail("read", b.name, b.broken)
	}
	b.text.reset(b, &b.index[seq-1])
	return &b.text, nil
}

func (c *content) reset(b *box, r *record) {
	*c = content{b: b, r: r, off: r.text(), end: r.end(), buf: c.buf, head: c.head[:0]}
}

// read returns octets of the file from off on, at most to end.
func (b *box) read(off, end int64) ([]byte, error) {
	p, err := b.win.From(off)
	if err == nil && len(p) == 0 || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it became shorter", mailbox.ErrChanged)
	}
	return p[:min(int64(len(p)), end-off)], err
}

// fill takes the next piece to c.out; io.EOF at the end.
func (c *content) fill() error {
	if c.off == c.end {
		return io.EOF
	}
	p, err := c.b.read(c.off, c.end)
	if err != nil {
		return c.b.d.fail("read", c.b.name, err)
	}
	p = p[:min(len(p), pieceSize)]
	if c.b.d.format.EOL == "\r\n" {
		c.out = p
	} else {
		c.buf = crlf.Append(c.buf[:0], p, c.cr)
		c.out = c.buf
		c.cr = crlf.EndsCR(p, c.cr)
	}
	c.off += int64(len(p))
	return nil
}

// Read reads the text.
func (c *content) Read(p []byte) (int, error) {
	if len(c.out) == 0 && len(p) > 0 {
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

// WriteTo writes what is left of the text.
func (c *content) WriteTo(to io.Writer) (done int64, err error) {
	for {
		if len(c.out) == 0 {
			if err := c.fill(); err == io.EOF {
				return done, nil
			} else if err != nil {
				return done, err
			}
		}
		n, err := to.Write(c.out)
		done += int64(n)
		c.out = c.out[n:]
		if err != nil {
			return done, err
		}
	}
}

// Header returns the header block, which ends with the first empty line.
func (c *content) Header() ([]byte, error) {
	if len(c.head) > 0 {
		return c.head, nil
	}
	if c.b.d.format.EOL == "\r\n" { // out is in the window, which may move
		c.off -= int64(len(c.out))
		c.out = nil
	}
	h := content{b: c.b, off: c.r.text(), end: c.r.end()}
	for len(c.head) < mailbox.MaxHeader {
		err := h.fill()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		seen := max(len(c.head)-3, 0) // the end may lie across
		c.head = append(c.head, h.out[:min(len(h.out), mailbox.MaxHeader-len(c.head))]...)
		if n := headerEnd(c.head, seen); n > 0 {
			c.head = c.head[:n]
			break
		}
	}
	return c.head, nil
}

// headerEnd is the length of a header with its empty line, 0 where h does not
// hold its end. There is none in h[:seen].
func headerEnd(h []byte, seen int) int {
	if bytes.HasPrefix(h, []byte("\r\n")) {
		return 2
	}
	if i := bytes.Index(h[seen:], []byte("\r\n\r\n")); i >= 0 {
		return seen + i + 4
	}
	return 0
}

// measure finds out the size of r with CRLF line ends.
func (b *box) measure(r *record) error {
	if r.crlf > 0 {
		return nil
	}
	added, cr := int64(0), false
	for off := r.text(); off < r.end(); {
		p, err := b.read(off, r.end())
		if err != nil {
			return err
		}
		added += crlf.Added(p, cr)
		cr = crlf.EndsCR(p, cr)
		off += int64(len(p))
	}
	r.crlf = r.size + added
	return nil
}
