// Package msgtext streams the text of a message that a file keeps: as it stands
// there, or with the CRs that the file does without.
package msgtext

import (
	"bytes"
	"io"

	"mailutil/pkg/internal/crlf"
	"mailutil/pkg/mailbox"
)

const (
	pieceSize   = 128 << 10 // what is converted at a time
	firstHeader = 8 << 10   // what is read for a header at first
)

// A Text is a mailbox.Content. One serves all messages of a mailbox, one after
// the other, and uses its buffers again.
type Text struct {
	// Piece gives octets of the text as it is in the file, from off on: at least
	// one and at most want. They are valid until it is called next.
	Piece func(off, want int64) ([]byte, error)

	// LF says that the lines end in LF in the file.
	LF bool

	// Seen, where it is not nil, is shown the octets of the file, in order, as
	// they are read. Reset takes it away.
	Seen func(p []byte)

	size int64  // of the text in the file
	off  int64  // of the next octet in the file
	seen int64  // what Seen was shown
	cr   bool   // the octet before is CR
	out  []byte // not yet read
	conv []byte // backs out where it is converted
	head []byte // empty when not asked for
}

// Reset begins a text of size octets in the file.
func (t *Text) Reset(size int64) {
	*t = Text{Piece: t.Piece, LF: t.LF, size: size, conv: t.conv, head: t.head[:0]}
}

// Rewind begins the same text again; what is known of its header stays.
func (t *Text) Rewind() {
	t.Seen, t.seen, t.off, t.cr, t.out = nil, 0, 0, false, nil
}

// fill takes the next piece to out; io.EOF at the end.
func (t *Text) fill() error {
	left := t.size - t.off
	if left == 0 {
		return io.EOF
	}
	if t.LF {
		left = min(left, pieceSize)
	}
	p, err := t.Piece(t.off, left)
	if err != nil {
		return err
	}
	end := t.off + int64(len(p))
	if t.Seen != nil && end > t.seen { // Header may have gone back
		t.Seen(p[t.seen-t.off:])
		t.seen = end
	}
	t.off = end
	t.out = p
	if t.LF {
		t.conv = crlf.Append(t.conv[:0], p, t.cr)
		t.out, t.cr = t.conv, crlf.EndsCR(p, t.cr)
	}
	return nil
}

// Read reads the text.
func (t *Text) Read(p []byte) (int, error) {
	if len(t.out) == 0 && len(p) > 0 {
		if err := t.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.out)
	t.out = t.out[n:]
	return n, nil
}

// WriteTo writes what is left of the text, in large pieces.
func (t *Text) WriteTo(to io.Writer) (done int64, err error) {
	for {
		if len(t.out) == 0 {
			if err := t.fill(); err == io.EOF {
				return done, nil
			} else if err != nil {
				return done, err
			}
		}
		n, err := to.Write(t.out)
		done += int64(n)
		t.out = t.out[n:]
		if err != nil {
			return done, err
		}
	}
}

// Header returns the header block, which ends with the first empty line.
func (t *Text) Header() ([]byte, error) {
	if len(t.head) > 0 {
		return t.head, nil
	}
	if !t.LF { // Piece takes out away
		t.off -= int64(len(t.out))
		t.out = nil
	}
	cr := false
	for off, want := int64(0), int64(firstHeader); off < t.size && len(t.head) < mailbox.MaxHeader; want = min(4*want, mailbox.MaxHeader) {
		p, err := t.Piece(off, min(want, t.size-off))
		if err != nil {
			t.head = t.head[:0]
			return nil, err
		}
		off += int64(len(p))
		seen := max(len(t.head)-3, 0) // the end may lie across
		if t.LF {
			if i := bytes.Index(p, []byte("\n\n")); i >= 0 { // no need to convert what is behind
				p = p[:i+2]
			}
			t.head, cr = crlf.Append(t.head, p, cr), crlf.EndsCR(p, cr)
		} else {
			t.head = append(t.head, p...)
		}
		if n := headerEnd(t.head, seen); n > 0 {
			t.head = t.head[:n]
			break
		}
	}
	t.head = t.head[:min(len(t.head), mailbox.MaxHeader)]
	return t.head, nil
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

// Measure returns how many octets the text has when it is read.
func (t *Text) Measure() (int64, error) {
	if !t.LF {
		return t.size, nil
	}
	size, cr := t.size, false
	for off := int64(0); off < t.size; {
		p, err := t.Piece(off, t.size-off)
		if err != nil {
			return 0, err
		}
		size += crlf.Added(p, cr)
		cr = crlf.EndsCR(p, cr)
		off += int64(len(p))
	}
	return size, nil
}

var _ mailbox.Content = (*Text)(nil)
