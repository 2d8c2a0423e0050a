package dummy

import (
	"context"
	"errors"
	"io/fs"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/mailbox"
)

// Driver opens what has no format.
type Driver struct {
	env  *mailbox.Env
	def  func() mailbox.Driver
	fsys fsx.FS
}

var (
	_ mailbox.Driver   = (*Driver)(nil)
	_ mailbox.Creator  = (*Driver)(nil)
	_ mailbox.Deleter  = (*Driver)(nil)
	_ mailbox.Renamer  = (*Driver)(nil)
	_ mailbox.Appender = (*Driver)(nil)
	_ mailbox.Placer   = (*Driver)(nil)
)

// New returns the driver. def returns the driver that takes the first mail of
// an empty mailbox, or nil where none may.
func New(env *mailbox.Env, def func() mailbox.Driver) *Driver {
	return &Driver{env: env, def: def, fsys: fsx.OS{}}
}

// Name returns "dummy".
func (d *Driver) Name() string { return "dummy" }

// path is where n is: INBOX is the system's.
func (d *Driver) path(n mailbox.Name) string {
	if n.Path == "" {
		return d.env.Spool
	}
	return n.Path
}

// Place returns the path of the mailbox n.
func (d *Driver) Place(n mailbox.Name) (string, error) { return d.path(n), nil }

// isInbox reports whether n is INBOX by that name.
func isInbox(n mailbox.Name) bool { return n.Path == "" }

// stat returns nil where nothing has the name.
func (d *Driver) stat(op string, n mailbox.Name) (fs.FileInfo, error) {
	fi, err := d.fsys.Stat(d.path(n))
	if node.Gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, d.fail(op, n, err)
	}
	return fi, nil
}

func (d *Driver) fail(op string, n mailbox.Name, err error) error {
	return &mailbox.Error{Op: op, Driver: d.Name(), Name: n.Text, Off: -1, Err: err}
}

// Probe reports whether n is INBOX, a file or a directory.
func (d *Driver) Probe(n mailbox.Name) (bool, error) {
	if isInbox(n) {
		return true, nil
	}
	fi, err := d.stat("open", n)
	return fi != nil && (fi.Mode().IsRegular() || fi.IsDir()), err
}

// check returns an error unless n is an empty file, or an INBOX that is empty
// or missing. It tells whether there is a file.
func (d *Driver) check(ctx context.Context, op string, n mailbox.Name) (exists bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	fi, err := d.stat(op, n)
	switch {
	case err != nil:
		return false, err
	case fi == nil && isInbox(n):
		return false, nil
	case fi == nil:
		return false, d.fail(op, n, mailbox.ErrNotExist)
	case !fi.Mode().IsRegular():
		return true, mailbox.Sayf(mailbox.ErrNotMailbox, "Can't open %s: not a selectable mailbox", n.Text)
	case fi.Size() > 0:
		return true, mailbox.Sayf(mailbox.ErrFormat, "Can't open %s (file %s): not in valid mailbox format", n.Text, d.path(n))
	}
	return true, nil
}

// Open opens an empty mailbox.
func (d *Driver) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	if _, err := d.check(ctx, "open", n); err != nil {
		return nil, err
	}
	return &empty{d: d, name: n, readOnly: m == mailbox.ReadOnly, validity: max(1, uint32(d.env.Now().Unix()))}, nil
}

// Append hands the mail to the format for empty mailboxes. An INBOX that does
// not exist is made.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !o.New {
		_, err := d.check(ctx, "append", n)
		switch {
		case errors.Is(err, mailbox.ErrFormat), errors.Is(err, mailbox.ErrNotMailbox):
			return nil, indeterminate(n)
		case err != nil:
			return nil, err
		}
	}
	to := d.def()
	a, ok := to.(mailbox.Appender)
	if !ok || to.Name() == d.Name() {
		return nil, indeterminate(n)
	}
	del, err := a.Append(ctx, n, o)
	if isInbox(n) && !o.New && errors.Is(err, mailbox.ErrNotExist) {
		o.New = true
		return a.Append(ctx, n, o)
	}
	return del, err
}

func indeterminate(n mailbox.Name) error {
	return mailbox.Sayf(mailbox.ErrFormat, "Indeterminate mailbox format: %s", n.Text)
}

// Create makes an empty file, or a directory where the name ends in "/".
func (d *Driver) Create(ctx context.Context, n mailbox.Name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if isInbox(n) {
		return mailbox.Sayf(mailbox.ErrName, "Can't create %s: invalid name", n.Text)
	}
	return node.Create(d.fsys, n.Path, d.env.Config)
}

// Delete removes a file or an empty directory.
func (d *Driver) Delete(ctx context.Context, n mailbox.Name) error {
	if err := d.exists(ctx, "delete", n); err != nil {
		return err
	}
	if isInbox(n) {
		return mailbox.Sayf(mailbox.ErrUnsupported, "Can't delete INBOX")
	}
	return node.Delete(d.fsys, n, n.Path)
}

// exists returns an error unless n is ours.
func (d *Driver) exists(ctx context.Context, op string, n mailbox.Name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	is, err := d.Probe(n)
	if err == nil && !is {
		err = d.fail(op, n, mailbox.ErrNotExist)
	}
	return err
}

// Rename renames a file or a directory.
func (d *Driver) Rename(ctx context.Context, from, to mailbox.Name) error {
	if err := d.exists(ctx, "rename", from); err != nil {
		return err
	}
	if isInbox(from) {
		fi, err := d.stat("rename", from)
		if err != nil {
			return err
		}
		if fi == nil {
			return d.Create(ctx, to)
		}
	}
	return node.Rename(d.fsys, from, to, d.path(from), d.env.Config)
}
