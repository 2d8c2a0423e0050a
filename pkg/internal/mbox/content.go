package mbox

import (
	"bytes"
	"io"

	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// pieceSize is about how much is converted at a time.
const pieceSize = 128 << 10

// A HeaderReader gives the header lines that are not ours.
type HeaderReader struct {
	W      *winread.Window
	Off    int64 // of the next octet
	End    int64 // where the body begins
	Length bool  // Content-Length is one of ours
	within bool  // in the middle of a line that is longer than the window
	hidden bool  // in a field of ours
}

// Next returns the next piece of at most one line; nil at the end. blank is
// true for the empty line that ends the header. It is valid until the next
// call.
func (h *HeaderReader) Next() (piece []byte, blank bool, err error) {
	for h.Off < h.End {
		ln, err := h.W.Line(h.Off)
		if err != nil {
			return nil, false, err
		}
		ln = ln[:min(int64(len(ln)), h.End-h.Off)]
		h.Off += int64(len(ln))
		blank = !h.within && (ln[0] == '\n' || len(ln) == 2 && ln[0] == '\r' && ln[1] == '\n')
		switch {
		case h.within:
		case blank:
			h.hidden = false
		case ln[0] != ' ' && ln[0] != '\t':
			f, _, _ := hiddenField(ln)
			h.hidden = f != notOurs || h.Length && isLength(ln)
		}
		h.within = ln[len(ln)-1] != '\n'
		if !h.hidden {
			return ln, blank, nil
		}
	}
	return nil, false, nil
}

// A Content is the text of a message. There is one for a mailbox, used again
// for each message.
type Content struct {
	Dialect Dialect

	w     *winread.Window
	m     Message
	h     HeaderReader
	off   int64  // of the next octet of the body
	cr    bool   // the octet before is CR
	begin bool   // off is at the beginning of a line
	out   []byte // converted, not yet read
	buf   []byte // backs out
	head  []byte // the header block, nil when not asked for
}

// Reset begins with message m of the file that w looks at.
func (c *Content) Reset(w *winread.Window, m Message) {
	c.w, c.m = w, m
	c.h = c.headerReader()
	c.begin = true
	c.off, c.cr, c.out, c.head = m.Body, false, nil, nil
	if c.buf == nil {
		c.buf = make([]byte, 0, 2*pieceSize)
	}
}

func (c *Content) headerReader() HeaderReader {
	return HeaderReader{W: c.w, Off: c.m.From + int64(c.m.Header), End: c.m.Body, Length: c.m.Bits&BitCounted != 0}
}

// fill converts the next piece into c.out; none at the end.
func (c *Content) fill() error {
	c.out = c.buf[:0]
	for c.h.Off < c.h.End && len(c.out) < pieceSize/2 {
		ln, _, err := c.h.Next()
		if err != nil {
			return err
		}
		if len(ln) == 0 {
			continue
		}
		c.out = appendCRLF(c.out, ln, c.cr)
		c.cr = ln[len(ln)-1] == '\r'
	}
	if len(c.out) > 0 || c.off >= c.m.End {
		return nil
	}
	if c.m.Bits&BitQuoted != 0 {
		return c.fillUnquoted()
	}
	b, err := c.w.From(c.off)
	if err != nil {
		return err
	}
	b = b[:min(int64(len(b)), c.m.End-c.off, pieceSize)]
	c.out = appendCRLF(c.out, b, c.cr)
	c.cr = b[len(b)-1] == '\r'
	c.off += int64(len(b))
	return nil
}

// fillUnquoted is fill for a body with quoted lines.
func (c *Content) fillUnquoted() error {
	for c.off < c.m.End && len(c.out) < pieceSize/2 {
		ln, err := c.w.Line(c.off)
		if err != nil {
			return err
		}
		ln = ln[:min(int64(len(ln)), c.m.End-c.off)]
		c.off += int64(len(ln))
		plain := ln
		if c.begin && c.Dialect.isQuoted(ln) {
			plain = ln[1:]
		}
		c.out = appendCRLF(c.out, plain, c.cr)
		c.cr = ln[len(ln)-1] == '\r'
		c.begin = ln[len(ln)-1] == '\n'
	}
	return nil
}

// appendCRLF appends p with CR LF for each line end. cr says that the octet
// before p is CR.
func appendCRLF(b, p []byte, cr bool) []byte {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			return append(b, p...)
		}
		b = append(b, p[:i]...)
		if i > 0 && p[i-1] == '\r' || i == 0 && cr {
			b = append(b, '\n')
		} else {
			b = append(b, '\r', '\n')
		}
		p, cr = p[i+1:], false
	}
}

// Read reads the text.
func (c *Content) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(c.out) == 0 {
		if err := c.fill(); err != nil {
			return 0, err
		}
		if len(c.out) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

// WriteTo writes what is left of the text.
func (c *Content) WriteTo(to io.Writer) (done int64, err error) {
	for {
		if len(c.out) == 0 {
			if err := c.fill(); err != nil || len(c.out) == 0 {
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

// Header returns the header block, at most mailbox.MaxHeader of it.
func (c *Content) Header() ([]byte, error) {
	if c.head != nil {
		return c.head, nil
	}
	h := c.headerReader()
	head, cr := []byte{}, false
	for len(head) < mailbox.MaxHeader {
		ln, _, err := h.Next()
		if err != nil {
			return nil, err
		}
		if len(ln) == 0 {
			break
		}
		head = appendCRLF(head, ln, cr)
		cr = ln[len(ln)-1] == '\r'
	}
	c.head = head[:min(len(head), mailbox.MaxHeader)]
	return c.head, nil
}

var _ mailbox.Content = (*Content)(nil)

// An LFAppender takes CR LF to LF. A CR that stands before another CR and LF
// stays with both: it would be lost when the line is read.
type LFAppender struct {
	MMDF bool // CR LF behind 0x01 stays, or a delimiter might come into being

	held int  // CRs at the end of what was given
	bare int  // LFs without a CR, so far
	last byte // the octet before the CRs
}

// Append appends the converted octets of p, which goes on where the last p
// ended, to b.
func (l *LFAppender) Append(b, p []byte) []byte {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		if l.held == 0 && i > 1 && p[i-1] == '\r' && p[i-2] > '\r' { // nearly always
			b = append(b, p[:i-1]...)
			b = append(b, '\n')
			p = p[i+1:]
			continue
		}
		text := bytes.TrimRight(p[:i], "\r")
		crs := i - len(text)
		if len(text) > 0 {
			b = l.Flush(b)
			l.last = text[len(text)-1]
		}
		crs += l.held
		l.held = 0
		b = append(b, text...)
		switch crs {
		case 0:
			l.bare++
		case 1:
			if l.MMDF && l.last == 1 {
				b = append(b, '\r')
			}
		default:
			for range crs {
				b = append(b, '\r')
			}
		}
		b = append(b, '\n')
		l.last = '\n'
		p = p[i+1:]
	}
	text := bytes.TrimRight(p, "\r")
	if len(text) > 0 {
		b = l.Flush(b)
		l.last = text[len(text)-1]
	}
	l.held += len(p) - len(text)
	return append(b, text...)
}

// Flush appends the CRs that were held back: no LF follows them.
func (l *LFAppender) Flush(b []byte) []byte {
	for ; l.held > 0; l.held-- {
		b = append(b, '\r')
	}
	return b
}
