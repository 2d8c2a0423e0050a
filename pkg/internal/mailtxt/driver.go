package mailtxt

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// Driver is one of the formats. FS may be set before first use.
type Driver struct {
	FS fsx.FS // the file calls of writers

	format Format
	env    *mailbox.Env
	spool  mailbox.Driver
}

var (
	_ mailbox.Driver    = (*Driver)(nil)
	_ mailbox.Creator   = (*Driver)(nil)
	_ mailbox.Deleter   = (*Driver)(nil)
	_ mailbox.Renamer   = (*Driver)(nil)
	_ mailbox.Appender  = (*Driver)(nil)
	_ mailbox.Placer    = (*Driver)(nil)
	_ mailbox.Counter   = (*Driver)(nil)
	_ mailbox.Forgetter = (*Driver)(nil)
)

// New returns the driver of a format. spool reads the system INBOX, from which
// new mail goes to an INBOX of this format; nil leaves it where it is.
func New(f Format, env *mailbox.Env, spool mailbox.Driver) *Driver {
	return &Driver{FS: fsx.OS{}, format: f, env: env, spool: spool}
}

// Name returns the name of the format.
func (d *Driver) Name() string { return d.format.Name }

// ForgetsUIDs says that UIDs are those of the session.
func (d *Driver) ForgetsUIDs() {}

// files opens mailboxes of this format.
func (d *Driver) files() flocked.Files { return flocked.Files{FS: d.FS, Env: d.env, Format: d.Name()} }

// fail makes err an *Error about n.
func (d *Driver) fail(op string, n mailbox.Name, err error) error { return d.files().Fail(op, n, err) }

// Place returns the path of the mailbox n. INBOX is ~/INBOX where that has
// mail of this format, else a file of the format's own.
func (d *Driver) Place(n mailbox.Name) (string, error) {
	if !n.Inbox {
		return n.Path, nil
	}
	inbox, err := d.env.Resolve("~/INBOX")
	if err != nil {
		return "", err
	}
	if ours, err := d.probe(inbox.Path, false); ours || err != nil {
		return inbox.Path, err
	}
	inbox, err = d.env.Resolve("~/" + d.format.Inbox)
	return inbox.Path, err
}

// Probe reports whether n is a file that begins with an internal line. An empty
// file is ours only as INBOX.
func (d *Driver) Probe(n mailbox.Name) (ok bool, err error) {
	path, err := d.Place(n)
	if err == nil {
		ok, err = d.probe(path, n.Inbox)
	}
	return ok, d.fail("open", n, err)
}

func (d *Driver) probe(path string, empty bool) (ok bool, err error) {
	err = d.files().Peek(path, func(f fsx.File) (err error) {
		ok, err = d.owns(f, empty)
		return err
	})
	return ok, err
}

// owns looks at the start of f; empty says whether nothing is ours as well.
func (d *Driver) owns(f fsx.File, empty bool) (bool, error) {
	var b [maxLine]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return false, err
	}
	return d.format.owns(b[:n]) || n == 0 && empty, nil
}

// check is owns with an error about n; an empty file is ours.
func (d *Driver) check(f fsx.File, n mailbox.Name) error {
	ours, err := d.owns(f, true)
	if err == nil && !ours {
		err = d.format.notOurs(n)
	}
	return err
}

// names returns the names of the keyword bits, those of the configuration.
func (d *Driver) names() []string {
	names := d.env.Config.Keywords
	return names[:min(len(names), maxKeywords)]
}

// bit returns the bit of keyword name, 0 where there is none.
func (d *Driver) bit(name string) uint32 {
	for i, k := range d.names() {
		if strings.EqualFold(k, name) {
			return 1 << i
		}
	}
	return 0
}

// named is the set of bits that have a name.
func (d *Driver) named() uint32 { return 1<<len(d.names()) - 1 }

// Create makes an empty mailbox, which is an empty file.
func (d *Driver) Create(ctx context.Context, n mailbox.Name) error {
	f, err := d.createNew(ctx, n)
	if err == nil {
		err = errors.Join(f.Publish(), f.Abort())
	}
	return d.fail("create", n, err)
}

// createNew begins the file of a new mailbox.
func (d *Driver) createNew(ctx context.Context, n mailbox.Name) (*fsx.NewFile, error) {
	path, err := d.Place(n)
	if err != nil {
		return nil, err
	}
	return d.files().CreateNew(ctx, path)
}

// Delete removes n. Nobody else may have it open.
func (d *Driver) Delete(ctx context.Context, n mailbox.Name) error {
	path, err := d.Place(n)
	if err == nil {
		err = d.files().Delete(ctx, n, path, d.ours)
	}
	return d.fail("delete", n, err)
}

// Rename gives from the name to. Nobody else may have it open. Where INBOX
// goes away a new one is made.
func (d *Driver) Rename(ctx context.Context, from, to mailbox.Name) error {
	path, err := d.Place(from)
	if err == nil {
		to.Path, err = d.Place(to)
	}
	if err == nil {
		err = d.files().Rename(ctx, from, to, path, d.ours)
	}
	if err == nil && from.Inbox {
		err = d.Create(ctx, from)
	}
	return d.fail("rename", from, err)
}

// ours returns an error where f is not of the format. An empty file is.
func (d *Driver) ours(f fsx.File) error {
	ok, err := d.owns(f, true)
	if err == nil && !ok {
		err = mailbox.ErrFormat
	}
	return err
}

// Count is Status of a mailbox opened read-only, to which INBOX adds what
// waits in the spool as long as it has no recent mail of its own.
func (d *Driver) Count(ctx context.Context, n mailbox.Name) (mailbox.Status, error) {
	return d.files().Count(ctx, n, d.Open, d.spool)
}

// validity is UIDVALIDITY of a session that begins.
func validity(t time.Time) uint32 { return max(uint32(t.Unix()), 1) }
