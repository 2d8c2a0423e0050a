package mx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Append begins to add mail to n, which must exist unless o.New says that it
// must not. The messages wait in hidden files; no lock is held meanwhile.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	t := &delivery{d: d, ctx: ctx, n: n, o: o}
	if err := t.begin(); err != nil {
		return nil, d.fail("append", n, errors.Join(err, t.release()))
	}
	return t, nil
}

// A delivery adds mail. Each message becomes a hidden file; Commit names them in
// the index and then gives them their names, several of them by a plan (package
// numbered), so that a power cut leaves all or none.
type delivery struct {
	d      *Driver
	ctx    context.Context // of Append; Commit waits for the lock within it
	n      mailbox.Name
	o      mailbox.AppendOptions
	path   string
	fresh  *fresh // of a new mailbox
	ix     index  // whose keywords tell what there is room for
	stage  numbered.Stage
	items  []item
	failed error
	done   bool
}

// An item is what the index is to know of a message.
type item struct {
	uid      uint32 // of a mailbox that keeps UIDs; else the number of the message in the delivery
	flags    uint16
	keywords uint64 // bits of AppendOptions.Keywords
}

func (t *delivery) begin() (err error) {
	if t.path, err = t.d.place(t.n); err != nil {
		return err
	}
	t.stage.Dir, t.stage.Mode = t.d.dir(t.path), t.d.env.Config.MailboxMode
	if t.o.New {
		if t.fresh, err = t.d.createNew(t.ctx, t.n); err == nil {
			t.stage.Dir, t.stage.Direct = t.fresh.dir, t.fresh.whole != nil
		}
		t.ix = t.d.newIndex()
	} else {
		err = t.d.locked(t.ctx, t.path, true, func(s *state) error {
			t.ix = s.ix
			t.ix.records = nil
			return nil
		})
		if flocked.MayNotWrite(err) {
			err = errors.Join(mailbox.ErrReadOnly, err)
		}
		if errors.Is(err, mailbox.ErrNotExist) {
			err = mailbox.Sayf(mailbox.ErrNotExist, "[TRYCREATE] Must create mailbox before append")
		}
	}
	if err != nil {
		return err
	}
	if t.o.UIDValidity != 0 {
		t.ix.validity = t.o.UIDValidity
	}
	t.name(&t.ix)
	return nil
}

// name creates the keywords of the delivery in an index, as far as there is
// room, and returns the bits that they have there.
func (t *delivery) name(ix *index) []uint32 {
	bits := make([]uint32, len(t.o.Keywords))
	for i, name := range t.o.Keywords {
		if name != "" {
			bits[i], _ = ix.create(name)
		}
	}
	return bits
}

// Add takes one message into a hidden file.
func (t *delivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	if t.failed != nil || t.done {
		return mailbox.Altered{}, t.d.fail("append", t.n, errors.Join(t.failed, os.ErrClosed))
	}
	a, err := t.add(it)
	t.failed = err
	return a, t.d.fail("append", t.n, err)
}

func (t *delivery) add(it mailbox.Item) (a mailbox.Altered, err error) {
	if err := t.ctx.Err(); err != nil {
		return a, err
	}
	i := item{uid: uint32(len(t.items)) + 1, flags: sysbits.Bits[uint16](it.Flags.System) | bitNew}
	if t.keepsUIDs() {
		if n := len(t.items); it.UID == 0 || n > 0 && it.UID <= t.items[n-1].uid {
			return a, fmt.Errorf("UID %d does not ascend", it.UID)
		}
		i.uid = it.UID
	}
	for bit := range mailbox.MaxKeywords {
		if it.Flags.Keywords&(1<<bit) == 0 {
			continue
		}
		if bit < len(t.o.Keywords) && t.ix.keyword(t.o.Keywords[bit]) != 0 {
			i.keywords |= 1 << bit
		} else {
			a.Keywords++
		}
	}
	at, altered := numbered.Mtime(it.Date, t.d.env.Now())
	if altered {
		a.Dates++
	}
	_, err = t.stage.Add(i.uid, t.d.env.Now(), at, func(to io.Writer) error {
		if it.Size < 0 {
			_, err := io.Copy(to, it.Text)
			return err
		}
		return flocked.Exactly(to, it.Size, func(w io.Writer) error {
			_, err := io.Copy(w, it.Text)
			return err
		})
	})
	t.items = append(t.items, i)
	return a, err
}

func (t *delivery) keepsUIDs() bool { return t.o.New && t.o.UIDValidity != 0 }

