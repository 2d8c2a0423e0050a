package search

import (
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/rfc822"
)

// flags is met by messages whose flags are want, as far as mask goes.
type flags struct{ mask, want mailbox.SystemFlags }

func (f flags) verdict(m *Matcher) verdict { return verdictOf(m.msg.Flags.System&f.mask == f.want) }

var flagWords = map[string]flags{
	"ALL":        {},
	"ANSWERED":   {mailbox.Answered, mailbox.Answered},
	"DELETED":    {mailbox.Deleted, mailbox.Deleted},
	"DRAFT":      {mailbox.Draft, mailbox.Draft},
	"FLAGGED":    {mailbox.Flagged, mailbox.Flagged},
	"NEW":        {mailbox.Recent | mailbox.Seen, mailbox.Recent},
	"OLD":        {mailbox.Recent, 0},
	"RECENT":     {mailbox.Recent, mailbox.Recent},
	"SEEN":       {mailbox.Seen, mailbox.Seen},
	"UNANSWERED": {mailbox.Answered, 0},
	"UNDELETED":  {mailbox.Deleted, 0},
	"UNDRAFT":    {mailbox.Draft, 0},
	"UNFLAGGED":  {mailbox.Flagged, 0},
	"UNSEEN":     {mailbox.Seen, 0},
}

// words reads the arguments of each other word. ok is false where they are
// missing or bad; err is about another word, within.
var words map[string]func(p *parser, word string) (t term, ok bool, err error)

func init() { // not a literal, because NOT and OR come back to it
	words = map[string]func(*parser, string) (term, bool, error){
		"NOT": (*parser).not, "OR": (*parser).or,
		"BCC": (*parser).field, "CC": (*parser).field, "FROM": (*parser).field, "SUBJECT": (*parser).field, "TO": (*parser).field,
		"HEADER": (*parser).header, "BODY": (*parser).content, "TEXT": (*parser).content,
		"KEYWORD": (*parser).keyword, "UNKEYWORD": (*parser).keyword,
		"BEFORE": (*parser).internalDate, "ON": (*parser).internalDate, "SINCE": (*parser).internalDate,
		"SENTBEFORE": (*parser).sentDate, "SENTON": (*parser).sentDate, "SENTSINCE": (*parser).sentDate,
		"LARGER": (*parser).size, "SMALLER": (*parser).size,
		"OLDER": (*parser).age, "YOUNGER": (*parser).age,
		"UID": (*parser).uid,
	}
}

// operand reads one key after NOT or OR.
func (p *parser) operand() (t term, ok bool, err error) {
	p.skipBlanks()
	if p.s == "" || p.group > 0 && p.s[0] == ')' {
		return nil, false, nil
	}
	_, t, err = p.key()
	return t, err == nil, err
}

func (p *parser) not(string) (term, bool, error) {
	t, ok, err := p.operand()
	return not{t}, ok, err
}

func (p *parser) or(string) (term, bool, error) {
	a, ok, err := p.operand()
	if !ok {
		return nil, false, err
	}
	b, ok, err := p.operand()
	return either{a, b}, ok, err
}

// field reads the string to be found in the fields named like the word.
func (p *parser) field(word string) (term, bool, error) {
	s, ok := p.nonempty()
	return p.inField(word, s), ok, nil
}

// header reads a field name and the string to be found there.
func (p *parser) header(string) (term, bool, error) {
	name, ok := p.nonempty()
	if !ok {
		return nil, false, nil
	}
	s, ok := p.text()
	return p.inField(strings.TrimSuffix(name, ":"), s), ok, nil
}

// inField makes the test whether s is in a field.
func (p *parser) inField(name, s string) term {
	n := newNeedle(s)
	return p.headerTerm(func(m *Matcher, block []byte) bool {
		for field, raw := range rfc822.Fields(block) {
			if strings.EqualFold(string(field), name) && n.inHeader(raw) {
				return true
			}
		}
		return false
	})
}

func (p *parser) headerTerm(t headerTest) term {
	p.c.headers = append(p.c.headers, t)
	return headerTerm(len(p.c.headers) - 1)
}

func (p *parser) content(word string) (term, bool, error) {
	s, ok := p.nonempty()
	p.c.texts = append(p.c.texts, textTest{newNeedle(s), word == "TEXT"})
	return textTerm(len(p.c.texts) - 1), ok, nil
}

func (p *parser) keyword(word string) (term, bool, error) {
	name, ok := p.nonempty()
	var t term = indexTerm(func(m *Matcher, msg *mailbox.Message) bool { return m.bears(msg, name) })
	if word == "UNKEYWORD" {
		t = not{t}
	}
	return t, ok, nil
}

// compare compares days for a word that ends in BEFORE, ON or SINCE.
func compare(word string, day, with int) bool {
	switch {
	case strings.HasSuffix(word, "BEFORE"):
		return day < with
	case strings.HasSuffix(word, "SINCE"):
		return day >= with
	}
	return day == with
}

func (p *parser) internalDate(word string) (term, bool, error) {
	with, ok := p.date()
	return indexTerm(func(_ *Matcher, msg *mailbox.Message) bool {
		return !msg.Date.IsZero() && compare(word, dayOf(msg.Date), with)
	}), ok, nil
}

func (p *parser) sentDate(word string) (term, bool, error) {
	with, ok := p.date()
	local := p.now.Location()
	return p.headerTerm(func(_ *Matcher, block []byte) bool {
		raw, _ := rfc822.Header(block, "Date")
		text := strings.Trim(string(rfc822.Unfold(nil, raw)), " \t\r\n")
		d, err := mailbox.ParseDate(text, local)
		return err == nil && compare(word, dayOf(d), with)
	}), ok, nil
}

// sizeUnits are those of a number of octets.
var sizeUnits = map[byte]int64{'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30}

func (p *parser) size(word string) (term, bool, error) {
	n, ok := p.number(sizeUnits)
	return indexTerm(func(_ *Matcher, msg *mailbox.Message) bool {
		if word == "LARGER" {
			return msg.Size > n
		}
		return msg.Size < n
	}), ok && n > 0, nil
}

// age reads an age, RFC 5032, 3: not 0, and exact ages meet both words.
func (p *parser) age(word string) (term, bool, error) {
	const hour, day = 3600, 24 * 3600
	n, ok := p.number(map[byte]int64{'s': 1, 'm': 60, 'h': hour, 'd': day, 'w': 7 * day})
	at := p.now.Unix() - n
	return indexTerm(func(_ *Matcher, msg *mailbox.Message) bool {
		switch {
		case msg.Date.IsZero():
			return false
		case word == "OLDER":
			return msg.Date.Time().Unix() <= at
		}
		return msg.Date.Time().Unix() >= at
	}), ok && n > 0, nil
}

func (p *parser) uid(string) (term, bool, error) {
	s, ok := p.nonempty()
	if !ok {
		return nil, false, nil
	}
	set, ok := parseSet(s)
	return set.term(byUID), ok, nil
}
