package mix

import (
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Store changes flags. It is a patch of the status records: a power cut may
// leave some messages changed and others not, but no message without flags.
// What counts as the old flags is what the files have: others may have changed
// them. Keywords are created, durably, before a message bears them.
func (b *box) Store(set mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	if b.hold == nil || b.readOnly {
		return mailbox.ErrReadOnly
	}
	index := lock.Shared
	if op != mailbox.Remove {
		for _, name := range f.Keywords {
			if b.meta.bit(name) == 0 { // it may have to be created
				index = lock.Exclusive
			}
		}
	}
	err := b.locked(bg, index, lock.Exclusive, func(p *pair, s *state) error { return b.store(p, s, set, op, f) })
	return b.d.fail("store", b.name, err)
}

func (b *box) store(p *pair, s *state, set mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	m := s.meta
	with, err := b.toFlags(&m, set, op, f)
	if err != nil {
		return err
	}
	seq := b.next(s)
	if len(m.keywords) > len(s.meta.keywords) {
		m.seq = seq
		if err := b.changeMeta(p, s, m); err != nil {
			return err
		}
		s.meta = m
		seq = b.next(s)
	}
	b.meta.keywords, b.meta.seq = m.keywords, m.seq
	changed := b.apply(s, set, op, with, seq)
	if len(changed) > 0 {
		if err := b.writeStatus(p, s, seq, changed); err != nil {
			return err
		}
	}
	b.showFlags(s, set)
	return nil
}

// toFlags looks keywords up in m, and creates those that are to be set.
func (b *box) toFlags(m *meta, set mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) (g mailbox.Flags, err error) {
	any := false
	for range b.seqs(set) {
		any = true
		break
	}
	g.System = f.System
	for _, name := range f.Keywords {
		bit := m.bit(name)
		if bit == 0 && op != mailbox.Remove && any {
			if bit, err = m.create(name); err != nil {
				return g, err
			}
		}
		g.Keywords |= uint64(bit)
	}
	return g, nil
}

// apply changes the messages of set in s and returns which get other flags than
// they had. Messages that others have expunged are passed over.
func (b *box) apply(s *state, set mailbox.Set, op mailbox.FlagOp, with mailbox.Flags, seq uint32) (changed []int) {
	named, at := s.meta.named(), byUID{msgs: s.msgs}
	for n := range b.seqs(set) {
		m := at.find(b.view[n-1].uid)
		if m == nil {
			continue
		}
		old := mailbox.Flags{System: sysbits.Flags(m.flags), Keywords: uint64(m.keywords)}
		now := old.Apply(op, with)
		keywords := uint32(now.Keywords)&named | m.keywords&^named // bits without a name stay
		flags := sysbits.Bits[uint16](now.System) | bitOld | m.flags&^(bitSeen|bitDeleted|bitFlagged|bitAnswered|bitDraft)
		if keywords == m.keywords && flags == m.flags {
			continue
		}
		m.keywords, m.flags, m.modseq = keywords, flags, seq
		changed = append(changed, at.next)
	}
	return changed
}

// showFlags shows the session the flags that the messages of set have now.
func (b *box) showFlags(s *state, set mailbox.Set) {
	at := byUID{msgs: s.msgs}
	for n := range b.seqs(set) {
		if m := at.find(b.view[n-1].uid); m != nil {
			v := &b.view[n-1]
			v.keywords, v.flags, v.modseq = m.keywords, m.flags, m.modseq
		}
	}
	b.count()
}
