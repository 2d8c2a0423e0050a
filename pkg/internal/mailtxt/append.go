package mailtxt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/spool"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Append begins to add mail to n, which must exist unless o.New says that it
// must not. An empty file is taken whoever made it. UIDs are not kept, for the
// format has none.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if o.New {
		f, err := d.createNew(ctx, n)
		if err != nil {
			return nil, d.fail("append", n, err)
		}
		t := &newDelivery{d: d, n: n, f: f, out: fsx.NewWriter(f)}
		t.rec = newRecorder(d, t.out, o, f.Name())
		return t, nil
	}
	t := &delivery{d: d, ctx: ctx, n: n}
	if err := t.begin(o); err != nil {
		return nil, d.fail("append", n, errors.Join(err, t.release()))
	}
	return t, nil
}

// A delivery adds mail to a mailbox that exists. It is an append: what is
// added waits in a spool, and goes through a journal, so that readers, killed
// writers and power cuts leave all of it or nothing.
type delivery struct {
	d      *Driver
	ctx    context.Context // of Append; Commit waits for the lock within it
	n      mailbox.Name
	f      fsx.File
	before flocked.Stamps
	rec    *recorder
	spool  spool.Spool
}

func (t *delivery) begin(o mailbox.AppendOptions) error {
	path, err := t.d.Place(t.n)
	if err != nil {
		return err
	}
	f, held, err := t.d.files().OpenLocked(t.ctx, path, os.O_RDWR, lock.Exclusive)
	if node.Gone(err) {
		return mailbox.Sayf(mailbox.ErrNotExist, "[TRYCREATE] Must create mailbox before append")
	}
	if flocked.MayNotWrite(err) {
		return mailbox.Sayf(fmt.Errorf("%w: %w", mailbox.ErrReadOnly, err), "Can't open append mailbox: %s", node.Reason(err))
	}
	if err != nil {
		return err
	}
	t.f, t.before = f, flocked.Times(f)
	if err := errors.Join(t.check(), held.Release()); err != nil {
		return err
	}
	t.spool.Dir = filepath.Dir(path)
	t.rec = newRecorder(t.d, &t.spool, o, path)
	return nil
}

// check looks whether the file is ours. The temp lock is held.
func (t *delivery) check() error {
	if _, err := t.d.files().FinishChange(t.f); err != nil {
		return err
	}
	ours, err := t.d.owns(t.f, true)
	if err == nil && !ours {
		err = t.d.format.notOurs(t.n)
	}
	return err
}

// Add adds a message.
func (t *delivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	a, err := t.rec.add(it)
	return a, t.d.fail("append", t.n, err)
}

// Commit makes the messages part of the mailbox.
func (t *delivery) Commit() (mailbox.UIDs, error) {
	if t.f == nil {
		return mailbox.UIDs{}, t.d.fail("append", t.n, os.ErrClosed)
	}
	err := t.commit()
	access := t.d.env.Now().Add(-time.Second)
	if err != nil && t.before.Inode.After(t.before.Access) {
		access = t.before.Access
	}
	t.d.FS.Chtimes(t.f.Name(), access, t.before.Data) // only the owner may
	return mailbox.UIDs{}, t.d.fail("append", t.n, errors.Join(err, t.release()))
}

func (t *delivery) commit() error {
	if t.rec.broken != nil {
		return t.rec.broken
	}
	if err := t.ctx.Err(); err != nil || t.rec.count == 0 {
		return err
	}
	held, err := t.d.files().TempLock(t.ctx, t.f, lock.Exclusive)
	if err != nil {
		return err
	}
	return errors.Join(t.write(), held.Release())
}

// write makes the messages durable. The temp lock is held.
func (t *delivery) write() error {
	if err := t.check(); err != nil {
		return err
	}
	if err := t.d.heal(t.f); err != nil {
		return err
	}
	tail, err := journal.Append(t.f, t.d.files().Journal())
	if err != nil {
		return err
	}
	if _, err := t.spool.WriteTo(tail); err != nil {
		return errors.Join(err, tail.Abort())
	}
	return errors.Join(tail.Commit(), tail.Abort())
}

// Abort leaves the mailbox as it was.
func (t *delivery) Abort() error { return t.d.fail("append", t.n, t.release()) }

// release gives up what is not committed, the lock, and the file.
func (t *delivery) release() error {
	err := t.spool.Close()
	if t.f != nil {
		err = errors.Join(err, t.f.Close())
	}
	t.f = nil
	return err
}

// A newDelivery fills a mailbox that nobody sees before Commit.
type newDelivery struct {
	d   *Driver
	n   mailbox.Name
	f   *fsx.NewFile
	out *fsx.Writer
	rec *recorder
}

// Add adds a message.
func (t *newDelivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	a, err := t.rec.add(it)
	return a, t.d.fail("append", t.n, err)
}

// Commit makes the mailbox appear.
func (t *newDelivery) Commit() (mailbox.UIDs, error) {
	err := t.rec.broken
	if err == nil {
		err = t.out.Flush()
	}
	if err == nil {
		err = t.f.Publish()
	}
	t.out.Stop()
	return mailbox.UIDs{}, t.d.fail("append", t.n, errors.Join(err, t.f.Abort()))
}

// Abort removes what was written.
func (t *newDelivery) Abort() error {
	t.out.Stop()
	return t.d.fail("append", t.n, t.f.Abort())
}
