package phile

import (
	"context"
	"io"
)

// A kind is what a file holds, as far as that can be told from its octets.
type kind struct {
	binary, cr, eight bool // some octet is no text, CR, above 0x7F
	jp, kr, cn        bool // some sequence of ISO-2022-JP, -KR, -CN
	lfs               int64
}

// What an octet means to the scan.
const (
	plain = iota
	isBinary
	isEight
	isLF
	isCR
	isEsc
)

var classes = func() (c [256]byte) {
	for i := range c {
		switch {
		case i <= 0x06, i >= 0x10 && i <= 0x1A, i >= 0x1C && i <= 0x1F, i == 0x7F:
			c[i] = isBinary
		case i >= 0x80:
			c[i] = isEight
		}
	}
	c['\n'], c['\r'], c[0x1B] = isLF, isCR, isEsc
	return c
}()

// A scanner looks at a file piece by piece.
type scanner struct {
	kind
	esc string // how much of a sequence "ESC $ X Y" the last octets are
}

// scan looks at the next piece.
func (s *scanner) scan(p []byte) {
	for _, c := range p {
		if s.esc != "" {
			s.escape(c)
		}
		switch classes[c] {
		case isBinary:
			s.binary = true
			return
		case isEight:
			s.eight = true
		case isLF:
			s.lfs++
		case isCR:
			s.cr = true
		case isEsc:
			s.esc = "\x1b"
		}
	}
}

// escape takes an octet that follows s.esc (ISO 2022 and RFC 1468, 1557, 1922).
func (s *scanner) escape(c byte) {
	switch seen := s.esc; {
	case seen == "\x1b" && c == '$':
		s.esc = "$"
	case seen == "$" && (c == 'B' || c == '@'):
		s.jp, s.esc = true, ""
	case seen == "$" && (c == ')' || c == '*' || c == '+'):
		s.esc = string(rune(c))
	case seen == ")" && c == 'C':
		s.kr, s.esc = true, ""
	case seen == ")" && (c == 'A' || c == 'E' || c == 'G'),
		seen == "*" && c == 'H',
		seen == "+" && c >= 'I' && c <= 'M':
		s.cn, s.esc = true, ""
	default:
		s.esc = ""
	}
}

// scanAll looks at a whole file, which must have size octets.
func scanAll(ctx context.Context, r io.ReaderAt, size int64) (kind, error) {
	var s scanner
	buf := make([]byte, min(size, 256<<10))
	for off := int64(0); off < size && !s.binary; {
		if err := ctx.Err(); err != nil {
			return kind{}, err
		}
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-off)], off)
		if n == 0 {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return kind{}, err
		}
		s.scan(buf[:n])
		off += int64(n)
	}
	return s.kind, nil
}

// charset is the charset of a text.
func (k kind) charset() string {
	switch {
	case k.jp:
		return "ISO-2022-JP"
	case k.kr:
		return "ISO-2022-KR"
	case k.cn:
		return "ISO-2022-CN"
	case k.eight:
		return "X-UNKNOWN"
	}
	return "US-ASCII"
}

// bodySize is how many octets a file of the given size makes.
func (k kind) bodySize(size int64) int64 {
	switch {
	case k.binary:
		groups := (size + 2) / 3
		return groups*4 + groups/lineGroups*2 + 2
	case k.cr:
		return size
	}
	return size + k.lfs
}
