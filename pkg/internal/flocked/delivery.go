package flocked

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/spool"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A Target is a mailbox that exists and gets mail. Its methods but Recorder and
// Changed are called with the temp lock held.
type Target interface {
	// Check sees that f is of the format, and reads again what has to be known.
	Check(f fsx.File) error

	// Recorder returns what writes records to to, of the mailbox at path.
	Recorder(to io.Writer, path string) *Recorder

	// Changed reports whether there is more to write than messages.
	Changed() bool

	// Prepare writes that, and sees that records can be added at the end of f.
	Prepare(f fsx.File) error
}

// A Delivery adds mail to a mailbox that exists. It is an append: what is added
// waits in a spool, while only the lock is held that keeps the mailbox from being
// moved, and goes through a journal, so that readers, killed writers and power
// cuts leave all of it or nothing.
type Delivery struct {
	files  Files
	ctx    context.Context // of Append; Commit waits for the lock within it
	n      mailbox.Name
	to     Target
	f      fsx.File
	before Stamps
	rec    *Recorder
	spool  spool.Spool
}

// Append begins to add mail to n, the mailbox at path.
func (o Files) Append(ctx context.Context, n mailbox.Name, path string, to Target) (*Delivery, error) {
	t := &Delivery{files: o, ctx: ctx, n: n, to: to}
	if err := t.begin(path); err != nil {
		return nil, o.Fail("append", n, errors.Join(err, t.release()))
	}
	return t, nil
}

func (t *Delivery) begin(path string) error {
	f, held, err := t.files.OpenLocked(t.ctx, path, os.O_RDWR, lock.Exclusive)
	if node.Gone(err) {
		return mailbox.Sayf(mailbox.ErrNotExist, "[TRYCREATE] Must create mailbox before append")
	}
	if MayNotWrite(err) {
		return mailbox.Sayf(fmt.Errorf("%w: %w", mailbox.ErrReadOnly, err), "Can't open append mailbox: %s", node.Reason(err))
	}
	if err != nil {
		return err
	}
	t.f, t.before = f, Times(f)
	if err := errors.Join(t.check(), held.Release()); err != nil {
		return err
	}
	t.spool.Dir = filepath.Dir(path)
	t.rec = t.to.Recorder(&t.spool, path)
	return nil
}

// check finishes what was interrupted, and looks at the file. The temp lock is
// held.
func (t *Delivery) check() error {
	if _, err := t.files.FinishChange(t.f); err != nil {
		return err
	}
	return t.to.Check(t.f)
}

// Add adds a message.
func (t *Delivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	a, err := t.rec.Add(it)
	return a, t.files.Fail("append", t.n, err)
}

// Commit makes the messages part of the mailbox. They get their UIDs when it
// is opened for writing next.
func (t *Delivery) Commit() (mailbox.UIDs, error) {
	if t.f == nil {
		return mailbox.UIDs{}, t.files.Fail("append", t.n, os.ErrClosed)
	}
	err := t.commit()
	access := t.files.Env.Now().Add(-time.Second)
	if err != nil && t.before.Inode.After(t.before.Access) {
		access = t.before.Access
	}
	t.files.FS.Chtimes(t.f.Name(), access, t.before.Data) // only the owner may
	return mailbox.UIDs{}, t.files.Fail("append", t.n, errors.Join(err, t.release()))
}

func (t *Delivery) commit() error {
	if t.rec.Broken != nil {
		return t.rec.Broken
	}
	if err := t.ctx.Err(); err != nil || t.rec.Count == 0 && !t.to.Changed() {
		return err
	}
	held, err := t.files.TempLock(t.ctx, t.f, lock.Exclusive)
	if err != nil {
		return err
	}
	return errors.Join(t.write(), held.Release())
}

// write makes the messages durable. The temp lock is held.
func (t *Delivery) write() error {
	if err := t.check(); err != nil {
		return err
	}
	if err := t.to.Prepare(t.f); err != nil {
		return err
	}
	tail, err := journal.Append(t.f, t.files.Journal())
	if err != nil {
		return err
	}
	if _, err := t.spool.WriteTo(tail); err != nil {
		return errors.Join(err, tail.Abort())
	}
	return errors.Join(tail.Commit(), tail.Abort())
}

// Abort leaves the mailbox as it was.
func (t *Delivery) Abort() error { return t.files.Fail("append", t.n, t.release()) }

// release gives up what is not committed, the lock, and the file.
func (t *Delivery) release() error {
	err := t.spool.Close()
	if t.f != nil {
		err = errors.Join(err, t.f.Close())
	}
	t.f = nil
	return err
}
