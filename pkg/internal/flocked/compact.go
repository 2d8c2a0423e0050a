package flocked

import (
	"errors"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
)

// A Compaction moves pieces of a file down, neighbours in one go: it happens as
// a whole or not at all.
type Compaction struct {
	f       fsx.File
	o       journal.Options
	j       *journal.Journal // nil as long as nothing has to move
	to      int64            // end of the new file
	from, n int64            // a piece that is not in the journal yet
}

// Compact begins a compaction of f that leaves the octets before from alone.
// The caller holds both locks, exclusively.
func (o Files) Compact(f fsx.File, from int64) *Compaction {
	return &Compaction{f: f, o: o.Journal(), to: from}
}

// End is where the new file ends so far.
func (c *Compaction) End() int64 { return c.to }

// Keep takes n octets at off over, behind what was kept before, and returns
// where they will be.
func (c *Compaction) Keep(off, n int64) (at int64, err error) {
	at = c.to
	c.to += n
	if c.j == nil && off == at {
		return at, nil
	}
	if c.j == nil {
		if c.j, err = journal.New(c.f, c.o); err != nil {
			return at, err
		}
		if err := c.j.At(at); err != nil {
			return at, err
		}
	}
	if off == c.from+c.n {
		c.n += n
		return at, nil
	}
	err = c.flush()
	c.from, c.n = off, n
	return at, err
}

func (c *Compaction) flush() error {
	if c.n == 0 {
		return nil
	}
	return c.j.Copy(c.from, c.n)
}

// Commit makes the change, with the errors of a Journal's.
func (c *Compaction) Commit() error {
	if c.j == nil {
		return nil
	}
	if err := c.flush(); err != nil {
		return errors.Join(err, c.Abort())
	}
	return c.j.Commit(c.to)
}

// Abort leaves the file as it was.
func (c *Compaction) Abort() error {
	if c.j == nil {
		return nil
	}
	return c.j.Abort()
}
