package numbered

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"time"

	"mailutil/pkg/internal/crlf"
	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/mailbox"
)

// A Delivery adds mail. Each message becomes a hidden file, with no lock held
// meanwhile; Commit gives them their numbers, several of them by a plan, so that
// a power cut leaves all or none.
type Delivery struct {
	Stage   Stage
	Items   []Item
	Options mailbox.AppendOptions

	f      *Format
	ctx    context.Context // of Append; Commit waits for the lock within it
	name   mailbox.Name
	path   string
	fresh  Fresh  // of a new mailbox
	room   uint64 // bits of Options.Keywords that can be kept
	conv   []byte
	failed error
	done   bool
}

// An Item is a message of a delivery.
type Item struct {
	N        uint32 // in a mailbox that keeps UIDs, its UID; else its number in the delivery
	System   mailbox.SystemFlags
	Keywords uint64 // bits of AppendOptions.Keywords that there is room for
}

// A Fresh is a mailbox that is being made.
type Fresh interface {
	Kept() Kept               // what it is to be: no messages, but keywords
	Dir() (d Dir, whole bool) // where it is made, and whether nobody sees it there
	Publish(s *Stage) error   // makes it appear with what is staged
	Release() error           // gives up what did not appear; safe at any time
}

// Append begins to add mail to n, which must exist unless o.New says that it
// must not.
func (f *Format) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	t := &Delivery{f: f, ctx: ctx, name: n, Options: o}
	t.Stage.Mode = f.Env.Config.MailboxMode
	begin := t.begin
	if o.New {
		begin = t.beginNew
	}
	if err := begin(); err != nil {
		return nil, f.Fail("append", n, errors.Join(err, t.release()))
	}
	return t, nil
}

// begin finds out whether the mailbox is there and which keywords there is room
// for.
func (t *Delivery) begin() (err error) {
	if t.path, err = t.f.Place(t.name); err == nil {
		lock := !t.f.Reuses // an mh mailbox would get a state file
		err = t.f.Locked(t.ctx, t.path, lock, func(k Kept) error {
			t.make(k)
			return nil
		})
	}
	if flocked.MayNotWrite(err) {
		err = mailbox.Sayf(fmt.Errorf("%w: %w", mailbox.ErrReadOnly, err), "Can't open append mailbox: %s", node.Reason(err))
	}
	if errors.Is(err, mailbox.ErrNotExist) {
		err = mailbox.Sayf(mailbox.ErrNotExist, "[TRYCREATE] Must create mailbox before append")
	}
	t.Stage.Dir = Dir{FS: t.f.FS, Path: t.path}
	return err
}

func (t *Delivery) beginNew() error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	fresh, err := t.f.Fresh(t.ctx, t.name)
	if err != nil {
		return err
	}
	t.fresh = fresh
	t.Stage.Dir, t.Stage.Direct = t.fresh.Dir()
	t.make(t.fresh.Kept())
	return nil
}

// make creates the keywords of the delivery, as far as there is room, and
// returns the bits that they have in k.
func (t *Delivery) make(k Kept) []uint64 {
	has := make([]uint64, min(len(t.Options.Keywords), mailbox.MaxKeywords))
	for i, name := range t.Options.Keywords[:len(has)] {
		if name == "" {
			continue
		}
		if bit, ok := k.Create(name); ok {
			has[i] = bit
			t.room |= 1 << i
		}
	}
	return has
}

// Keywords returns the bits in k of the keywords of each item; those that k
// lacks are created. The error is ErrTemporary where there is no room for one
// any more.
func (t *Delivery) Keywords(k Kept) ([]uint64, error) {
	has := t.make(k)
	out := make([]uint64, len(t.Items))
	for i, it := range t.Items {
		for b := it.Keywords; b != 0; b &= b - 1 {
			bit := has[bits.TrailingZeros64(b)]
			if bit == 0 { // there was room when it was added
				return nil, fmt.Errorf("%w: another process created keywords at the same time", mailbox.ErrTemporary)
			}
			out[i] |= bit
		}
	}
	return out, nil
}

// Add takes one message into a hidden file.
func (t *Delivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	if t.failed != nil || t.done {
		return mailbox.Altered{}, t.fail(errors.Join(t.failed, os.ErrClosed))
	}
	a, err := t.add(it)
	t.failed = err
	return a, t.fail(err)
}

