package mh

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/mailbox"
)

// Take adds the messages of a delivery.
func (s *state) Take(t *numbered.Delivery) (none mailbox.UIDs, err error) {
	keywords, err := t.Keywords(s)
	if err != nil {
		return none, err
	}
	created := len(t.Options.Keywords) > 0 && len(t.Items) == 0
	if !s.settled || created {
		if err := s.Save(); err != nil {
			return none, err
		}
	}
	if len(t.Items) == 0 {
		return none, nil
	}
	base := s.List.Highest()
	if uint64(base)+uint64(len(t.Items)) > numbered.MaxNumber {
		return none, fmt.Errorf("%w: its numbers are used up", mailbox.ErrUnsupported)
	}
	if len(t.Items) == 1 && t.Items[0].System == 0 && t.Items[0].Keywords == 0 && len(t.Options.Keywords) == 0 {
		return none, s.takeOne(t, base+1)
	}
	return none, t.Stage.Place(base, s.note(t.Items, keywords), s)
}

// takeOne adds one message without any flag: the rename is the change, and that
// the sequences name it as unseen is for other programs only.
func (s *state) takeOne(t *numbered.Delivery, n uint32) error {
	for {
		err := t.Stage.PlaceOne(n)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) || n == numbered.MaxNumber {
			return err
		}
		n++ // the original was faster
	}
	if err := s.Placed(nil, n-1, 1, 1); err != nil {
		s.d.env.Notify(mailbox.Warn, fmt.Sprintf("message %d is in %s, but not in its sequences: %v", n, s.Dir.Path, err))
	}
	return nil
}

// note says which flags the messages have.
func (s *state) note(items []numbered.Item, keywords []uint64) []byte {
	var seqs []sequence
	put := func(name string, is func(i int) bool) {
		q := sequence{name: name}
		for i := range items {
			if is(i) {
				q.add(items[i].N)
			}
		}
		seqs = append(seqs, q)
	}
	put(noteSeen, func(i int) bool { return items[i].System&mailbox.Seen != 0 })
	for _, f := range flagSequences {
		put(f.name, func(i int) bool { return items[i].System&f.flag != 0 })
	}
	for bit, k := range s.Keywords {
		put(notedKeyword+k, func(i int) bool { return keywords[i]&(1<<bit) != 0 })
	}
	return printSequences(seqs)
}

// A fresh is a mailbox that is being made: a directory that appears whole.
type fresh struct {
	s   *state
	dir *numbered.NewDir
}

var _ numbered.Fresh = (*fresh)(nil)

// createNew begins a new mailbox.
func (d *Driver) createNew(_ context.Context, n mailbox.Name) (numbered.Fresh, error) {
	path, err := d.newPath(n)
	if err != nil {
		return nil, err
	}
	dir, err := numbered.CreateDir(d.FS, path, d.env.Config.DirMode)
	if err != nil {
		return nil, err
	}
	return &fresh{&state{State: &numbered.State{}, d: d}, dir}, nil
}

// Kept is what it is to be.
func (c *fresh) Kept() numbered.Kept { return c.s }

// Dir is where it is made.
func (c *fresh) Dir() (numbered.Dir, bool) { return c.dir.Dir, true }

// Publish makes the mailbox appear, whole.
func (c *fresh) Publish(*numbered.Stage) error {
	c.s.gather()
	if err := c.s.d.writeNew(c.dir.Dir, printSequences(c.s.seqs)); err != nil {
		return err
	}
	return c.dir.Publish()
}

// Release removes what did not appear.
func (c *fresh) Release() error { return c.dir.Abort() }
