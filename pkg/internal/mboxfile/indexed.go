package mboxfile

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/spool"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// windowSize is how much of a file is read at a time.
const windowSize = 1 << 20

// An indexed is a mailbox file with what the last scan of it saw. It is all that
// a delivery needs which creates keywords; a box shows it to somebody.
type indexed struct {
	d       *Driver
	ctx     context.Context // of Open: later calls wait for locks within it
	name    mailbox.Name
	f       fsx.File
	session *lock.Session // nil: read-only
	held    []lock.Held   // of Hold: nobody else gets at the file
	silent  bool          // nobody looks at it: recent messages stay recent in the file
	tail    *spool.Spool  // octets for the end of the file, at the next rewrite
	dialect mbox.Dialect
	ix      mbox.Index
	w       *winread.Window
	known   stamp // of the file as it was scanned
	edges   uint64
	broken  error // set when the file is not what the index says
}

// A stamp tells whether somebody has written to a file.
type stamp struct {
	size  int64
	mtime time.Time
}

// shared calls do under the lock for reading, after any interrupted change was
// finished.
func (b *indexed) shared(do func() error) error {
	if b.held != nil {
		return do()
	}
	for {
		held, err := b.d.lock(b.ctx, b.f, lock.Shared)
		if err != nil {
			return err
		}
		pending, err := journal.Pending(b.f.Name(), b.d.journal())
		if err == nil && !pending {
			err = do()
		}
		if err := errors.Join(err, held.Release()); err != nil || !pending {
			return err
		}
		if err := b.d.recover(b.ctx, b.f.Name()); err != nil {
			return err
		}
	}
}

// recover finishes an interrupted change of the file at path.
func (d *Driver) recover(ctx context.Context, path string) (err error) {
	f, err := d.FS.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("%w: a change of %s was interrupted, its owner must open it: %w", mailbox.ErrTemporary, path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	held, err := d.lock(ctx, f, lock.Exclusive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	did, err := journal.Recover(f, d.journal())
	if did != "" {
		d.env.Notify(mailbox.Warn, did)
	}
	return err
}

// exclusive calls do under the lock for writing, with the index up to date.
// Do gets to know whether messages have other numbers than before.
func (b *indexed) exclusive(do func(renumbered bool) error) (err error) {
	if err := b.writable(); err != nil {
		return err
	}
	held, err := b.d.lock(b.ctx, b.f, lock.Exclusive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	did, err := journal.Recover(b.f, b.d.journal())
	if err != nil {
		return err
	}
	if did != "" {
		b.d.env.Notify(mailbox.Warn, did)
	}
	_, renumbered, err := b.refresh()
	if err != nil {
		return err
	}
	return do(renumbered)
}

func (b *indexed) writable() error {
	if b.broken != nil {
		return b.broken
	}
	if b.session == nil {
		return b.d.fail("write", b.name.Text, mailbox.ErrReadOnly)
	}
	return nil
}

// scan reads the whole file into a new index. Messages that were recent in
// this session stay so.
func (b *indexed) scan() error {
	st, err := b.stat()
	if err != nil {
		return err
	}
	if ok, err := b.d.begins(b.f); err != nil || !ok && st.size > 0 {
		return errors.Join(err, b.d.fail("open", b.name.Text, mailbox.ErrFormat))
	}
	if b.d.Thunderbird {
		if bare, err := mbox.ProbeBare(b.f); err != nil {
			return err
		} else if bare {
			b.dialect = mbox.MboxRD
		}
	}
	old := b.ix
	b.ix = mbox.Index{}
	b.w.Reset(st.size)
	if err := b.scanner(st).Run(); err != nil {
		b.ix = old
		return b.named(err)
	}
	if len(b.ix.Msgs) == 0 {
		b.d.env.Notify(mailbox.Info, "Mailbox is empty")
	}
	b.ix.Inherit(&old)
	b.known = st
	b.edges, err = b.sumEdges()
	return err
}

// scanner reads what is new into the index.
func (b *indexed) scanner(st stamp) *mbox.Scanner {
	return &mbox.Scanner{
		Format: b.d.format, Dialect: b.dialect, Bare: b.d.Thunderbird, Env: b.d.env, W: b.w, Ix: &b.ix,
		ReadOnly: b.session == nil, Written: st.mtime,
	}
}

// named puts the mailbox's name into an error of the scanner.
func (b *indexed) named(err error) error {
	if e, ok := errors.AsType[*mailbox.Error](err); ok && e.Name == "" {
		e.Name = b.name.Text
	}
	return err
}

func (b *indexed) stat() (stamp, error) {
	fi, err := b.f.Stat()
	if err != nil {
		return stamp{}, err
	}
	return stamp{fi.Size(), fi.ModTime()}, nil
}

// edgeSize is how much of both ends of the file is compared.
const edgeSize = 4096

var seed = maphash.MakeSeed()

// sumEdges digests both ends of the file as it was scanned.
func (b *indexed) sumEdges() (uint64, error) {
	n := min(edgeSize, b.ix.End)
	buf := make([]byte, 2*n)
	for i, off := range []int64{0, b.ix.End - n} {
		part := buf[int64(i)*n:][:n]
		if got, err := b.f.ReadAt(part, off); got < len(part) {
			return 0, err
		}
	}
	return maphash.Bytes(seed, buf), nil
}

// refresh sees what others did to the file. The lock is held.
func (b *indexed) refresh() (changed, renumbered bool, err error) {
	st, err := b.stat()
	if err != nil || st == b.known {
		return false, false, err
	}
	// Nobody but ours rewrites the file while we have the session lock, so that
	// it only grows; all the same it is looked at.
	if b.session != nil && b.ix.End > 0 && st.size > b.known.size {
		sum, err := b.sumEdges()
		if err != nil {
			return false, false, err
		}
		if sum == b.edges {
			return true, false, b.scanTail(st)
		}
	}
	old := b.ix
	if err := b.scan(); err != nil {
		return false, false, err
	}
	return true, !b.ix.Extends(&old), nil
}

// scanTail reads messages that were added to the file.
func (b *indexed) scanTail(st stamp) error {
	old := b.ix
	b.ix.Msgs = slices.Clip(b.ix.Msgs) // so that old stays as it is
	b.w.Reset(st.size)
	if err := b.scanner(st).Run(); err != nil {
		b.ix = old
		return b.named(err)
	}
	b.known = st
	var err error
	b.edges, err = b.sumEdges()
	return err
}

// update rewrites the file without the messages in drop.
func (b *indexed) update(drop mailbox.Set) error {
	err := b.rewrite(drop)
	if errors.Is(err, journal.ErrUnfinished) {
		b.broken = b.d.fail("write", b.name.Text, err)
		return b.broken
	}
	return err
}

// written notes that we are who wrote the file, and sets its times: read now,
// written a second ago, so that nobody announces new mail.
func (b *indexed) written() error {
	now := b.d.env.Now()
	if err := b.d.FS.Chtimes(b.f.Name(), now, now.Add(-second)); err != nil && !errors.Is(err, fs.ErrPermission) && !node.Gone(err) {
		return err
	}
	var err error
	if b.known, err = b.stat(); err != nil {
		return err
	}
	b.edges, err = b.sumEdges()
	return err
}
