package search

import (
	"strconv"
	"strings"
	"time"

	"mailutil/pkg/mailbox"
)

// maxNesting is how deep NOT, OR and parentheses may be nested.
const maxNesting = 100

// Parse reads search criteria. Dates without a zone and ages are relative to
// now. The error is a *WordError. Criteria of nothing but blanks are empty, see Empty.
func Parse(s string, now time.Time) (*Criteria, error) {
	p := &parser{s: s, now: now, c: &Criteria{}}
	var err error
	p.c.terms, err = p.list()
	if err != nil {
		return nil, err
	}
	return p.c, nil
}

// A parser reads criteria from the left.
type parser struct {
	s     string // what is left
	now   time.Time
	c     *Criteria
	group int // open parentheses
	nest  int // open parentheses, NOTs and ORs
}

// A WordError is about a word that is no criterion, or that lacks a good
// argument. Its text is that of the original.
type WordError struct {
	Word string // ASCII letters in upper case, at most 30 octets
}

func (e *WordError) Error() string { return "Unknown search criterion: " + e.Word }

func bad(word string) error { return &WordError{upper(word[:min(len(word), 30)])} }

// upper returns s with the ASCII letters in upper case, all else as it is.
func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - ('a' - 'A')
		}
	}
	return string(b)
}

// list reads keys up to the end or a closing parenthesis.
func (p *parser) list() (all, error) {
	var terms all
	last := map[string]int{} // where the words are of which the last counts
	for {
		p.skipBlanks()
		if p.s == "" || p.group > 0 && p.s[0] == ')' {
			return terms, nil
		}
		word, t, err := p.key()
		if err != nil {
			return nil, err
		}
		i, again := last[word]
		if again && p.group == 0 && lastCounts[word] {
			terms[i] = t
			continue
		}
		last[word] = len(terms)
		terms = append(terms, t)
	}
}

// lastCounts holds the words that have one value in the original.
var lastCounts = map[string]bool{
	"BEFORE": true, "ON": true, "SINCE": true, "SENTBEFORE": true, "SENTON": true, "SENTSINCE": true,
	"LARGER": true, "SMALLER": true,
}

func (p *parser) skipBlanks() { p.s = strings.TrimLeft(p.s, " ") }

// word cuts the text up to a blank or, in parentheses, the closing one.
func (p *parser) word() string {
	end := " "
	if p.group > 0 {
		end = " )"
	}
	n := strings.IndexAny(p.s, end)
	if n < 0 {
		n = len(p.s)
	}
	word := p.s[:n]
	p.s = p.s[n:]
	return word
}

// key reads one search key and returns its word in upper case.
func (p *parser) key() (word string, t term, err error) {
	if p.nest++; p.nest > maxNesting {
		return "", nil, bad(p.word())
	}
	defer func() { p.nest-- }()
	if p.s[0] == '(' {
		t, err = p.parentheses()
		return "(", t, err
	}
	text := p.word()
	word = upper(text)
	if flags, ok := flagWords[word]; ok {
		return word, flags, nil
	}
	if read, ok := words[word]; ok {
		t, ok, err = read(p, word)
		if err == nil && !ok {
			err = bad(word)
		}
		return word, t, err
	}
	if set, ok := parseSet(text); ok {
		return word, set.term(bySeq), nil
	}
	return "", nil, bad(text)
}

// parentheses reads "(key key ...)".
func (p *parser) parentheses() (term, error) {
	p.s = p.s[1:]
	p.group++
	terms, err := p.list()
	if err != nil {
		return nil, err
	}
	if len(terms) == 0 || p.s == "" { // an empty list would be met by all
		return nil, bad("(")
	}
	p.s = p.s[1:]
	p.group--
	if p.s != "" && strings.IndexByte(" ()", p.s[0]) < 0 {
		return nil, bad(")" + p.word())
	}
	return terms, nil
}

// text reads a string argument after one blank; a second one is an error, as in
// the original. ok is false where there is none, or it is not closed.
func (p *parser) text() (s string, ok bool) {
	p.s = strings.TrimPrefix(p.s, " ")
	switch {
	case strings.HasPrefix(p.s, `"`):
		s, p.s, ok = strings.Cut(p.s[1:], `"`)
		return s, ok
	case strings.HasPrefix(p.s, "{"):
		return p.literal()
	}
	s = p.word()
	return s, s != ""
}

// literal reads {n}, CR, LF and n octets, RFC 3501, 4.3.
func (p *parser) literal() (s string, ok bool) {
	number, rest, ok := strings.Cut(p.s[1:], "}\r\n")
	n, err := strconv.ParseUint(number, 10, 31)
	if !ok || err != nil || uint64(len(rest)) < n {
		return "", false
	}
	s, p.s = rest[:n], rest[n:]
	end := p.s == "" || p.s[0] == ' ' || p.group > 0 && p.s[0] == ')'
	return s, end
}

// nonempty reads a string argument that is not empty.
func (p *parser) nonempty() (s string, ok bool) {
	s, ok = p.text()
	return s, ok && s != ""
}

// date reads a date argument.
func (p *parser) date() (day int, ok bool) {
	s, ok := p.nonempty()
	if !ok {
		return 0, false
	}
	d, err := mailbox.ParseDate(s, p.now.Location())
	return dayOf(d), err == nil
}

// dayOf returns a number for the day of d that ascends with days.
func dayOf(d mailbox.Date) int { return int(d.Year)<<9 | int(d.Month)<<5 | int(d.Day) }

// number reads a number with an optional unit.
func (p *parser) number(units map[byte]int64) (n int64, ok bool) {
	s, ok := p.nonempty()
	if !ok {
		return 0, false
	}
	return numberOf(s, units)
}

// ParseSize reads a number of octets as LARGER does: "500M".
func ParseSize(s string) (octets int64, ok bool) { return numberOf(s, sizeUnits) }

// numberOf reads a number with an optional unit, one of the letters of units in
// any case.
func numberOf(s string, units map[byte]int64) (n int64, ok bool) {
	if s == "" {
		return 0, false
	}
	factor := int64(1)
	if f, ok := units[s[len(s)-1]|0x20]; ok && s[len(s)-1] > '9' {
		factor, s = f, s[:len(s)-1]
	}
	u, err := strconv.ParseUint(s, 10, 63)
	if err != nil || int64(u) > (1<<62)/factor {
		return 0, false
	}
	return int64(u) * factor, true
}
