package mx

import (
	"fmt"

	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// change calls do with the index locked for writing.
func (b *box) change(op string, do func(s *state) error) error {
	if b.readOnly {
		return b.d.fail(op, b.name, mailbox.ErrReadOnly)
	}
	return b.d.fail(op, b.name, b.d.locked(b.ctx, b.path, true, do))
}

// Store changes flags. It is a patch of 13 octets a message, which lie in one
// sector or two: a power cut may leave some messages changed and others not, but
// none unreadable. New keywords, and an index that is not as it would be
// written, take a replace. What counts as the old flags is what the index has:
// others may have changed them.
func (b *box) Store(set mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	return b.change("store", func(s *state) error {
		with, err := s.toFlags(b.has(set), op, f)
		if err != nil {
			return err
		}
		for seq := range set.Seqs(uint32(len(b.index))) {
			if seq == 0 {
				continue
			}
			if i, ok := s.ix.find(b.index[seq-1].uid); ok {
				s.ix.records[i].apply(op, with, s.ix.named())
			}
		}
		if err := s.save(); err != nil {
			return err
		}
		for seq := range set.Seqs(uint32(len(b.index))) {
			if seq == 0 {
				continue
			}
			m := &b.index[seq-1]
			if i, ok := s.ix.find(m.uid); ok {
				m.record = s.ix.records[i]
				m.flags &^= bitNew
			}
		}
		b.keywords = s.ix.keywords
		b.count()
		return nil
	})
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

// toFlags looks the keywords up, and creates those that are to be set.
func (s *state) toFlags(any bool, op mailbox.FlagOp, f mailbox.FlagList) (g mailbox.Flags, err error) {
	g.System = f.System
	for _, name := range f.Keywords {
		bit := s.ix.keyword(name)
		if bit == 0 && op != mailbox.Remove && any {
			var ok bool
			if bit, ok = s.ix.create(name); !ok {
				return g, fmt.Errorf("%w: no room for the keyword %.60q", mailbox.ErrUnsupported, name)
			}
		}
		g.Keywords |= uint64(bit)
	}
	return g, nil
}

// apply changes the flags of a record. Bits that mean nothing here stay.
func (r *record) apply(op mailbox.FlagOp, with mailbox.Flags, named uint32) {
	now := mailbox.Flags{System: sysbits.Flags(r.flags), Keywords: uint64(r.keywords)}.Apply(op, with)
	r.flags = r.flags&^systemBitsKnown | sysbits.Bits[uint16](now.System)
	r.keywords = r.keywords&^named | uint32(now.Keywords)&named
}

// Expunge removes the messages of set, all or none, by a plan (package
// numbered); their records go afterwards.
func (b *box) Expunge(set mailbox.Set) (n int, err error) {
	err = b.change("expunge", func(s *state) error {
		var doomed []uint32
		for seq := range set.Seqs(uint32(len(b.index))) {
			if seq == 0 {
				continue
			}
			uid := b.index[seq-1].uid
			if _, ok := s.ix.find(uid); ok {
				doomed = append(doomed, uid)
			}
		}
		if len(doomed) > 0 {
			if err := s.expunge(doomed); err != nil {
				return err
			}
		}
		n = len(doomed)
		b.drop(set)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if n > 0 {
		b.d.env.Notify(mailbox.Info, fmt.Sprintf("Expunged %d messages", n))
	}
	return n, nil
}

// expunge removes messages for good. The highest UID ever given is made durable
// before, or it would be given again.
func (s *state) expunge(doomed []uint32) error {
	if s.was.last != s.ix.last || s.was.validity != s.ix.validity {
		if err := s.save(); err != nil {
			return err
		}
	}
	if _, err := s.dir.Remove(doomed, s); err != nil {
		return err
	}
	kept := s.ix.records[:0]
	for _, r := range s.ix.records {
		if len(doomed) > 0 && doomed[0] == r.uid {
			doomed = doomed[1:]
			continue
		}
		kept = append(kept, r)
	}
	s.ix.records = kept
	if err := s.save(); err != nil { // the records that stay mean nothing
		s.d.env.Notify(mailbox.Warn, fmt.Sprintf("messages of %s are removed, but not their records in the index: %v", s.dir.Path, err))
	}
	return nil
}

// drop takes messages from what the session knows.
func (b *box) drop(set mailbox.Set) {
	kept := make([]message, 0, len(b.index))
	for i := range b.index {
		if !set.Contains(uint32(i) + 1) {
			kept = append(kept, b.index[i])
		}
	}
	b.index = kept
	b.count()
}
