package charset

import (
	"io"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// A Charset is a known charset. The zero value is "octets as they are".
type Charset struct {
	// Name is the preferred MIME name in lower case.
	Name string

	// ASCII says that an octet below 0x80 is always that ASCII character, so
	// that ASCII text can be looked for in the octets as they are.
	ASCII bool

	// UTF8 says that the text needs no decoding: it is UTF-8, or a charset
	// that is taken for it.
	UTF8 bool

	codec
}

// A codec makes decoders. With both set, the stepper comes first and gives
// octets for the encoding; with none, text stays as it is.
type codec struct {
	encoding encoding.Encoding
	stepper  func() stepper
}

// Octets is what text of no or an unknown charset is taken for.
var Octets = Charset{Name: "", ASCII: true, UTF8: true}

// Lookup returns the charset with a MIME name or alias, in any case. Where
// there is none, it returns Octets and false.
func Lookup(name string) (Charset, bool) {
	name = strings.ToLower(strings.TrimSpace(name))
	if alias, ok := aliases[name]; ok {
		name = alias
	}
	if c, ok := charsets[name]; ok {
		c.Name = name
		return c, true
	}
	return Octets, false
}

// NewWriter returns a writer that passes on what is written to it to w, in
// UTF-8 but for the octets that UTF-8 charsets hold by mistake: those are
// left. Close writes what is left over; it does not close w. Errors are those
// of w alone: a text that ends in the middle of a character is no error.
func (c Charset) NewWriter(w io.Writer) io.WriteCloser {
	var out io.WriteCloser = plain{w}
	if c.encoding != nil {
		out = &transformer{w: w, t: c.encoding.NewDecoder()}
	}
	if c.stepper != nil {
		out = &stepWriter{w: out, s: c.stepper()}
	}
	return out
}

// Decode returns b in UTF-8. Octets that are no UTF-8 where the charset says
// so become Latin-1 characters.
func (c Charset) Decode(b []byte) string {
	if c.UTF8 {
		return fromOctets(b)
	}
	var out strings.Builder
	w := c.NewWriter(&out)
	_, err := w.Write(b)
	if err == nil {
		err = w.Close()
	}
	if err != nil { // a strings.Builder has no errors
		return fromOctets(b)
	}
	return out.String()
}

// fromOctets returns b as UTF-8, bad octets being Latin-1.
func fromOctets(b []byte) string {
	s := string(b)
	valid := strings.ToValidUTF8(s, "")
	if len(valid) == len(s) {
		return s
	}
	var out strings.Builder
	for i, r := range s {
		if r == '\uFFFD' && !strings.HasPrefix(s[i:], "\uFFFD") {
			r = rune(s[i])
		}
		out.WriteRune(r)
	}
	return out.String()
}

// plain is the writer of charsets that need no decoding.
type plain struct{ io.Writer }

func (plain) Close() error { return nil }

// A transformer is a transform.Writer that goes on after bad input.
type transformer struct {
	w    io.Writer
	t    transform.Transformer
	held []byte // an unfinished character
	buf  [4096]byte
}

// Write decodes p.
func (t *transformer) Write(p []byte) (int, error) {
	return len(p), t.decode(p, false)
}

// Close decodes what is left. It does not close w.
func (t *transformer) Close() error { return t.decode(nil, true) }

func (t *transformer) decode(p []byte, last bool) error {
	if len(t.held) > 0 {
		p = append(t.held, p...)
		t.held = nil
	}
	for {
		n, used, err := t.t.Transform(t.buf[:], p, last)
		if n > 0 {
			if _, err := t.w.Write(t.buf[:n]); err != nil {
				return err
			}
		}
		p = p[used:]
		switch {
		case err == nil, len(p) == 0:
			return nil
		case err == transform.ErrShortDst && n+used > 0:
			continue
		case err == transform.ErrShortSrc && !last && len(p) < 64:
			t.held = append([]byte(nil), p...)
			return nil
		}
		// The decoder cannot go on: pass over one octet.
		if _, err := io.WriteString(t.w, "\uFFFD"); err != nil {
			return err
		}
		p = p[1:]
		if len(p) == 0 {
			return nil
		}
	}
}
