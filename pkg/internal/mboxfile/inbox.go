package mboxfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// An Inbox is the driver of an INBOX in ~/mbox, to which new mail moves from the
// system INBOX. It has no other mailboxes.
type Inbox struct{ *Driver }

var _ mailbox.Counter = Inbox{}

// NewInbox returns the driver. spool reads the system INBOX.
func NewInbox(env *mailbox.Env, spool *Driver) Inbox {
	d := New(mbox.Unix, env)
	d.spool = spool
	return Inbox{d}
}

// Count is Status of a mailbox opened read-only, and what waits in the spool.
func (d Inbox) Count(ctx context.Context, n mailbox.Name) (mailbox.Status, error) {
	mb, err := d.Open(ctx, n, mailbox.ReadOnly)
	if err != nil {
		return mailbox.Status{}, err
	}
	st := mb.Status()
	if err := mb.Close(); err != nil {
		return st, err
	}
	files := flocked.Files{FS: d.FS, Env: d.env, Format: d.Name()}
	return st, files.AddSpool(ctx, d.spool, st.Path, &st)
}

// Create makes an INBOX.
func (d Inbox) Create(ctx context.Context, n mailbox.Name) error {
	if !n.Inbox {
		return notInbox(n)
	}
	return d.Driver.Create(ctx, mailbox.Name{Text: n.Text, Path: d.home()})
}

// Append adds mail to INBOX.
func (d Inbox) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if !n.Inbox {
		return nil, notInbox(n)
	}
	return d.Driver.Append(ctx, n, o)
}

// Inspect looks at INBOX.
func (d Inbox) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	if !n.Inbox {
		return mailbox.Inspection{}, d.fail("check", n.Text, mailbox.ErrFormat)
	}
	return d.Driver.Inspect(ctx, n, report)
}

func notInbox(n mailbox.Name) error {
	return mailbox.Sayf(mailbox.ErrUnsupported, "Can't create non-INBOX name as mbox: %s", n.Text)
}

// home is ~/mbox, "" where that cannot be.
func (d *Driver) home() string {
	n, err := d.env.Resolve("~/mbox")
	if err != nil {
		return ""
	}
	return n.Path
}

// probeHome reports whether INBOX is ~/mbox: that must be of the format unix or
// empty, and the spool that, or not there. A black box has no such INBOX.
func (d *Driver) probeHome(n mailbox.Name) (bool, error) {
	path := d.home()
	if !n.Inbox || path == "" || d.env.BlackBox != "" {
		return false, nil
	}
	if ok, err := d.unixOrEmpty(path, false); !ok || err != nil {
		return false, err
	}
	return d.unixOrEmpty(d.env.Spool, true)
}

// unixOrEmpty reports whether a file is of the format, or empty; none is what
// holds where there is no file.
func (d *Driver) unixOrEmpty(path string, none bool) (bool, error) {
	fi, err := d.FS.Stat(path)
	switch {
	case node.Gone(err):
		return none, nil
	case err != nil || !fi.Mode().IsRegular():
		return false, err
	case fi.Size() == 0:
		return true, nil
	}
	return d.probe(path)
}

// snarf moves new mail from the spool to the end of ~/mbox. It is durable there
// before it goes from the spool: a power cut in between doubles it. What cannot
// be moved stays, which is told, and is no reason to fail.
func (b *box) snarf() {
	if b.session == nil || b.d.spool == nil || b.stuck {
		return
	}
	err := b.moveSpool()
	if err != nil && !errors.Is(err, mailbox.ErrBusy) { // whose turn comes
		b.d.env.Notify(mailbox.Warn, fmt.Sprintf("Can't copy new mail: %v", err))
	}
}

func (b *box) moveSpool() error {
	spool := b.d.env.Spool
	there, err := b.d.FS.Stat(spool)
	if node.Gone(err) || err == nil && there.Size() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if here, err := b.f.Stat(); err != nil || os.SameFile(here, there) {
		return err
	}
	return b.exclusive(func(bool) error {
		name := mailbox.Name{Text: spool, Path: spool}
		if err := b.d.spool.alone(b.ctx, "move", name, true, b.moveFrom); err != nil {
			return err
		}
		_, _, err := b.refresh()
		return err
	})
}

// moveFrom moves the messages of the spool f. All locks on both are held.
func (b *box) moveFrom(f fsx.File) error {
	env := *b.d.env
	env.Notify = func(mailbox.Level, string) {}
	d := &Driver{FS: b.d.FS, format: mbox.Unix, env: &env}
	from := &box{indexed: indexed{d: d, ctx: b.ctx, f: f, w: winread.New(f, windowSize, 0)}}
	if err := from.scan(); err != nil {
		return err
	}
	a := &addition{d: b.d, ctx: b.ctx, n: b.name, f: b.f, keepOld: true}
	a.spool.Dir = filepath.Dir(b.f.Name())
	err := b.take(a, from)
	if err := errors.Join(err, a.spool.Close()); err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(0), f.Sync()); err != nil {
		b.stuck = true // or it would come again with every look
		return fmt.Errorf("it is in %s now, but stays in %s as well: %w", b.f.Name(), f.Name(), err)
	}
	b.d.env.Notify(mailbox.Warn, fmt.Sprintf("Moved %d bytes of new mail to %s from %s", from.ix.End, b.f.Name(), f.Name()))
	return nil
}

// take adds the messages of from, octet for octet. But where they have keywords
// or UIDs those are of the other mailbox: then each is written anew.
func (b *box) take(a *addition, from *box) error {
	if !bound(&from.ix) {
		return a.append(func(w io.Writer) error {
			_, err := io.Copy(w, io.NewSectionReader(from.f, 0, from.ix.End))
			return err
		})
	}
	a.form = b.d.format.NewFormatter(b.d.env, &a.spool)
	a.table = mbox.NewTable(b.ix.Keywords, from.ix.Keywords, true)
	created := len(a.table.Names) > len(b.ix.Keywords)
	if created && b.ix.End == 0 {
		a.first = &mbox.State{Base: true, Validity: b.ix.Validity, Table: a.table.Names}
		created = false
	}
	for m, err := range from.Messages(mailbox.All) {
		if err != nil {
			return err
		}
		sender, err := from.Sender(m.Seq)
		if err != nil {
			return err
		}
		text, err := from.Open(m.Seq)
		if err != nil {
			return err
		}
		if _, err := a.Add(mailbox.Item{Message: m, Sender: sender, Text: text}); err != nil {
			return err
		}
	}
	switch {
	case a.count == 0:
		return nil
	case !created:
		return a.append(a.spooled)
	}
	err := a.rewrite(&b.indexed)
	b.known = stamp{} // what was added is still to be read
	return err
}

// bound reports whether messages have what means nothing in another mailbox.
func bound(ix *mbox.Index) bool {
	bits := ix.Internal.Bits
	for i := range ix.Msgs {
		bits |= ix.Msgs[i].Bits
	}
	return ix.Pseudo || bits&mbox.BitBound != 0
}
