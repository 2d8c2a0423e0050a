package mbx

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/spool"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Append begins to add mail to n, which must exist unless o.New says that it
// must not. Until Commit or Abort others can neither append nor see new mail.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if o.New {
		t, err := d.appendNew(ctx, n, o)
		if err != nil {
			return nil, d.fail("append", n, err)
		}
		return t, nil
	}
	t := &delivery{d: d, n: n}
	if err := t.begin(ctx, o); err != nil {
		return nil, d.fail("append", n, errors.Join(err, t.release()))
	}
	return t, nil
}

// A delivery adds mail to a mailbox that exists. It is an append: what is
// added goes through a journal, so that readers, killed writers and power cuts
// leave all of it or nothing.
type delivery struct {
	d      *Driver
	n      mailbox.Name
	f      fsx.File
	held   lock.Held
	before stamps
	block  block
	rec    *recorder
	tail   *journal.Tail

	// Keywords that have to be created must be durable before the journal
	// begins, but are known only at the end: until then mail is kept apart.
	spool *spool.Spool
}

func (t *delivery) begin(ctx context.Context, o mailbox.AppendOptions) error {
	path, err := t.d.place(t.n)
	if err != nil {
		return err
	}
	t.f, t.held, err = t.d.openLocked(ctx, path, os.O_RDWR)
	if node.Gone(err) {
		return mailbox.Sayf(mailbox.ErrNotExist, "[TRYCREATE] Must create mailbox before append")
	}
	if mayNotWrite(err) {
		return errors.Join(mailbox.ErrReadOnly, err)
	}
	if err != nil {
		return err
	}
	t.before = times(t.f)
	if _, err := t.d.finishChange(t.f); err != nil {
		return err
	}
	k, ok, err := readBlock(t.f)
	if err != nil {
		return err
	}
	if !ok {
		return mailbox.Sayf(mailbox.ErrFormat, "Not a MBX-format mailbox: %.80s", t.n.Text)
	}
	t.block = k
	if err := t.d.heal(t.f); err != nil {
		return err
	}
	return t.openOutput(path, o)
}

// openOutput decides where records go until Commit.
func (t *delivery) openOutput(path string, o mailbox.AppendOptions) (err error) {
	lacks := func(name string) bool { return t.block.bit(name) == 0 }
	var out io.Writer
	if slices.ContainsFunc(o.Keywords, lacks) {
		t.spool = &spool.Spool{Dir: filepath.Dir(path)}
		out = t.spool
	} else {
		t.tail, err = journal.Append(t.f, t.d.journal())
		out = t.tail
	}
	t.rec = newRecorder(t.d, out, &t.block, o, path)
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
	if err != nil && t.before.inode.After(t.before.access) {
		access = t.before.access
	}
	t.d.FS.Chtimes(t.f.Name(), access, t.before.data) // only the owner may
	return mailbox.UIDs{}, t.d.fail("append", t.n, errors.Join(err, t.release()))
}

func (t *delivery) commit() error {
	if t.rec.broken != nil {
		return t.rec.broken
	}
	if t.spool != nil {
		if err := t.unspool(); err != nil {
			return err
		}
	}
	if t.rec.count == 0 {
		return t.tail.Abort()
	}
	return t.tail.Commit()
}

// unspool writes the keywords that were created into the file block, and the
// records that bear them to the tail. A power cut in between leaves keywords
// that nothing bears.
func (t *delivery) unspool() error {
	err := t.saveKeywords()
	if err != nil {
		return err
	}
	if t.tail, err = journal.Append(t.f, t.d.journal()); err != nil {
		return err
	}
	_, err = t.spool.WriteTo(t.tail)
	return err
}

// saveKeywords makes the keywords durable. It is a patch.
func (t *delivery) saveKeywords() error {
	old, ok, err := readBlock(t.f)
	if err != nil || !ok || slices.Equal(old.lines, t.block.lines) {
		return err
	}
	if err := writeBlock(t.f, &t.block); err != nil {
		return err
	}
	return t.f.Sync()
}

// Abort leaves the mailbox as it was.
func (t *delivery) Abort() error { return t.d.fail("append", t.n, t.release()) }

// release gives up what is not committed, the locks, and the file.
func (t *delivery) release() error {
	var errs []error
	if t.tail != nil {
		errs = append(errs, t.tail.Abort())
	}
	if t.spool != nil {
		errs = append(errs, t.spool.Close())
	}
	if t.held != nil {
		errs = append(errs, t.held.Release())
	}
	if t.f != nil {
		errs = append(errs, t.f.Close())
	}
	t.tail, t.spool, t.held, t.f = nil, nil, nil, nil
	return errors.Join(errs...)
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
		err = d.addSpool(ctx, st.Path, &st)
	}
	return st, err
}
