package mboxfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/spool"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Append begins to add mail: to a new mailbox, an empty file, or behind what
// a mailbox holds. INBOX comes into being when mail is added to it.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if o.New && n.Inbox {
		return nil, mailbox.Sayf(mailbox.ErrExist, "Can't create INBOX")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.New {
		return d.appendNew(n, o)
	}
	return d.appendOld(ctx, n, o)
}

// A newBox is a mailbox that is being written for the first time, in the shape
// "replace".
type newBox struct {
	d        *Driver
	n        mailbox.Name
	f        *fsx.NewFile
	out      *fsx.Writer
	form     *mbox.Formatter
	table    mbox.Table
	keep     bool // items keep their UIDs
	failed   error
	validity uint32
	last     uint32 // UIDLAST, at least
	uids     mailbox.UIDs
}

func (d *Driver) appendNew(n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	f, err := d.create(n.Path)
	if err != nil {
		return nil, d.says(n, err)
	}
	b := &newBox{d: d, n: n, f: f, keep: o.UIDValidity != 0, validity: o.UIDValidity, last: max(o.UIDNext, 1) - 1}
	if !b.keep {
		b.validity = uint32(d.env.Now().Unix())
	}
	b.out = fsx.NewWriter(f)
	b.form = d.format.NewFormatter(d.env, b.out)
	b.table = mbox.NewTable(d.env.Config.Keywords, o.Keywords, true)
	if _, err := b.out.Write(b.pseudo(false)); err != nil {
		return nil, errors.Join(err, b.Abort())
	}
	return b, nil
}

func (b *newBox) pseudo(created bool) []byte {
	return b.d.format.AppendPseudo(nil, b.d.env, created, b.validity, max(b.uids.Last, b.last), b.table.Names)
}

// Add writes one message.
func (b *newBox) Add(it mailbox.Item) (a mailbox.Altered, err error) {
	if b.failed != nil {
		return a, b.failed
	}
	defer func() { b.failed = err }()
	uid := b.uids.Last + 1
	if b.keep {
		uid = it.UID
	}
	if uid <= b.uids.Last {
		return a, fmt.Errorf("UID %d does not ascend", uid)
	}
	flags, lost := b.table.Flags(it.Flags)
	a, err = b.form.Message(it, mbox.State{Table: b.table.Names, Flags: flags, UID: uid})
	a.Keywords += lost
	b.uids.Last = uid
	if b.uids.First == 0 {
		b.uids.First = uid
	}
	return a, err
}

// Commit publishes the mailbox.
func (b *newBox) Commit() (mailbox.UIDs, error) {
	err := b.failed
	if err == nil {
		err = b.out.Flush()
	}
	if err == nil && b.uids.Last == 0 {
		err = b.f.Truncate(0)
	}
	if err == nil {
		_, err = b.f.WriteAt(b.pseudo(b.uids.Last == 0), 0)
	}
	if err == nil {
		err = b.f.Publish()
	}
	if err != nil {
		return mailbox.UIDs{}, b.d.says(b.n, errors.Join(err, b.Abort()))
	}
	b.uids.Validity = b.validity
	return b.uids, b.f.Abort() // closes it
}

// Abort removes what was written.
func (b *newBox) Abort() error {
	b.out.Stop()
	return b.f.Abort()
}

// An addition is mail for a mailbox that exists. It waits in a spool, so that
// no lock is held while it arrives.
type addition struct {
	d       *Driver
	ctx     context.Context
	n       mailbox.Name
	f       fsx.File
	spool   spool.Spool
	form    *mbox.Formatter
	table   mbox.Table
	session *indexed    // set when the mailbox must be rewritten because of new keywords
	first   *mbox.State // set when the file is empty and its first message has the keywords
	keepOld bool        // messages that are not recent stay so
	count   int
	failed  error
	done    bool
}

