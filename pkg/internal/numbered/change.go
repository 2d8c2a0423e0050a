package numbered

import (
	"fmt"

	"mailutil/pkg/mailbox"
)

// change calls do with the mailbox locked for writing.
func (b *box) change(op string, do func(k Kept) error) error {
	if b.readOnly {
		return b.fail(op, mailbox.ErrReadOnly)
	}
	return b.fail(op, b.f.Locked(b.ctx, b.path, true, do))
}

// still returns message seq as it is on disk, nil where it is gone.
func (b *box) still(s *State, seq uint32) *Message {
	m := s.Find(b.index[seq-1].Number)
	if m == nil || !m.same(&b.index[seq-1]) {
		return nil
	}
	return m
}

// Store changes flags. What counts as the old ones is what the state file says:
// others may have changed them.
func (b *box) Store(set mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	return b.change("store", func(k Kept) error {
		s := k.Base()
		with, err := b.toFlags(k, b.has(set), op, f)
		if err != nil {
			return err
		}
		named := named(s.Keywords)
		for seq := range b.seqs(set) {
			if m := b.still(s, seq); m != nil {
				now := mailbox.Flags{System: m.System, Keywords: m.Keywords}.Apply(op, with)
				m.System = now.System
				m.Keywords = m.Keywords&^named | now.Keywords&named // bits that mean nothing stay
			}
		}
		if err := k.Save(); err != nil {
			return err
		}
		for seq := range b.seqs(set) {
			if m := b.still(s, seq); m != nil {
				r := &b.index[seq-1]
				r.System = m.System&^mailbox.Recent | r.System&mailbox.Recent
				r.Keywords = m.Keywords
			}
		}
		b.keywords = s.Keywords
		b.count()
		return nil
	})
}

// has reports whether some message is in s.
func (b *box) has(s mailbox.Set) bool {
	for range b.seqs(s) {
		return true
	}
	return false
}

// toFlags looks the keywords up, and creates those that are to be set.
func (b *box) toFlags(k Kept, any bool, op mailbox.FlagOp, f mailbox.FlagList) (g mailbox.Flags, err error) {
	g.System = f.System
	for _, name := range f.Keywords {
		bit := k.Base().Keyword(name)
		if bit == 0 && op != mailbox.Remove && any {
			var ok bool
			if bit, ok = k.Create(name); !ok {
				return g, fmt.Errorf("%w: %.60q cannot be a keyword here, or there is no room for it", mailbox.ErrUnsupported, name)
			}
		}
		g.Keywords |= bit
	}
	return g, nil
}

// Expunge removes the messages of set, all or none, by a plan. The others keep
// their numbers.
func (b *box) Expunge(set mailbox.Set) (n int, err error) {
	err = b.change("expunge", func(k Kept) error {
		var doomed []uint32
		for seq := range b.seqs(set) {
			if m := b.still(k.Base(), seq); m != nil {
				doomed = append(doomed, m.Number)
			}
		}
		if len(doomed) > 0 {
			if err := k.Expunge(doomed); err != nil {
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
		b.f.Env.Notify(mailbox.Info, fmt.Sprintf("Expunged %d messages", n))
	}
	return n, nil
}

// drop takes messages from what the session knows.
func (b *box) drop(set mailbox.Set) {
	kept := make([]Message, 0, len(b.index))
	for i := range b.index {
		if !set.Contains(uint32(i) + 1) {
			kept = append(kept, b.index[i])
		}
	}
	b.texts.Forget()
	b.index = kept
	b.count()
}
