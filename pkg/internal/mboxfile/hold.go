package mboxfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

var _ mailbox.Holder = (*Driver)(nil)

// Hold opens a mailbox under the session lock, which it does not ask anybody
// for, and under the locks for writing.
func (d *Driver) Hold(ctx context.Context, n mailbox.Name) (mailbox.Mailbox, error) {
	for {
		b := &box{indexed: indexed{d: d, ctx: ctx, name: n}}
		same, err := b.hold()
		if err == nil && same {
			return b, nil
		}
		if err := errors.Join(err, b.release()); err != nil {
			return nil, err
		}
	}
}

// hold takes the locks and reads the file; same is false where the file was
// replaced before we had them.
func (b *box) hold() (same bool, err error) {
	b.f, err = b.d.FS.OpenFile(b.d.path(b.name), os.O_RDWR|syscall.O_NONBLOCK, 0)
	if node.Gone(err) {
		return false, b.d.fail("open", b.name.Text, mailbox.ErrNotExist)
	}
	if err != nil {
		return false, err
	}
	session, err := lock.TakeSilent(b.ctx, b.f.OS(), b.d.locks())
	if errors.Is(err, lock.ErrBusy) {
		return false, b.d.fail("lock", b.name.Text, fmt.Errorf("%w: %w", mailbox.ErrBusy, err))
	}
	if err != nil {
		return false, err
	}
	b.held = append(b.held, session)
	file, err := b.d.lock(b.ctx, b.f, lock.Exclusive)
	if err != nil {
		return false, err
	}
	b.held = append(b.held, file)
	if same, err := b.d.isAt(b.f); err != nil || !same {
		return false, err
	}
	did, err := journal.Recover(b.f, b.d.journal())
	if err != nil {
		return false, err
	}
	if did != "" {
		b.d.env.Notify(mailbox.Warn, did)
	}
	b.w = winread.New(b.f, windowSize, 0)
	return true, b.scan()
}

// renew keeps the lock file from growing old.
func (b *box) renew() error {
	var err error
	for _, h := range b.held {
		err = errors.Join(err, lock.Renew(h))
	}
	return err
}

// isAt reports whether f still is the file of its name.
func (d *Driver) isAt(f fsx.File) (bool, error) {
	a, err := f.Stat()
	if err != nil {
		return false, err
	}
	b, err := d.FS.Stat(f.Name())
	if node.Gone(err) {
		return false, nil
	}
	return err == nil && os.SameFile(a, b), err
}
