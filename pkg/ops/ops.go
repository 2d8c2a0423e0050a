package ops

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"mailutil/pkg/mailbox"
)

// A Session is where commands run: the surroundings and the formats.
type Session struct {
	Env     *mailbox.Env
	Drivers mailbox.Drivers

	// Sources, when not nil, are the formats of what copies are made of, and of what
	// is converted.
	Sources mailbox.Drivers

	// DryRun makes commands look whether they could do their work, as far as
	// can be told without writing, and count, but write nothing.
	DryRun bool
}

// Check counts the messages of a mailbox. It never alters it, nor its Recent
// flags.
func (s *Session) Check(ctx context.Context, name string) (mailbox.Status, error) {
	n, d, err := s.find(name)
	if err != nil {
		return mailbox.Status{}, err
	}
	if c, ok := d.(mailbox.Counter); ok {
		return c.Count(ctx, n)
	}
	mb, err := d.Open(ctx, n, mailbox.ReadOnly)
	if err != nil {
		return mailbox.Status{}, err
	}
	err = readStream(ctx, mb)
	st := mb.Status()
	return st, errors.Join(err, mb.Close())
}

// Create makes a new, empty mailbox in the format that the name or the
// configuration says.
func (s *Session) Create(ctx context.Context, name string) error {
	n, err := s.resolveNew(name)
	if err != nil {
		return err
	}
	d, err := s.newFormat(n)
	if err != nil {
		return err
	}
	c, ok := d.(mailbox.Creator)
	if !ok {
		return fail("create", name, mailbox.ErrUnsupported)
	}
	if s.DryRun {
		return s.wouldTake(n, true)
	}
	above := missingAbove(n.Path)
	err = c.Create(ctx, n)
	above.undo(err)
	if err == nil {
		s.tellSpool(ctx, n)
	}
	return err
}

// resolveNew resolves the name of a mailbox that is to be made. INBOX comes
// into being by its first message, or where its format is given.
func (s *Session) resolveNew(name string) (mailbox.Name, error) {
	n, err := s.Env.ResolveNew(name)
	if err == nil && n.Inbox && n.Format == "" {
		err = mailbox.Sayf(mailbox.ErrName, "Can't create INBOX")
	}
	return n, err
}

// Delete removes a mailbox or an empty directory, but never INBOX.
func (s *Session) Delete(ctx context.Context, name string) error {
	n, err := s.Env.Resolve(name)
	if err != nil {
		return err
	}
	if n.Inbox {
		return mailbox.Sayf(mailbox.ErrName, "Can't delete INBOX")
	}
	d, err := s.Drivers.Find(n)
	if err != nil {
		return err
	}
	del, ok := d.(mailbox.Deleter)
	if !ok {
		return fail("delete", name, mailbox.ErrUnsupported)
	}
	if s.DryRun {
		return nil
	}
	return del.Delete(ctx, n)
}

// Rename gives a mailbox another name, which nothing may have yet.
func (s *Session) Rename(ctx context.Context, from, to string) error {
	n, d, err := s.find(from)
	if err != nil {
		return err
	}
	r, ok := d.(mailbox.Renamer)
	if !ok {
		return fail("rename", from, mailbox.ErrUnsupported)
	}
	target, err := s.Env.ResolveNew(to)
	if err != nil {
		return err
	}
	if target.Format != "" { // renaming converts nothing
		return mailbox.Sayf(mailbox.ErrName, "Can't rename %s to %s: invalid name", from, to)
	}
	if n.Space != target.Space {
		return mailbox.Sayf(mailbox.ErrUnsupported, "Can't rename %s to %s: they are not in the same place; move it", from, to)
	}
	switch _, err := s.Drivers.Find(target); {
	case strings.HasSuffix(target.Path, "/"):
		return fail("rename", to, mailbox.ErrName)
	case err == nil:
		return mailbox.Sayf(mailbox.ErrExist, "Can't rename %s: mailbox %s already exists", from, to)
	case !errors.Is(err, mailbox.ErrNotExist):
		return err
	}
	if s.DryRun {
		return nil
	}
	return r.Rename(ctx, n, target)
}

// wouldTake is the error that n gives when it should not exist (create), or
// should. A path that is no mailbox is taken, too.
func (s *Session) wouldTake(n mailbox.Name, create bool) error {
	_, err := s.Drivers.Find(n)
	if !create {
		return err
	}
	if err == nil || errors.Is(err, mailbox.ErrNotMailbox) || errors.Is(err, mailbox.ErrFormat) {
		return fail("create", n.Text, fmt.Errorf("%w: %w", mailbox.ErrExist, syscall.EEXIST))
	}
	if errors.Is(err, mailbox.ErrNotExist) {
		return nil
	}
	return err
}

// find resolves the name of a mailbox that should exist.
func (s *Session) find(name string) (mailbox.Name, mailbox.Driver, error) {
	n, err := s.Env.Resolve(name)
	if err != nil {
		return n, nil, err
	}
	d, err := s.Drivers.Find(n)
	return n, d, err
}

// sources are the formats of what copies are made of.
func (s *Session) sources() mailbox.Drivers {
	if s.Sources != nil {
		return s.Sources
	}
	return s.Drivers
}

// open opens a mailbox that should exist.
func (s *Session) open(ctx context.Context, name string, m mailbox.Mode) (mailbox.Mailbox, error) {
	n, d, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return d.Open(ctx, n, m)
}

// newFormat is the driver that makes a new mailbox called n.
func (s *Session) newFormat(n mailbox.Name) (mailbox.Driver, error) {
	format := n.Format
	switch {
	case n.Space != "":
		format = n.Space
	case format == "":
		format = s.Env.Config.NewFormat
		for _, d := range s.Drivers {
			if c, ok := d.(mailbox.Claimer); ok {
				if is, err := c.Claims(n); is || err != nil && !errors.Is(err, fs.ErrPermission) { // else who makes it fails
					return d, err
				}
			}
		}
	}
	if d := s.Drivers.Default(format); d != nil {
		return d, nil
	}
	return nil, mailbox.Sayf(mailbox.ErrUnsupported, "Can't create mailbox #driver.%s/%s: unknown driver", format, n.Text)
}

func fail(op, name string, kind error) error {
	return &mailbox.Error{Op: op, Name: name, Off: -1, Err: kind}
}
