package crlf

import (
	"bytes"
	"io"
)

// Append appends p with CR LF for each LF that has no CR before it; cr says
// that the octet before p is CR.
func Append(b, p []byte, cr bool) []byte {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			return append(b, p...)
		}
		b = append(b, p[:i]...)
		if !EndsCR(p[:i], cr) {
			b = append(b, '\r')
		}
		b = append(b, '\n')
		p, cr = p[i+1:], false
	}
}

// Added is how many octets Append adds to p.
func Added(p []byte, cr bool) (n int64) {
	if !cr && bytes.IndexByte(p, '\r') < 0 { // the rule, and many times faster
		return int64(bytes.Count(p, []byte("\n")))
	}
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			return n
		}
		if !EndsCR(p[:i], cr) {
			n++
		}
		p, cr = p[i+1:], false
	}
}

// EndsCR reports whether the last octet of p, or where there is none the one
// before it, is CR.
func EndsCR(p []byte, cr bool) bool {
	if len(p) == 0 {
		return cr
	}
	return p[len(p)-1] == '\r'
}

// A ToLF takes CR LF to LF, so that Append gives back what it was
// given. CRs that stand before CR LF stay, with that one, as do CRs anywhere
// else: the original reads them, though it writes none.
type ToLF struct {
	held int // CRs at the end of what was given
	Bare int // LFs without a CR, so far
}

// Append appends the converted octets of p, which goes on where the last p
// ended, to b.
func (l *ToLF) Append(b, p []byte) []byte {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		text := bytes.TrimRight(p[:i], "\r")
		if len(text) > 0 {
			b = append(l.Flush(b), text...)
		}
		l.held += i - len(text)
		switch l.held {
		case 0:
			l.Bare++
		case 1:
			l.held = 0
		}
		b = append(l.Flush(b), '\n')
		p = p[i+1:]
	}
	text := bytes.TrimRight(p, "\r")
	if len(text) > 0 {
		b = append(l.Flush(b), text...)
	}
	l.held += len(p) - len(text)
	return b
}

// Flush appends the CRs that were held back.
func (l *ToLF) Flush(b []byte) []byte {
	for ; l.held > 0; l.held-- {
		b = append(b, '\r')
	}
	return b
}

// A Writer writes to To with LF what it is given with CR LF.
type Writer struct {
	ToLF
	To  io.Writer
	Buf []byte // may be given, and taken back, so that it is used again
}

// Write takes all of p.
func (w *Writer) Write(p []byte) (int, error) {
	w.Buf = w.Append(w.Buf[:0], p)
	_, err := w.To.Write(w.Buf)
	return len(p), err
}

// End writes what was held back.
func (w *Writer) End() error {
	w.Buf = w.Flush(w.Buf[:0])
	_, err := w.To.Write(w.Buf)
	return err
}
