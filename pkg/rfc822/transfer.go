package rfc822

import (
	"bytes"
	"io"
)

// An Encoding is a content transfer encoding, RFC 2045, 6.
type Encoding int

// Identity stands for 7bit, 8bit, binary and all unknown encodings.
const (
	Identity Encoding = iota
	Base64
	QuotedPrintable
)

// ParseEncoding reads the body of a Content-Transfer-Encoding field.
func ParseEncoding(raw []byte) Encoding {
	name, _ := token(raw)
	switch {
	case bytes.EqualFold(name, []byte("base64")):
		return Base64
	case bytes.EqualFold(name, []byte("quoted-printable")):
		return QuotedPrintable
	}
	return Identity
}

// NewWriter returns a writer that decodes what is written to it and passes it
// on to w. Close writes what is left over and closes w. Octets that the
// encoding does not know are no error: base64 passes over them, quoted
// printable leaves them.
func (e Encoding) NewWriter(w io.WriteCloser) io.WriteCloser {
	switch e {
	case Base64:
		return &base64Writer{w: w}
	case QuotedPrintable:
		return &qpWriter{w: w}
	}
	return w
}

// A base64Writer decodes base64.
type base64Writer struct {
	w    io.WriteCloser
	bits uint32
	n    int // digits in bits
	buf  [3072]byte
}

// base64Values holds the value of each digit plus one, 0 for all else.
var base64Values = func() (t [256]byte) {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range len(digits) {
		t[digits[i]] = byte(i + 1)
	}
	return t
}()

func (b *base64Writer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		piece := rest[:min(len(rest), len(b.buf))] // gives at most 3/4 of it, and 2 more
		rest = rest[len(piece):]
		out := b.decode(b.buf[:0], piece)
		if len(out) == 0 {
			continue
		}
		if _, err := b.w.Write(out); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (b *base64Writer) decode(out, p []byte) []byte {
	bits, n := b.bits, b.n
	for _, c := range p {
		v := base64Values[c]
		if v == 0 {
			if c == '=' { // the end, or of one of several in a row
				b.bits, b.n = bits, n
				out = b.flush(out)
				n = 0
			}
			continue
		}
		bits = bits<<6 | uint32(v-1)
		if n++; n == 4 {
			out = append(out, byte(bits>>16), byte(bits>>8), byte(bits))
			n = 0
		}
	}
	b.bits, b.n = bits, n
	return out
}

// flush appends the octets that are complete in a group that is not.
func (b *base64Writer) flush(out []byte) []byte {
	switch b.n {
	case 2:
		out = append(out, byte(b.bits>>4))
	case 3:
		out = append(out, byte(b.bits>>10), byte(b.bits>>2))
	}
	b.n = 0
	return out
}

func (b *base64Writer) Close() error {
	if out := b.flush(b.buf[:0]); len(out) > 0 {
		if _, err := b.w.Write(out); err != nil {
			return err
		}
	}
	return b.w.Close()
}

// A qpWriter decodes quoted-printable.
type qpWriter struct {
	w    io.WriteCloser
	held []byte // from an equals sign on
	out  []byte
}

// maxPadding is how many blanks may stand between the equals sign and the end
// of its line.
const maxPadding = 256

func (q *qpWriter) Write(p []byte) (int, error) {
	q.out = q.out[:0]
	for rest := p; len(rest) > 0; {
		if len(q.held) > 0 {
			q.escaped(rest[0])
			rest = rest[1:]
			continue
		}
		i := bytes.IndexByte(rest, '=')
		if i < 0 {
			q.out = append(q.out, rest...)
			break
		}
		q.out = append(q.out, rest[:i]...)
		q.held = append(q.held[:0], '=')
		rest = rest[i+1:]
	}
	if _, err := q.w.Write(q.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// escaped takes an octet after an equals sign.
func (q *qpWriter) escaped(c byte) {
	last := q.held[len(q.held)-1]
	switch {
	case c == '\n' && (last == '\r' || !isHex(last)): // soft line break
		q.held = q.held[:0]
	case len(q.held) == 1 && isHex(c),
		(c == ' ' || c == '\t' || c == '\r') && !isHex(last) && len(q.held) < maxPadding:
		q.held = append(q.held, c)
	case len(q.held) == 2 && isHex(last) && isHex(c):
		q.out = append(q.out, hexValue(last)<<4|hexValue(c))
		q.held = q.held[:0]
	case c == '=':
		q.out = append(q.out, q.held...)
		q.held = append(q.held[:0], '=')
	default:
		q.out = append(append(q.out, q.held...), c)
		q.held = q.held[:0]
	}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

func (q *qpWriter) Close() error {
	if len(q.held) > 0 {
		if _, err := q.w.Write(q.held); err != nil {
			return err
		}
	}
	return q.w.Close()
}
