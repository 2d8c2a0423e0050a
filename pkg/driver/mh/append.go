package mh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"mailutil/pkg/internal/crlf"
	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/mailbox"
)

// Append begins to add mail to n, which must exist unless o.New says that it
// must not. The messages wait in hidden files; no lock is held meanwhile.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	t := &delivery{d: d, ctx: ctx, n: n, o: o}
	if err := t.begin(); err != nil {
		return nil, d.fail("append", n, errors.Join(err, t.release()))
	}
	return t, nil
}

// A delivery adds mail. Each message becomes a hidden file; Commit gives them
// their numbers, several of them by a plan (package numbered), so that a power
// cut leaves all or none.
type delivery struct {
	d      *Driver
	ctx    context.Context // of Append; Commit waits for the lock within it
	n      mailbox.Name
	o      mailbox.AppendOptions
	path   string
	fresh  *numbered.NewDir // of a new mailbox
	s      state            // whose keywords tell what there is room for
	stage  numbered.Stage
	items  []item
	buf    []byte
	failed error
	done   bool
}

// An item is what the sequences are to know of a message.
type item struct {
	uid      uint32 // of a mailbox that keeps UIDs; else the number of the message in the delivery
	system   mailbox.SystemFlags
	keywords uint64 // bits of delivery.s.keywords
}

func (t *delivery) begin() (err error) {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	t.s.d = t.d
	if t.o.New {
		if t.path, err = t.d.newPath(t.n); err != nil {
			return err
		}
		if t.fresh, err = numbered.CreateDir(t.d.FS, t.path, t.d.env.Config.DirMode); err != nil {
			return err
		}
		t.stage.Dir, t.stage.Direct = t.fresh.Dir, true
	} else {
		if err := t.look(); err != nil {
			return err
		}
		t.stage.Dir = t.d.dir(t.path)
	}
	t.stage.Mode = t.d.env.Config.MailboxMode
	for _, name := range t.o.Keywords {
		if name != "" {
			t.s.create(name)
		}
	}
	return nil
}

// look finds out whether the mailbox is there and which keywords it has.
func (t *delivery) look() (err error) {
	t.path, err = t.d.mailboxPath(t.n)
	if errors.Is(err, mailbox.ErrNotExist) {
		return mailbox.Sayf(mailbox.ErrNotExist, "[TRYCREATE] Must create mailbox before append")
	}
	if err != nil {
		return err
	}
	return t.d.locked(t.ctx, t.path, false, func(s *state) error {
		t.s.keywords = s.keywords
		return nil
	})
}

// Add takes one message into a hidden file.
func (t *delivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	if t.failed != nil || t.done {
		return mailbox.Altered{}, t.d.fail("append", t.n, errors.Join(t.failed, os.ErrClosed))
	}
	a, err := t.add(it)
	t.failed = err
	return a, t.d.fail("append", t.n, err)
}

func (t *delivery) add(it mailbox.Item) (a mailbox.Altered, err error) {
	if err := t.ctx.Err(); err != nil {
		return a, err
	}
	i := item{uid: uint32(len(t.items)) + 1, system: it.Flags.System &^ mailbox.Recent}
	if t.o.New && t.o.UIDValidity != 0 {
		if n := len(t.items); it.UID == 0 || n > 0 && it.UID <= t.items[n-1].uid {
			return a, fmt.Errorf("UID %d does not ascend", it.UID)
		}
		i.uid = it.UID
	}
	for bit := range mailbox.MaxKeywords {
		if it.Flags.Keywords&(1<<bit) == 0 {
			continue
		}
		has := uint64(0)
		if bit < len(t.o.Keywords) {
			has = t.s.keyword(t.o.Keywords[bit])
		}
		if has == 0 {
			a.Keywords++
		}
		i.keywords |= has
	}
	mtime, altered := numbered.Mtime(it.Date, t.d.env.Now())
	if altered {
		a.Dates++
	}
	atime := mtime
	if i.system&mailbox.Seen != 0 { // so the original knows it
		atime = mtime.Add(time.Second)
		if now := t.d.env.Now(); now.After(atime) {
			atime = now
		}
	}
	a.LineEnds, err = t.text(i.uid, atime, mtime, it)
	t.items = append(t.items, i)
	return a, err
}

