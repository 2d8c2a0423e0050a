package maildir

import (
	"context"
	"errors"
	"fmt"

	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A heldBox is a mailbox that no session of anybody's changes.
type heldBox struct {
	*box
	held *lock.Uidlist
}

// Hold opens a mailbox for reading and keeps its lock until Close: no UIDs are
// given meanwhile, and none of our deliveries of several messages come in. Those
// that take no lock do; their messages get higher UIDs than Status knows of. All
// messages have UIDs in the list, which is all that is written.
func (d *Driver) Hold(ctx context.Context, n mailbox.Name) (mailbox.Mailbox, error) {
	dir, err := d.existing(ctx, "open", n)
	if err != nil {
		return nil, err
	}
	held, err := d.lock(ctx, dir)
	if err != nil {
		return nil, d.fail("open", n.Text, err)
	}
	h := &heldBox{d.newBox(ctx, n, dir, mailbox.ReadOnly), held}
	h.validity = max(1, uint32(d.env.Now().Unix()))
	if err := h.begin(); err != nil {
		return nil, d.fail("open", n.Text, errors.Join(err, held.Release()))
	}
	return h, nil
}

func (h *heldBox) begin() error {
	did, err := h.d.recover(h.dir, h.held)
	if err != nil {
		return err
	}
	if did != "" {
		h.d.env.Notify(mailbox.Warn, did)
	}
	if err := h.d.complete(h.dir); err != nil {
		return err
	}
	_, err = h.list()
	return err
}

// Ping keeps the lock from growing stale, and looks for nothing.
func (h *heldBox) Ping() (bool, error) {
	if h.closed {
		return false, errClosed
	}
	return false, h.held.Touch()
}

// Close gives the lock up.
func (h *heldBox) Close() error {
	return errors.Join(h.box.Close(), h.held.Release())
}

// lock takes the lock of a mailbox.
func (d *Driver) lock(ctx context.Context, dir string) (*lock.Uidlist, error) {
	held, err := lock.TakeUidlist(ctx, dir+"/"+uidlistLock, lock.Options{
		Timeout: d.env.LockTimeout,
		Notify:  func(text string) { d.env.Notify(mailbox.Warn, text) },
	})
	if errors.Is(err, lock.ErrBusy) {
		return nil, fmt.Errorf("%w: %w", mailbox.ErrBusy, err)
	}
	return held, err
}
