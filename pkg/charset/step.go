package charset

import (
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A stepper is a decoder that looks at one octet at a time.
type stepper interface {
	step(out []byte, c byte) []byte // appends what c completes
	end(out []byte) []byte          // appends what is left at the end
}

// A stepWriter is the writer of a stepper.
type stepWriter struct {
	w   io.WriteCloser
	s   stepper
	buf []byte
}

func (s *stepWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		piece := rest[:min(len(rest), 4096)]
		rest = rest[len(piece):]
		s.buf = s.buf[:0]
		for _, c := range piece {
			s.buf = s.s.step(s.buf, c)
		}
		if _, err := s.w.Write(s.buf); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (s *stepWriter) Close() error {
	if _, err := s.w.Write(s.s.end(s.buf[:0])); err != nil {
		return err
	}
	return s.w.Close()
}

// utf7 decodes UTF-7, RFC 2152. Octets that have no business there are left.
type utf7 struct {
	inside bool   // after "+"
	empty  bool   // nothing since the "+"
	bits   uint32 // not yet used, the lowest n
	n      int
	high   rune // first half of a surrogate pair, else 0
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

func (u *utf7) step(out []byte, c byte) []byte {
	if !u.inside {
		if c == '+' {
			*u = utf7{inside: true, empty: true}
			return out
		}
		return append(out, c)
	}
	digit := strings.IndexByte(base64Digits, c)
	if digit >= 0 {
		u.empty = false
		return u.digit(out, uint32(digit))
	}
	out = u.end(out)
	switch {
	case c == '-' && u.empty:
		out = append(out, '+')
	case c != '-':
		out = append(out, c)
	}
	*u = utf7{}
	return out
}

func (u *utf7) digit(out []byte, v uint32) []byte {
	u.bits, u.n = u.bits<<6|v, u.n+6
	if u.n < 16 {
		return out
	}
	u.n -= 16
	r := rune(u.bits >> u.n & 0xFFFF)
	high := u.high
	u.high = 0
	switch {
	case high != 0 && utf16.DecodeRune(high, r) != utf8.RuneError:
		return utf8.AppendRune(out, utf16.DecodeRune(high, r))
	case high != 0:
		out = utf8.AppendRune(out, utf8.RuneError)
	}
	if 0xD800 <= r && r < 0xDC00 {
		u.high = r
		return out
	}
	return utf8.AppendRune(out, r)
}

func (u *utf7) end(out []byte) []byte {
	if u.high != 0 {
		out = utf8.AppendRune(out, utf8.RuneError)
	}
	return out
}

// iso2022 turns the seven-bit codes of ISO-2022-KR (RFC 1557) and ISO-2022-CN
// (RFC 1922) into EUC: between SO and SI octets get their eighth bit. Of
// ISO-2022-CN only GB 2312 is known; the CNS planes come out as "?".
type iso2022 struct {
	escape  [4]byte // an escape sequence as far as read
	n       int
	shifted bool // after SO
	foreign bool // the set after SO is none that we know
	single  int  // octets of a single-shifted character to come
}

func newISO2022() stepper { return &iso2022{} }

func (s *iso2022) step(out []byte, c byte) []byte {
	switch {
	case s.n > 0:
		return s.escaped(out, c)
	case c == 0x1B:
		s.escape[0], s.n = c, 1
		return out
	case c == 0x0E, c == 0x0F:
		s.shifted = c == 0x0E
		return out
	case c == '\n': // both return to ASCII at the end of a line
		s.shifted, s.single = false, 0
		return append(out, c)
	case s.single > 0:
		s.single--
		return append(out, '?')
	case c <= ' ' || c >= 0x7F || !s.shifted:
		return append(out, c)
	case s.foreign:
		return append(out, '?')
	}
	return append(out, c|0x80)
}

// escaped takes the octets after ESC: "$)" and "$*" with the name of a set, or
// "N" before a character of the second set.
func (s *iso2022) escaped(out []byte, c byte) []byte {
	s.escape[s.n] = c
	s.n++
	switch {
	case s.n == 2 && c == 'N':
		s.single = 2
	case s.n == 2 && c == '$', s.n == 3 && (c == ')' || c == '*'):
		return out
	case s.n == 4:
		if s.escape[2] == ')' {
			s.foreign = c != 'A' && c != 'C'
		}
	default: // no sequence of ours: it stays
		out = append(out, s.escape[:s.n]...)
	}
	s.n = 0
	return out
}

func (s *iso2022) end(out []byte) []byte {
	out = append(out, s.escape[:s.n]...)
	s.n = 0
	return out
}

// viscii decodes VISCII, RFC 1456.
type viscii struct{}

func (viscii) step(out []byte, c byte) []byte { return utf8.AppendRune(out, visciiRunes[c]) }
func (viscii) end(out []byte) []byte          { return out }