// text writes the text of a message with LF line ends, and returns how many it
// had already.
func (t *delivery) text(n uint32, atime, mtime time.Time, it mailbox.Item) (bare int, err error) {
	_, err = t.stage.Add(n, atime, mtime, func(to io.Writer) error {
		lf := crlf.Writer{To: to, Buf: t.buf}
		var err error
		if it.Size < 0 {
			_, err = io.Copy(&lf, it.Text)
		} else {
			err = flocked.Exactly(&lf, it.Size, func(w io.Writer) error {
				_, err := io.Copy(w, it.Text)
				return err
			})
		}
		if err == nil {
			err = lf.End()
		}
		t.buf, bare = lf.Buf, lf.Bare
		return err
	})
	return bare, err
}

// Commit makes the messages part of the mailbox. The numbers that they get are
// not told: other programs give them again.
func (t *delivery) Commit() (mailbox.UIDs, error) {
	if t.done {
		return mailbox.UIDs{}, t.d.fail("append", t.n, os.ErrClosed)
	}
	err := errors.Join(t.failed, t.ctx.Err())
	if err == nil {
		err = t.stage.Sync()
	}
	switch {
	case err != nil:
	case t.o.New:
		err = t.commitNew()
	case len(t.items) > 0 || len(t.o.Keywords) > 0:
		err = t.d.locked(t.ctx, t.path, true, t.commit)
	}
	return mailbox.UIDs{}, t.d.fail("append", t.n, errors.Join(err, t.release()))
}

// commit adds the messages to a mailbox that is locked for writing.
func (t *delivery) commit(s *state) error {
	if still, err := t.stage.Still(); !still || err != nil {
		return errors.Join(err, fmt.Errorf("%w: another mailbox has its name now", mailbox.ErrTemporary))
	}
	for _, name := range t.s.keywords {
		s.create(name) // where there is no room any more, Placed leaves it out
	}
	created := len(t.o.Keywords) > 0 && len(t.items) == 0
	if !s.settled || created {
		if err := s.save(); err != nil {
			return err
		}
	}
	if len(t.items) == 0 {
		return nil
	}
	base := s.list.Highest()
	if uint64(base)+uint64(len(t.items)) > numbered.MaxNumber {
		return fmt.Errorf("%w: its numbers are used up", mailbox.ErrUnsupported)
	}
	if len(t.items) == 1 && t.items[0].system == 0 && t.items[0].keywords == 0 && len(t.o.Keywords) == 0 {
		return t.commitOne(s, base+1)
	}
	return t.stage.Place(base, t.note(), s)
}

// commitOne adds one message without any flag: the rename is the change, and
// that the sequences name it as unseen is for other programs only.
func (t *delivery) commitOne(s *state, n uint32) error {
	for {
		err := t.stage.PlaceOne(n)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) || n == numbered.MaxNumber {
			return err
		}
		n++ // the original was faster
	}
	if err := s.Placed(nil, n-1, 1, 1); err != nil {
		t.d.env.Notify(mailbox.Warn, fmt.Sprintf("message %d is in %s, but not in its sequences: %v", n, t.path, err))
	}
	return nil
}

// note says which flags the messages have.
func (t *delivery) note() []byte {
	var seqs []sequence
	put := func(name string, is func(i item) bool) {
		q := sequence{name: name}
		for _, i := range t.items {
			if is(i) {
				q.add(i.uid)
			}
		}
		seqs = append(seqs, q)
	}
	put(noteSeen, func(i item) bool { return i.system&mailbox.Seen != 0 })
	for _, f := range flagSequences {
		put(f.name, func(i item) bool { return i.system&f.flag != 0 })
	}
	for bit, k := range t.s.keywords {
		put(notedKeyword+k, func(i item) bool { return i.keywords&(1<<bit) != 0 })
	}
	return printSequences(seqs)
}

// commitNew makes the mailbox appear, whole.
func (t *delivery) commitNew() error {
	s := &state{d: t.d, keywords: t.s.keywords}
	for _, i := range t.items {
		s.msgs = append(s.msgs, message{uid: i.uid, system: i.system | mailbox.Recent, keywords: i.keywords})
	}
	s.gather()
	if err := t.d.writeNew(t.fresh.Dir, printSequences(s.seqs)); err != nil {
		return err
	}
	return t.fresh.Publish()
}

// Abort leaves the mailbox as it was.
func (t *delivery) Abort() error { return t.d.fail("append", t.n, t.release()) }

// release removes what has not become mail.
func (t *delivery) release() error {
	if t.done {
		return nil
	}
	t.done = true
	err := t.stage.Abort()
	if t.fresh != nil {
		err = errors.Join(err, t.fresh.Abort())
	}
	return err
}
