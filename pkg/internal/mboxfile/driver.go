package mboxfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A Driver is one of the formats in some surroundings. FS and Thunderbird may be
// set before first use.
type Driver struct {
	FS fsx.FS // the file calls of writers

	// Thunderbird has From_ lines without a date begin messages, too; a file that
	// begins with one is MboxRD. INBOX is none of its files.
	Thunderbird bool

	format mbox.Format
	env    *mailbox.Env
	spool  *Driver // the driver is mbox, and reads the system INBOX by this one
}

var (
	_ mailbox.Driver   = (*Driver)(nil)
	_ mailbox.Creator  = (*Driver)(nil)
	_ mailbox.Deleter  = (*Driver)(nil)
	_ mailbox.Renamer  = (*Driver)(nil)
	_ mailbox.Appender = (*Driver)(nil)
	_ mailbox.Placer   = (*Driver)(nil)
)

// New returns the driver of a format.
func New(f mbox.Format, env *mailbox.Env) *Driver {
	return &Driver{FS: fsx.OS{}, format: f, env: env}
}

// Name returns the name of the format.
func (d *Driver) Name() string {
	if d.spool != nil {
		return "mbox"
	}
	return d.format.Name()
}

// path is where a mailbox is. INBOX is the system's spool file, or ~/mbox.
func (d *Driver) path(n mailbox.Name) string {
	switch {
	case !n.Inbox:
		return n.Path
	case d.spool != nil:
		return d.home()
	}
	return d.env.Spool
}

// Place returns the path of the mailbox n.
func (d *Driver) Place(n mailbox.Name) (string, error) { return d.path(n), nil }

func (d *Driver) journal() journal.Options {
	return journal.Options{FS: d.FS, StateDir: d.env.StateDir}
}

func (d *Driver) locks() lock.Options {
	c := d.env.Config
	return lock.Options{
		Timeout: d.env.LockTimeout, Stale: c.DotLockTimeout, Dir: d.env.LockDir, Mode: c.LockMode, NoWarn: c.NoLockWarning,
		Notify: func(text string) { d.env.Notify(mailbox.Warn, text) },
	}
}

// lock takes the locks that are held while f is read or written.
func (d *Driver) lock(ctx context.Context, f fsx.File, m lock.Mode) (lock.Held, error) {
	o := d.locks()
	o.NoWarn = o.NoWarn || m == lock.Shared // who only looks does no harm
	held, err := lock.File(o).Lock(ctx, f.OS(), m)
	if errors.Is(err, lock.ErrBusy) {
		return nil, d.fail("lock", f.Name(), fmt.Errorf("%w: %w", mailbox.ErrBusy, err))
	}
	return held, err
}

func (d *Driver) fail(op, name string, err error) error {
	return &mailbox.Error{Op: op, Driver: d.Name(), Name: name, Off: -1, Err: err}
}

// Probe reports whether the file begins as its format wants it. A unix file
// with an interrupted change is taken to be ours: Open finishes the change and
// looks again.
func (d *Driver) Probe(n mailbox.Name) (bool, error) {
	switch {
	case d.spool != nil:
		return d.probeHome(n)
	case d.Thunderbird && n.Inbox:
		return false, nil
	}
	return d.probe(d.path(n))
}

func (d *Driver) probe(path string) (bool, error) {
	if path == "" {
		return false, nil
	}
	fi, err := d.FS.Stat(path)
	if node.Gone(err) {
		return false, nil
	}
	if err != nil || !fi.Mode().IsRegular() {
		return false, err
	}
	f, err := fsx.OpenQuiet(d.FS, path)
	if node.Gone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close() // read only
	ok, err := d.begins(f)
	if ok || err != nil || fi.Size() == 0 || d.format != mbox.Unix {
		return ok, err // an MMDF file begins with the same octets during a change
	}
	return d.interrupted(f)
}

// interrupted reports whether a change of f was interrupted that is of this
// format: mbx journals never touch the mark at the beginning of their files.
func (d *Driver) interrupted(f fsx.File) (bool, error) {
	pending, err := journal.Pending(f.Name(), d.journal())
	if !pending || err != nil {
		return false, err
	}
	mark := make([]byte, 5)
	if _, err := f.ReadAt(mark, 0); err != nil && err != io.EOF {
		return false, err
	}
	return string(mark) != "*mbx*", nil
}

