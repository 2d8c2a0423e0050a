package rfc822

import (
	"bytes"
	"strings"
)

// A MediaType is what a Content-Type field says, RFC 2045, 5. All but the
// boundary is in lower case.
type MediaType struct {
	Type, Subtype string
	Charset       string // "" where none is named
	Boundary      string // of a multipart, "" where none is named
}

// Is reports whether the type is "type/subtype".
func (m MediaType) Is(typ, subtype string) bool { return m.Type == typ && m.Subtype == subtype }

var plainText = MediaType{Type: "text", Subtype: "plain"}

// ParseMediaType reads the body of a Content-Type field. What cannot be
// understood is text/plain, RFC 2045, 5.2.
func ParseMediaType(raw []byte) MediaType {
	typ, rest := token(raw)
	if len(rest) == 0 || rest[0] != '/' {
		return plainText
	}
	subtype, rest := token(rest[1:])
	if len(typ) == 0 || len(subtype) == 0 {
		return plainText
	}
	m := MediaType{Type: lower(typ), Subtype: lower(subtype)}
	for {
		semicolon := bytes.IndexByte(rest, ';')
		if semicolon < 0 {
			return m
		}
		var name []byte
		var value string
		name, rest = token(rest[semicolon+1:])
		if len(rest) == 0 || rest[0] != '=' {
			continue
		}
		value, rest = paramValue(rest[1:])
		switch {
		case bytes.EqualFold(name, []byte("charset")) && m.Charset == "":
			m.Charset = strings.ToLower(value)
		case bytes.EqualFold(name, []byte("boundary")) && m.Boundary == "":
			m.Boundary = strings.TrimRight(value, " \t")
		}
	}
}

// token reads a token and the blanks and comments around it.
func token(s []byte) (tok, rest []byte) {
	s = skipSpace(s)
	n := 0
	for n < len(s) && s[n] > ' ' && s[n] != 0x7F && strings.IndexByte(`()<>@,;:\"/[]?=`, s[n]) < 0 {
		n++
	}
	return s[:n], skipSpace(s[n:])
}

// paramValue reads a quoted string, or all up to a blank, semicolon or comment:
// unquoted boundaries often hold what a token may not.
func paramValue(s []byte) (value string, rest []byte) {
	s = skipSpace(s)
	if len(s) > 0 && s[0] == '"' {
		return quoted(s[1:])
	}
	n := bytes.IndexAny(s, "; \t\r\n")
	if n < 0 {
		n = len(s)
	}
	return string(s[:n]), s[n:]
}

// quoted reads a quoted string after its first quote. The last may be missing.
// Line ends are folding and left out.
func quoted(s []byte) (value string, rest []byte) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return out.String(), s[i+1:]
		case c == '\\' && i+1 < len(s):
			i++
			out.WriteByte(s[i])
		case c != '\r' && c != '\n':
			out.WriteByte(c)
		}
	}
	return out.String(), nil
}

// skipSpace passes over blanks, line ends and comments, which nest.
func skipSpace(s []byte) []byte {
	for depth := 0; len(s) > 0; s = s[1:] {
		switch c := s[0]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '\\' && depth > 0 && len(s) > 1:
			s = s[1:]
		case depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return s
		}
	}
	return nil
}

// lower returns the lower case of s without an allocation for the usual types.
func lower(s []byte) string {
	for _, known := range [...]string{"text", "plain", "html", "multipart", "mixed", "alternative", "application", "image"} {
		if string(s) == known {
			return known
		}
	}
	return strings.ToLower(string(s))
}
