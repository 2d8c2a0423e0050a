package rfc822

import (
	"bytes"
	"strings"

	"mailutil/pkg/charset"
)

// Decode returns the body of a field as people read it: unfolded, without the
// blanks around it, encoded words decoded (RFC 2047), in UTF-8. Encoded words
// are accepted wherever they stand, with blanks in them and joined to other
// text; what is none is left as it is. Octets that are not UTF-8 are taken for
// Latin-1.
func Decode(raw []byte) string {
	if bytes.IndexByte(raw, '\n') >= 0 {
		raw = Unfold(nil, raw)
	}
	return decodeWords(bytes.Trim(raw, " \t\r\n"))
}

// DecodeBlock returns a header block as Decode would its fields: names, colons
// and the line ends between fields are left as they are.
func DecodeBlock(block []byte) string {
	return decodeWords(Unfold(nil, block))
}

// decodeWords decodes the encoded words in unfolded text.
func decodeWords(text []byte) string {
	if !bytes.Contains(text, []byte("=?")) {
		return charset.Octets.Decode(text)
	}
	var d wordDecoder
	for {
		i := bytes.Index(text, []byte("=?"))
		if i < 0 {
			break
		}
		w, n := parseWord(text[i:])
		if n == 0 {
			d.text(text[:i+2])
			text = text[i+2:]
			continue
		}
		d.text(text[:i])
		d.word(w)
		text = text[i+n:]
	}
	d.text(text)
	d.flush()
	return d.out.String()
}

// A word is an encoded word.
type word struct {
	charset string
	octets  []byte // transfer decoded
}

// parseWord reads the encoded word at the start of s, which begins "=?", and
// returns its length, 0 if there is none.
func parseWord(s []byte) (w word, n int) {
	parts := s[2:]
	name, rest, ok := bytes.Cut(parts, []byte("?"))
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\r\n=") {
		return word{}, 0
	}
	if len(rest) < 2 || rest[1] != '?' {
		return word{}, 0
	}
	method := rest[0]
	text, rest, ok := bytes.Cut(rest[2:], []byte("?"))
	if !ok || len(rest) == 0 || rest[0] != '=' || bytes.ContainsAny(text, "\r\n") {
		return word{}, 0
	}
	name, _, _ = bytes.Cut(name, []byte("*")) // RFC 2231, 5: a language may follow
	w.charset = strings.ToLower(string(name))
	switch method {
	case 'B', 'b':
		var b base64Writer
		w.octets = b.decode(make([]byte, 0, len(text)), text)
		w.octets = b.flush(w.octets)
	case 'Q', 'q':
		w.octets = decodeQ(text)
	default:
		return word{}, 0
	}
	return w, len(s) - len(rest) + 1
}

// decodeQ decodes the Q encoding, RFC 2047, 4.2.
func decodeQ(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '_':
			c = ' '
		case c == '=' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			c = hexValue(text[i+1])<<4 | hexValue(text[i+2])
			i += 2
		}
		out = append(out, c)
	}
	return out
}

// A wordDecoder joins words and text. Words of one charset in a row are decoded
// together, because many programs cut them within a character.
type wordDecoder struct {
	out     strings.Builder
	pending word
	blanks  []byte // after the pending word; they vanish before another
}

func (d *wordDecoder) word(w word) {
	if d.pending.charset != w.charset || w.charset == "utf-7" {
		d.blanks = nil
		d.flush()
	}
	d.blanks = nil
	d.pending.charset = w.charset
	d.pending.octets = append(d.pending.octets, w.octets...)
}

func (d *wordDecoder) text(text []byte) {
	if len(text) == 0 {
		return
	}
	if d.pending.charset != "" && len(d.blanks) == 0 && len(bytes.Trim(text, " \t")) == 0 {
		d.blanks = text
		return
	}
	d.flush()
	d.out.WriteString(charset.Octets.Decode(text))
}

// flush writes the pending word and the blanks after it.
func (d *wordDecoder) flush() {
	if d.pending.charset != "" {
		c, _ := charset.Lookup(d.pending.charset)
		d.out.WriteString(c.Decode(d.pending.octets))
	}
	d.out.Write(d.blanks)
	d.pending, d.blanks = word{}, nil
}
