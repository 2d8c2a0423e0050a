// Package tree is what an endpoint shows: the mailboxes of a user, those below
// a directory, or a few by name. Clients see names with "/" between the levels.
package tree

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// A Tree is the mailboxes that clients may see. It is safe for concurrent use.
type Tree struct {
	session ops.Session
	fixed   []string // the only ones, where there are any
	write   bool
}

// Entry is a name and what it stands for.
type Entry struct {
	Name       string
	Selectable bool // it can be opened
	Children   bool // there are others below it
}

// maxDepth is how deep directories are looked into, list-maximum-level of the
// original.
const maxDepth = 20

// New returns the tree of a session: of the user whose surroundings it has,
// whose names are taken as if restricted to the home directory.
func New(s ops.Session, write bool) *Tree {
	env := *s.Env
	env.Config.Restricted = true
	s.Env = &env
	return &Tree{session: s, write: write}
}

// NewFixed returns the tree of a few mailboxes, which are shown by the names
// given. The first of them is INBOX as well.
func NewFixed(s ops.Session, names []string, write bool) *Tree {
	return &Tree{session: s, fixed: names, write: write}
}

// Env is the surroundings of the mailboxes.
func (t *Tree) Env() *mailbox.Env { return t.session.Env }

// Writable reports whether anything may be changed.
func (t *Tree) Writable() bool { return t.write }

// local returns the name of a mailbox in our own terms.
func (t *Tree) local(name string) (string, error) {
	if len(t.fixed) > 0 {
		if strings.EqualFold(name, "INBOX") {
			return t.fixed[0], nil
		}
		if !slices.Contains(t.fixed, name) {
			return "", mailbox.ErrNotExist
		}
		return name, nil
	}
	if name == "" || strings.ContainsAny(name[:1], "#{/~-.") || strings.ContainsAny(name, "\r\n\x00") {
		return "", mailbox.ErrNotExist
	}
	return name, nil
}

// Find returns a mailbox and its driver.
func (t *Tree) Find(name string) (mailbox.Name, mailbox.Driver, error) {
	local, err := t.local(name)
	if err != nil {
		return mailbox.Name{}, nil, err
	}
	n, err := t.session.Env.Resolve(local)
	if err != nil {
		return n, nil, err
	}
	d, err := t.session.Drivers.Find(n)
	return n, d, err
}

// Open opens a mailbox.
func (t *Tree) Open(ctx context.Context, name string, m mailbox.Mode) (mailbox.Mailbox, error) {
	n, d, err := t.Find(name)
	if err != nil {
		return nil, err
	}
	if !t.write {
		m = mailbox.ReadOnly
	}
	return d.Open(ctx, n, m)
}

// Append begins to add mail to a mailbox that exists.
func (t *Tree) Append(ctx context.Context, name string, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if !t.write {
		return nil, mailbox.ErrReadOnly
	}
	n, d, err := t.Find(name)
	if err != nil {
		return nil, err
	}
	a, ok := d.(mailbox.Appender)
	if !ok {
		return nil, mailbox.ErrUnsupported
	}
	return a.Append(ctx, n, o)
}

// change runs f where changes are allowed, with names in our own terms.
func (t *Tree) change(f func(names ...string) error, names ...string) error {
	if !t.write || len(t.fixed) > 0 {
		return mailbox.ErrReadOnly
	}
	var locals []string
	for _, name := range names {
		local, err := t.local(name)
		if err != nil {
			return mailbox.ErrName
		}
		locals = append(locals, local)
	}
	return f(locals...)
}

// Create, Delete and Rename are those of package ops.
func (t *Tree) Create(ctx context.Context, name string) error {
	return t.change(func(n ...string) error { return t.session.Create(ctx, n[0]) }, name)
}

// Delete removes a mailbox.
func (t *Tree) Delete(ctx context.Context, name string) error {
	return t.change(func(n ...string) error { return t.session.Delete(ctx, n[0]) }, name)
}

// Rename gives a mailbox another name.
func (t *Tree) Rename(ctx context.Context, from, to string) error {
	return t.change(func(n ...string) error { return t.session.Rename(ctx, n[0], n[1]) }, from, to)
}

// List returns the names that fit a pattern of IMAP, RFC 3501, 6.3.8: "*" is
// any text, "%" any but "/". Hidden files, and files that are no mailboxes, are
// left out.
func (t *Tree) List(ctx context.Context, pattern string) ([]Entry, error) {
	if len(t.fixed) > 0 {
		return t.listFixed(pattern), nil
	}
	var out []Entry
	if Match(pattern, "INBOX") || Match(strings.ToUpper(pattern), "INBOX") {
		out = append(out, Entry{Name: "INBOX", Selectable: true})
	}
	n, err := t.session.Env.Resolve("x")
	if err != nil {
		return out, err
	}
	err = t.walk(ctx, filepath.Dir(n.Path), "", pattern, 0, &out)
	return out, err
}

func (t *Tree) listFixed(pattern string) (out []Entry) {
	if Match(pattern, "INBOX") {
		out = append(out, Entry{Name: "INBOX", Selectable: true})
	}
	for _, name := range t.fixed {
		if Match(pattern, name) && !strings.EqualFold(name, "INBOX") {
			out = append(out, Entry{Name: name, Selectable: true})
		}
	}
	return out
}

// walk lists one directory, whose names begin with prefix.
func (t *Tree) walk(ctx context.Context, dir, prefix, pattern string, depth int, out *[]Entry) error {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := prefix + f.Name()
		if f.Name()[0] == '.' || strings.EqualFold(name, "INBOX") || !mayMatch(pattern, name) {
			continue
		}
		e := Entry{Name: name}
		fi, err := os.Stat(filepath.Join(dir, f.Name()))
		if err != nil || !fi.IsDir() && !fi.Mode().IsRegular() {
			continue
		}
		_, d, err := t.Find(name)
		e.Selectable = err == nil && d.Name() != "phile" && (d.Name() != "dummy" || !fi.IsDir())
		e.Children = fi.IsDir() && !isMaildir(d)
		if (e.Selectable || e.Children) && Match(pattern, name) {
			*out = append(*out, e)
		}
		if e.Children && depth < maxDepth && mayMatch(pattern, name+"/") {
			if err := t.walk(ctx, filepath.Join(dir, f.Name()), name+"/", pattern, depth+1, out); err != nil {
				return err
			}
		}
	}
	return nil
}

// isMaildir reports whether what is below a mailbox is its own.
func isMaildir(d mailbox.Driver) bool { return d != nil && d.Name() == "maildir" }

// mayMatch reports whether a name, or one that begins with it and "/", can fit
// the pattern.
func mayMatch(pattern, name string) bool {
	fixed := pattern
	if i := strings.IndexAny(pattern, "*%"); i >= 0 {
		fixed = pattern[:i]
	}
	return strings.HasPrefix(name, fixed) || strings.HasPrefix(fixed, name)
}

// Match reports whether a name fits a pattern. It takes no longer than the
// product of their lengths.
func Match(pattern, name string) bool {
	at := make([]bool, len(name)+1) // where the pattern so far can have come to
	at[0] = true
	for i := range len(pattern) {
		c := pattern[i]
		wild := c == '*' || c == '%'
		next := make([]bool, len(name)+1)
		for j := range at {
			switch {
			case wild && (at[j] || j > 0 && next[j-1] && (c == '*' || name[j-1] != '/')):
				next[j] = true
			case !wild && at[j] && j < len(name) && name[j] == c:
				next[j+1] = true
			}
		}
		at = next
	}
	return at[len(name)]
}
