package phile

import (
	"bytes"
	"encoding/base64"
	"io"

	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

const (
	windowSize = 256 << 10
	lineGroups = 15             // groups of 3 octets on a line of base64
	lineOctets = 3 * lineGroups // octets on such a line
	pieceSize  = lineOctets * 1400
)

// A content is the header and the converted file.
type content struct {
	b    *file
	w    *winread.Window
	head []byte // of the header, not yet read
	off  int64  // in the file, of the next octet
	end  int64  // of the file
	done bool   // base64: the last line end was given
	made int64  // octets of the body made so far
	out  []byte // converted, not yet read
	buf  []byte // backs out
}

var _ mailbox.Content = (*content)(nil)

// next returns what is to be read next; nothing at the end.
func (c *content) next() ([]byte, error) {
	if len(c.head) > 0 {
		return c.head, nil
	}
	if len(c.out) == 0 {
		if err := c.fill(); err != nil {
			return nil, c.b.d.fail("read", c.b.name, err)
		}
		c.made += int64(len(c.out))
		want := c.b.kind.bodySize(c.end)
		if c.made > want || len(c.out) == 0 && c.made < want {
			return nil, c.b.d.fail("read", c.b.name, mailbox.ErrChanged)
		}
	}
	return c.out, nil
}

// took drops n octets of what next returned.
func (c *content) took(n int) {
	if len(c.head) > 0 {
		c.head = c.head[n:]
	} else {
		c.out = c.out[n:]
	}
}

// fill converts the next piece of the file.
func (c *content) fill() error {
	c.out = c.buf[:0]
	p, err := c.w.From(c.off)
	if err == nil && len(p) < lineOctets && c.off+int64(len(p)) < c.end {
		p, err = c.w.Refill(c.off)
	}
	if err != nil {
		return err
	}
	p = p[:min(len(p), pieceSize)]
	switch {
	case c.b.kind.binary:
		p = c.base64(p)
	case c.b.kind.cr:
		c.out = p
	default:
		c.out = appendCRLF(c.out, p)
		c.buf = c.out
	}
	c.off += int64(len(p))
	return nil
}

// base64 encodes whole lines of p, at the end of the file all of it, and
// returns what it took.
func (c *content) base64(p []byte) []byte {
	last := c.off+int64(len(p)) == c.end
	if !last {
		p = p[:len(p)-len(p)%lineOctets]
	}
	out := c.out
	for rest := p; len(rest) > 0; {
		line := rest[:min(len(rest), lineOctets)]
		rest = rest[len(line):]
		out = base64.StdEncoding.AppendEncode(out, line)
		if len(line) > lineOctets-3 { // full
			out = append(out, '\r', '\n')
		}
	}
	if last && !c.done {
		c.done = true
		out = append(out, '\r', '\n')
	}
	c.out, c.buf = out, out
	return p
}

// appendCRLF appends p, which has no CR, with CR LF for each LF.
func appendCRLF(b, p []byte) []byte {
	for {
		line, rest, found := bytes.Cut(p, []byte("\n"))
		b = append(b, line...)
		if !found {
			return b
		}
		b = append(b, '\r', '\n')
		p = rest
	}
}

// Read reads the message.
func (c *content) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	out, err := c.next()
	if err != nil {
		return 0, err
	}
	if len(out) == 0 {
		return 0, io.EOF
	}
	n := copy(p, out)
	c.took(n)
	return n, nil
}

// WriteTo writes what is left of the message.
func (c *content) WriteTo(w io.Writer) (done int64, err error) {
	for {
		out, err := c.next()
		if err != nil || len(out) == 0 {
			return done, err
		}
		n, err := w.Write(out)
		c.took(n)
		done += int64(n)
		if err != nil {
			return done, err
		}
	}
}

// Header returns the header with its blank line.
func (c *content) Header() ([]byte, error) { return c.b.header, nil }
