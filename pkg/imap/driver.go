package imap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/remote"
)

// Driver reads and writes mailboxes at IMAP servers. It is safe for concurrent
// use; its mailboxes and deliveries are not. Close it at the end.
type Driver struct {
	env *mailbox.Env
	o   remote.Options

	mu   sync.Mutex
	idle []*conn // logged in, and used by nobody
}

var (
	_ mailbox.Driver   = (*Driver)(nil)
	_ mailbox.Creator  = (*Driver)(nil)
	_ mailbox.Deleter  = (*Driver)(nil)
	_ mailbox.Renamer  = (*Driver)(nil)
	_ mailbox.Appender = (*Driver)(nil)
	_ mailbox.Lister   = (*Driver)(nil)
	_ mailbox.Counter  = (*Driver)(nil)
)

// New returns the driver.
func New(env *mailbox.Env, o remote.Options) *Driver { return &Driver{env: env, o: o} }

// Name returns "imap".
func (d *Driver) Name() string { return "imap" }

// Close logs out everywhere.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.idle {
		c.logout() // nothing of ours is left undone
	}
	d.idle = nil
	return nil
}

// conn returns a connection to the server of r: one that is left over, or a
// new one.
func (d *Driver) conn(ctx context.Context, r mailbox.Remote) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for c := d.leftOver(r); c != nil; c = d.leftOver(r) {
		c.Bind(ctx)
		if _, err := c.command("NOOP"); err == nil {
			return c, nil
		}
		c.Close()
	}
	return connect(ctx, d.env, r, d.o)
}

func (d *Driver) leftOver(r mailbox.Remote) *conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, c := range d.idle {
		have := c.Remote.Server()
		if r.Port == 0 {
			have.Port = 0
		}
		if r.User == "" {
			have.User = ""
		}
		if have == r.Server() {
			d.idle = slices.Delete(d.idle, i, i+1)
			return c
		}
	}
	return nil
}

// release keeps a connection for the next use. No mailbox is open on it.
func (d *Driver) release(c *conn) {
	c.box = nil
	if c.broken != nil {
		c.Close()
		return
	}
	c.Bind(context.Background())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.idle = append(d.idle, c)
}

// with runs f on a connection on which no mailbox is open.
func (d *Driver) with(ctx context.Context, op string, n mailbox.Name, f func(*conn) error) error {
	c, err := d.conn(ctx, n.Remote)
	if err != nil {
		return d.fail(op, n, err)
	}
	defer d.release(c)
	return d.fail(op, n, f(c))
}

func (d *Driver) fail(op string, n mailbox.Name, err error) error {
	var e *mailbox.Error
	if err == nil || errors.As(err, &e) || errors.Is(err, context.Canceled) {
		return err
	}
	return &mailbox.Error{Op: op, Driver: d.Name(), Name: n.Text, Off: -1, Err: err}
}

// wire is a mailbox name as an argument.
func wire(n mailbox.Name) string { return quote(encodeName(n.Remote.Box())) }

// Probe asks the server whether it has the mailbox.
func (d *Driver) Probe(n mailbox.Name) (bool, error) {
	if n.Remote.Service != d.Name() {
		return false, nil
	}
	found := false
	err := d.with(context.Background(), "open", n, func(c *conn) error {
		e, err := c.find(encodeName(n.Remote.Box()))
		found = e.Selectable
		if err == nil && !found && e.Name != "" {
			err = mailbox.ErrNotMailbox
		}
		return err
	})
	return found, err
}

// find looks for one mailbox. Name is "" where there is none.
func (c *conn) find(name string) (found mailbox.Entry, err error) {
	if name == "INBOX" {
		return mailbox.Entry{Name: name, Selectable: true}, nil
	}
	err = c.list(name, func(e mailbox.Entry) {
		if e.Name == name {
			found = e
		}
	})
	return found, err
}

// list asks for the names that fit a pattern.
func (c *conn) list(pattern string, f func(mailbox.Entry)) error {
	c.box = func(line []byte) {
		if e, ok := parseList(line); ok {
			f(e)
		}
	}
	defer func() { c.box = nil }()
	_, err := c.command(`LIST "" %s`, quote(pattern))
	return err
}

// parseList reads "* LIST (attributes) delimiter name". A name is octets: what
// is not good modified UTF-7 can be used all the same.
func parseList(line []byte) (e mailbox.Entry, ok bool) {
	p := parser{line}
	if string(p.atom()) != "*" {
		return e, false
	}
	p.space()
	if !bytes.EqualFold(p.atom(), []byte("LIST")) {
		return e, false
	}
	p.space()
	e.Selectable = true
	exists := true
	err := p.list(func() error {
		switch attr := p.atom(); {
		case bytes.EqualFold(attr, []byte(`\Noselect`)):
			e.Selectable = false
		case bytes.EqualFold(attr, []byte(`\NonExistent`)):
			exists = false
		}
		return nil
	})
	if err != nil {
		return e, false
	}
	p.space()
	delim, nothing, err := p.text()
	if err != nil {
		return e, false
	}
	if !nothing && len(delim) == 1 {
		e.Delimiter = delim[0]
	}
	p.space()
	var name []byte
	if bytes.HasPrefix(p.b, []byte(`"`)) || bytes.HasPrefix(p.b, []byte("{")) {
		if name, _, err = p.text(); err != nil {
			return e, false
		}
	} else {
		name = bytes.TrimRight(p.b, " ") // an atom, though some servers forget the quotes
	}
	e.Name = string(name)
	if strings.EqualFold(e.Name, "INBOX") {
		e.Name = "INBOX"
	}
	return e, exists && e.Name != "" && !strings.ContainsAny(e.Name, "\r\n\x00")
}

