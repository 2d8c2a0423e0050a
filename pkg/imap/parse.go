package imap

import (
	"bytes"
	"errors"
	"strconv"
)

// errSyntax is a response that does not follow the grammar. It never ends a
// connection: the response is passed over.
var errSyntax = errors.New("response not understood")

// A parser reads one response from left to right. What it returns is a view of
// the response. Literals stand in it as they do on the wire: "{3}\r\nabc".
type parser struct {
	b []byte
}

// space reads blanks; a server may have put more than one.
func (p *parser) space() {
	p.b = bytes.TrimLeft(p.b, " ")
}

// take reads the octet c, if it is next.
func (p *parser) take(c byte) bool {
	if len(p.b) == 0 || p.b[0] != c {
		return false
	}
	p.b = p.b[1:]
	return true
}

// atom reads up to what ends a word in any place: blanks, parentheses,
// brackets are left to word.
func (p *parser) atom() []byte { return p.until(" ()") }

// word is an atom that may have brackets in it: BODY[HEADER.FIELDS (A B)].
func (p *parser) word() []byte {
	depth := 0
	for i, c := range p.b {
		switch {
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case depth == 0 && (c == ' ' || c == '(' || c == ')'):
			return p.cut(i)
		}
	}
	return p.cut(len(p.b))
}

func (p *parser) until(ends string) []byte {
	i := bytes.IndexAny(p.b, ends)
	if i < 0 {
		i = len(p.b)
	}
	return p.cut(i)
}

func (p *parser) cut(n int) []byte {
	out := p.b[:n]
	p.b = p.b[n:]
	return out
}

// number reads an unsigned decimal number.
func (p *parser) number() (uint32, bool) {
	n, err := strconv.ParseUint(string(p.atom()), 10, 32)
	return uint32(n), err == nil
}

// text reads a quoted string, a literal or a word. nothing reports NIL.
func (p *parser) text() (s []byte, nothing bool, err error) {
	if len(p.b) == 0 {
		return nil, false, errSyntax
	}
	switch c := p.b[0]; {
	case c == '"':
		s, err = p.quoted()
	case c == '{', c == '~' && len(p.b) > 1 && p.b[1] == '{':
		s, err = p.literal()
	case c == '(' || c == ')':
		err = errSyntax
	default:
		s = p.word()
		nothing = bytes.EqualFold(s, []byte("NIL"))
	}
	return s, nothing, err
}

func (p *parser) quoted() ([]byte, error) {
	var out []byte
	for i := 1; i < len(p.b); i++ {
		switch c := p.b[i]; c {
		case '"':
			p.b = p.b[i+1:]
			return out, nil
		case '\\':
			if i++; i == len(p.b) {
				return nil, errSyntax
			}
			out = append(out, p.b[i])
		default:
			out = append(out, c)
		}
	}
	return nil, errSyntax
}

func (p *parser) literal() ([]byte, error) {
	end := bytes.IndexByte(p.b, '\n')
	if end < 0 {
		return nil, errSyntax
	}
	n, ok := literalSize(bytes.TrimRight(p.b[:end], "\r"))
	rest := p.b[end+1:]
	if !ok || n > int64(len(rest)) {
		return nil, errSyntax
	}
	p.b = rest[n:]
	return rest[:n], nil
}

// literalSize reads the "{n}", "{n+}" or "~{n}" that a line ends in.
func literalSize(line []byte) (int64, bool) {
	if len(line) < 3 || line[len(line)-1] != '}' {
		return 0, false
	}
	open := bytes.LastIndexByte(line, '{')
	if open < 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(bytes.TrimSuffix(line[open+1:len(line)-1], []byte("+"))), 10, 64)
	if errors.Is(err, strconv.ErrRange) && n > 0 {
		return n, true // so that it is found to be too large
	}
	return n, err == nil && n >= 0
}

// maxNesting is how deep parentheses may be nested in what we pass over.
const maxNesting = 100

// skip passes over one value of any kind.
func (p *parser) skip() error { return p.skipNested(0) }

func (p *parser) skipNested(depth int) error {
	if !p.take('(') {
		_, _, err := p.text()
		return err
	}
	if depth > maxNesting {
		return errSyntax
	}
	for {
		p.space()
		if p.take(')') {
			return nil
		}
		if len(p.b) == 0 {
			return errSyntax
		}
		before := len(p.b)
		if err := p.skipNested(depth + 1); err != nil {
			return err
		}
		if len(p.b) == before {
			return errSyntax
		}
	}
}

// list calls f at each element of a list in parentheses. f reads it.
func (p *parser) list(f func() error) error {
	if !p.take('(') {
		return errSyntax
	}
	for {
		p.space()
		if p.take(')') {
			return nil
		}
		before := len(p.b)
		if err := f(); err != nil {
			return err
		}
		if len(p.b) == before || len(p.b) == 0 {
			return errSyntax
		}
	}
}

// code reads the "[CODE arguments] " that the text of a status response may
// begin with.
func (p *parser) code() (name, args string) {
	p.space()
	end := bytes.IndexByte(p.b, ']')
	if !bytes.HasPrefix(p.b, []byte("[")) || end < 0 {
		return "", ""
	}
	n, a, _ := bytes.Cut(p.b[1:end], []byte(" "))
	p.b = p.b[end+1:]
	p.space()
	return string(bytes.ToUpper(n)), string(a)
}

// upper returns s with ASCII letters in upper case, octet for octet: what is no
// UTF-8 keeps its length.
func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - ('a' - 'A')
		}
	}
	return string(b)
}
