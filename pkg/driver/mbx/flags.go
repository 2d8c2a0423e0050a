package mbx

import (
	"errors"

	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// Store changes flags. It is a patch of 21 octets a message, which lie in one
// sector or two: a power cut may leave some messages changed and others not,
// but no message unreadable. What counts as the old flags is what the file
// has: others may have changed them.
func (b *box) Store(s mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	return b.Fail("store", b.change(func() error { return b.store(s, op, f) }))
}

// change calls do with the temp lock held and the file block read.
func (b *box) change(do func() error) error {
	if b.Broken != nil {
		return b.Broken
	}
	if b.ReadOnly {
		return mailbox.ErrReadOnly
	}
	held, err := b.d.tempLock(bg, b.F)
	if err != nil {
		return err
	}
	err = b.look()
	if err == nil {
		err = do()
	}
	return errors.Join(err, held.Release())
}

// look sees what others did, without changing the index.
func (b *box) look() error {
	if err := b.finishChange(); err != nil {
		return err
	}
	if err := b.Session.Look(); err != nil {
		return err
	}
	return b.readBlock()
}

func (b *box) store(s mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	lines := len(b.block.lines)
	with, err := b.toFlags(s, op, f)
	if err != nil {
		return err
	}
	changed, err := b.apply(s, op, with)
	if err != nil {
		return err
	}
	created := len(b.block.lines) > lines
	if len(changed) == 0 && !created {
		return nil
	}
	if err := b.signBlock(created); err != nil {
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

// toFlags looks the keywords up, and creates those that are to be set.
func (b *box) toFlags(s mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) (g mailbox.Flags, err error) {
	any := b.has(s)
	g.System = f.System
	lines := b.block.lines
	for _, name := range f.Keywords {
		bit := b.block.bit(name)
		if bit == 0 && op != mailbox.Remove && any {
			if bit, err = b.block.create(name); err != nil {
				b.block.lines = lines
				return g, err
			}
		}
		g.Keywords |= uint64(bit)
	}
	return g, nil
}

// has reports whether some message is in s.
func (b *box) has(s mailbox.Set) bool {
	for seq := range s.Seqs(uint32(len(b.index))) {
		if seq > 0 {
			return true
		}
	}
	return false
}

// A changedRecord is a message with its new flags.
type changedRecord struct {
	seq uint32
	record
}

// apply returns the messages of s that get other flags than they have.
func (b *box) apply(s mailbox.Set, op mailbox.FlagOp, with mailbox.Flags) (changed []changedRecord, err error) {
	named := b.block.named()
	for seq := range s.Seqs(uint32(len(b.index))) {
		if seq == 0 {
			continue
		}
		r := b.index[seq-1]
		if err := b.readFlagsOf(&r, seq); err != nil {
			return nil, err
		}
		old := mailbox.Flags{System: sysbits.Flags(r.flags), Keywords: uint64(r.keywords)}
		now := old.Apply(op, with)
		keywords := uint32(now.Keywords)&named | r.keywords&^named // bits without a name stay
		flags := sysbits.Bits[uint16](now.System) | bitOld | r.flags&bitExpunged
		if keywords == r.keywords && flags == r.flags {
			b.index[seq-1] = r
			continue
		}
		r.keywords, r.flags, r.unsaved = keywords, flags, false
		changed = append(changed, changedRecord{seq, r})
	}
	return changed, nil
}

// signBlock writes the file block where keywords were created, durably, or
// where another process was the last to change flags: by LASTPID others see
// that they have to read them again.
func (b *box) signBlock(created bool) error {
	signed := b.block.hasPID && samePID(b.block.pid, b.d.PID)
	if signed && !created {
		return nil
	}
	b.block.pid, b.block.hasPID = b.d.PID, true
	if err := b.writeBlock(); err != nil {
		return err
	}
	if created { // before messages bear them
		return b.F.Sync()
	}
	return nil
}
