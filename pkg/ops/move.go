package ops

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"

	"mailutil/pkg/mailbox"
)

// finishMove deletes the messages at the source once the target has given
// them back. Messages that were skipped stay, and so does everything when the
// proof fails.
func (c *copier) finishMove(ctx context.Context, dst string) error {
	if err := c.verify(ctx, dst); err != nil {
		return errors.Join(fmt.Errorf("%w: %w; nothing was deleted from %s", ErrUnproven, err, c.acc.Source), c.from.Close())
	}
	if c.from.Status().ReadOnly {
		c.s.Env.Notify(mailbox.Warn, "Expunge ignored on readonly mailbox")
		return errors.Join(fail("move", c.acc.Source, mailbox.ErrReadOnly), c.from.Close())
	}
	gone, err := c.from.Expunge(c.done)
	c.acc.Deleted = uint32(gone)
	return errors.Join(err, c.from.Close())
}

// verify reads the messages back from the target. They are together there, in
// order, but others may have added mail before and behind them.
func (c *copier) verify(ctx context.Context, dst string) error {
	if len(c.sums) == 0 {
		return nil
	}
	n, err := c.s.Env.ResolveTarget(dst)
	if err != nil {
		return err
	}
	n.Format = ""
	mb, err := c.s.Drivers.Open(ctx, n, mailbox.ReadOnly)
	if err != nil {
		return err
	}
	defer mb.Close()
	var msgs []mailbox.Message
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			return err
		}
		msgs = append(msgs, m)
	}
	for first := len(msgs) - len(c.sums); first >= 0; first-- {
		if !c.sizesMatch(msgs[first:]) {
			continue
		}
		ok, err := c.digestsMatch(mb, msgs[first:])
		if ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("%s does not give back the %d messages that were added", dst, len(c.sums))
}

func (c *copier) sizesMatch(msgs []mailbox.Message) bool {
	for i, want := range c.sums {
		if !want.altered && msgs[i].Size != want.size {
			return false
		}
	}
	return true
}

// digestsMatch compares the text of the messages.
func (c *copier) digestsMatch(mb mailbox.Mailbox, msgs []mailbox.Message) (bool, error) {
	for i, want := range c.sums {
		text, err := mb.Open(msgs[i].Seq)
		if err != nil {
			return false, err
		}
		digest := digestOf
		if want.altered {
			digest = essence
		}
		if got, err := digest(text); got != want.digest || err != nil {
			return false, err
		}
	}
	return true, nil
}

func digestOf(r io.Reader) (uint64, error) {
	var sum maphash.Hash
	sum.SetSeed(seed)
	_, err := io.Copy(&sum, r)
	return sum.Sum64(), err
}
