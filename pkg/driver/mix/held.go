package mix

import (
	"context"
	"errors"

	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

var (
	_ mailbox.Holder = (*Driver)(nil)
	_ mailbox.Parent = (*Driver)(nil)
)

// Part reports whether an entry of a mailbox's directory is the mailbox's own.
func (d *Driver) Part(entry string) bool { return isOurs(entry) }

// Hold opens n with index and status locked, and with the lock on the metadata
// that nobody else may share. A mailbox whose index does not list messages that
// are there is refused, as for writing.
func (d *Driver) Hold(ctx context.Context, n mailbox.Name) (mailbox.Mailbox, error) {
	h, err := d.holdAlone(ctx, n)
	if err != nil {
		return nil, d.fail("open", n, err)
	}
	return h, nil
}

func (d *Driver) holdAlone(ctx context.Context, n mailbox.Name) (*held, error) {
	dir, err := d.Place(n)
	if err != nil {
		return nil, err
	}
	h, err := d.hold(ctx, dir, true)
	if err != nil {
		return nil, err
	}
	b := &held{&box{files: newFiles(h, n)}}
	b.readOnly = true
	p, err := b.lock(ctx, lock.Exclusive, lock.Exclusive)
	if err != nil {
		return nil, errors.Join(err, h.f.Close())
	}
	if err := b.begin(p); err != nil {
		return nil, errors.Join(err, p.close(), h.f.Close())
	}
	b.files.held = p
	return b, nil
}

// A held mailbox is there for nobody else.
type held struct{ *box }

func (b *held) begin(p *pair) error {
	ok, err := b.tryAlone()
	if err == nil && !ok {
		err = mailbox.Sayf(mailbox.ErrBusy, "Mailbox %.80s is in use by another process", b.name.Text)
	}
	if err == nil {
		err = b.load(p)
	}
	if err == nil {
		_, err = b.survey(b.state, nil, nil)
	}
	if err == nil {
		b.sync(b.state)
	}
	return err
}

// Ping does nothing: these locks do not grow old.
func (b *held) Ping() (bool, error) { return false, nil }

// Close gives the locks up.
func (b *held) Close() error {
	if b.hold == nil {
		return nil
	}
	return errors.Join(b.files.held.close(), b.box.Close())
}
