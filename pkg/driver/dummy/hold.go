package dummy

import (
	"context"
	"errors"
	"fmt"
	"os"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

var _ mailbox.Holder = (*Driver)(nil)

// Hold takes the locks of all formats on an empty file, for nobody knows which
// format the first mail is going to bring.
func (d *Driver) Hold(ctx context.Context, n mailbox.Name) (mailbox.Mailbox, error) {
	exists, err := d.check(ctx, "open", n)
	if err == nil && !exists {
		err = d.fail("open", n, mailbox.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	f, err := d.fsys.OpenFile(d.path(n), os.O_RDWR, 0)
	if err != nil {
		return nil, d.fail("open", n, err)
	}
	h := &heldEmpty{empty: empty{d: d, name: n, readOnly: true, validity: max(1, uint32(d.env.Now().Unix()))}, f: f}
	if h.held, err = d.lockAll(ctx, f); err == nil {
		err = h.stillEmpty()
	}
	if errors.Is(err, lock.ErrBusy) {
		err = d.fail("lock", n, fmt.Errorf("%w: %w", mailbox.ErrBusy, err))
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (d *Driver) lockAll(ctx context.Context, f fsx.File) ([]lock.Held, error) {
	c := d.env.Config
	o := lock.Options{
		Timeout: d.env.LockTimeout, Stale: c.DotLockTimeout, Dir: d.env.LockDir, Mode: c.LockMode, NoWarn: c.NoLockWarning,
		Notify: func(text string) { d.env.Notify(mailbox.Warn, text) },
	}
	temp, err := lock.Temp(ctx, f.OS(), lock.Exclusive, o)
	if err != nil {
		return nil, err
	}
	file, err := lock.File(o).Lock(ctx, f.OS(), lock.Exclusive)
	if err != nil {
		return []lock.Held{temp}, err
	}
	return []lock.Held{temp, file}, nil
}

// A heldEmpty is an empty mailbox that nobody else gets at.
type heldEmpty struct {
	empty
	f    fsx.File
	held []lock.Held
}

// stillEmpty returns an error where mail came before we had the locks.
func (h *heldEmpty) stillEmpty() error {
	a, err := h.f.Stat()
	if err != nil {
		return err
	}
	b, err := h.d.stat("open", h.name)
	if err == nil && (b == nil || !os.SameFile(a, b) || a.Size() > 0) {
		err = h.d.fail("open", h.name, fmt.Errorf("%w: %w", mailbox.ErrTemporary, mailbox.ErrChanged))
	}
	return err
}

// Ping keeps the locks young.
func (h *heldEmpty) Ping() (bool, error) {
	var err error
	for _, l := range h.held {
		err = errors.Join(err, lock.Renew(l))
	}
	return false, err
}

// Close gives the locks up.
func (h *heldEmpty) Close() error {
	var err error
	for i := len(h.held) - 1; i >= 0; i-- {
		err = errors.Join(err, h.held[i].Release())
	}
	h.held = nil
	return errors.Join(err, h.f.Close())
}
