package mix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

const rdwr = os.O_RDWR

// Expunge removes the messages of set. It is a replace of the index, in place,
// and then of the status file. Where nobody else has the mailbox open the
// octets of the messages go as well; else somebody reclaims them later.
func (b *box) Expunge(set mailbox.Set) (int, error) {
	if b.hold == nil {
		return 0, mailbox.ErrReadOnly
	}
	if b.readOnly {
		return 0, b.d.fail("expunge", b.name, mailbox.Sayf(mailbox.ErrReadOnly, "Expunge ignored on readonly mailbox"))
	}
	n := 0
	err := b.locked(bg, lock.Exclusive, lock.Exclusive, func(p *pair, s *state) (err error) {
		n, err = b.expunge(p, s, set)
		return err
	})
	if err != nil {
		return 0, b.d.fail("expunge", b.name, err)
	}
	if n > 0 {
		b.d.info("Expunged %d messages", n)
	}
	return n, nil
}

func (b *box) expunge(p *pair, s *state, set mailbox.Set) (n int, err error) {
	if err := b.rollBack(p, s, b.warn); err != nil {
		return 0, err
	}
	doomed, at := map[uint32]bool{}, byUID{msgs: s.msgs}
	for seq := range b.seqs(set) {
		if uid := b.view[seq-1].uid; at.find(uid) != nil {
			doomed[uid] = true
		}
	}
	c := &change{b: b, p: p, s: s, doomed: doomed}
	for i := range b.view {
		if m := &b.view[i]; !set.Contains(uint32(i)+1) && at.find(m.uid) == nil {
			c.extra = append(c.extra, *m) // the session still shows it
		}
	}
	if len(doomed) > 0 {
		if err := c.rescued(bg); err != nil {
			return 0, err
		}
	} else {
		b.d.info("No messages deleted, so no update needed")
	}
	b.drop(set)
	return len(doomed), nil
}

// drop shows the session that the messages of set are gone.
func (b *box) drop(set mailbox.Set) {
	kept := make([]message, 0, len(b.view))
	for i := range b.view {
		if !set.Contains(uint32(i) + 1) {
			kept = append(kept, b.view[i])
		}
	}
	b.view = kept
	b.count()
}

// reclaim drops octets that nobody needs, if nobody else has the mailbox open.
// That it cannot is no reason to fail.
func (b *box) reclaim(ctx context.Context, p *pair, s *state, u *survey) error {
	b.hole = u.dead > 0
	if u.dead == 0 || s.backwards {
		return nil
	}
	c := &change{b: b, p: p, s: s}
	return c.run(ctx)
}

// A change removes messages from the index, octets from the data files, or
// both. What stays in a data file of which octets in between go is copied to a
// new one; the old one goes once the index is durable. No text is ever written
// over, so that whatever a crash leaves, nothing is lost.
type change struct {
	b      *box
	p      *pair
	s      *state
	doomed map[uint32]bool // UIDs of messages to remove
	extra  []message       // messages that stay, though the index lists them no more

	kept   []message // what the index is to list
	files  []*dataFile
	moved  map[uint32]*moved
	freed  int64
	newest uint32 // the data file that takes new mail
	saved  bool   // what may be mail is in the lost file already
}

// moved is where the extents of a data file that stay are now.
type moved struct {
	to   uint32
	from []extent
}

// run makes the change. The caller has locked index and status exclusively.
func (c *change) run(ctx context.Context) error {
	b := c.b
	alone, err := b.tryAlone()
	if alone && err == nil {
		err = c.plan()
	}
	if err == nil && (alone && c.freed > 0 || len(c.doomed) > 0) {
		err = c.write()
	}
	if err == nil && alone {
		err = c.clear()
	}
	b.hole = !alone || b.hole && c.freed == 0
	if alone && err == nil && c.freed > 0 {
		b.hole = false
		if len(c.doomed) == 0 {
			b.d.info("Reclaimed %d bytes of expunged space", c.freed)
		}
	}
	// Others may come in now, before the index is unlocked.
	return errors.Join(err, b.share(ctx))
}

// rescued is run after what may be mail was saved.
func (c *change) rescued(ctx context.Context) error {
	if err := c.b.rescue(c.s); err != nil {
		return err
	}
	c.saved = true
	return c.run(ctx)
}

// plan finds out what can go and copies what has to move. That there is no room
// for that is no reason to fail: then it stays where it is.
func (c *change) plan() error {
	gone := func(m *message) bool { return c.doomed[m.uid] }
	u, err := c.b.survey(c.s, gone, c.extra)
	if err != nil || u.dead == 0 || c.s.backwards {
		return err
	}
	c.newest, c.moved = c.s.meta.newFile, map[uint32]*moved{}
	for _, f := range u.files {
		if f.dead == 0 {
			continue
		}
		err := c.free(f)
		if err != nil {
			c.b.d.warn("Can't reclaim expunged space: %v", err)
			continue
		}
		c.files = append(c.files, f)
		c.freed += f.dead
	}
	return nil
}

