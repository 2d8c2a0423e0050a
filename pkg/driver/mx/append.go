package mx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A fresh is a mailbox that is being made: a directory that appears whole, or
// one that was there before, which its index makes a mailbox.
type fresh struct {
	d     *Driver
	s     *state
	dir   numbered.Dir
	whole *numbered.NewDir // nil: the directory was there
	held  *os.File         // that directory, locked
	f     *fsx.NewFile     // its index
}

var _ numbered.Fresh = (*fresh)(nil)

// createNew begins a new mailbox.
func (d *Driver) createNew(ctx context.Context, n mailbox.Name) (c *fresh, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, err := d.place(n)
	if err != nil {
		return nil, err
	}
	if path == "" || numbered.BadName(n.Text) {
		return nil, mailbox.Sayf(mailbox.ErrName, "Can't create mailbox %s: invalid MX-format name", n.Text)
	}
	c = &fresh{d: d, s: d.newState(), dir: d.dir(path)}
	fi, err := d.FS.Stat(path)
	switch {
	case gone(err):
		if c.whole, err = numbered.CreateDir(d.FS, path, d.env.Config.DirMode); err == nil {
			c.dir = c.whole.Dir
		}
	case err == nil && !fi.IsDir():
		err = mailbox.ErrExist
	case err == nil:
		err = c.open()
	}
	if err != nil {
		return nil, errors.Join(err, c.Release())
	}
	return c, nil
}

// newState is that of a new mailbox.
func (d *Driver) newState() *state {
	s := &state{State: &numbered.State{Validity: max(uint32(d.env.Now().Unix()), 1)}, d: d}
	for _, name := range d.env.Config.Keywords {
		s.Create(name) // what is not possible is left out, as in the original
	}
	return s
}

// open locks the directory, so that nobody else makes it a mailbox as well. It
// must have no index, and nothing that would become a message.
func (c *fresh) open() (err error) {
	if c.held, err = os.Open(c.dir.Path); err != nil {
		return err
	}
	if err := lock.TryFlock(c.held, lock.Exclusive); err != nil {
		return err
	}
	if has, err := c.d.hasIndex(c.dir.Path); has || err != nil {
		return errors.Join(err, mailbox.ErrExist)
	}
	l, err := c.dir.List()
	if err != nil {
		return err
	}
	if len(l.Numbers) > 0 {
		return fmt.Errorf("%w: %s has %d files that would become its messages", mailbox.ErrExist, c.dir.Path, len(l.Numbers))
	}
	return c.dir.RemoveAll(&l) // of one whose maker was killed
}

// Kept is what it is to be.
func (c *fresh) Kept() numbered.Kept { return c.s }

// Dir is where it is made.
func (c *fresh) Dir() (numbered.Dir, bool) { return c.dir, c.whole != nil }

// Publish makes the mailbox appear. In a directory that was there before, its
// messages have hidden names and a plan already when it gets its index, which is
// the change.
func (c *fresh) Publish(stage *numbered.Stage) error {
	if c.s.Last > numbered.MaxNumber {
		return fmt.Errorf("%w: UIDs above %d", mailbox.ErrUnsupported, numbered.MaxNumber)
	}
	c.s.Dir = c.dir
	c.s.gather()
	if err := c.begin(&c.s.ix); err != nil {
		return err
	}
	if len(c.s.Msgs) > 0 && c.whole == nil {
		return stage.PlaceNew(c.s, c.appear, c.disappear)
	}
	if err := c.appear(); err != nil || c.whole == nil {
		return err
	}
	return c.whole.Publish()
}

// begin writes the index under a hidden name.
func (c *fresh) begin(ix *index) (err error) {
	cfg := c.d.env.Config
	if c.f, err = fsx.CreateNew(c.d.FS, filepath.Join(c.dir.Path, indexName), cfg.MailboxMode, cfg.DirMode); err != nil {
		return err
	}
	_, err = c.f.WriteAt(ix.print(), 0)
	return err
}

// appear gives the index its name: from now on it is a mailbox.
func (c *fresh) appear() error { return c.f.Publish() }

// disappear takes the index away again.
func (c *fresh) disappear() error {
	err := c.d.FS.Remove(filepath.Join(c.dir.Path, indexName))
	if gone(err) {
		return nil
	}
	return errors.Join(err, c.d.FS.SyncDir(c.dir.Path))
}

// Release gives up the lock, and what did not become a mailbox.
func (c *fresh) Release() error {
	var err error
	if c.f != nil {
		err = c.f.Abort()
	}
	if c.held != nil {
		err = errors.Join(err, c.held.Close())
	}
	if c.whole != nil {
		err = errors.Join(err, c.whole.Abort())
	}
	c.f, c.held, c.whole = nil, nil, nil
	return err
}
