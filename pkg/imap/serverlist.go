package imap

import (
	"fmt"
	"strings"

	"mailutil/pkg/mailbox"
)

// one runs f with the only argument of a command, a mailbox.
func (s *Server) one(c *command, f func(name string) error) (string, error) {
	name, err := c.text()
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return "", err
	}
	return s.done(c), f(encodeName(name))
}

func (s *Server) create(c *command) (string, error) {
	return s.one(c, func(name string) error { return s.Tree.Create(s.ctx, name) })
}

func (s *Server) delete(c *command) (string, error) {
	return s.one(c, func(name string) error { return s.Tree.Delete(s.ctx, name) })
}

// subscribe takes every name: what LSUB tells is what LIST does.
func (s *Server) subscribe(c *command) (string, error) {
	return s.one(c, func(string) error { return nil })
}

func (s *Server) rename(c *command) (string, error) {
	from, err := c.text()
	if err != nil {
		return "", err
	}
	return s.one(c, func(to string) error { return s.Tree.Rename(s.ctx, encodeName(from), to) })
}

func (s *Server) namespace(c *command) (string, error) {
	if err := c.end(); err != nil {
		return "", err
	}
	s.untagged(`NAMESPACE (("" "/")) NIL NIL`)
	return s.done(c), nil
}

// special are the names that mean something, RFC 6154, in the spellings that
// clients give them.
var special = map[string]string{
	"sent": `\Sent`, "sent items": `\Sent`, "sent-mail": `\Sent`, "drafts": `\Drafts`, "trash": `\Trash`, "deleted items": `\Trash`,
	"junk": `\Junk`, "spam": `\Junk`, "archive": `\Archive`,
}

func (s *Server) list(c *command) (string, error) {
	ref, err := c.text()
	if err != nil {
		return "", err
	}
	pattern, err := c.text()
	if err == nil {
		err = c.end()
	}
	if err != nil {
		return "", err
	}
	if pattern == "" { // RFC 3501, 6.3.8: the delimiter is asked for
		s.untagged(`%s (\Noselect) "/" ""`, c.name)
		return s.done(c), nil
	}
	entries, err := s.Tree.List(s.ctx, encodeName(ref)+encodeName(pattern))
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		attr := `\HasNoChildren`
		if e.Children {
			attr = `\HasChildren`
		}
		if !e.Selectable {
			attr += ` \Noselect`
		}
		if use := special[strings.ToLower(e.Name)]; use != "" && e.Selectable {
			attr += " " + use
		}
		s.line(string(appendString([]byte(fmt.Sprintf(`* %s (%s) "/" `, c.name, attr)), []byte(e.Name))))
	}
	return s.done(c), nil
}

func (s *Server) status(c *command) (string, error) {
	name, err := c.text()
	if err != nil {
		return "", err
	}
	c.args.space()
	items, err := c.args.words()
	if err != nil {
		return "", badError("Missing or invalid argument to STATUS")
	}
	st, err := s.count(encodeName(name))
	if err != nil {
		return "", err
	}
	var out []string
	for _, item := range items {
		n, ok := map[string]uint32{
			"MESSAGES": st.Messages, "RECENT": st.Recent, "UNSEEN": st.Unseen, "UIDNEXT": st.UIDNext, "UIDVALIDITY": st.UIDValidity,
		}[strings.ToUpper(item)]
		if !ok {
			return "", badError("Unknown item of STATUS: " + oneLine(item))
		}
		out = append(out, fmt.Sprintf("%s %d", strings.ToUpper(item), n))
	}
	s.line(string(appendString([]byte("* STATUS "), []byte(name))) + " (" + strings.Join(out, " ") + ")")
	return s.done(c), nil
}

// count counts the messages of a mailbox without changing it.
func (s *Server) count(name string) (mailbox.Status, error) {
	n, d, err := s.Tree.Find(name)
	if err != nil {
		return mailbox.Status{}, err
	}
	if k, ok := d.(mailbox.Counter); ok {
		return k.Count(s.ctx, n)
	}
	mb, err := d.Open(s.ctx, n, mailbox.ReadOnly)
	if err != nil {
		return mailbox.Status{}, err
	}
	st := mb.Status()
	return st, mb.Close()
}
