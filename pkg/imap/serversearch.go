package imap

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mailutil/pkg/charset"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/search"
)

// search answers SEARCH, with ESEARCH, RFC 4731.
func (s *Server) search(c *command) (string, error) {
	returns, wanted, err := c.returns()
	if err != nil {
		return "", err
	}
	var cs charset.Charset
	known := c.word("CHARSET")
	if known {
		if cs, err = c.charset(); err != nil {
			return "", err
		}
	}
	var found []uint32
	err = s.find(c, cs, func(m mailbox.Message) error {
		found = append(found, c.number(m))
		return nil
	})
	if err != nil {
		return "", err
	}
	if returns {
		s.untagged("%s", esearch(c, wanted, found))
		return s.done(c), nil
	}
	s.numbers("SEARCH", found)
	return s.done(c), nil
}

// numbers writes an answer of numbers.
func (s *Server) numbers(what string, ns []uint32) {
	b := []byte("* " + what)
	for _, n := range ns {
		b = strconv.AppendUint(append(b, ' '), uint64(n), 10)
	}
	s.line(string(b))
}

// number is what a client calls a message.
func (c *command) number(m mailbox.Message) uint32 {
	if c.uid {
		return m.UID
	}
	return m.Seq
}

// word takes a word if it is the next argument.
func (c *command) word(want string) bool {
	save := c.args
	c.args.space()
	if strings.EqualFold(string(c.args.atom()), want) {
		return true
	}
	c.args = save
	return false
}

// charset reads the name of one.
func (c *command) charset() (charset.Charset, error) {
	name, err := c.text()
	if err != nil {
		return charset.Charset{}, err
	}
	cs, known := charset.Lookup(name)
	if !known {
		return cs, errors.New("[BADCHARSET] Unknown charset") // RFC 3501, 6.4.4
	}
	return cs, nil
}

// find calls f with the messages that meet the criteria which are the rest of
// a command. It may open them.
func (s *Server) find(c *command, cs charset.Charset, f func(mailbox.Message) error) error {
	words, err := s.criteria(c, cs)
	if err != nil {
		return err
	}
	criteria, err := search.Parse(words, time.Now())
	if err != nil {
		return badError(oneLine(err.Error()))
	}
	matcher := search.NewMatcher(criteria, s.box.mb.Status())
	for m, err := range s.box.mb.Messages(mailbox.All) {
		if err == nil {
			err = s.ctx.Err()
		}
		ok := false
		if err == nil {
			ok, err = matcher.Match(m, func() (mailbox.Content, error) { return s.box.mb.Open(m.Seq) })
		}
		if err == nil && ok {
			err = f(m)
		}
		if err != nil {
			return fmt.Errorf("message %d: %w", m.Seq, err)
		}
	}
	return nil
}

// returns reads "RETURN (...)".
func (c *command) returns() (given bool, wanted []string, err error) {
	if !c.word("RETURN") {
		return false, nil, nil
	}
	c.args.space()
	if wanted, err = c.args.words(); err != nil {
		return true, nil, badError("Missing or invalid argument to SEARCH")
	}
	if len(wanted) == 0 {
		wanted = []string{"ALL"}
	}
	return true, wanted, nil
}

func esearch(c *command, wanted []string, found []uint32) string {
	out := fmt.Sprintf("ESEARCH (TAG %q)", c.tag)
	if c.uid {
		out += " UID"
	}
	for _, w := range wanted {
		switch up := strings.ToUpper(w); {
		case up == "COUNT":
			out += fmt.Sprintf(" COUNT %d", len(found))
		case len(found) == 0:
		case up == "MIN":
			out += fmt.Sprintf(" MIN %d", found[0])
		case up == "MAX":
			out += fmt.Sprintf(" MAX %d", found[len(found)-1])
		case up == "ALL":
			out += " ALL " + runs(found)
		}
	}
	return out
}

// runs writes ascending numbers as a set.
func runs(ns []uint32) string {
	var out []string
	for i := 0; i < len(ns); {
		j := i
		for j+1 < len(ns) && ns[j+1] == ns[j]+1 {
			j++
		}
		if i == j {
			out = append(out, fmt.Sprint(ns[i]))
		} else {
			out = append(out, fmt.Sprintf("%d:%d", ns[i], ns[j]))
		}
		i = j + 1
	}
	return strings.Join(out, ",")
}

// criteria writes the criteria of a SEARCH as package search reads them: strings
// as literals, in UTF-8, and "*" as the number that it stands for.
func (s *Server) criteria(c *command, cs charset.Charset) (string, error) {
	p := &c.args
	var out []byte
	for {
		p.space()
		switch {
		case len(p.b) == 0:
			return string(out), nil
		case p.take('('):
			out = append(out, '(')
			continue
		case p.take(')'):
			out = append(bytes.TrimRight(out, " "), ") "...)
			continue
		case p.b[0] == '"' || p.b[0] == '{':
			text, _, err := p.text()
			if err != nil {
				return "", badError("Missing or invalid argument to SEARCH")
			}
			if cs.Name != "" {
				text = []byte(cs.Decode(text))
			}
			out = append(fmt.Appendf(out, "{%d}\r\n", len(text)), text...)
			out = append(out, ' ')
			continue
		}
		word := string(p.until(" ()"))
		out = append(out, s.lastNumber(word)...)
		out = append(out, ' ')
	}
}

// lastNumber puts the last number in the place of "*" in a set.
func (s *Server) lastNumber(word string) string {
	if !strings.Contains(word, "*") || strings.Trim(word, "0123456789,:*") != "" {
		return word
	}
	last := "4294967294" // of a UID set: beyond all
	if n := len(s.box.known); n > 0 && !strings.Contains(word, "UID") {
		last = fmt.Sprint(max(uint32(n), s.box.known[n-1].uid))
	}
	return strings.ReplaceAll(word, "*", last)
}
