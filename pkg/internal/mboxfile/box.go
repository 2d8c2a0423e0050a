package mboxfile

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A box is an open mailbox.
type box struct {
	indexed
	text   mbox.Content
	seen   maphash.Hash // of what was read since Witness
	stuck  bool         // new mail cannot be removed from the spool
	closed bool
}

// Open opens a mailbox. A read-write session holds the session lock to its
// end; where it cannot be had, or the file not be written, the mailbox is
// read-only, and the user is told why.
func (d *Driver) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	b := &box{indexed: indexed{d: d, ctx: ctx, name: n}}
	if err := b.open(m); err != nil {
		return nil, errors.Join(err, b.release())
	}
	return b, nil
}

func (b *box) open(m mailbox.Mode) (err error) {
	path := b.d.path(b.name)
	if m == mailbox.ReadWrite {
		b.f, err = b.d.FS.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			b.d.env.Notify(mailbox.Warn, "Can't get write access to mailbox, access is readonly")
			m = mailbox.ReadOnly
		}
	}
	if m == mailbox.ReadOnly {
		b.f, err = fsx.OpenQuiet(b.d.FS, path)
	}
	if node.Gone(err) {
		return b.d.fail("open", b.name.Text, mailbox.ErrNotExist)
	}
	if err != nil {
		return err
	}
	if m == mailbox.ReadWrite {
		if err := b.takeSession(); err != nil {
			return err
		}
		if same, err := b.d.isAt(b.f); !same { // it was replaced before we had the lock
			if err := errors.Join(err, b.release()); err != nil {
				return err
			}
			b.f = nil
			return b.open(m)
		}
	}
	b.w = winread.New(b.f, windowSize, 0)
	if err := b.shared(b.scan); err != nil {
		return err
	}
	b.snarf()
	return nil
}

func (b *box) takeSession() error {
	s, err := lock.TakeSession(b.ctx, b.f.OS(), false, b.d.locks())
	if errors.Is(err, lock.ErrBusy) {
		b.d.env.Notify(mailbox.Warn, "Mailbox is open by another process, access is readonly")
		return nil
	}
	b.session = s
	return err
}

// Status returns what the last scan saw.
func (b *box) Status() mailbox.Status {
	st := mailbox.Status{
		Driver: b.d.Name(), Path: b.f.Name(),
		Messages: uint32(len(b.ix.Msgs)), Recent: b.ix.Recent(),
		UIDValidity: b.ix.Validity, UIDNext: b.ix.Last + 1,
		Keywords: b.ix.Keywords, ReadOnly: b.session == nil,
	}
	for i := range b.ix.Msgs {
		if b.ix.Msgs[i].System&mailbox.Seen == 0 {
			st.Unseen++
		}
	}
	return st
}

// Messages yields the index.
func (b *box) Messages(s mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		for seq := range s.Seqs(uint32(len(b.ix.Msgs))) {
			if int(seq) > len(b.ix.Msgs) { // expunged while we were at it
				return
			}
			m := &b.ix.Msgs[seq-1]
			if !yield(mailbox.Message{
				Seq: seq, UID: m.UID, Date: m.Date, Size: m.Size,
				Flags: mailbox.Flags{System: m.System, Keywords: uint64(m.Keywords)},
			}, nil) {
				return
			}
		}
	}
}

// at returns message seq, if the file still holds it where it was.
func (b *box) at(seq uint32) (mbox.Message, error) {
	if b.broken != nil {
		return mbox.Message{}, b.broken
	}
	if seq == 0 || int(seq) > len(b.ix.Msgs) {
		return mbox.Message{}, b.d.fail("read", b.name.Text, fmt.Errorf("no message %d", seq))
	}
	m := b.ix.Msgs[seq-1]
	st, err := b.stat()
	if err != nil || st == b.known {
		return m, err
	}
	b.w.Reset(b.ix.End)
	ok, err := b.d.format.Holds(b.w, m)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return m, err
	}
	if !ok {
		return m, b.d.fail("read", b.name.Text, mailbox.ErrChanged)
	}
	return m, nil
}

// Open streams one message.
func (b *box) Open(seq uint32) (mailbox.Content, error) {
	m, err := b.at(seq)
	if err != nil {
		return nil, err
	}
	b.text.Dialect = b.dialect
	b.text.Reset(b.w, m)
	return &b.text, nil
}

// Sender returns the sender on the From_ line of message seq.
func (b *box) Sender(seq uint32) (string, error) {
	m, err := b.at(seq)
	if err != nil || m.Header == 0 {
		return "", err
	}
	ln, err := b.w.Line(m.From)
	if err != nil {
		return "", err
	}
	f, _ := mbox.ParseFrom(ln)
	return string(f.Sender), nil
}

// Prove digests the file as far as it was scanned.
func (b *box) Prove() (mailbox.Proof, error) {
	var sum maphash.Hash
	sum.SetSeed(seed)
	_, err := fsx.Copy(&sum, io.NewSectionReader(b.f, 0, b.ix.End), make([]byte, windowSize))
	if err != nil {
		return mailbox.Proof{}, err
	}
	st, err := b.stat()
	return mailbox.Proof{Size: b.ix.End, Digest: sum.Sum64(), Now: st.size}, err
}

// Witness begins to digest what is read.
func (b *box) Witness() {
	b.seen.SetSeed(seed)
	b.seen.Reset()
	b.w.Witness(&b.seen)
}

