package mh

import (
	"fmt"

	"mailutil/pkg/mailbox"
)

// change calls do with the sequences locked for writing.
func (b *box) change(op string, do func(s *state) error) error {
	if b.readOnly {
		return b.d.fail(op, b.name, mailbox.ErrReadOnly)
	}
	return b.d.fail(op, b.name, b.d.locked(b.ctx, b.path, true, do))
}

// still returns message seq as it is on disk, nil where it is gone.
func (b *box) still(s *state, seq uint32) *message {
	if seq == 0 {
		return nil
	}
	m := s.find(b.index[seq-1].uid)
	if m == nil || !m.same(&b.index[seq-1]) {
		return nil
	}
	return m
}

// Store changes flags: a replace of the sequences, by journal. What counts as
// the old flags is what the sequences say: others may have changed them.
func (b *box) Store(set mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	return b.change("store", func(s *state) error {
		with := mailbox.Flags{System: f.System}
		for _, name := range f.Keywords {
			bit := s.keyword(name)
			if bit == 0 && op != mailbox.Remove && b.has(set) {
				var ok bool
				if bit, ok = s.create(name); !ok {
					return fmt.Errorf("%w: %.60q cannot be a keyword here", mailbox.ErrUnsupported, name)
				}
			}
			with.Keywords |= bit
		}
		for seq := range set.Seqs(uint32(len(b.index))) {
			if m := b.still(s, seq); m != nil {
				now := mailbox.Flags{System: m.system, Keywords: m.keywords}.Apply(op, with)
				m.system, m.keywords = now.System, now.Keywords
			}
		}
		if err := s.save(); err != nil {
			return err
		}
		for seq := range set.Seqs(uint32(len(b.index))) {
			if m := b.still(s, seq); m != nil {
				r := &b.index[seq-1]
				r.system = m.system&^mailbox.Recent | r.system&mailbox.Recent
				r.keywords = m.keywords
			}
		}
		b.keywords = s.keywords
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

// Expunge removes the messages of set, all or none, by a plan (package
// numbered). The others keep their numbers.
func (b *box) Expunge(set mailbox.Set) (n int, err error) {
	err = b.change("expunge", func(s *state) error {
		var doomed []uint32
		for seq := range set.Seqs(uint32(len(b.index))) {
			if m := b.still(s, seq); m != nil {
				doomed = append(doomed, m.uid)
			}
		}
		if len(doomed) > 0 {
			if err := s.settle(); err != nil {
				return err
			}
			if _, err := s.dir.Remove(doomed, s); err != nil {
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