func (t *Delivery) add(it mailbox.Item) (a mailbox.Altered, err error) {
	if err := t.ctx.Err(); err != nil {
		return a, err
	}
	i := Item{N: uint32(len(t.Items)) + 1, System: it.Flags.System &^ mailbox.Recent, Keywords: it.Flags.Keywords & t.room}
	if t.Options.New && t.Options.UIDValidity != 0 {
		if n := len(t.Items); it.UID == 0 || n > 0 && it.UID <= t.Items[n-1].N {
			return a, fmt.Errorf("UID %d does not ascend", it.UID)
		}
		i.N = it.UID
	}
	a.Keywords = bits.OnesCount64(it.Flags.Keywords &^ t.room)
	mtime, altered := Mtime(it.Date, t.f.Env.Now())
	if altered {
		a.Dates++
	}
	a.LineEnds, err = t.write(i, mtime, it)
	t.Items = append(t.Items, i)
	return a, err
}

// write stages the text, and returns how many lines ended in LF alone that did
// not have to.
func (t *Delivery) write(i Item, mtime time.Time, it mailbox.Item) (bare int, err error) {
	atime := mtime
	if t.f.Reuses && i.System&mailbox.Seen != 0 { // so the original knows it
		atime = mtime.Add(time.Second)
		if now := t.f.Env.Now(); now.After(atime) {
			atime = now
		}
	}
	_, err = t.Stage.Add(i.N, atime, mtime, func(to io.Writer) error {
		if !t.f.LF {
			return text(to, it)
		}
		lf := crlf.Writer{To: to, Buf: t.conv}
		err := text(&lf, it)
		if err == nil {
			err = lf.End()
		}
		t.conv, bare = lf.Buf, lf.Bare
		return err
	})
	return bare, err
}

// text copies the text of a message, which has the size that was said.
func text(to io.Writer, it mailbox.Item) error {
	if it.Size < 0 {
		_, err := fsx.Copy(to, it.Text, nil)
		return err
	}
	return flocked.Exactly(to, it.Size, func(w io.Writer) error {
		_, err := fsx.Copy(w, it.Text, nil)
		return err
	})
}

// Commit makes the messages part of the mailbox.
func (t *Delivery) Commit() (uids mailbox.UIDs, err error) {
	if t.done {
		return uids, t.fail(os.ErrClosed)
	}
	if err = errors.Join(t.failed, t.ctx.Err()); err == nil {
		err = t.Stage.Sync()
	}
	switch {
	case err != nil:
	case t.Options.New:
		uids, err = t.commitNew()
	case len(t.Items) > 0 || len(t.Options.Keywords) > 0:
		uids, err = t.commit()
	}
	if err = errors.Join(err, t.release()); err != nil || t.f.Reuses {
		uids = mailbox.UIDs{}
	}
	return uids, t.fail(err)
}

// commit adds the messages to a mailbox that is there.
func (t *Delivery) commit() (uids mailbox.UIDs, err error) {
	err = t.f.Locked(t.ctx, t.path, true, func(k Kept) error {
		if still, err := t.Stage.Still(); !still || err != nil {
			return errors.Join(err, fmt.Errorf("%w: another mailbox has its name now", mailbox.ErrTemporary))
		}
		uids, err = k.Take(t)
		return err
	})
	if errors.Is(err, mailbox.ErrNotExist) || errors.Is(err, mailbox.ErrFormat) || errors.Is(err, mailbox.ErrNotMailbox) {
		err = fmt.Errorf("%w: the mailbox has gone: %v", mailbox.ErrTemporary, err)
	}
	return uids, err
}

// commitNew makes the mailbox appear.
func (t *Delivery) commitNew() (uids mailbox.UIDs, err error) {
	k := t.fresh.Kept()
	s := k.Base()
	if t.Options.UIDValidity != 0 {
		s.Validity = t.Options.UIDValidity
	}
	keywords, err := t.Keywords(k)
	if err != nil {
		return uids, err
	}
	for i, it := range t.Items {
		s.Msgs = append(s.Msgs, Message{Number: it.N, System: it.System | mailbox.Recent, Keywords: keywords[i]})
		s.Last = it.N
	}
	s.Last = max(s.Last, max(t.Options.UIDNext, 1)-1)
	if n := len(t.Items); n > 0 {
		uids = mailbox.UIDs{Validity: s.Validity, First: t.Items[0].N, Last: t.Items[n-1].N}
	}
	return uids, t.fresh.Publish(&t.Stage)
}

// Abort leaves the mailbox as it was.
func (t *Delivery) Abort() error { return t.fail(t.release()) }

// release removes what has not become mail.
func (t *Delivery) release() error {
	if t.done {
		return nil
	}
	t.done = true
	err := t.Stage.Abort()
	if t.fresh != nil {
		err = errors.Join(err, t.fresh.Release())
	}
	return err
}

func (t *Delivery) fail(err error) error { return t.f.Fail("append", t.name, err) }
