package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"syscall"

	"mailutil/pkg/internal/msgtext"
	"mailutil/pkg/internal/readahead"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A box is an open mailbox. Nothing is locked while it is open: every change
// takes the lock for itself.
type box struct {
	d        *Driver
	ctx      context.Context // of Open: later calls wait for locks within it
	name     mailbox.Name
	dir      string
	readOnly bool
	validity uint32 // where the mailbox has none
	ix       *index
	source   msgtext.File
	text     msgtext.Text // of source
	opened   uint32       // the UID of the message that source is, 0 for none
	ahead    *readahead.Reader
	proof    *msgtext.Digests // of what is read, nil for none
	linked   mailbox.Set      // messages whose files another mailbox has taken, since Witness
	closed   bool
}

var (
	_ mailbox.Mailbox = (*box)(nil)
	_ mailbox.Witness = (*box)(nil)
)

var errClosed = errors.New("mailbox is closed")

// Open opens a mailbox. A read-write session gives UIDs to the messages that
// have none and takes them from new to cur.
func (d *Driver) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	b, err := d.open(ctx, n, m)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (d *Driver) newBox(ctx context.Context, n mailbox.Name, dir string, m mailbox.Mode) *box {
	b := &box{d: d, ctx: ctx, name: n, dir: dir, readOnly: m == mailbox.ReadOnly, ix: &index{}}
	b.ahead = readahead.New(b.pathAhead)
	b.text = msgtext.Text{Piece: b.source.Piece, LF: true}
	return b
}

func (d *Driver) open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (*box, error) {
	dir, err := d.existing(ctx, "open", n)
	if err != nil {
		return nil, err
	}
	b := d.newBox(ctx, n, dir, m)
	b.validity = max(1, uint32(d.env.Now().Unix()))
	if !b.readOnly {
		err = b.exclusive(func(held *lock.Uidlist) error {
			if err := errors.Join(d.complete(dir), d.cleanTmp(dir)); err != nil {
				return err
			}
			return b.update(held)
		})
		if unwritable(err) {
			d.env.Notify(mailbox.Warn, "Can't get write access to mailbox, access is readonly")
			b.readOnly = true
		}
	}
	if b.readOnly {
		err = b.look()
	}
	if err != nil {
		return nil, d.fail("open", n.Text, err)
	}
	if len(b.ix.all) == 0 {
		d.env.Notify(mailbox.Info, "Mailbox is empty")
	}
	return b, nil
}

// unwritable reports whether an error means that we may not write.
func unwritable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// exclusive calls do while nobody else writes the list of UIDs, after any
// interrupted change was finished.
func (b *box) exclusive(do func(held *lock.Uidlist) error) error {
	return b.d.exclusive(b.ctx, b.dir, do)
}