// Witnessed returns the digest of what was read.
func (b *box) Witnessed() (mailbox.Proof, error) {
	err := b.w.Testify()
	return mailbox.Proof{Size: b.ix.End, Digest: b.seen.Sum64()}, err
}

// Ping looks for what others did, and for new mail in the spool. Asked to
// leave, the session ends and the mailbox is read-only from then on.
func (b *box) Ping() (changed bool, err error) {
	if b.broken != nil {
		return false, b.broken
	}
	if b.held != nil {
		return false, b.renew()
	}
	if b.session != nil && b.session.Asked() {
		if err := b.yield(); err != nil {
			return false, err
		}
	}
	st, err := b.stat()
	if err != nil {
		return false, err
	}
	if st != b.known {
		err = b.shared(func() (err error) {
			changed, _, err = b.refresh()
			return err
		})
	}
	if err != nil {
		return changed, err
	}
	before := len(b.ix.Msgs)
	b.snarf()
	changed = changed || len(b.ix.Msgs) != before
	if b.session != nil && b.ix.Late && b.broken == nil {
		err = b.checkpoint()
	}
	return changed, errors.Join(err, b.broken)
}

// yield gives the session lock to somebody who has asked for it.
func (b *box) yield() error {
	err := b.finish()
	err = errors.Join(err, b.session.Release())
	b.session = nil
	b.d.env.Notify(mailbox.Warn, "Another process takes over the mailbox, access is readonly")
	return err
}

// finish writes what is pending at the end of a session.
func (b *box) finish() error {
	if b.ix.Dirty && b.broken == nil {
		return b.checkpoint()
	}
	now := b.d.env.Now()
	mtime := b.known.mtime
	if !mtime.Before(now) {
		mtime = now.Add(-second)
	}
	err := b.d.FS.Chtimes(b.f.Name(), now, mtime)
	if errors.Is(err, fs.ErrPermission) || node.Gone(err) {
		return nil // not our file, or renamed: no harm done
	}
	return err
}

// checkpoint brings the file up to date.
func (b *box) checkpoint() error {
	return b.exclusive(func(bool) error {
		if b.ix.End == 0 { // an empty file stays one
			return nil
		}
		return b.update(mailbox.Set{})
	})
}

// Store changes flags, in the shape "in place, by journal".
func (b *box) Store(s mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	seen := uint32(len(b.ix.Msgs)) // what arrives now is not meant
	return b.exclusive(func(renumbered bool) error {
		if renumbered {
			return b.d.fail("store", b.name.Text, mailbox.ErrChanged)
		}
		old := b.ix
		b.ix.Msgs = slices.Clone(old.Msgs)
		b.ix.Keywords = slices.Clone(old.Keywords)
		err := b.store(s, seen, op, f)
		if err != nil && b.broken == nil {
			b.ix = old
		}
		return err
	})
}

func (b *box) store(s mailbox.Set, last uint32, op mailbox.FlagOp, f mailbox.FlagList) error {
	bits, created, err := b.ix.Bits(f.Keywords, op != mailbox.Remove)
	if err != nil {
		return b.d.fail("store", b.name.Text, err)
	}
	flags := mailbox.Flags{System: f.System &^ mailbox.Recent, Keywords: bits}
	changed := created
	for seq := range s.Seqs(last) {
		m := &b.ix.Msgs[seq-1]
		was := mailbox.Flags{System: m.System, Keywords: uint64(m.Keywords)}
		if now := was.Apply(op, flags); now != was {
			m.System, m.Keywords = now.System, uint32(now.Keywords)
			m.Bits |= mbox.BitChanged
			changed = true
		}
	}
	if !changed {
		return nil
	}
	if created && len(b.ix.Msgs) > 0 {
		b.ix.Msgs[0].Bits |= mbox.BitChanged
	}
	return b.update(mailbox.Set{})
}

// Expunge removes messages, in the shape "in place, by journal".
func (b *box) Expunge(s mailbox.Set) (gone int, err error) {
	seen := uint32(len(b.ix.Msgs))
	err = b.exclusive(func(renumbered bool) error {
		if renumbered {
			return b.d.fail("expunge", b.name.Text, mailbox.ErrChanged)
		}
		n := 0
		var drop mailbox.Set
		for seq := range s.Seqs(seen) {
			drop.Add(seq)
			n++
		}
		if n == 0 {
			return nil
		}
		if err := b.update(drop); err != nil {
			return err
		}
		gone = n
		b.d.env.Notify(mailbox.Info, fmt.Sprintf("Expunged %d messages", n))
		return nil
	})
	return gone, err
}

// Close writes what is pending and releases the locks.
func (b *box) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	var err error
	if b.session != nil {
		err = b.finish()
	}
	return errors.Join(err, b.release())
}

func (b *box) release() error {
	var err error
	if b.session != nil {
		err = b.session.Release()
		b.session = nil
	}
	for _, h := range slices.Backward(b.held) {
		err = errors.Join(err, h.Release())
	}
	if b.f != nil {
		err = errors.Join(err, b.f.Close())
	}
	return err
}

var (
	_ mailbox.Mailbox   = (*box)(nil)
	_ mailbox.Enveloper = (*box)(nil)
	_ mailbox.Witness   = (*box)(nil)
)
