package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A Driver is the Maildir format in some surroundings.
type Driver struct {
	env *mailbox.Env
	fs  fsx.FS
}

var (
	_ mailbox.Driver   = (*Driver)(nil)
	_ mailbox.Creator  = (*Driver)(nil)
	_ mailbox.Deleter  = (*Driver)(nil)
	_ mailbox.Renamer  = (*Driver)(nil)
	_ mailbox.Appender = (*Driver)(nil)
	_ mailbox.Claimer  = (*Driver)(nil)
	_ mailbox.Holder   = (*Driver)(nil)
	_ mailbox.Parent   = (*Driver)(nil)
	_ mailbox.Placer   = (*Driver)(nil)
)

// New returns the driver.
func New(env *mailbox.Env) *Driver { return &Driver{env: env, fs: fsx.OS{}} }

// Name returns "maildir".
func (d *Driver) Name() string { return "maildir" }

// folderFile marks a subfolder.
const folderFile = "maildirfolder"

func (d *Driver) fail(op, name string, err error) error {
	if _, said := errors.AsType[*mailbox.Error](err); said || err == nil {
		return err
	}
	return &mailbox.Error{Op: op, Driver: d.Name(), Name: name, Off: -1, Err: overQuota(err)}
}

// Probe reports whether n is a directory with tmp, new and cur.
func (d *Driver) Probe(n mailbox.Name) (bool, error) {
	dir, err := d.place(n)
	if errors.Is(err, mailbox.ErrName) {
		return false, nil
	}
	if dir == "" || err != nil {
		return false, err
	}
	return d.isMaildir(dir)
}

// Place is where n is, or would be; "" for an INBOX that is no Maildir.
func (d *Driver) Place(n mailbox.Name) (string, error) { return d.place(n) }

// Claims reports whether n is below a Maildir that has its subfolders in it.
func (d *Driver) Claims(n mailbox.Name) (bool, error) {
	if n.Path == "" {
		return false, nil
	}
	root, err := d.root(filepath.Dir(filepath.Clean(n.Path)))
	return root != "", err
}

// Part reports whether an entry of a Maildir is its own, and no subfolder.
func (d *Driver) Part(entry string) bool { return ours(entry) }

// existing returns where n is, which must be a mailbox of ours.
func (d *Driver) existing(ctx context.Context, op string, n mailbox.Name) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	dir, err := d.place(n)
	if err == nil && dir == "" {
		err = mailbox.ErrNotExist
	}
	if err != nil {
		return "", d.fail(op, n.Text, err)
	}
	fi, err := d.fs.Stat(dir)
	switch {
	case node.Gone(err):
		err = mailbox.ErrNotExist
	case err != nil:
	case !fi.IsDir():
		err = mailbox.ErrFormat
	default:
		var is bool
		if is, err = d.isMaildir(dir); !is && err == nil {
			err = mailbox.ErrNotMailbox
		}
	}
	return dir, d.fail(op, n.Text, err)
}

// free returns where n will be, which nothing has.
func (d *Driver) free(ctx context.Context, op string, n mailbox.Name) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	path, err := d.place(n)
	if errors.Is(err, mailbox.ErrName) {
		return "", mailbox.Sayf(err, "Can't %s mailbox %s: %v", op, n.Text, err)
	}
	if err != nil {
		return "", d.fail(op, n.Text, err)
	}
	if n.Inbox && path == "" { // of the first mail, where the configuration wants it here
		path = filepath.Join(d.env.Home, inboxDir)
	}
	if _, err := d.fs.Lstat(path); err == nil {
		return "", d.says(n, path, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", d.says(n, path, err)
	}
	return path, nil
}

// Create makes a new mailbox. A name that ends in "/" makes a directory.
func (d *Driver) Create(ctx context.Context, n mailbox.Name) error {
	if strings.HasSuffix(n.Path, "/") && ctx.Err() == nil {
		return node.Create(d.fs, n.Path, d.env.Config)
	}
	if n.Inbox {
		return mailbox.Sayf(mailbox.ErrExist, "Can't create INBOX")
	}
	b, err := d.appendNew(ctx, n, mailbox.AppendOptions{})
	if err != nil {
		return err
	}
	_, err = b.Commit()
	return err
}

// Delete removes a mailbox: the messages, and what mail programs keep beside
// them. One that holds anything else, or subfolders, stays as it is.
func (d *Driver) Delete(ctx context.Context, n mailbox.Name) error {
	dir, err := d.existing(ctx, "delete", n)
	if err != nil {
		return err
	}
	if n.Inbox {
		return mailbox.Sayf(mailbox.ErrUnsupported, "Can't delete INBOX")
	}
	if fi, err := d.fs.Lstat(dir); err != nil || !fi.IsDir() {
		return errors.Join(err, d.fail("delete", n.Text, fmt.Errorf("%w: %s is a symbolic link", mailbox.ErrUnsupported, dir)))
	}
	err = d.exclusive(ctx, dir, func(*lock.Uidlist) error {
		if err := d.onlyOurs(dir); err != nil {
			return err
		}
		return d.discard(dir)
	})
	return d.fail("delete", n.Text, err)
}

