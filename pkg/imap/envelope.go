package imap

import (
	"bytes"
	"fmt"
	"strings"

	"mailutil/pkg/rfc822"
)

// A nstring is appended as a quoted string where it can be one, else as a
// literal, RFC 3501, 9: what is in a header is sent as it is.
func appendString(b []byte, s []byte) []byte {
	for _, c := range s {
		if c == '\r' || c == '\n' || c == 0 || c >= 0x80 {
			b = fmt.Appendf(b, "{%d}\r\n", len(s))
			return append(b, s...)
		}
	}
	b = append(b, '"')
	for _, c := range s {
		if c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return append(b, '"')
}

// appendNString is appendString, or NIL.
func appendNString(b []byte, s []byte, ok bool) []byte {
	if !ok {
		return append(b, "NIL"...)
	}
	return appendString(b, s)
}

// appendField appends an unfolded field of a header, or NIL.
func appendField(b, header []byte, name string) []byte {
	raw, ok := rfc822.Header(header, name)
	return appendNString(b, bytes.TrimSpace(rfc822.Unfold(nil, raw)), ok)
}

// appendEnvelope appends the ENVELOPE of a header, RFC 3501, 7.4.2.
func appendEnvelope(b, header []byte) []byte {
	b = append(b, '(')
	b = appendField(b, header, "Date")
	b = appendField(append(b, ' '), header, "Subject")
	for _, name := range []string{"From", "Sender", "Reply-To", "To", "Cc", "Bcc"} {
		raw, ok := rfc822.Header(header, name)
		if (name == "Sender" || name == "Reply-To") && len(bytes.TrimSpace(raw)) == 0 {
			raw, ok = rfc822.Header(header, "From")
		}
		b = appendAddresses(append(b, ' '), raw, ok)
	}
	b = appendField(append(b, ' '), header, "In-Reply-To")
	b = appendField(append(b, ' '), header, "Message-ID")
	return append(b, ')')
}

// An address is one of an ENVELOPE. Without a host it begins a group, and with
// nothing it ends one.
type address struct{ name, route, mailbox, host []byte }

func appendAddresses(b, raw []byte, ok bool) []byte {
	list := addresses(rfc822.Unfold(nil, raw))
	if !ok || len(list) == 0 {
		return append(b, "NIL"...)
	}
	b = append(b, '(')
	for _, a := range list {
		b = append(b, '(')
		b = appendNString(b, a.name, a.name != nil)
		b = appendNString(append(b, ' '), a.route, a.route != nil)
		b = appendNString(append(b, ' '), a.mailbox, a.mailbox != nil)
		b = appendNString(append(b, ' '), a.host, a.host != nil)
		b = append(b, ')')
	}
	return append(b, ')')
}

// maxAddresses bounds the work and the answer for one field.
const maxAddresses = 10000

// addresses reads an address list. What is no address becomes one without a
// host, so that it can be seen.
func addresses(s []byte) (out []address) {
	for len(s) > 0 && len(out) < maxAddresses {
		var piece []byte
		var end byte
		piece, end, s = cutAddress(s)
		text := bytes.TrimSpace(piece)
		switch {
		case end == ':':
			out = append(out, address{mailbox: phrase(text)})
			continue
		case len(text) > 0:
			out = append(out, oneAddress(text))
		}
		if end == ';' {
			out = append(out, address{})
		}
	}
	return out
}

// cutAddress cuts at the next "," ";" or ":" that is not quoted, in a comment
// or in angle brackets.
func cutAddress(s []byte) (piece []byte, end byte, rest []byte) {
	depth, quoted, angle := 0, false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case quoted:
			quoted = c != '"'
		case c == '"' && depth == 0:
			quoted = true
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == ',' && !angle, c == ';' && !angle, c == ':' && !angle:
			return s[:i], c, s[i+1:]
		}
	}
	return s, 0, nil
}

// oneAddress reads "phrase <route:local@host> (comment)" or "local@host".
func oneAddress(s []byte) address {
	var a address
	spec := s
	if open := unquoted(s, '<'); open >= 0 {
		a.name = phrase(s[:open])
		spec = s[open+1:]
		if i := bytes.IndexByte(spec, '>'); i >= 0 {
			spec = spec[:i]
		}
		if bytes.HasPrefix(spec, []byte("@")) {
			if route, rest, ok := bytes.Cut(spec, []byte(":")); ok {
				a.route, spec = route, rest
			}
		}
	} else if text, comment := cutComment(s); comment != nil {
		spec, a.name = text, comment
	}
	spec = bytes.TrimSpace(spec)
	local, host := spec, []byte(nil)
	if at := bytes.LastIndexByte(spec, '@'); at >= 0 {
		local, host = spec[:at], bytes.TrimSpace(spec[at+1:])
	}
	a.mailbox = phrase(local)
	if a.mailbox == nil {
		a.mailbox = []byte{}
	}
	if a.host = host; host == nil {
		a.host = []byte(".MISSING-HOST-NAME.") // as the original says it
	}
	return a
}

