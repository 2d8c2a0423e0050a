package ops

import (
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/rfc822"
)

// A DateSource says where the internal dates of a copy come from.
type DateSource int

// DateInternal keeps internal dates, DateHeader takes the field Date,
// DateReceived the topmost field Received: the last stop on the way. A message
// without such a date keeps its internal one, and one without that gets that of
// the field Date.
const (
	DateInternal DateSource = iota
	DateHeader
	DateReceived
)

// DateCounts say from where the dates of the copied messages are.
type DateCounts struct {
	Internal, Header, Received uint32
	None                       uint32 // there was no date at all
}

// date returns the internal date that a message is to have in the target, and
// counts it in n.
func (c *copier) date(m mailbox.Message, text mailbox.Content, n *DateCounts) (mailbox.Date, error) {
	if c.o.DateFrom != DateInternal || m.Date.IsZero() {
		block, err := text.Header()
		if err != nil {
			return mailbox.Date{}, err
		}
		if d, ok := c.headerDate(block); ok {
			if c.o.DateFrom == DateReceived {
				n.Received++
			} else {
				n.Header++
			}
			return d, nil
		}
	}
	if m.Date.IsZero() {
		n.None++
	} else {
		n.Internal++
	}
	return m.Date, nil
}

// headerDate finds the date in a header block.
func (c *copier) headerDate(block []byte) (mailbox.Date, bool) {
	name := "Date"
	if c.o.DateFrom == DateReceived {
		name = "Received"
	}
	raw, ok := rfc822.Header(block, name)
	if !ok {
		return mailbox.Date{}, false
	}
	text := string(rfc822.Unfold(nil, raw))
	if c.o.DateFrom == DateReceived {
		i := strings.LastIndexByte(text, ';') // RFC 5322, 3.6.7
		if i < 0 {
			return mailbox.Date{}, false
		}
		text = text[i+1:]
	}
	d, err := mailbox.ParseDate(strings.Trim(text, " \t\r\n"), c.s.Env.Now().Location())
	return d, err == nil && !d.IsZero()
}
