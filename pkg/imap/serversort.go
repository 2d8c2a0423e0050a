package imap

import (
	"slices"
	"strings"

	"mailutil/pkg/mailbox"
)

// sort answers SORT, RFC 5256, 3.
func (s *Server) sort(c *command) (string, error) {
	keys, err := c.sortKeys()
	if err != nil {
		return "", err
	}
	inHeader := slices.ContainsFunc(keys, func(k sortKey) bool { return k.name != "ARRIVAL" && k.name != "SIZE" })
	var all []*ordered
	err = s.findOrdered(c, inHeader, func(o *ordered, _ []byte) { all = append(all, o) })
	if err != nil {
		return "", err
	}
	sortBy(all, keys...)
	var out []uint32
	for _, o := range all {
		out = append(out, o.number)
	}
	s.numbers("SORT", out)
	return s.done(c), nil
}

// sortKeys reads "(REVERSE DATE SUBJECT)".
func (c *command) sortKeys() (keys []sortKey, err error) {
	c.args.space()
	words, err := c.args.words()
	reverse := false
	for _, w := range words {
		w = strings.ToUpper(w)
		if w == "REVERSE" && !reverse {
			reverse = true
			continue
		}
		if sortOrders[w] == nil {
			return nil, badError("Unknown key of SORT: " + oneLine(w))
		}
		keys = append(keys, sortKey{w, reverse})
		reverse = false
	}
	if err != nil || reverse || len(keys) == 0 {
		return nil, badError("Missing or invalid argument to SORT")
	}
	return keys, nil
}

// thread answers THREAD, RFC 5256, 3.
func (s *Server) thread(c *command) (string, error) {
	how, err := c.text()
	if err != nil {
		return "", err
	}
	var threads []*node
	switch strings.ToUpper(how) {
	case "ORDEREDSUBJECT":
		var all []*ordered
		err = s.findOrdered(c, true, func(o *ordered, _ []byte) { all = append(all, o) })
		threads = threadBySubject(all)
	case "REFERENCES":
		t := threader{byID: map[string]*node{}}
		err = s.findOrdered(c, true, t.add)
		threads = t.threads()
	default:
		return "", badError("Unknown algorithm of THREAD: " + oneLine(how))
	}
	if err != nil {
		return "", err
	}
	b := []byte("* THREAD")
	if len(threads) > 0 {
		b = append(b, ' ')
	}
	s.line(string(appendThreads(b, threads)))
	return s.done(c), nil
}

// findOrdered reads a charset and criteria, and calls f with what the messages
// that meet them are sorted by. Their header, a view, is read where it counts.
func (s *Server) findOrdered(c *command, inHeader bool, f func(o *ordered, head []byte)) error {
	cs, err := c.charset()
	if err != nil {
		return err
	}
	return s.find(c, cs, func(m mailbox.Message) error {
		o := orderOf(m)
		o.number = c.number(m)
		if !inHeader {
			f(o, nil)
			return nil
		}
		text, err := s.box.mb.Open(m.Seq)
		if err != nil {
			return err
		}
		head, err := text.Header()
		if err != nil {
			return err
		}
		o.read(head)
		f(o, head)
		return nil
	})
}
