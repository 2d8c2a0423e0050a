package mailtxt

import (
	"context"
	"errors"

	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

var _ mailbox.Holder = (*Driver)(nil)

// Hold opens n under the temp lock and the exclusive lock on the file. What is
// no whole record at its end has been saved.
func (d *Driver) Hold(ctx context.Context, n mailbox.Name) (mailbox.Mailbox, error) {
	path, err := d.Place(n)
	if err != nil {
		return nil, err
	}
	b := &box{d: d, name: n, path: path, readOnly: true, validity: validity(d.env.Now())}
	b.f, b.held, err = d.files().Hold(ctx, path)
	if err != nil {
		return nil, d.fail("open", n, err)
	}
	b.win = winread.New(b.f, windowSize, 0)
	if err = b.parseHeld(); err != nil {
		return nil, d.fail("open", n, errors.Join(err, b.held.Release(), b.f.Close()))
	}
	b.first = b.end
	return b, nil
}

func (b *box) parseHeld() error {
	err := b.d.check(b.f, b.name)
	if err == nil {
		err = b.d.heal(b.f)
	}
	if err == nil {
		err = b.parse()
	}
	return err
}
