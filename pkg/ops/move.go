package ops

import (
	"context"
	"errors"
	"fmt"

	"mailutil/pkg/mailbox"
)

// finish verifies a copy and, of a move, deletes the messages at the source
// once the target has given them back. Messages that were skipped stay, and so
// does everything when the proof fails.
func (c *copier) finish(ctx context.Context, dst string) error {
	if !c.remembers() {
		return nil
	}
	err := c.verify(ctx, dst)
	switch {
	case err != nil && c.o.Move:
		return errors.Join(fmt.Errorf("%w: %w; nothing was deleted from %s", ErrUnproven, err, c.acc.Source), c.from.Close())
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnproven, err)
	case !c.o.Move:
		return nil
	case c.done.Empty():
		return c.from.Close()
	case c.from.Status().ReadOnly:
		c.s.Env.Notify(mailbox.Warn, "Expunge ignored on readonly mailbox")
		return errors.Join(fail("move", c.acc.Source, mailbox.ErrReadOnly), c.from.Close())
	}
	gone, err := c.from.Expunge(c.done)
	c.acc.Deleted = uint32(gone)
	return errors.Join(err, c.from.Close())
}