// cutComment takes the last comment off.
func cutComment(s []byte) (text, comment []byte) {
	open, end := unquoted(s, '('), bytes.LastIndexByte(s, ')')
	if open < 0 || end < open {
		return s, nil
	}
	return append(bytes.Clone(s[:open]), s[end+1:]...), bytes.Clone(s[open+1 : end])
}

// unquoted finds an octet outside of quotes.
func unquoted(s []byte, want byte) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == want && !quoted:
			return i
		}
	}
	return -1
}

// phrase takes the quotes off; nil for nothing.
func phrase(s []byte) []byte {
	s = bytes.TrimSpace(s)
	if len(s) == 0 {
		return nil
	}
	var out []byte
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			out = append(out, s[i])
		case c == '"':
			quoted = !quoted
		default:
			out = append(out, c)
		}
	}
	if out == nil {
		return []byte{}
	}
	return out
}

// A param is one of a Content-Type or Content-Disposition field.
type param struct{ name, value string }

// fieldParams reads "value; name=value; ...".
func fieldParams(raw []byte) (value string, params []param) {
	s := string(rfc822.Unfold(nil, raw))
	value, rest, _ := strings.Cut(s, ";")
	value = strings.TrimSpace(value)
	for rest != "" && len(params) < 100 {
		var one string
		one, rest = cutParam(rest)
		name, v, ok := strings.Cut(one, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			continue
		}
		params = append(params, param{name, string(phrase([]byte(v)))})
	}
	return value, params
}

// cutParam cuts at the next semicolon outside of quotes.
func cutParam(s string) (one, rest string) {
	i := unquoted([]byte(s), ';')
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+1:]
}

func appendParams(b []byte, params []param) []byte {
	if len(params) == 0 {
		return append(b, "NIL"...)
	}
	for i, p := range params {
		b = append(b, "( "[min(i, 1)])
		b = appendString(b, []byte(upper(p.name)))
		b = appendString(append(b, ' '), []byte(p.value))
	}
	return append(b, ')')
}

// appendStructure appends BODY, or with full BODYSTRUCTURE, RFC 3501, 7.4.2.
func appendStructure(b []byte, p *part, full bool) []byte {
	b = append(b, '(')
	raw, _ := rfc822.Header(p.header, "Content-Type")
	_, params := fieldParams(raw)
	if p.isMultipart() {
		for _, inner := range p.parts {
			b = appendStructure(b, inner, full)
		}
		b = appendString(append(b, ' '), []byte(upper(p.typ.Subtype)))
		if full {
			b = appendParams(append(b, ' '), params)
			b = appendExtension(append(b, ' '), p)
		}
		return append(b, ')')
	}
	return append(appendSingle(b, p, params, full), ')')
}

// appendSingle appends what is said of a part that is not a multipart.
func appendSingle(b []byte, p *part, params []param, full bool) []byte {
	typ, subtype := p.typ.Type, p.typ.Subtype
	if typ == "multipart" { // of which no parts were found
		typ, subtype, params = "text", "plain", nil
	}
	if p.typ.Is("message", "rfc822") && !p.isMessage() { // one that is encoded
		typ, subtype = "application", "octet-stream"
	}
	if raw, ok := rfc822.Header(p.header, "Content-Type"); !ok || len(bytes.TrimSpace(raw)) == 0 {
		if typ == "text" {
			params = []param{{"CHARSET", "US-ASCII"}}
		}
	}
	b = appendString(b, []byte(upper(typ)))
	b = appendString(append(b, ' '), []byte(upper(subtype)))
	b = appendParams(append(b, ' '), params)
	b = appendField(append(b, ' '), p.header, "Content-ID")
	b = appendField(append(b, ' '), p.header, "Content-Description")
	encoding := []byte("7BIT")
	if raw, ok := rfc822.Header(p.header, "Content-Transfer-Encoding"); ok && len(bytes.TrimSpace(raw)) > 0 {
		encoding = []byte(upper(string(bytes.TrimSpace(rfc822.Unfold(nil, raw)))))
	}
	b = appendString(append(b, ' '), encoding)
	b = fmt.Appendf(b, " %d", p.end-p.bodyAt)
	switch {
	case p.isMessage():
		b = appendEnvelope(append(b, ' '), p.parts[0].header)
		b = appendStructure(append(b, ' '), p.parts[0], full)
		b = fmt.Appendf(b, " %d", p.lines)
	case typ == "text":
		b = fmt.Appendf(b, " %d", p.lines)
	}
	if full {
		b = appendField(append(b, ' '), p.header, "Content-MD5")
		b = appendExtension(append(b, ' '), p)
	}
	return b
}

// appendExtension appends disposition, language and location.
func appendExtension(b []byte, p *part) []byte {
	raw, ok := rfc822.Header(p.header, "Content-Disposition")
	if value, params := fieldParams(raw); ok && value != "" {
		b = appendString(append(b, '('), []byte(upper(value)))
		b = append(appendParams(append(b, ' '), params), ')')
	} else {
		b = append(b, "NIL"...)
	}
	b = appendField(append(b, ' '), p.header, "Content-Language")
	return appendField(append(b, ' '), p.header, "Content-Location")
}
