package flocked

import (
	"context"
	"errors"
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

// Records writes messages as records of a format, one behind the other.
type Records interface {
	// Add writes one. After an error nothing more can be added, but for a
	// message that is refused: it has written nothing.
	Add(it mailbox.Item) (mailbox.Altered, error)

	// Broken is why nothing may be added any more.
	Broken() error
}

// An Intake is how a format adds mail to a mailbox that exists.
type Intake interface {
	Records

	// Check looks whether f is a mailbox of the format, and what it has, when the
	// delivery begins and again before it is written. The temp lock is held.
	Check(f fsx.File) error

	// Begin says where the records go; path is that of the mailbox.
	Begin(out io.Writer, path string)

	// Empty reports whether there is nothing to be written.
	Empty() bool

	// Prepare makes f end where a record can begin, and know the keywords of those
	// that are to come: a power cut leaves keywords that nothing bears. The temp
	// lock is held.
	Prepare(f fsx.File) error
}

// A Delivery adds mail to a mailbox that exists. It is an append: what is added
// waits in a spool, and goes through a journal, so that readers, killed writers
// and power cuts leave all of it or nothing. While mail arrives only the lock is
// held that keeps the mailbox from being moved.
type Delivery struct {
	o      Files
	ctx    context.Context // of Append; Commit waits for the lock within it
	n      mailbox.Name
	in     Intake
	f      fsx.File
	before Stamps
	spool  spool.Spool
}

// Append begins to add mail to n, which is at path.
func (o Files) Append(ctx context.Context, n mailbox.Name, path string, in Intake) (*Delivery, error) {
	t := &Delivery{o: o, ctx: ctx, n: n, in: in}
	if err := t.begin(path); err != nil {
		return nil, errors.Join(err, t.release())
	}
	return t, nil
}

func (t *Delivery) begin(path string) error {
	f, held, err := t.o.OpenLocked(t.ctx, path, os.O_RDWR, lock.Exclusive)
	if node.Gone(err) {
		return mailbox.Sayf(mailbox.ErrNotExist, "[TRYCREATE] Must create mailbox before append")
	}
	if MayNotWrite(err) {
		return errors.Join(mailbox.ErrReadOnly, err)
	}
	if err != nil {
		return err
	}
	t.f, t.before = f, Times(f)
	if err := errors.Join(t.check(), held.Release()); err != nil {
		return err
	}
	t.spool.Dir = filepath.Dir(path)
	t.in.Begin(&t.spool, path)
	return nil
}

// check finishes what was interrupted, and looks. The temp lock is held.
func (t *Delivery) check() error {
	if _, err := t.o.FinishChange(t.f); err != nil {
		return err
	}
	return t.in.Check(t.f)
}

// Add adds a message.
func (t *Delivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	a, err := t.in.Add(it)
	return a, t.o.Fail("append", t.n, err)
}

// Commit makes the messages part of the mailbox. They have no UIDs yet.
func (t *Delivery) Commit() (mailbox.UIDs, error) {
	if t.f == nil {
		return mailbox.UIDs{}, t.o.Fail("append", t.n, os.ErrClosed)
	}
	err := t.commit()
	access := t.o.Env.Now().Add(-time.Second)
	if err != nil && t.before.Inode.After(t.before.Access) {
		access = t.before.Access
	}
	t.o.FS.Chtimes(t.f.Name(), access, t.before.Data) // only the owner may
	return mailbox.UIDs{}, t.o.Fail("append", t.n, errors.Join(err, t.release()))
}

func (t *Delivery) commit() error {
	if err := t.in.Broken(); err != nil {
		return err
	}
	if err := t.ctx.Err(); err != nil || t.in.Empty() {
		return err
	}
	held, err := t.o.TempLock(t.ctx, t.f, lock.Exclusive)
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
	if err := t.in.Prepare(t.f); err != nil {
		return err
	}
	tail, err := journal.Append(t.f, t.o.Journal())
	if err != nil {
		return err
	}
	if _, err := t.spool.WriteTo(tail); err != nil {
		return errors.Join(err, tail.Abort())
	}
	return errors.Join(tail.Commit(), tail.Abort())
}

// Abort leaves the mailbox as it was.
func (t *Delivery) Abort() error { return t.o.Fail("append", t.n, t.release()) }

// release gives up what is not committed, the lock, and the file.
func (t *Delivery) release() error {
	err := t.spool.Close()
	if t.f != nil {
		err = errors.Join(err, t.f.Close())
	}
	t.f = nil
	return err
}

// A NewDelivery fills a mailbox that nobody sees before Commit.
type NewDelivery struct {
	Out *fsx.Writer // on F
	F   *fsx.NewFile
	In  Records

	// Finish is called when all is written but not published.
	Finish func() (mailbox.UIDs, error)

	O Files
	N mailbox.Name
}

// Add adds a message.
func (t *NewDelivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	a, err := t.In.Add(it)
	return a, t.O.Fail("append", t.N, err)
}

// Commit makes the mailbox appear.
func (t *NewDelivery) Commit() (uids mailbox.UIDs, err error) {
	if err = t.In.Broken(); err == nil {
		err = t.Out.Flush()
	}
	if err == nil {
		uids, err = t.Finish()
	}
	if err == nil {
		err = t.F.Publish()
	}
	t.Out.Stop()
	if err := errors.Join(err, t.F.Abort()); err != nil {
		return mailbox.UIDs{}, t.O.Fail("append", t.N, err)
	}
	return uids, nil
}

// Abort removes what was written.
func (t *NewDelivery) Abort() error {
	t.Out.Stop()
	return t.O.Fail("append", t.N, t.F.Abort())
}
