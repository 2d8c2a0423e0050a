package mx

import (
	"context"
	"errors"

	"mailutil/pkg/mailbox"
)

var _ mailbox.Holder = (*Driver)(nil)

// A heldBox is a mailbox whose index is locked.
type heldBox struct {
	*box
	s *state
}

// Hold opens n and keeps the index locked for writing until Close: nobody can
// deliver or change flags meanwhile. A session of the original that has the
// mailbox open holds no lock, and cannot be seen.
func (d *Driver) Hold(ctx context.Context, n mailbox.Name) (mailbox.Mailbox, error) {
	path, err := d.place(n)
	if err != nil {
		return nil, d.fail("open", n, err)
	}
	var s *state
	for s == nil && err == nil {
		s, err = d.acquire(ctx, path, true)
	}
	if err != nil {
		return nil, d.fail("open", n, err)
	}
	b := &box{d: d, ctx: ctx, name: n, path: path, readOnly: true}
	b.texts.Dir = s.dir
	b.take(&s.ix)
	return &heldBox{b, s}, nil
}

// Ping looks for nothing: nobody can do anything.
func (h *heldBox) Ping() (bool, error) { return false, nil }

// Close gives the lock up.
func (h *heldBox) Close() error {
	err := h.box.Close()
	if h.s != nil {
		err = errors.Join(err, h.s.release())
	}
	h.s = nil
	return err
}