func (d *Driver) appendOld(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (_ mailbox.Delivery, err error) {
	a := &addition{d: d, ctx: ctx, n: n}
	if err := a.open(); err != nil {
		return nil, err
	}
	a.spool.Dir = filepath.Dir(d.path(n))
	a.form = d.format.NewFormatter(d.env, &a.spool)
	if len(o.Keywords) == 0 && a.isOurs() == nil {
		return a, nil // nothing to learn, for which others would have to wait
	}
	if err := a.sniff(o.Keywords); err != nil {
		return nil, errors.Join(err, a.Abort())
	}
	return a, nil
}

// open opens the mailbox. INBOX is made where there is none.
func (a *addition) open() (err error) {
	path := a.d.path(a.n)
	a.f, err = a.d.FS.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if node.Gone(err) && a.n.Inbox {
		a.f, err = a.d.newInbox(path)
	}
	if node.Gone(err) {
		return a.d.fail("append", a.n.Text, mailbox.ErrNotExist)
	}
	if err != nil {
		return mailbox.Sayf(fmt.Errorf("%w: %w", mailbox.ErrTemporary, err), "Can't open append mailbox: %s", node.Reason(err))
	}
	return nil
}

// isOurs returns an error unless the file is of this format, or empty.
func (a *addition) isOurs() error {
	ok, err := a.d.ours(a.f)
	if !ok && err == nil {
		err = a.d.fail("append", a.n.Text, mailbox.ErrFormat)
	}
	return err
}

func (d *Driver) newInbox(path string) (fsx.File, error) {
	f, err := d.create(path)
	if err == nil {
		err = errors.Join(f.Publish(), f.Abort())
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	return d.FS.OpenFile(path, os.O_RDWR, 0)
}

// sniff learns the keywords of the mailbox from its first message, and takes
// the session lock where new ones are to be created. Where somebody else has
// it, they cannot be.
func (a *addition) sniff(want []string) error {
	b := &indexed{d: a.d, ctx: a.ctx, name: a.n, f: a.f}
	var ix mbox.Index
	err := b.shared(func() error {
		fi, err := a.f.Stat()
		if err != nil || fi.Size() == 0 {
			return err
		}
		if err := a.isOurs(); err != nil {
			return err
		}
		quiet := *a.d.env // warnings are for who opens the mailbox
		quiet.Notify = func(mailbox.Level, string) {}
		s := mbox.Scanner{Format: a.d.format, Env: &quiet, W: winread.New(a.f, 64<<10, fi.Size()), Ix: &ix}
		return s.Head()
	})
	if err != nil {
		return err
	}
	a.table = mbox.NewTable(ix.Keywords, want, true)
	created := len(a.table.Names) > len(ix.Keywords)
	switch {
	case !created:
	case ix.End == 0:
		a.first = &mbox.State{Base: true, Validity: uint32(a.d.env.Now().Unix()), Table: a.table.Names}
	default:
		if err := a.openToCreate(); err != nil {
			return err
		}
		if a.session == nil {
			a.table = mbox.NewTable(ix.Keywords, want, false)
		}
	}
	return nil
}

// openToCreate opens a silent session.
func (a *addition) openToCreate() error {
	s, err := lock.TakeSession(a.ctx, a.f.OS(), true, a.d.locks())
	if errors.Is(err, lock.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	quiet := *a.d
	env := *a.d.env
	env.Notify = func(l mailbox.Level, text string) {
		if l == mailbox.Warn {
			a.d.env.Notify(l, text)
		}
	}
	quiet.env = &env
	a.session = &indexed{d: &quiet, ctx: a.ctx, name: a.n, f: a.f, session: s, silent: true, w: winread.New(a.f, windowSize, 0)}
	return a.session.shared(a.session.scan)
}

// Add takes one message into the spool.
func (a *addition) Add(it mailbox.Item) (mailbox.Altered, error) {
	if a.failed != nil {
		return mailbox.Altered{}, a.failed
	}
	flags, lost := a.table.Flags(it.Flags)
	st := mbox.State{Table: a.table.Names}
	if a.first != nil && a.count == 0 {
		st = *a.first
	}
	st.Flags = flags
	st.Old = a.keepOld && it.Flags.System&mailbox.Recent == 0
	altered, err := a.form.Message(it, st)
	altered.Keywords += lost
	a.count++
	a.failed = err
	return altered, err
}

// Commit adds the spooled messages to the file, in the shape "append" or,
// where keywords are created, "in place, by journal".
func (a *addition) Commit() (uids mailbox.UIDs, err error) {
	if err = errors.Join(a.failed, a.ctx.Err()); err == nil && a.count > 0 {
		err = a.commit()
	}
	return uids, errors.Join(err, a.Abort())
}

func (a *addition) commit() error {
	if a.session != nil {
		return a.session.exclusive(func(bool) error { return a.rewrite(a.session) })
	}
	held, err := a.lockCurrent()
	if err != nil {
		return err
	}
	return errors.Join(a.append(a.spooled), held.Release())
}

// lockCurrent locks the file that has the name of the mailbox now: other
// programs remove or replace it, and mail that is added to the old one is lost.
func (a *addition) lockCurrent() (lock.Held, error) {
	for {
		held, err := a.d.lock(a.ctx, a.f, lock.Exclusive)
		if err != nil {
			return nil, err
		}
		current, err := a.isCurrent()
		if current && err == nil {
			return held, nil
		}
		old := a.f
		a.f = nil
		if err := errors.Join(err, held.Release(), old.Close()); err != nil {
			return nil, err
		}
		if err := a.open(); err != nil {
			return nil, err
		}
	}
}

// isCurrent reports whether the file still has the name of the mailbox.
func (a *addition) isCurrent() (bool, error) {
	mine, err := a.f.Stat()
	if err != nil {
		return false, err
	}
	now, err := a.d.FS.Stat(a.d.path(a.n))
	if node.Gone(err) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, now), err
}

// rewrite adds keywords and messages in one change.
func (a *addition) rewrite(b *indexed) error {
	if err := a.stillThere(); err != nil {
		return err
	}
	b.ix.Keywords = a.table.Names
	if len(b.ix.Msgs) > 0 {
		b.ix.Msgs[0].Bits |= mbox.BitChanged
	}
	b.tail = &a.spool
	return b.update(mailbox.Set{})
}

// stillThere returns an error where the file has lost its name while we waited
// for its lock: what is added to it now, nobody would see.
func (a *addition) stillThere() error {
	same, err := a.d.isAt(a.f)
	if err == nil && !same {
		err = a.d.fail("append", a.n.Text, fmt.Errorf("%w: %w: it was replaced by another file", mailbox.ErrTemporary, mailbox.ErrChanged))
	}
	return err
}

// spooled writes the messages that wait.
func (a *addition) spooled(w io.Writer) error {
	_, err := a.spool.WriteTo(w)
	return err
}

// append adds what messages writes behind the end of the file.
func (a *addition) append(messages func(io.Writer) error) error {
	if err := a.stillThere(); err != nil {
		return err
	}
	did, err := journal.Recover(a.f, a.d.journal())
	if err != nil {
		return err
	}
	if did != "" {
		a.d.env.Notify(mailbox.Warn, did)
	}
	if err := a.isOurs(); err != nil {
		return err
	}
	glue, err := a.glue()
	if err != nil {
		return err
	}
	t, err := journal.Append(a.f, a.d.journal())
	if err != nil {
		return err
	}
	_, err = io.WriteString(t, glue)
	if err == nil {
		err = messages(t)
	}
	if err == nil {
		err = t.Commit()
	}
	if err != nil {
		return errors.Join(mailbox.Sayf(overQuota(err), "Message append failed: %s", node.Reason(err)), t.Abort())
	}
	now := a.d.env.Now()
	err = a.d.FS.Chtimes(a.f.Name(), now.Add(-second), now) // new mail
	if errors.Is(err, os.ErrPermission) || node.Gone(err) {
		return nil
	}
	return err
}

// overQuota makes a full disk an ErrOverQuota.
func overQuota(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", mailbox.ErrOverQuota, err)
	}
	return err
}

// glue is what the file needs at its end so that the next message is seen: a
// line end, and in unix an empty line, twice where a header has not ended. In
// MMDF the delimiter before the message ends all that is before it.
func (a *addition) glue() (string, error) {
	fi, err := a.f.Stat()
	if err != nil || fi.Size() == 0 {
		return "", err
	}
	if a.d.format == mbox.MMDF {
		last := make([]byte, 1)
		if _, err := a.f.ReadAt(last, fi.Size()-1); err != nil || last[0] == '\n' {
			return "", err
		}
		return "\n", nil
	}
	torn, open, blank, err := tornEnd(a.f, fi.Size())
	glue := ""
	if open {
		glue += "\n"
	}
	if torn {
		glue += "\n\n"
		a.d.env.Notify(mailbox.Warn, fmt.Sprintf("%s ends inside the header of its last message, which was ended", a.f.Name()))
	} else if !blank {
		glue += "\n"
	}
	return glue, err
}

// tornEnd looks at the file from its end: open, the last line has no LF; torn,
// the last From_ line is not followed by an empty line, so that the header
// goes on; blank, the last line is empty.
func tornEnd(f io.ReaderAt, size int64) (torn, open, blank bool, err error) {
	const chunk = 64 << 10
	var carry []byte // the beginning of the line that the chunk before began with
	first := true
	for end := size; end > 0; {
		begin := max(0, end-chunk)
		b := make([]byte, end-begin, end-begin+int64(len(carry)))
		if n, err := f.ReadAt(b, begin); n < len(b) {
			return false, false, false, err
		}
		b = append(b, carry...)
		if first {
			open, blank = b[len(b)-1] != '\n', endsBlank(b)
			first = false
		}
		for {
			i := bytes.LastIndexByte(bytes.TrimSuffix(b, []byte("\n")), '\n') + 1
			if i == 0 && begin > 0 {
				break // the line begins further up
			}
			ln := b[i:]
			if len(ln) > 0 && mbox.IsBlank(ln) {
				return false, open, blank, nil
			}
			if _, ok := mbox.ParseFrom(ln); ok {
				return true, open, blank, nil
			}
			if b = b[:i]; i == 0 {
				break
			}
		}
		carry = append([]byte(nil), b...)
		if len(carry) > maxLine { // no From_ line and no empty line is that long
			carry = carry[:maxLine]
		}
		end = begin
	}
	return false, open, blank, nil
}

// maxLine is the longest From_ line that is looked for from the end.
const maxLine = 1 << 20

func endsBlank(b []byte) bool {
	s := string(b[max(0, len(b)-4):])
	return strings.HasSuffix(s, "\n\n") || strings.HasSuffix(s, "\n\r\n") || s == "\n" || s == "\r\n"
}

// Abort forgets the messages.
func (a *addition) Abort() error {
	if a.done {
		return nil
	}
	a.done = true
	var err error
	if a.session != nil {
		err = a.session.session.Release()
	}
	if a.f != nil {
		err = errors.Join(err, a.f.Close())
	}
	return errors.Join(err, a.spool.Close())
}
