package search

import (
	"mailutil/pkg/mailbox"
)

// Criteria are parsed search criteria. They are not changed by use and may be
// shared.
type Criteria struct {
	terms   all
	headers []headerTest // by index of a headerTerm
	texts   []textTest   // by index of a textTerm
}

// Empty reports whether there are no criteria, so that every message meets
// them.
func (c *Criteria) Empty() bool { return len(c.terms) == 0 }

// Messages returns the criteria that the messages of a set meet, by number.
func Messages(set mailbox.Set) *Criteria {
	return &Criteria{terms: all{indexTerm(func(_ *Matcher, msg *mailbox.Message) bool { return set.Contains(msg.Seq) })}}
}

// A verdict on a message, as far as it is known.
type verdict int

const (
	unknown verdict = iota
	yes
	no
)

func verdictOf(ok bool) verdict {
	if ok {
		return yes
	}
	return no
}

// A term is a node of the criteria.
type term interface {
	verdict(m *Matcher) verdict
}

type (
	all        []term                                      // every one
	either     [2]term                                     // one of both
	not        struct{ term }                              // the opposite
	indexTerm  func(m *Matcher, msg *mailbox.Message) bool // what needs no text
	headerTerm int                                         // what needs the header
	textTerm   int                                         // what needs the text
)

func (a all) verdict(m *Matcher) verdict {
	v := yes
	for _, t := range a {
		switch t.verdict(m) {
		case no:
			return no
		case unknown:
			v = unknown
		}
	}
	return v
}

func (e either) verdict(m *Matcher) verdict {
	v := e[0].verdict(m)
	if v == yes {
		return yes
	}
	switch w := e[1].verdict(m); {
	case w == yes:
		return yes
	case w == unknown:
		return unknown
	}
	return v
}

func (n not) verdict(m *Matcher) verdict {
	switch n.term.verdict(m) {
	case yes:
		return no
	case no:
		return yes
	}
	return unknown
}

func (t indexTerm) verdict(m *Matcher) verdict { return verdictOf(t(m, &m.msg)) }

func (t headerTerm) verdict(m *Matcher) verdict { return m.headerVerdict(int(t)) }

func (t textTerm) verdict(m *Matcher) verdict { return m.textVerdict(int(t)) }

// A headerTest looks at the header block of a message.
type headerTest func(m *Matcher, header []byte) bool

// A textTest is a string to be found in the text.
type textTest struct {
	needle  *needle
	headers bool // in headers, too
}
