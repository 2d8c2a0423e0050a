package mailtxt

import (
	"errors"
	"fmt"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// Store changes flags. It is a patch of 12 octets a message, which lie in one
// sector or two: a power cut may leave some messages changed and others not,
// but no message unreadable. What counts as the old flags is what the file
// has: others may have changed them. Keyword bits without a name stay.
func (b *box) Store(s mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	return b.Fail("store", b.change(func() error { return b.store(s, op, f) }))
}

// change calls do with the temp lock held.
func (b *box) change(do func() error) error {
	if b.Broken != nil {
		return b.Broken
	}
	if b.ReadOnly {
		return mailbox.ErrReadOnly
	}
	held, err := b.lock(bg)
	if err != nil {
		return err
	}
	err = b.Look()
	if err == nil {
		err = do()
	}
	return errors.Join(err, held.Release())
}

func (b *box) store(s mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	with := mailbox.Flags{System: f.System}
	for _, name := range f.Keywords {
		bit := b.d.bit(name)
		if bit == 0 && op != mailbox.Remove {
			return mailbox.Sayf(mailbox.ErrUnsupported, "Unknown flag: %.80s", name)
		}
		with.Keywords |= uint64(bit)
	}
	changed, err := b.apply(s, op, with)
	if err != nil || len(changed) == 0 {
		return err
	}
	for _, c := range changed {
		if err := b.patch(&c.record); err != nil {
			return err
		}
	}
	if err := b.F.Sync(); err != nil {
		return err
	}
	for _, c := range changed {
		b.index[c.seq-1] = c.record
	}
	b.count()
	return b.Alert()
}

// A changedRecord is a message with its new flags.
type changedRecord struct {
	seq uint32
	record
}

// apply returns the messages of s that get other flags than they have.
func (b *box) apply(s mailbox.Set, op mailbox.FlagOp, with mailbox.Flags) (changed []changedRecord, err error) {
	named := b.d.named()
	for seq := range b.within(s) {
		r := b.index[seq-1]
		if err := b.readFlagsOf(&r, seq); err != nil {
			return nil, err
		}
		old := mailbox.Flags{System: sysbits.Flags(r.flags), Keywords: uint64(r.keywords)}
		now := old.Apply(op, with)
		keywords := uint32(now.Keywords)&named | r.keywords&^named
		flags := sysbits.Bits[uint8](now.System) | bitOld
		if keywords == r.keywords && flags == r.flags {
			b.index[seq-1] = r
			continue
		}
		r.keywords, r.flags, r.unsaved = keywords, flags, false
		changed = append(changed, changedRecord{seq, r})
	}
	return changed, nil
}

// Expunge removes the messages of s, if nobody else has the mailbox open. The
// messages behind them move down, through the journal: it happens as a whole
// or not at all.
func (b *box) Expunge(s mailbox.Set) (n int, err error) {
	if b.ReadOnly {
		return 0, b.Fail("expunge", mailbox.Sayf(mailbox.ErrReadOnly, "Expunge ignored on readonly mailbox"))
	}
	for range b.within(s) {
		n++
	}
	if n == 0 {
		return 0, nil
	}
	if err := b.change(func() error { return b.expunge(s) }); err != nil {
		return 0, b.Fail("expunge", err)
	}
	b.d.env.Notify(mailbox.Info, fmt.Sprintf("Expunged %d messages", n))
	return n, nil
}

func (b *box) expunge(s mailbox.Set) error {
	ok, err := flocked.TryExclusive(b.F)
	if ok {
		err = b.compact(s)
	} else if err == nil {
		err = mailbox.Sayf(mailbox.ErrBusy, "Can't expunge because mailbox is in use by another process")
	}
	return errors.Join(err, b.Files.Share(bg, b.F))
}

// compact moves what is to stay to the start of the file: all messages but
// those of s, and what has arrived since we looked.
func (b *box) compact(s mailbox.Set) error {
	fi, err := b.F.Stat()
	if err != nil {
		return err
	}
	c := b.Files.Compact(b.F, 0)
	kept := make([]record, 0, len(b.index))
	for i, r := range b.index {
		if s.Contains(uint32(i) + 1) {
			continue
		}
		if r.off, err = c.Keep(r.off, r.end()-r.off); err != nil {
			return errors.Join(err, c.Abort())
		}
		kept = append(kept, r)
	}
	end, err := c.Keep(b.End, fi.Size()-b.End)
	if err != nil {
		return errors.Join(err, c.Abort())
	}
	if err := c.Commit(); err != nil {
		b.Moved(err, fi.Size())
		return err
	}
	b.index, b.End = kept, end
	b.win.Reset(end)
	b.count()
	return b.Touch()
}
