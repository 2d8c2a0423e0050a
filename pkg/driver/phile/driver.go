package phile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/mailbox"
)

// Driver shows files as mailboxes of one message.
type Driver struct {
	env  *mailbox.Env
	fsys fsx.FS
}

var (
	_ mailbox.Driver   = (*Driver)(nil)
	_ mailbox.Creator  = (*Driver)(nil)
	_ mailbox.Deleter  = (*Driver)(nil)
	_ mailbox.Renamer  = (*Driver)(nil)
	_ mailbox.Appender = (*Driver)(nil)
)

// New returns the driver.
func New(env *mailbox.Env) *Driver { return &Driver{env: env, fsys: fsx.OS{}} }

// Name returns "phile".
func (d *Driver) Name() string { return "phile" }

// Probe reports whether n is a file with something in it.
func (d *Driver) Probe(n mailbox.Name) (bool, error) {
	if n.Path == "" {
		return false, nil
	}
	fi, err := d.fsys.Stat(n.Path)
	if node.Gone(err) {
		return false, nil
	}
	if err != nil {
		return false, d.fail("open", n, err)
	}
	return fi.Mode().IsRegular() && fi.Size() > 0, nil
}

func (d *Driver) fail(op string, n mailbox.Name, err error) error {
	return &mailbox.Error{Op: op, Driver: d.Name(), Name: n.Text, Off: -1, Err: err}
}

// Open opens a file, which is read once to see what it holds. The mailbox is
// read-only in either mode.
func (d *Driver) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	is, err := d.Probe(n)
	if err != nil {
		return nil, err
	}
	if !is {
		return nil, d.fail("open", n, d.whyNot(n))
	}
	f, err := openFile(n.Path)
	if err != nil {
		e := mailbox.Sayf(err, "Unable to open file %s", n.Path)
		e.Op, e.Driver, e.Name = "open", d.Name(), n.Text
		return nil, e
	}
	mb, err := d.newMailbox(ctx, f, n)
	if err != nil {
		return nil, errors.Join(d.fail("open", n, err), f.Close())
	}
	if m == mailbox.ReadWrite {
		d.env.Notify(mailbox.Info, fmt.Sprintf("%s is in no mailbox format: it can only be read", n.Text))
	}
	return mb, nil
}

// whyNot says why a name is no phile.
func (d *Driver) whyNot(n mailbox.Name) error {
	if n.Path == "" {
		return mailbox.ErrFormat
	}
	fi, err := d.fsys.Stat(n.Path)
	switch {
	case err != nil:
		return mailbox.ErrNotExist
	case !fi.Mode().IsRegular():
		return mailbox.ErrNotMailbox
	}
	return mailbox.ErrFormat
}

// openFile opens without changing the access time, where the system allows it,
// and without waiting for the writer of a fifo that has taken the place.
func openFile(path string) (*os.File, error) {
	f, err := fsx.OpenQuiet(fsx.OS{}, path)
	if err != nil {
		return nil, err
	}
	return f.OS(), nil
}

// owner returns the login name of a file's owner.
func owner(fi fs.FileInfo) string {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return "User-Number-Unknown"
	}
	uid := strconv.FormatUint(uint64(st.Uid), 10)
	u, err := user.LookupId(uid)
	if err != nil {
		return "User-Number-" + uid
	}
	return u.Username
}

// Create makes an empty file.
func (d *Driver) Create(ctx context.Context, n mailbox.Name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if n.Path == "" {
		return mailbox.Sayf(mailbox.ErrName, "Can't create %s: invalid name", n.Text)
	}
	return node.Create(d.fsys, n.Path, d.env.Config)
}

// own returns an error for a name that is no phile.
func (d *Driver) own(ctx context.Context, op string, n mailbox.Name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	is, err := d.Probe(n)
	if err == nil && !is {
		err = d.fail(op, n, d.whyNot(n))
	}
	return err
}

// Delete removes the file.
func (d *Driver) Delete(ctx context.Context, n mailbox.Name) error {
	if err := d.own(ctx, "delete", n); err != nil {
		return err
	}
	return node.Delete(d.fsys, n, n.Path)
}

// Rename renames the file.
func (d *Driver) Rename(ctx context.Context, from, to mailbox.Name) error {
	if err := d.own(ctx, "rename", from); err != nil {
		return err
	}
	return node.Rename(d.fsys, from, to, from.Path, d.env.Config)
}

// Append refuses: nobody knows where a message would go.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, _ mailbox.AppendOptions) (mailbox.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, mailbox.Sayf(mailbox.ErrFormat, "Can't append - not in valid mailbox format: %s", n.Path)
}
