package mbx

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
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
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, err := d.place(n)
	if err != nil {
		return nil, err
	}
	if path[len(path)-1] == '/' {
		return nil, mailbox.ErrName
	}
	f, err := fsx.CreateNew(d.FS, path, d.env.Config.MailboxMode, d.env.Config.DirMode)
	if err != nil && !errors.Is(err, fsx.ErrInUse) {
		err = mailbox.Sayf(classify(err), "Can't create mailbox node %s: %s", path, node.Reason(err))
	}
	return f, err
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
	err := d.alone(ctx, n, func(path string) error { return node.Delete(d.FS, n, path) })
	return d.fail("delete", n, err)
}

// Rename gives from the name to. Nobody else may have it open. Where INBOX
// goes away a new one is made.
func (d *Driver) Rename(ctx context.Context, from, to mailbox.Name) error {
	err := d.alone(ctx, from, func(path string) error {
		target, err := d.place(to)
		if err != nil {
			return err
		}
		to.Path = target
		return node.Rename(d.FS, from, to, path, d.env.Config)
	})
	if err == nil && from.Inbox {
		err = d.Create(ctx, from)
	}
	return d.fail("rename", from, err)
}

// syncDirOf makes the name path durable.
func (d *Driver) syncDirOf(path string) error { return d.FS.SyncDir(filepath.Dir(path)) }

// alone calls do while nobody else has the mailbox open.
func (d *Driver) alone(ctx context.Context, n mailbox.Name, do func(path string) error) error {
	path, err := d.place(n)
	if err != nil {
		return err
	}
	f, held, err := d.openLocked(ctx, path, os.O_RDONLY)
	if err != nil {
		return err
	}
	// What a crash left must not meet a new mailbox of that name.
	_, err = d.finishChange(f)
	if err == nil {
		var ok bool
		if ok, err = tryExclusive(f); err == nil && !ok {
			err = inUse(n)
		}
	}
	if err == nil {
		var ok bool
		if _, ok, err = readBlock(f); err == nil && !ok {
			err = mailbox.ErrFormat
		}
	}
	if err == nil {
		err = do(path)
	}
	return errors.Join(err, held.Release(), f.Close())
}
