package mbx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/spool"
	"mailutil/pkg/mailbox"
)

// Append begins to add mail to n, which must exist unless o.New says that it
// must not. Mail for a mailbox that exists waits in a spool: while it arrives
// only the lock is held that keeps the mailbox from being moved.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if o.New {
		t, err := d.appendNew(ctx, n, o)
		if err != nil {
			return nil, d.fail("append", n, err)
		}
		return t, nil
	}
	t := &delivery{d: d, ctx: ctx, n: n}
	if err := t.begin(o); err != nil {
		return nil, d.fail("append", n, errors.Join(err, t.release()))
	}
	return t, nil
}

// A delivery adds mail to a mailbox that exists. It is an append: what is
// added goes through a journal, so that readers, killed writers and power cuts
// leave all of it or nothing.
type delivery struct {
	d      *Driver
	ctx    context.Context // of Append; Commit waits for the lock within it
	n      mailbox.Name
	f      fsx.File
	before flocked.Stamps
	old    block // as Append found it
	block  block // with the keywords that are to be created
	rec    *recorder
	spool  spool.Spool
}

func (t *delivery) begin(o mailbox.AppendOptions) error {
	path, err := t.d.Place(t.n)
	if err != nil {
		return err
	}
	f, held, err := t.d.openLocked(t.ctx, path, os.O_RDWR)
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
	if err := errors.Join(t.readOld(), held.Release()); err != nil {
		return err
	}
	t.block = t.old
	t.block.lines = slices.Clone(t.old.lines)
	t.spool.Dir = filepath.Dir(path)
	t.rec = newRecorder(t.d, &t.spool, &t.block, o, path)
	return nil
}

// readOld reads the file block. The temp lock is held.
func (t *delivery) readOld() error {
	if _, err := t.d.files().FinishChange(t.f); err != nil {
		return err
	}
	k, ok, err := readBlock(t.f)
	if err == nil && !ok {
		err = mailbox.Sayf(mailbox.ErrFormat, "Not a MBX-format mailbox: %.80s", t.n.Text)
	}
	t.old = k
	return err
}

// Add adds a message.
func (t *delivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	a, err := t.rec.add(it)
	return a, t.d.fail("append", t.n, err)
}

// Commit makes the messages part of the mailbox. They get their UIDs when it
// is opened for writing next.
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
	if err := t.ctx.Err(); err != nil || t.rec.count == 0 && slices.Equal(t.old.lines, t.block.lines) {
		return err
	}
	held, err := t.d.tempLock(t.ctx, t.f)
	if err != nil {
		return err
	}
	return errors.Join(t.write(), held.Release())
}

// write makes keywords and messages durable, in that order: a power cut in
// between leaves keywords that nothing bears. The temp lock is held.
func (t *delivery) write() error {
	was := t.old.lines
	if err := t.readOld(); err != nil {
		return err
	}
	if err := t.d.heal(t.f); err != nil {
		return err
	}
	if !slices.Equal(was, t.block.lines) {
		if !slices.Equal(was, t.old.lines) {
			return fmt.Errorf("%w: another process created keywords at the same time", mailbox.ErrTemporary)
		}
		if err := t.saveKeywords(); err != nil {
			return err
		}
	}
	tail, err := journal.Append(t.f, t.d.journal())
	if err != nil {
		return err
	}
	if _, err := t.spool.WriteTo(tail); err != nil {
		return errors.Join(err, tail.Abort())
	}
	return errors.Join(tail.Commit(), tail.Abort())
}

// saveKeywords makes the keywords durable. It is a patch.
func (t *delivery) saveKeywords() error {
	k := t.old
	k.lines = t.block.lines
	if err := writeBlock(t.f, &k); err != nil {
		return err
	}
	return t.f.Sync()
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

// Count is Status of a mailbox opened read-only, to which INBOX adds what
// waits in the spool as long as it has no recent mail of its own.
func (d *Driver) Count(ctx context.Context, n mailbox.Name) (mailbox.Status, error) {
	mb, err := d.Open(ctx, n, mailbox.ReadOnly)
	if err != nil {
		return mailbox.Status{}, err
	}
	st := mb.Status()
	if err := mb.Close(); err != nil {
		return st, err
	}
	if n.Inbox && st.Recent == 0 {
		err = d.files().AddSpool(ctx, d.spool, st.Path, &st)
	}
	return st, err
}