// discard takes a mailbox out of sight by one rename, and removes it.
func (d *Driver) discard(dir string) error {
	gone := hidden(dir, ".gone")
	if _, err := d.fs.Lstat(gone); err == nil { // of one who was killed
		if err := d.removeTree(gone); err != nil {
			return err
		}
	}
	if err := d.fs.Rename(dir, gone); err != nil {
		return err
	}
	if err := d.fs.SyncDir(filepath.Dir(dir)); err != nil {
		return errors.Join(err, d.fs.Rename(gone, dir))
	}
	return d.removeTree(gone)
}

// ours reports whether a name in a Maildir is that of a file that mail programs
// keep there.
func ours(name string) bool {
	switch name {
	case "tmp", "new", "cur", folderFile, "maildirsize", "subscriptions", pendingFile, slotsStep.from, listStep.from, mbsyncFile, ".mbsyncstate":
		return true
	}
	return strings.HasPrefix(name, "dovecot") || strings.HasPrefix(name, "courierimap")
}

// onlyOurs returns an error where a Maildir holds what is not ours.
func (d *Driver) onlyOurs(dir string) error {
	var strange string
	err := d.readNames(dir, func(name string) {
		if !ours(name) {
			strange = name
		}
	})
	for _, part := range parts {
		err = errors.Join(err, d.readNames(dir+"/"+part, func(name string) {
			if fi, err := d.fs.Lstat(dir + "/" + part + "/" + name); name[0] == '.' || err == nil && !fi.Mode().IsRegular() {
				strange = part + "/" + name
			}
		}))
	}
	if err == nil && strange != "" {
		err = fmt.Errorf("%w: %s/%s is not part of the mailbox", mailbox.ErrUnsupported, dir, strange)
	}
	return err
}

// removeTree removes a directory of ours with what is in it, to the depth of a
// Maildir and no further.
func (d *Driver) removeTree(dir string) error { return d.removeDepth(dir, 2) }

func (d *Driver) removeDepth(dir string, depth int) error {
	var names []string
	if err := d.readNames(dir, func(name string) { names = append(names, name) }); err != nil {
		return ignoreGone(err)
	}
	var errs []error
	for _, name := range names {
		path := dir + "/" + name
		fi, err := d.fs.Lstat(path)
		switch {
		case err != nil:
			errs = append(errs, ignoreGone(err))
		case fi.IsDir() && depth > 1:
			errs = append(errs, d.removeDepth(path, depth-1))
		default:
			errs = append(errs, ignoreGone(d.fs.Remove(path)))
		}
	}
	return errors.Join(append(errs, d.fs.Remove(dir))...)
}

// Rename gives a mailbox another name. The subfolders of a dotted folder go
// along, and before it, so that a rename that was interrupted can be done
// again.
func (d *Driver) Rename(ctx context.Context, from, to mailbox.Name) error {
	dir, err := d.existing(ctx, "rename", from)
	if err != nil {
		return err
	}
	if from.Inbox {
		return mailbox.Sayf(mailbox.ErrUnsupported, "Can't rename INBOX: its subfolders would go along")
	}
	if strings.HasSuffix(to.Path, "/") {
		return mailbox.Sayf(mailbox.ErrName, "Can't rename %s to %s: invalid name", from.Text, to.Text)
	}
	if to.Inbox {
		return mailbox.Sayf(mailbox.ErrExist, "Can't rename %s: mailbox INBOX already exists", from.Text)
	}
	path, err := d.free(ctx, "rename", to)
	if errors.Is(err, mailbox.ErrExist) {
		return mailbox.Sayf(err, "Can't rename %s: mailbox %s already exists", from.Text, to.Text)
	}
	if err != nil {
		return err
	}
	err = d.exclusive(ctx, dir, func(*lock.Uidlist) error { return d.rename(dir, path) })
	return d.fail("rename", from.Text, err)
}

func (d *Driver) rename(dir, path string) error {
	if err := fsx.MakeDirs(d.fs, filepath.Dir(path), d.env.Config.DirMode); err != nil {
		return err
	}
	below, err := d.subfolders(dir)
	if err != nil {
		return err
	}
	dotted, err := d.isSubfolder(path)
	if err != nil {
		return err
	}
	if inside, err := d.holdsFolders(dir); err != nil || dotted && inside || !dotted && len(below) > 0 {
		return errors.Join(err, fmt.Errorf("%w: the subfolders of %s would not be below %s", mailbox.ErrUnsupported, dir, path))
	}
	for _, sub := range below {
		if err := fsx.RenameNew(d.fs, sub, path+strings.TrimPrefix(sub, dir)); err != nil {
			return err
		}
	}
	if dotted {
		err := d.writeWhole(dir+"/"+folderFile, 0, nil)
		if err == nil {
			err = d.fs.SyncDir(dir)
		}
		if err != nil {
			return err
		}
	}
	return fsx.RenameNew(d.fs, dir, path)
}

// subfolders are the dotted folders beside a dotted folder that are below it.
func (d *Driver) subfolders(dir string) (below []string, err error) {
	parent, base := filepath.Split(dir)
	if base[0] != '.' {
		return nil, nil
	}
	err = d.readNames(strings.TrimSuffix(parent, "/"), func(name string) {
		if strings.HasPrefix(name, base+".") {
			below = append(below, parent+name)
		}
	})
	return below, err
}

// holdsFolders reports whether a Maildir has dotted folders in it.
func (d *Driver) holdsFolders(dir string) (holds bool, err error) {
	err = d.readNames(dir, func(name string) {
		if name[0] == '.' && !holds {
			holds, _ = d.isMaildir(dir + "/" + name)
		}
	})
	return holds, err
}
