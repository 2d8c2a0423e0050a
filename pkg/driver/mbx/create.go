package mbx

import (
	"context"
	"errors"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// Create makes an empty mailbox; it appears whole.
func (d *Driver) Create(ctx context.Context, n mailbox.Name) error {
	f, err := d.createNew(ctx, n)
	if err != nil {
		return d.fail("create", n, err)
	}
	k := d.newBlock()
	err = writeBlock(f, &k)
	if err == nil {
		err = f.Publish()
	}
	return d.fail("create", n, errors.Join(err, f.Abort()))
}

// createNew begins the file of a new mailbox.
func (d *Driver) createNew(ctx context.Context, n mailbox.Name) (*fsx.NewFile, error) {
	path, err := d.Place(n)
	if err != nil {
		return nil, err
	}
	return d.files().CreateNew(ctx, path)
}

// newBlock is the block of a new mailbox.
func (d *Driver) newBlock() block {
	k := block{validity: max(uint32(d.env.Now().Unix()), 1)}
	for _, name := range d.env.Config.Keywords {
		if k.bit(name) == 0 {
			k.create(name) // what is not possible is left out, as in the original
		}
	}
	return k
}

// Delete removes n. Nobody else may have it open.
func (d *Driver) Delete(ctx context.Context, n mailbox.Name) error {
	path, err := d.Place(n)
	if err == nil {
		err = d.files().Delete(ctx, n, path, d.ours)
	}
	return d.fail("delete", n, err)
}

// Rename gives from the name to. Nobody else may have it open. Where INBOX
// goes away a new one is made.
func (d *Driver) Rename(ctx context.Context, from, to mailbox.Name) error {
	path, err := d.Place(from)
	if err == nil {
		to.Path, err = d.Place(to)
	}
	if err == nil {
		err = d.files().Rename(ctx, from, to, path, d.ours)
	}
	if err == nil && from.Inbox {
		err = d.Create(ctx, from)
	}
	return d.fail("rename", from, err)
}

// ours returns an error where f is not of the format.
func (d *Driver) ours(f fsx.File) error {
	_, ok, err := readBlock(f)
	if err == nil && !ok {
		err = mailbox.ErrFormat
	}
	return err
}
