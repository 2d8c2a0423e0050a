package flocked

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/mailbox"
)

// OpenSpool opens the system INBOX, which spool reads, to move new mail from it
// to the file inbox; nil where there is none, or inbox is it.
func (o Files) OpenSpool(ctx context.Context, spool mailbox.Driver, inbox string, m mailbox.Mode) (mailbox.Mailbox, error) {
	n := mailbox.Name{Text: o.Env.Spool, Path: o.Env.Spool}
	fi, err := o.FS.Stat(n.Path)
	if node.Gone(err) || err == nil && fi.Size() == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if mine, err := o.FS.Stat(inbox); err != nil || os.SameFile(mine, fi) {
		return nil, err
	}
	if ok, err := spool.Probe(n); !ok || err != nil {
		return nil, err
	}
	return spool.Open(ctx, n, m)
}

// Count is the Status of n, which open opens, to which INBOX adds what waits in
// the spool as long as it has no recent mail of its own.
func (o Files) Count(ctx context.Context, n mailbox.Name, open Opener, spool mailbox.Driver) (mailbox.Status, error) {
	mb, err := open(ctx, n, mailbox.ReadOnly)
	if err != nil {
		return mailbox.Status{}, err
	}
	st := mb.Status()
	if err := mb.Close(); err != nil {
		return st, err
	}
	if n.Inbox && st.Recent == 0 {
		err = o.AddSpool(ctx, spool, st.Path, &st)
	}
	return st, err
}

// An Opener is the Open of a driver.
type Opener func(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error)

// AddSpool adds what waits in the spool to the Status of INBOX.
func (o Files) AddSpool(ctx context.Context, spool mailbox.Driver, inbox string, st *mailbox.Status) error {
	if spool == nil {
		return nil
	}
	mb, err := o.OpenSpool(ctx, spool, inbox, mailbox.ReadOnly)
	if err != nil || mb == nil {
		return err
	}
	more := mb.Status()
	st.Messages += more.Messages
	st.Recent += more.Recent
	st.Unseen += more.Unseen
	st.UIDNext += more.Messages
	return mb.Close()
}

// Snarf moves new mail from the system INBOX to f, the file at inbox. It is
// durable there before it goes from the spool: a power cut in between doubles
// it. What cannot be moved stays, which is told, and is no reason to fail.
// record returns what writes a message as a record. The caller holds the temp
// lock and has read the file to its end.
func (o Files) Snarf(ctx context.Context, spool mailbox.Driver, inbox string, f fsx.File, record func(to io.Writer) *Recorder) {
	o.empty(ctx, spool, inbox, func(mb mailbox.Mailbox) error { return o.moveFrom(mb, f, record) })
}

// TakeIn is Snarf for an INBOX of many files, which gets mail by the delivery
// that begin makes. The caller holds no lock that this has to wait for.
func (o Files) TakeIn(ctx context.Context, spool mailbox.Driver, inbox string, begin func() (mailbox.Delivery, error)) {
	o.empty(ctx, spool, inbox, func(mb mailbox.Mailbox) error {
		t, err := begin()
		if err != nil {
			return err
		}
		moved, err := copyFrom(mb, t)
		if err == nil && !moved.Empty() {
			_, err = t.Commit()
		}
		if err = errors.Join(err, t.Abort()); err != nil || moved.Empty() {
			return err
		}
		_, err = mb.Expunge(moved)
		return err
	})
}

// empty opens the system INBOX, if there is mail in it, for move.
func (o Files) empty(ctx context.Context, spool mailbox.Driver, inbox string, move func(mailbox.Mailbox) error) {
	mb, err := o.OpenSpool(ctx, spool, inbox, mailbox.ReadWrite)
	if err == nil && mb != nil {
		if st := mb.Status(); st.Messages > 0 && !st.ReadOnly {
			err = move(mb)
		}
		err = errors.Join(err, mb.Close())
	}
	if err != nil {
		o.Env.Notify(mailbox.Warn, fmt.Sprintf("Can't copy new mail: %v", err))
	}
}

// moveFrom moves the messages of the spool to the end of f.
func (o Files) moveFrom(spool mailbox.Mailbox, f fsx.File, record func(to io.Writer) *Recorder) error {
	tail, err := journal.Append(f, o.Journal())
	if err != nil {
		return err
	}
	moved, err := copyFrom(spool, record(tail))
	if err == nil && !moved.Empty() {
		err = tail.Commit()
	}
	if err = errors.Join(err, tail.Abort()); err != nil || moved.Empty() {
		return err
	}
	_, err = spool.Expunge(moved)
	return err
}

// A taker takes messages: a Recorder, or a mailbox.Delivery.
type taker interface {
	Add(it mailbox.Item) (mailbox.Altered, error)
}

// copyFrom adds the messages of the spool. Keywords stay behind, as in the
// original; so do messages without any octet.
func copyFrom(spool mailbox.Mailbox, to taker) (moved mailbox.Set, err error) {
	for m, err := range spool.Messages(mailbox.All) {
		if err != nil {
			return moved, err
		}
		if m.Size == 0 {
			continue
		}
		text, err := spool.Open(m.Seq)
		if err != nil {
			return moved, err
		}
		if _, err := to.Add(mailbox.Item{Message: m, Text: text}); err != nil {
			return moved, err
		}
		moved.Add(m.Seq)
	}
	return moved, nil
}