// Commit makes the messages part of the mailbox.
func (t *delivery) Commit() (uids mailbox.UIDs, err error) {
	if t.done {
		return uids, t.d.fail("append", t.n, os.ErrClosed)
	}
	if err = errors.Join(t.failed, t.ctx.Err()); err == nil {
		err = t.stage.Sync()
	}
	switch {
	case err != nil:
	case t.o.New:
		uids, err = t.commitNew()
	case len(t.items) > 0 || len(t.o.Keywords) > 0:
		err = t.d.locked(t.ctx, t.path, true, func(s *state) (err error) {
			uids, err = t.commit(s)
			return err
		})
		if errors.Is(err, mailbox.ErrNotExist) || errors.Is(err, mailbox.ErrFormat) || errors.Is(err, mailbox.ErrNotMailbox) {
			err = fmt.Errorf("%w: the mailbox has gone: %v", mailbox.ErrTemporary, err)
		}
	}
	if err = errors.Join(err, t.release()); err != nil {
		return mailbox.UIDs{}, t.d.fail("append", t.n, err)
	}
	return uids, nil
}

// commit adds the messages to a mailbox that is locked for writing: their
// records first, by an append to the index, which mean nothing until the files
// are there.
func (t *delivery) commit(s *state) (uids mailbox.UIDs, err error) {
	if still, err := t.stage.Still(); !still || err != nil {
		return uids, errors.Join(err, fmt.Errorf("%w: another mailbox has its name now", mailbox.ErrTemporary))
	}
	base := s.ix.last
	if uint64(base)+uint64(len(t.items)) > numbered.MaxNumber {
		return uids, fmt.Errorf("%w: its UIDs are used up", mailbox.ErrUnsupported)
	}
	if err := t.record(s, base); err != nil {
		return uids, err
	}
	if len(t.items) == 0 {
		return uids, nil
	}
	uids = mailbox.UIDs{Validity: s.ix.validity, First: base + 1, Last: s.ix.last}
	if len(t.items) == 1 {
		err = t.stage.PlaceOne(base + 1)
	} else {
		err = t.stage.Place(base, nil, s)
	}
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%w: another program made message %d without the lock", mailbox.ErrTemporary, base+1)
	}
	return uids, err
}

// record puts the messages into the index.
func (t *delivery) record(s *state, base uint32) error {
	bits := t.name(&s.ix)
	for _, i := range t.items {
		r := record{uid: base + i.uid, flags: i.flags}
		for bit, has := range bits {
			if i.keywords&(1<<bit) == 0 {
				continue
			}
			if has == 0 { // there was room when it was added
				return fmt.Errorf("%w: another process created keywords at the same time", mailbox.ErrTemporary)
			}
			r.keywords |= has
		}
		s.ix.records = append(s.ix.records, r)
		s.ix.last = r.uid
	}
	return s.save()
}

// Abort leaves the mailbox as it was.
func (t *delivery) Abort() error { return t.d.fail("append", t.n, t.release()) }

// release removes what has not become mail.
func (t *delivery) release() error {
	if t.done {
		return nil
	}
	t.done = true
	err := t.stage.Abort()
	if t.fresh != nil {
		err = errors.Join(err, t.fresh.release())
	}
	return err
}

// commitNew makes the mailbox appear. In a directory that was there before, its
// messages have hidden names and a plan already when it gets its index, which is
// the change.
func (t *delivery) commitNew() (uids mailbox.UIDs, err error) {
	s := &state{d: t.d, dir: t.fresh.dir, ix: t.ix}
	s.ix.records = nil
	bits := t.name(&s.ix)
	for _, i := range t.items {
		r := record{uid: i.uid, flags: i.flags}
		for bit, has := range bits {
			if i.keywords&(1<<bit) != 0 {
				r.keywords |= has
			}
		}
		s.ix.records = append(s.ix.records, r)
		s.ix.last = r.uid
	}
	s.ix.last = max(s.ix.last, max(t.o.UIDNext, 1)-1)
	if s.ix.last > numbered.MaxNumber {
		return uids, fmt.Errorf("%w: UIDs above %d", mailbox.ErrUnsupported, numbered.MaxNumber)
	}
	if len(t.items) > 0 {
		uids = mailbox.UIDs{Validity: s.ix.validity, First: t.items[0].uid, Last: t.items[len(t.items)-1].uid}
	}
	if len(t.items) == 0 || t.fresh.whole != nil {
		return uids, t.fresh.publish(&s.ix)
	}
	if err := t.fresh.begin(&s.ix); err != nil {
		return uids, err
	}
	return uids, t.stage.PlaceNew(s, t.fresh.appear, t.fresh.disappear)
}

// A fresh is a mailbox that is being made: a directory that appears whole, or
// one that was there before, which its index makes a mailbox.
type fresh struct {
	d     *Driver
	dir   numbered.Dir
	whole *numbered.NewDir // nil: the directory was there
	held  *os.File         // that directory, locked
	f     *fsx.NewFile     // its index
}

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
	c = &fresh{d: d, dir: d.dir(path)}
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
		return nil, errors.Join(err, c.release())
	}
	return c, nil
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

// publish makes a mailbox of the index and what has its number already.
func (c *fresh) publish(ix *index) error {
	if err := c.begin(ix); err != nil {
		return err
	}
	if err := c.appear(); err != nil || c.whole == nil {
		return err
	}
	return c.whole.Publish()
}

// release gives up the lock, and what did not become a mailbox.
func (c *fresh) release() error {
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
