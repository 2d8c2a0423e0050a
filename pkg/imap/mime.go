package imap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"mailutil/pkg/rfc822"
)

// A part is a part of a message with its place in it, in octets from the start
// of the message. Sections are cut by these from the text as it stands, so that
// what is sent is what is there, however bad the message is.
type part struct {
	header []byte // with its blank line
	typ    rfc822.MediaType

	headerAt, bodyAt, end int64
	lines                 int64 // line ends in the body
	message               bool  // the header is that of a message
	parts                 []*part
}

// The limits of what is looked for in a message. What is beyond them is text.
const (
	maxParts      = 1000
	maxPartDepth  = 50
	maxPartHeader = 64 << 10 // kept of the header of a part
	maxMessageHdr = 1 << 20  // and of a message
)

// isMultipart and isMessage say what the body of a part holds.
func (p *part) isMultipart() bool { return p.typ.Type == "multipart" && len(p.parts) > 0 }
func (p *part) isMessage() bool   { return p.typ.Is("message", "rfc822") && len(p.parts) == 1 }

// A splitter finds the parts of a message that is written to it.
type splitter struct {
	at, start int64   // octets so far; where the current line begins
	open      []*part // the message, and inwards from there
	inHeader  bool
	head      []byte // the header as far as it has come
	line      []byte // the beginning of the current line
	long      bool   // of which not all is kept
	last      byte   // the octet before
	eol       int64  // octets of the line end of the line before
	count     int
}

// splitMessage reads a message and finds its parts.
func splitMessage(r io.Reader) (*part, error) {
	root := &part{message: true}
	s := &splitter{open: []*part{root}, inHeader: true, count: 1}
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		s.write(buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	s.end()
	return root, nil
}

// keptLine is how much of a line is looked at: more than a boundary has.
const keptLine = 4 << 10

func (s *splitter) write(b []byte) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		n := i + 1
		if i < 0 {
			n = len(b)
		}
		most := keptLine
		if s.inHeader {
			most = maxMessageHdr
		}
		room := max(most-len(s.line), 0)
		s.line = append(s.line, b[:min(n, room)]...)
		s.long = s.long || n > room
		s.at += int64(n)
		if n > 1 {
			s.last = b[n-2]
		}
		if i >= 0 {
			eol := int64(1)
			if s.last == '\r' {
				eol = 2
			}
			s.endLine()
			s.eol = eol
		}
		s.last = b[n-1]
		b = b[n:]
	}
}

// endLine takes the line that has ended at s.at.
func (s *splitter) endLine() {
	line, long, start := s.line, s.long, s.start
	s.line, s.long, s.start = s.line[:0], false, s.at
	if !long && s.boundary(line, start) {
		return
	}
	for _, p := range s.open {
		if p.bodyAt > 0 {
			p.lines++
		}
	}
	if !s.inHeader {
		return
	}
	if len(s.head) < maxMessageHdr {
		s.head = append(s.head, line...)
	}
	if !long && len(bytes.TrimRight(line, "\r\n")) == 0 {
		s.endHeader(s.at)
	}
}

// endHeader begins the body of the innermost part.
func (s *splitter) endHeader(at int64) {
	p := s.open[len(s.open)-1]
	most := maxPartHeader
	if len(s.open) == 1 {
		most = maxMessageHdr
	}
	p.header = bytes.Clone(s.head[:min(len(s.head), most)])
	s.head = s.head[:0]
	s.inHeader = false
	p.bodyAt = at
	p.typ = rfc822.MediaType{Type: "text", Subtype: "plain"}
	if raw, ok := rfc822.Header(p.header, "Content-Type"); ok {
		p.typ = rfc822.ParseMediaType(raw)
	} else if s.inDigest() {
		p.typ = rfc822.MediaType{Type: "message", Subtype: "rfc822"} // RFC 2046, 5.1.5
	}
	if p.typ.Is("message", "rfc822") && s.identity(p) && s.room() {
		s.push(&part{message: true, headerAt: at})
	}
}

