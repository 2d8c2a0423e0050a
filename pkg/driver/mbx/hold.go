package mbx

import (
	"context"
	"errors"

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
	b := d.newBox(n, path)
	b.ReadOnly = true
	b.F, b.Held, err = d.files().Hold(ctx, path)
	if err != nil {
		return nil, d.fail("open", n, err)
	}
	if err = b.parseHeld(); err != nil {
		return nil, d.fail("open", n, errors.Join(err, b.Held.Release(), b.F.Close()))
	}
	b.First = b.End
	return b, nil
}

func (b *box) parseHeld() error {
	_, ok, err := readBlock(b.F)
	if err == nil && !ok {
		err = mailbox.ErrFormat
	}
	if err == nil {
		err = b.d.heal(b.F)
	}
	if err == nil {
		err = b.parse()
	}
	return err
}
