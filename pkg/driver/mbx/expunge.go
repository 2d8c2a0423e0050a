package mbx

import (
	"errors"
	"fmt"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/mailbox"
)

// Expunge removes the messages of s. Where nobody else has the mailbox open
// the messages behind them move down; else they are marked only, and somebody
// reclaims their space later. Both ways go through the journal: it happens as
// a whole or not at all.
func (b *box) Expunge(s mailbox.Set) (int, error) {
	if b.ReadOnly {
		return 0, b.Fail("expunge", mailbox.Sayf(mailbox.ErrReadOnly, "Expunge ignored on readonly mailbox"))
	}
	n := 0
	err := b.change(func() (err error) {
		n, err = b.expunge(s)
		return err
	})
	if err != nil {
		return 0, b.Fail("expunge", err)
	}
	if n > 0 {
		b.d.env.Notify(mailbox.Info, fmt.Sprintf("Expunged %d messages", n))
	}
	return n, nil
}

func (b *box) expunge(s mailbox.Set) (int, error) {
	n, err := b.doomed(s)
	if err != nil {
		return 0, err
	}
	done, reclaimed, err := b.tryCompact(s)
	if err != nil {
		return 0, err
	}
	if !done {
		return n, b.mark(s)
	}
	if n == 0 && reclaimed > 0 {
		b.tellReclaimed(reclaimed)
	}
	return n, nil
}

// doomed is how many messages of s nobody else has expunged yet.
func (b *box) doomed(s mailbox.Set) (n int, err error) {
	for seq := range s.Seqs(uint32(len(b.index))) {
		if seq == 0 {
			continue
		}
		r := b.index[seq-1]
		if err := b.readFlagsOf(&r, seq); err != nil {
			return 0, err
		}
		if r.flags&bitExpunged == 0 {
			n++
		}
	}
	return n, nil
}

// reclaim drops the space of expunged records, if some stand before others and
// nobody else has the mailbox open. That it cannot is no reason to fail. The
// caller holds the temp lock.
func (b *box) reclaim() error {
	if b.ReadOnly || !b.hole || b.Broken != nil {
		return nil
	}
	_, reclaimed, err := b.tryCompact(mailbox.Set{})
	if err != nil && b.Broken == nil {
		b.d.env.Notify(mailbox.Warn, fmt.Sprintf("Can't reclaim expunged space: %v", err))
		err = nil
	}
	if reclaimed > 0 {
		b.tellReclaimed(reclaimed)
	}
	return err
}

func (b *box) tellReclaimed(n int64) {
	b.d.env.Notify(mailbox.Info, fmt.Sprintf("Reclaimed %d bytes of expunged space", n))
}

// tryCompact compacts the mailbox if nobody else has it open.
func (b *box) tryCompact(s mailbox.Set) (done bool, reclaimed int64, err error) {
	done, err = flocked.TryExclusive(b.F)
	if done {
		reclaimed, err = b.compact(s)
	}
	return done, reclaimed, errors.Join(err, b.Files.Share(bg, b.F))
}

// compact moves what is to stay to the start of the file: all messages but
// those of s, and what has arrived since we looked. Expunged records go.
func (b *box) compact(s mailbox.Set) (reclaimed int64, err error) {
	fi, err := b.F.Stat()
	if err != nil {
		return 0, err
	}
	c := b.Files.Compact(b.F, blockSize)
	kept := make([]record, 0, len(b.index))
	for i := range b.index {
		r := b.index[i]
		if s.Contains(uint32(i) + 1) {
			continue
		}
		at, err := c.Keep(r.off, r.end()-r.off)
		if err != nil {
			return 0, errors.Join(err, c.Abort())
		}
		r.off = at
		kept = append(kept, r)
	}
	end, err := c.Keep(b.End, fi.Size()-b.End)
	if err != nil {
		return 0, errors.Join(err, c.Abort())
	}
	if err := c.Commit(); err != nil {
		b.Moved(err, fi.Size())
		return 0, err
	}
	b.index, b.End, b.hole = kept, end, false
	b.win.n = 0
	b.count()
	if c.End() == fi.Size() {
		return 0, nil
	}
	return fi.Size() - c.End(), b.Touch()
}

// mark marks the messages of s as expunged, and drops them from the index.
func (b *box) mark(s mailbox.Set) error {
	if !b.has(s) {
		return nil
	}
	fi, err := b.F.Stat()
	if err != nil {
		return err
	}
	j, err := journal.New(b.F, b.d.journal())
	if err != nil {
		return err
	}
	if err := b.journalMarks(j, s); err != nil {
		return errors.Join(err, j.Abort())
	}
	if err := j.Commit(fi.Size()); err != nil {
		return err
	}
	kept := make([]record, 0, len(b.index))
	for i := range b.index {
		if !s.Contains(uint32(i) + 1) {
			kept = append(kept, b.index[i])
		}
	}
	b.index, b.hole = kept, true
	b.count()
	return b.Alert()
}

// journalMarks writes the marks, and ours into the file block.
func (b *box) journalMarks(j *journal.Journal, s mailbox.Set) error {
	k := b.block
	k.pid, k.hasPID = b.d.PID, true
	p, err := k.print()
	if err != nil {
		return err
	}
	put := func(off int64, p []byte) error {
		if err := j.At(off); err != nil {
			return err
		}
		_, err := j.Write(p)
		return err
	}
	if err := put(0, p); err != nil {
		return err
	}
	b.block = k
	var buf [flagsLen]byte
	for seq := range s.Seqs(uint32(len(b.index))) {
		if seq == 0 {
			continue
		}
		r := b.index[seq-1]
		if err := b.readFlagsOf(&r, seq); err != nil {
			return err
		}
		r.flags |= bitOld | bitExpunged
		if err := put(r.patch(), appendFlags(buf[:0], r.keywords, r.flags, r.uid)); err != nil {
			return err
		}
	}
	return nil
}