// identity reports whether the body is not encoded, so that there can be a
// message in it.
func (s *splitter) identity(p *part) bool {
	raw, _ := rfc822.Header(p.header, "Content-Transfer-Encoding")
	switch strings.ToLower(string(bytes.TrimSpace(raw))) {
	case "base64", "quoted-printable", "x-uuencode", "uuencode":
		return false
	}
	return true
}

func (s *splitter) inDigest() bool {
	return len(s.open) > 1 && s.open[len(s.open)-2].typ.Is("multipart", "digest")
}

func (s *splitter) room() bool { return s.count < maxParts && len(s.open) < maxPartDepth }

// push opens a part within the innermost one.
func (s *splitter) push(p *part) {
	outer := s.open[len(s.open)-1]
	outer.parts = append(outer.parts, p)
	s.open = append(s.open, p)
	s.inHeader = true
	s.count++
}

// boundary takes a line that is a delimiter of an open multipart: it ends what
// is within, and begins the next part.
func (s *splitter) boundary(line []byte, start int64) bool {
	if !bytes.HasPrefix(line, []byte("--")) {
		return false
	}
	text := bytes.TrimRight(line[2:], " \t\r\n")
	for i := len(s.open) - 1; i >= 0; i-- {
		p := s.open[i]
		b := p.typ.Boundary
		if p.bodyAt == 0 || p.typ.Type != "multipart" || b == "" || !bytes.HasPrefix(text, []byte(b)) {
			continue
		}
		rest := string(text[len(b):])
		if rest != "" && rest != "--" {
			continue
		}
		s.closeTo(i+1, start)
		for _, outer := range s.open {
			outer.lines++
		}
		if rest == "" && s.room() {
			s.push(&part{headerAt: s.at})
		}
		return true
	}
	return false
}

// closeTo ends the parts from number i of the open ones on, before the line end
// that belongs to the delimiter at start.
func (s *splitter) closeTo(i int, start int64) {
	for len(s.open) > i {
		p := s.open[len(s.open)-1]
		if s.inHeader { // a header that no body follows
			s.endHeaderOnly(p, start)
		}
		p.end = p.bodyAt
		if start-s.eol > p.bodyAt {
			p.end = start - s.eol
			p.lines--
		}
		s.open = s.open[:len(s.open)-1]
	}
}

// endHeaderOnly ends a part whose header nothing follows.
func (s *splitter) endHeaderOnly(p *part, at int64) {
	s.endHeader(at)
	for s.open[len(s.open)-1] != p { // a message/rfc822 without a message
		inner := s.open[len(s.open)-1]
		inner.bodyAt, inner.end = at, at
		inner.typ = rfc822.MediaType{Type: "text", Subtype: "plain"}
		s.open = s.open[:len(s.open)-1]
	}
	s.inHeader = false
}

// end ends the message.
func (s *splitter) end() {
	if len(s.line) > 0 || s.long {
		s.endLine()
	}
	for len(s.open) > 0 {
		p := s.open[len(s.open)-1]
		if s.inHeader {
			s.endHeaderOnly(p, s.at)
		}
		p.end = s.at
		s.open = s.open[:len(s.open)-1]
	}
}

var errSection = errors.New("there is no such section")

// find returns the part with the numbers of a section, RFC 3501, 6.4.5.
func (p *part) find(numbers []int) (*part, error) {
	for _, n := range numbers {
		inner := p
		if p.isMessage() {
			inner = p.parts[0]
		}
		switch {
		case inner.isMultipart() && n >= 1 && n <= len(inner.parts):
			p = inner.parts[n-1]
		case !inner.isMultipart() && n == 1 && (p.message || p.isMessage()):
			// the body of a message that has no parts is part 1 of it
			p = &part{header: inner.header, typ: inner.typ, headerAt: inner.headerAt, bodyAt: inner.bodyAt, end: inner.end, lines: inner.lines, parts: inner.parts}
		default:
			return nil, fmt.Errorf("%w: %d", errSection, n)
		}
	}
	return p, nil
}
