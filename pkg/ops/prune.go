package ops

import (
	"context"
	"errors"
	"fmt"

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
	n, d, err := s.find(name)
	if err != nil {
		return p, err
	}
	mb, err := d.Open(ctx, n, mailbox.ReadWrite)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, mb.Close()) }()
	doomed, err := s.doomed(ctx, mb, c, &p)
	if err != nil || p.Matched == 0 {
		return p, err
	}
	if mb.Status().ReadOnly {
		s.Env.Notify(mailbox.Warn, "Expunge ignored on readonly mailbox")
		return p, fail("prune", name, mailbox.ErrReadOnly)
	}
	gone, err := mb.Expunge(doomed)
	p.Gone = uint32(gone)
	return p, err
}

// doomed finds what meets c or bears Deleted.
func (s *Session) doomed(ctx context.Context, mb mailbox.Mailbox, c *search.Criteria, p *Pruned) (mailbox.Set, error) {
	var set mailbox.Set
	st := mb.Status()
	matcher := search.NewMatcher(c, st)
	for m, err := range mb.Messages(mailbox.All) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return set, err
		}
		p.Found++
		ok, err := matcher.Match(m, func() (mailbox.Content, error) { return mb.Open(m.Seq) })
		if err != nil {
			return set, fmt.Errorf("message %d: %w", m.Seq, err)
		}
		if ok {
			p.Matched++
		}
		if ok || m.Flags.System&mailbox.Deleted != 0 {
			set.Add(m.Seq)
		}
	}
	return set, nil
}