// free prepares to free the dead octets of f.
func (c *change) free(f *dataFile) error {
	for _, e := range f.keep {
		if err := c.checkStart(f, e); err != nil {
			return err
		}
	}
	if err := c.b.save(f.number, f.junk, "what is no whole message"); err != nil {
		return err
	}
	if !c.saved {
		if err := c.b.save(f.number, f.weak, "messages that the index does not list"); err != nil {
			return err
		}
	}
	if len(f.keep) == 0 || len(f.keep) == 1 && f.keep[0].off == 0 {
		return nil // its end is cut off, or all of it
	}
	return c.copy(f)
}

// checkStart sees to it that a message begins where one should.
func (c *change) checkStart(f *dataFile, e extent) error {
	p, err := c.b.data.at(f.number, e.off, int64(len(token)))
	if err == nil && string(p) != token {
		err = corrupt(dataName(f.number), e.off, "Bad message token in mix message file at %d", e.off)
	}
	return err
}

// copy copies what stays of f to a new data file, durably. It gets its number
// when it is whole.
func (c *change) copy(f *dataFile) error {
	b, path := c.b, filepath.Join(c.b.dir, copyName)
	if err := ignoreGone(b.d.FS.Remove(path)); err != nil { // a crash left it
		return err
	}
	fi, err := b.d.FS.Stat(filepath.Join(b.dir, dataName(f.number)))
	if err != nil {
		return err
	}
	to, err := b.create(copyName, fi)
	if err != nil {
		return err
	}
	err = errors.Join(c.copyTo(to, f), to.Close())
	n, newest := f.number, f.number == c.newest
	if err == nil {
		n, err = b.freeNumber(n, newest, func(name string) error {
			return fsx.RenameNew(b.d.FS, path, filepath.Join(b.dir, name))
		})
	}
	if err != nil {
		return errors.Join(err, ignoreGone(b.d.FS.Remove(path)))
	}
	c.moved[f.number] = &moved{n, f.keep}
	if newest {
		c.newest = n
	}
	return nil
}

func (c *change) copyTo(to fsx.File, f *dataFile) error {
	if err := c.b.data.use(f.number); err != nil {
		return err
	}
	w := io.NewOffsetWriter(to, 0)
	for _, e := range f.keep {
		n, err := io.Copy(w, io.NewSectionReader(c.b.data.f, e.off, e.len()))
		if err == nil && n < e.len() {
			err = fmt.Errorf("%w: %s became shorter", mailbox.ErrChanged, dataName(f.number))
		}
		if err != nil {
			return err
		}
	}
	return to.Sync()
}

// freeNumber calls try with names of data files until one is free. The number
// is above all others where the file is to take new mail, else the next below
// like: those above are for files that come.
func (h *hold) freeNumber(like uint32, newest bool, try func(name string) error) (n uint32, err error) {
	n = like
	if newest {
		n = h.d.later(like) - 1
	}
	for range 1 << 16 {
		if newest {
			n++
		} else {
			n--
		}
		if n == 0 {
			continue
		}
		if err := try(dataName(n)); !errors.Is(err, os.ErrExist) {
			return n, err
		}
	}
	return 0, fmt.Errorf("%w: no number is free for a data file", mailbox.ErrTemporary)
}

// write makes the index and the status durable, in this order: once the index
// is, the change is made.
func (c *change) write() error {
	b, s := c.b, c.s
	c.kept = make([]message, 0, len(s.msgs))
	for i := range s.msgs {
		if m := s.msgs[i]; !c.doomed[m.uid] {
			c.place(&m)
			c.kept = append(c.kept, m)
		}
	}
	seq := b.next(s)
	if c.moved != nil && c.newest != s.meta.newFile {
		s.meta.newFile, s.meta.seq = c.newest, seq
		if err := b.writeMeta(s.meta); err != nil {
			return err
		}
	}
	indexed := len(c.doomed) > 0 || len(c.moved) > 0
	if indexed {
		if err := b.replaceIndex(c.p, c.kept, seq); err != nil {
			return err
		}
	}
	for i := range b.view {
		c.place(&b.view[i])
	}
	s.msgs = c.kept
	b.state = nil
	if len(c.doomed) == 0 {
		return nil
	}
	return b.replaceStatus(c.p, s, seq)
}

// place tells m where it is now.
func (c *change) place(m *message) {
	f := c.moved[m.file]
	if f == nil {
		return
	}
	at := int64(0)
	for _, e := range f.from {
		if e.off <= m.pos && m.pos < e.end {
			m.file, m.pos = f.to, at+m.pos-e.off
			return
		}
		at += e.len()
	}
}

// clear frees the octets, after the index is durable. What a crash leaves of
// it the next session finds.
func (c *change) clear() error {
	b := c.b
	if err := b.data.close(); err != nil {
		return err
	}
	for _, f := range c.files {
		path := filepath.Join(b.dir, dataName(f.number))
		var err error
		switch {
		case c.moved[f.number] != nil, len(f.keep) == 0 && f.number != c.newest:
			err = b.d.FS.Remove(path)
		case len(f.keep) == 0:
			err = b.truncate(path, 0)
		default:
			err = b.truncate(path, f.keep[0].end)
		}
		if err != nil {
			b.d.warn("Can't reclaim expunged space: %v", err)
		}
	}
	if len(c.files) == 0 {
		return nil
	}
	return b.d.FS.SyncDir(b.dir)
}

// truncate cuts a file off, durably.
func (h *hold) truncate(path string, size int64) error {
	f, err := h.d.FS.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Sync(), f.Close())
}
