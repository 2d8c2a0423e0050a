package search

import (
	"errors"
	"slices"
	"strings"

	"mailutil/pkg/mailbox"
)

// A Matcher tells which messages of a mailbox meet criteria. It holds buffers
// and is not safe for concurrent use.
type Matcher struct {
	c        *Criteria
	keywords []string // names of the keyword bits
	messages uint32   // in the mailbox: the sequence number of the last; 0 while that is not known

	msg     mailbox.Message
	known   stage
	header  []byte // from stage withHeader on
	headers []verdict
	scan    scan
}

// A stage says what is known of a message.
type stage int

const (
	fromIndex  stage = iota // what costs nothing
	withHeader              // the header block
	withText                // the text is being read, the strings found so far
	withAll                 // the text was read to its end
)

// NewMatcher returns a Matcher for the mailbox whose status is st. Keywords are
// those of st; when messages or keywords have come since, make another.
func NewMatcher(c *Criteria, st mailbox.Status) *Matcher {
	m := &Matcher{c: c, keywords: slices.Clone(st.Keywords), headers: make([]verdict, len(c.headers))}
	m.Ends(st)
	m.scan.init(m)
	return m
}

// Endless reports whether it is not known yet which message is the last one.
func (m *Matcher) Endless() bool { return m.messages == 0 }

// Ends takes note of the last message, which "*" stands for, if st knows it.
func (m *Matcher) Ends(st mailbox.Status) {
	if !st.Streaming {
		m.messages = st.Messages
	}
}

// Match reports whether a message meets the criteria. open gives its text; it
// is called once, and only when flags, dates and numbers do not tell. The text
// is read only when the header does not tell, and no further than it takes.
// An error is one of open or of the Content.
func (m *Matcher) Match(msg mailbox.Message, open func() (mailbox.Content, error)) (bool, error) {
	m.msg, m.known = msg, fromIndex
	if v := m.c.terms.verdict(m); v != unknown {
		return v == yes, nil
	}
	content, err := open()
	if err != nil {
		return false, err
	}
	if len(m.c.headers) > 0 {
		m.header, err = content.Header()
		if err != nil {
			return false, err
		}
		clear(m.headers)
		m.known = withHeader
		if v := m.c.terms.verdict(m); v != unknown {
			return v == yes, nil
		}
	}
	m.header = nil // no longer needed: what the verdict rests on was looked at
	m.known = withText
	m.scan.reset()
	if _, err := content.WriteTo(&m.scan); err != nil && !m.scan.done {
		return false, err
	}
	if err := m.scan.end(); err != nil {
		return false, err
	}
	m.known = withAll
	return m.c.terms.verdict(m) == yes, nil
}

// headerVerdict is the verdict of the header test with index i.
func (m *Matcher) headerVerdict(i int) verdict {
	if m.known == fromIndex {
		return unknown
	}
	if m.headers[i] == unknown {
		m.headers[i] = verdictOf(m.c.headers[i](m, m.header))
	}
	return m.headers[i]
}

// textVerdict is the verdict of the text test with index i.
func (m *Matcher) textVerdict(i int) verdict {
	switch {
	case m.known < withText:
		return unknown
	case m.scan.found[i]:
		return yes
	case m.known == withAll:
		return no
	}
	return unknown
}

// bears reports whether msg bears the keyword, in any case of its name.
func (m *Matcher) bears(msg *mailbox.Message, name string) bool {
	for i, k := range m.keywords {
		if msg.Flags.Keywords&(1<<i) != 0 && strings.EqualFold(k, name) {
			return true
		}
	}
	return false
}

// errDone ends the reading of a text when the verdict is known.
var errDone = errors.New("verdict known")
