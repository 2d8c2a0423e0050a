package mbx

import "mailutil/pkg/mailbox"

// reclaim drops the space of expunged records, if there are any before others
// and nobody else has the mailbox open.
func (b *box) reclaim() error {
	if b.readOnly || !b.hole {
		return nil
	}
	return nil
}

func (b *box) Store(s mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error { return nil }
func (b *box) Expunge(s mailbox.Set) (int, error)                               { return 0, nil }