// List yields the mailboxes whose names begin with that of prefix, as the
// server spells them.
func (d *Driver) List(ctx context.Context, prefix mailbox.Name) iter.Seq2[mailbox.Entry, error] {
	return func(yield func(mailbox.Entry, error) bool) {
		var all []mailbox.Entry
		host, _ := strings.CutSuffix(prefix.Text, prefix.Remote.Mailbox)
		start := encodeName(prefix.Remote.Mailbox)
		err := d.with(ctx, "list", prefix, func(c *conn) error {
			return c.list(start+"*", func(e mailbox.Entry) {
				if strings.HasPrefix(e.Name, start) || strings.EqualFold(start, e.Name) {
					e.Name = host + e.Name
					all = append(all, e)
				}
			})
		})
		if err != nil {
			yield(mailbox.Entry{}, err)
			return
		}
		slices.SortFunc(all, func(a, b mailbox.Entry) int { return strings.Compare(a.Name, b.Name) })
		all = slices.CompactFunc(all, func(a, b mailbox.Entry) bool { return a.Name == b.Name })
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Create makes an empty mailbox.
func (d *Driver) Create(ctx context.Context, n mailbox.Name) error {
	return d.with(ctx, "create", n, func(c *conn) error { return c.create(n) })
}

func (c *conn) create(n mailbox.Name) error {
	_, err := c.command("CREATE %s", wire(n))
	return c.taken(err, n)
}

// taken finds out whether a name was refused because it is taken: not every
// server says so in a way that a program can tell.
func (c *conn) taken(err error, n mailbox.Name) error {
	var refused *StatusError
	if !errors.As(err, &refused) || errors.Is(err, mailbox.ErrExist) {
		return err
	}
	if e, listed := c.find(encodeName(n.Remote.Box())); listed == nil && e.Name != "" {
		return fmt.Errorf("%w: %w", mailbox.ErrExist, err)
	}
	return err
}

// missing finds out whether something was refused because there is no such
// mailbox.
func (c *conn) missing(err error, n mailbox.Name) error {
	var refused *StatusError
	if !errors.As(err, &refused) || errors.Is(err, mailbox.ErrNotExist) {
		return err
	}
	switch e, listed := c.find(encodeName(n.Remote.Box())); {
	case listed == nil && e.Name == "":
		return fmt.Errorf("%w: %w", mailbox.ErrNotExist, err)
	case listed == nil && !e.Selectable:
		return mailbox.ErrNotMailbox
	}
	return err
}

// Delete removes a mailbox.
func (d *Driver) Delete(ctx context.Context, n mailbox.Name) error {
	return d.with(ctx, "delete", n, func(c *conn) error {
		_, err := c.command("DELETE %s", wire(n))
		return c.missing(err, n)
	})
}

// Rename gives a mailbox another name at the same server.
func (d *Driver) Rename(ctx context.Context, from, to mailbox.Name) error {
	if from.Remote.Server() != to.Remote.Server() {
		return d.fail("rename", to, fmt.Errorf("%w: both names must be at the same server", mailbox.ErrUnsupported))
	}
	return d.with(ctx, "rename", from, func(c *conn) error {
		_, err := c.command("RENAME %s %s", wire(from), wire(to))
		return c.taken(c.missing(err, from), to)
	})
}

// Count asks for the counts without opening the mailbox.
func (d *Driver) Count(ctx context.Context, n mailbox.Name) (mailbox.Status, error) {
	st := mailbox.Status{Driver: d.Name()}
	err := d.with(ctx, "open", n, func(c *conn) error {
		st.Path = canonical(c, n)
		known := false
		c.box = func(line []byte) { known = parseStatus(line, &st) || known }
		_, err := c.command("STATUS %s (MESSAGES RECENT UNSEEN UIDNEXT UIDVALIDITY)", wire(n))
		c.box = nil
		if err == nil && !known {
			err = &ProtocolError{"no answer to STATUS"}
		}
		return c.missing(err, n)
	})
	return st, err
}

// canonical is the name of a mailbox with all that was found out.
func canonical(c *conn, n mailbox.Name) string {
	r := c.Remote
	r.Mailbox, r.ReadOnly = n.Remote.Mailbox, n.Remote.ReadOnly
	return r.Canonical()
}

// parseStatus reads "* STATUS name (ITEM number ...)". One mailbox is asked
// about at a time, so that the name is not looked at.
func parseStatus(line []byte, st *mailbox.Status) bool {
	words := bytes.Fields(line)
	open := bytes.LastIndexByte(line, '(')
	if len(words) < 2 || !bytes.EqualFold(words[1], []byte("STATUS")) || open < 0 {
		return false
	}
	items := bytes.Fields(bytes.TrimRight(line[open+1:], ") "))
	for i := 0; i+1 < len(items); i += 2 {
		n, err := strconv.ParseUint(string(items[i+1]), 10, 32)
		if err != nil {
			continue
		}
		switch strings.ToUpper(string(items[i])) {
		case "MESSAGES":
			st.Messages = uint32(n)
		case "RECENT":
			st.Recent = uint32(n)
		case "UNSEEN":
			st.Unseen = uint32(n)
		case "UIDNEXT":
			st.UIDNext = uint32(n)
		case "UIDVALIDITY":
			st.UIDValidity = uint32(n)
		}
	}
	return true
}
