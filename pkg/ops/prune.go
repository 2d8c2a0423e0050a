package ops

import (
	"context"
	"errors"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/search"
)

// Pruned says what a prune did.
type Pruned struct {
	Found   uint32 // messages in the mailbox
	Matched uint32 // messages that met the criteria
	Gone    uint32 // messages expunged, earlier Deleted ones included
}

// Prune expunges the messages that meet c, and with them those that were
// Deleted already. Nothing is expunged when nothing meets c, nor after an
// error.
func (s *Session) Prune(ctx context.Context, name string, c *search.Criteria) (p Pruned, err error) {
	mode := mailbox.ReadWrite
	if s.DryRun {
		mode = mailbox.ReadOnly
	}
	mb, err := s.open(ctx, name, mode)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, mb.Close()) }()
	var chosen mailbox.Set
	p.Found = mb.Status().Messages
	if chosen, p.Matched, err = selected(ctx, mb, c); err != nil || p.Matched == 0 {
		return p, err
	}
	doomed, count, err := withDeleted(mb, chosen)
	if err != nil {
		return p, err
	}
	if s.DryRun {
		p.Gone = count
		return p, nil
	}
	if mb.Status().ReadOnly {
		s.Env.Notify(mailbox.Warn, "Expunge ignored on readonly mailbox")
		return p, fail("prune", name, mailbox.ErrReadOnly)
	}
	gone, err := mb.Expunge(doomed)
	p.Gone = uint32(gone)
	return p, err
}

// withDeleted adds the messages that bear Deleted to chosen.
func withDeleted(mb mailbox.Mailbox, chosen mailbox.Set) (doomed mailbox.Set, n uint32, err error) {
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			return doomed, n, err
		}
		if chosen.Contains(m.Seq) || m.Flags.System&mailbox.Deleted != 0 {
			doomed.Add(m.Seq)
			n++
		}
	}
	return doomed, n, nil
}
