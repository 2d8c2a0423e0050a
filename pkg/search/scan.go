package search

import (
	"errors"
	"io"

	"mailutil/pkg/charset"
	"mailutil/pkg/rfc822"
)

// A scan looks for the strings of a Matcher in the text of one message, which
// is written to it.
type scan struct {
	m       *Matcher
	walker  *rfc822.Walker
	found   []bool // by index of the text test
	finders []finder
	done    bool // the verdict is known
	part    part
}

func (s *scan) init(m *Matcher) {
	s.m = m
	if len(m.c.texts) == 0 {
		return
	}
	s.walker = rfc822.NewWalker(s.open)
	s.found = make([]bool, len(m.c.texts))
	for _, t := range m.c.texts {
		s.finders = append(s.finders, newFinder(t.needle))
	}
	s.part.scan = s
}

// reset makes s ready for another message.
func (s *scan) reset() {
	clear(s.found)
	s.done = false
	s.walker.Reset()
}

// Write takes a piece of the text. It returns errDone when no more is needed.
func (s *scan) Write(p []byte) (int, error) { return s.walker.Write(p) }

// end takes the end of the text.
func (s *scan) end() error {
	if err := s.walker.Close(); !errors.Is(err, errDone) {
		return err
	}
	return nil
}

// hit notes that string i was found.
func (s *scan) hit(i int) error {
	s.found[i] = true
	s.done = s.m.c.terms.verdict(s.m) != unknown
	if s.done {
		return errDone
	}
	return nil
}

// open begins a part: it searches the header and chooses how to search the
// body.
func (s *scan) open(p *rfc822.Part) (io.WriteCloser, error) {
	for i, t := range s.m.c.texts {
		if t.headers && !s.found[i] && t.needle.inHeader(p.Header) {
			if err := s.hit(i); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case !p.Leaf && p.Type.Type == "multipart":
		return s.body(charset.Octets), nil
	case p.Leaf && (p.Type.Type == "text" || p.Type.Type == "message"):
		c, _ := charset.Lookup(p.Type.Charset)
		return p.Encoding.NewWriter(s.body(c)), nil
	}
	return nil, nil
}

// body makes the part ready to search text in charset c.
func (s *scan) body(c charset.Charset) *part {
	b := &s.part
	b.octets, b.chars, b.decoder = b.octets[:0], b.chars[:0], nil
	for i, found := range s.found {
		if found {
			continue
		}
		s.finders[i].reset()
		if c.UTF8 || c.ASCII && s.m.c.texts[i].needle.ascii {
			b.octets = append(b.octets, i)
		} else {
			b.chars = append(b.chars, i)
		}
	}
	if len(b.chars) > 0 {
		b.decoder = c.NewWriter(decoded{b})
	}
	return b
}

// A part is the body of a part, its transfer encoding undone. It searches the
// octets as they are where that gives the same, else UTF-8.
type part struct {
	scan    *scan
	octets  []int // indices of the strings to look for in octets
	chars   []int // the same in UTF-8
	decoder io.WriteCloser
}

func (b *part) Write(p []byte) (int, error) {
	if err := b.look(b.octets, p); err != nil {
		return 0, err
	}
	if b.decoder != nil {
		return b.decoder.Write(p)
	}
	return len(p), nil
}

// look looks for the strings that were not found yet.
func (b *part) look(which []int, p []byte) error {
	for _, i := range which {
		if !b.scan.found[i] && b.scan.finders[i].find(p) {
			if err := b.scan.hit(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close ends the body.
func (b *part) Close() error {
	if b.decoder != nil {
		if err := b.decoder.Close(); err != nil {
			return err
		}
	}
	for i, f := range b.scan.finders {
		if !b.scan.found[i] && f.end() {
			if err := b.scan.hit(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// decoded is where the UTF-8 of a part goes.
type decoded struct{ part *part }

func (d decoded) Write(p []byte) (int, error) { return len(p), d.part.look(d.part.chars, p) }