// Create makes a new mailbox, which holds only the pseudo-message. A name that
// ends in "/" makes a directory.
func (d *Driver) Create(ctx context.Context, n mailbox.Name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if n.Inbox {
		return mailbox.Sayf(mailbox.ErrExist, "Can't create INBOX")
	}
	if strings.HasSuffix(n.Path, "/") {
		return node.Create(d.FS, n.Path, d.env.Config)
	}
	f, err := d.create(n.Path)
	if err != nil {
		return d.says(n, err)
	}
	validity := uint32(d.env.Now().Unix())
	_, err = f.WriteAt(d.format.AppendPseudo(nil, d.env, true, validity, 0, d.env.Config.Keywords), 0)
	if err == nil {
		err = f.Publish()
	}
	return d.says(n, errors.Join(err, f.Abort()))
}

func (d *Driver) create(path string) (*fsx.NewFile, error) {
	return fsx.CreateNew(d.FS, path, d.env.Config.MailboxMode, d.env.Config.DirMode)
}

// says makes the original's sentence of an error in creating.
func (d *Driver) says(n mailbox.Name, err error) error {
	kind := err
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		kind = fmt.Errorf("%w: %w", mailbox.ErrExist, err)
	case errors.Is(err, fsx.ErrInUse):
		kind = fmt.Errorf("%w: %w", mailbox.ErrBusy, err)
	default:
		kind = overQuota(err)
	}
	said := fmt.Sprintf("Can't create mailbox node %s: %s", d.path(n), node.Reason(err))
	return &mailbox.Error{Op: "create", Driver: d.Name(), Name: n.Text, Off: -1, Err: kind, Said: said}
}

// Delete removes the file, unless a read-write session has it open.
func (d *Driver) Delete(ctx context.Context, n mailbox.Name) error {
	if n.Inbox {
		return mailbox.Sayf(mailbox.ErrUnsupported, "Can't delete INBOX")
	}
	return d.alone(ctx, "delete", n, false, func(f fsx.File) error { return node.Delete(d.FS, n, f.Name()) })
}

// Rename gives the file another name in the same file system. INBOX leaves an
// empty file behind: mail goes on arriving there.
func (d *Driver) Rename(ctx context.Context, from, to mailbox.Name) error {
	if to.Inbox {
		return mailbox.Sayf(mailbox.ErrExist, "Can't rename %s: mailbox INBOX already exists", from.Text)
	}
	return d.alone(ctx, "rename", from, false, func(f fsx.File) error {
		err := node.Rename(d.FS, from, to, f.Name(), d.env.Config)
		if err == nil && from.Inbox {
			err = node.Create(d.FS, f.Name(), d.env.Config)
		}
		return err
	})
}

// alone calls do while nobody else has a read-write session on the mailbox nor
// reads or writes it. A file that may not be written to is protected: it keeps
// its name. To empty it nobody is asked to leave it.
func (d *Driver) alone(ctx context.Context, op string, n mailbox.Name, empty bool, do func(fsx.File) error) (err error) {
	f, err := d.FS.OpenFile(d.path(n), os.O_RDWR, 0)
	if node.Gone(err) {
		return d.fail(op, n.Text, mailbox.ErrNotExist)
	}
	if flocked.MayNotWrite(err) {
		return mailbox.Sayf(err, "Can't lock mailbox %s: %s", n.Text, node.Reason(err))
	}
	if err != nil {
		return d.fail(op, n.Text, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	session, err := lock.TakeSession(ctx, f.OS(), empty, d.locks())
	if errors.Is(err, lock.ErrBusy) {
		return mailbox.Sayf(mailbox.ErrBusy, "Mailbox %s is in use by another process", n.Text)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Release()) }()
	held, err := d.lock(ctx, f, lock.Exclusive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	// A change that was interrupted goes with the name of the file.
	if did, err := journal.Recover(f, d.journal()); err != nil {
		return err
	} else if did != "" {
		d.env.Notify(mailbox.Warn, did)
	}
	if ok, err := d.ours(f); !ok {
		return errors.Join(err, d.fail(op, n.Text, mailbox.ErrFormat))
	}
	return do(f)
}

// ours reports whether f is of this format, or empty.
func (d *Driver) ours(f fsx.File) (bool, error) {
	fi, err := f.Stat()
	if err != nil || fi.Size() == 0 {
		return err == nil, err
	}
	return d.begins(f)
}

// begins reports whether f begins as its format wants it.
func (d *Driver) begins(f io.ReaderAt) (bool, error) {
	if ok, err := d.format.Probe(f); ok || err != nil || !d.Thunderbird {
		return ok, err
	}
	return mbox.ProbeBare(f)
}

// second is the step by which a rewritten mailbox is older than its last
// reading: programs that announce new mail compare the two.
const second = time.Second