func (d *Driver) exclusive(ctx context.Context, dir string, do func(held *lock.Uidlist) error) (err error) {
	held, err := d.lock(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	did, err := d.recover(dir, held)
	if err != nil {
		return err
	}
	if did != "" {
		d.env.Notify(mailbox.Warn, did)
	}
	return do(held)
}

// look scans without writing anything. A change that was interrupted is
// finished first.
func (b *box) look() error {
	pending, err := b.d.pending(b.dir)
	if err != nil {
		return err
	}
	if pending {
		err := b.exclusive(func(*lock.Uidlist) error { return nil })
		if unwritable(err) {
			return fmt.Errorf("%w: a change of %s was interrupted, its owner must open it: %w", mailbox.ErrTemporary, b.dir, err)
		}
		if err != nil {
			return err
		}
	}
	ix, err := b.d.scan(b.dir)
	if err == nil {
		b.take(ix)
	}
	return err
}

// take makes ix what the session knows, and reports whether it is news.
func (b *box) take(ix *index) (changed bool) {
	if ix.list.validity == 0 {
		ix.list.validity = b.validity
	}
	changed = ix.inherit(b.ix)
	b.ix, b.opened = ix, 0
	b.ahead.Reset()
	return changed
}

// Status counts what the last scan saw.
func (b *box) Status() mailbox.Status {
	st := mailbox.Status{
		Driver: b.d.Name(), Path: b.dir, Messages: uint32(len(b.ix.all)),
		UIDValidity: b.ix.list.validity, UIDNext: b.ix.list.next, Keywords: b.ix.table.names, ReadOnly: b.readOnly,
	}
	for i := range b.ix.all {
		f := b.ix.all[i].flags
		if f&mailbox.Recent != 0 {
			st.Recent++
		}
		if f&mailbox.Seen == 0 {
			st.Unseen++
		}
	}
	return st
}

// Messages yields the index. Dates and sizes are made known as they are asked
// for.
func (b *box) Messages(s mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		if b.closed {
			yield(mailbox.Message{}, errClosed)
			return
		}
		for seq := range s.Seqs(uint32(len(b.ix.all))) {
			if int(seq) > len(b.ix.all) { // expunged while we were at it
				return
			}
			m, err := b.message(int(seq) - 1)
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

func (b *box) message(i int) (mailbox.Message, error) {
	if b.ix.all[i].date == noDate {
		if err := b.settle(i); err != nil {
			return mailbox.Message{}, b.d.fail("read", b.name.Text, err)
		}
	}
	e := &b.ix.all[i]
	return mailbox.Message{
		Seq: uint32(i + 1), UID: e.uid, Date: dateOf(e.date), Size: e.size,
		Flags: mailbox.Flags{System: e.flags, Keywords: b.ix.keywords(i)},
	}, nil
}

// Open streams one message.
func (b *box) Open(seq uint32) (mailbox.Content, error) {
	if b.closed {
		return nil, errClosed
	}
	if seq == 0 || int64(seq) > int64(len(b.ix.all)) {
		return nil, b.d.fail("read", b.name.Text, fmt.Errorf("no message %d", seq))
	}
	if err := b.openText(int(seq) - 1); err != nil {
		return nil, b.d.fail("read", b.name.Text, fmt.Errorf("message %d: %w", seq, err))
	}
	if b.proof != nil {
		b.proof.Watch(&b.text, int(seq)-1)
	}
	return &b.text, nil
}

// openText makes text that of message i, from its beginning. A file that is
// open already is not opened again.
func (b *box) openText(i int) error {
	if b.opened == b.ix.all[i].uid {
		b.text.Rewind()
		return nil
	}
	b.opened = 0
	if err := b.source.Close(); err != nil {
		return err
	}
	if f, ok := b.ahead.Take(i); ok {
		b.source.UseRead(f.Text, f.MTime)
	} else {
		f, fi, err := b.openFile(i)
		if err != nil {
			return err
		}
		b.source.Use(f, fi)
	}
	if err := b.source.Unpack(b.d.env); err != nil {
		return err
	}
	b.text.Reset(b.source.Size)
	b.opened = b.ix.all[i].uid
	return nil
}

// forgetText gives up all texts that were opened or read.
func (b *box) forgetText() error {
	b.opened = 0
	b.ahead.Reset()
	return b.source.Close()
}

// pathAhead is where message i is, as far as the session knows; "" behind the
// last one.
func (b *box) pathAhead(i int) string {
	if i >= len(b.ix.all) {
		return ""
	}
	return b.dir + "/" + b.ix.file(&b.ix.all[i])
}

// Ping looks for what others did.
func (b *box) Ping() (bool, error) {
	if b.closed {
		return false, errClosed
	}
	now, err := b.d.stamps(b.dir)
	if err != nil {
		return false, b.d.fail("ping", b.name.Text, err)
	}
	pending, err := b.d.pending(b.dir)
	if err != nil || b.ix.current(now) && !pending {
		return false, err
	}
	old := b.ix
	err = b.look()
	if err == nil && !b.readOnly && b.ix.unsettled() {
		err = b.exclusive(b.update)
	}
	if err != nil {
		return false, b.d.fail("ping", b.name.Text, err)
	}
	return b.ix.inherit(old), nil
}

// writable returns an error on a session that may not write.
func (b *box) writable(op string) error {
	switch {
	case b.closed:
		return errClosed
	case b.readOnly:
		return b.d.fail(op, b.name.Text, mailbox.ErrReadOnly)
	}
	return nil
}

// Close has nothing to write: every change is durable already.
func (b *box) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	return b.forgetText()
}

// drop takes messages out of the index.
func (ix *index) drop(gone map[int]bool) {
	n := 0
	for i := range ix.all {
		if gone[i] {
			continue
		}
		ix.all[n] = ix.all[i]
		if ix.foreign != nil {
			ix.foreign[n] = ix.foreign[i]
		}
		n++
	}
	ix.all = ix.all[:n]
	if ix.foreign != nil {
		ix.foreign = ix.foreign[:n]
	}
}
