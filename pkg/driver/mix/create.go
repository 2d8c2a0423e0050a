package mix

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Create makes an empty mailbox; it appears whole. Where the name ends in "/" a
// directory is made instead, as in the original.
func (d *Driver) Create(ctx context.Context, n mailbox.Name) error {
	if err := ctx.Err(); err != nil {
		return d.fail("create", n, err)
	}
	if strings.HasSuffix(n.Path, "/") {
		return d.fail("create", n, node.Create(d.FS, n.Path, d.env.Config))
	}
	t, err := d.begin(ctx, n)
	if err != nil {
		return d.fail("create", n, err)
	}
	m := d.newMeta()
	for _, f := range []struct {
		name string
		b    []byte
	}{{metaName, m.print()}, {indexName, nil}, {statusName, nil}, {dataName(m.newFile), nil}} {
		if err == nil {
			err = t.write(f.name, f.b)
		}
	}
	if err == nil {
		err = t.publish()
	}
	return d.fail("create", n, errors.Join(err, t.abort()))
}

// create makes a file, with the mode and the owner of like.
func (h *hold) create(name string, like fs.FileInfo) (fsx.File, error) {
	path := filepath.Join(h.dir, name)
	mode := like.Mode().Perm()
	f, err := h.d.FS.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	err = f.Chmod(mode) // whatever the umask
	if uid, gid, ok := owner(like); ok && err == nil {
		if now, serr := f.Stat(); serr == nil {
			if u, g, _ := owner(now); u != uid || g != gid {
				err = f.OS().Chown(uid, gid)
				if errors.Is(err, fs.ErrPermission) && mode&0o060 == 0o060 && g == gid {
					err = nil // a mailbox of a group
				}
			}
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), h.d.FS.Remove(path))
	}
	return f, nil
}

// Delete removes n, unless somebody has it open. Other mailboxes below it stay,
// and so does its directory then.
func (d *Driver) Delete(ctx context.Context, n mailbox.Name) error {
	err := d.alone(ctx, n, "delete", func(h *hold) error {
		if err := d.remove(h.dir); err != nil {
			return err
		}
		dir, err := d.Place(n)
		if err != nil {
			return err
		}
		err = d.FS.Remove(dir)
		if err != nil { // a symbolic link to the directory goes, the directory stays
			d.warn("Can't delete name %.80s: %s", n.Text, node.Reason(err))
			return nil
		}
		return d.FS.SyncDir(filepath.Dir(dir))
	})
	return d.fail("delete", n, err)
}

// remove removes the files of the mailbox in dir. Without metadata it is none
// any more; a mark tells that what a crash leaves may go.
func (d *Driver) remove(dir string) error {
	mark := filepath.Join(dir, deletedName)
	f, err := d.FS.OpenFile(mark, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = errors.Join(f.Close(), d.FS.SyncDir(dir))
	}
	if err != nil {
		return err
	}
	err = d.FS.Remove(filepath.Join(dir, metaName))
	if err == nil {
		err = d.FS.SyncDir(dir)
	}
	if err != nil {
		return err
	}
	return d.clearDeleted(dir)
}

// clearDeleted removes what is left of a mailbox that was deleted.
func (d *Driver) clearDeleted(dir string) error {
	mark := filepath.Join(dir, deletedName)
	if _, err := d.FS.Lstat(mark); err != nil {
		return ignoreGone(err)
	}
	all, err := entries(dir)
	if err != nil {
		return err
	}
	for _, e := range all {
		path := filepath.Join(dir, e.Name())
		switch {
		case e.Name() == stagingName: // a repair was interrupted
			err = mend.RemoveDir(d.FS, path)
		case isOurs(e.Name()) && e.Name() != deletedName && !e.IsDir():
			err = d.FS.Remove(path)
		}
		if err != nil {
			return err
		}
	}
	if err := d.FS.SyncDir(dir); err != nil {
		return err
	}
	return errors.Join(d.FS.Remove(mark), d.FS.SyncDir(dir))
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Rename gives from the name to, with all that is below it, unless somebody has
// it open. Of INBOX the messages go, what is below it stays, and a new INBOX is
// made.
func (d *Driver) Rename(ctx context.Context, from, to mailbox.Name) error {
	err := d.alone(ctx, from, "rename", func(h *hold) error {
		path, err := d.Place(to)
		if err != nil {
			return err
		}
		if !validName(mailbox.Name{Path: path}) {
			return mailbox.Sayf(mailbox.ErrName, "Can't rename to mailbox %.80s: invalid MIX-format name", to.Text)
		}
		if _, err := d.FS.Lstat(path); err == nil {
			return mailbox.Sayf(mailbox.ErrExist, "Can't rename to mailbox %.80s: destination already exists", to.Text)
		} else if !node.Gone(err) {
			return err
		}
		if from.Inbox {
			return d.moveInbox(h, from, path)
		}
		return d.moveDir(from, path)
	})
	if err == nil && from.Inbox {
		err = d.Create(ctx, from)
	}
	return d.fail("rename", from, err)
}

// moveDir renames the directory.
func (d *Driver) moveDir(from mailbox.Name, to string) error {
	dir, err := d.Place(from)
	if err != nil {
		return err
	}
	if err := fsx.MakeDirs(d.FS, filepath.Dir(to), d.env.Config.DirMode); err != nil {
		return err
	}
	if err := d.FS.Rename(dir, to); err != nil {
		return err
	}
	return errors.Join(d.FS.SyncDir(filepath.Dir(to)), d.FS.SyncDir(filepath.Dir(dir)))
}

// moveInbox renames the directory, if nothing else is in it. Else all files are
// copied into a new mailbox and removed where they were: a crash may leave both.
func (d *Driver) moveInbox(h *hold, from mailbox.Name, to string) error {
	all, err := entries(h.dir)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(e fs.DirEntry) bool { return !isOurs(e.Name()) }) {
		return d.moveDir(from, to)
	}
	t, err := d.stage(to)
	if err != nil {
		return err
	}
	for _, e := range all {
		if isOurs(e.Name()) && e.Type().IsRegular() && err == nil {
			err = t.copy(filepath.Join(h.dir, e.Name()))
		}
	}
	if err == nil {
		err = t.publish()
	}
	if err = errors.Join(err, t.abort()); err != nil {
		return err
	}
	return d.remove(h.dir)
}

// copy makes a file as the one at path is, durably.
func (t *stage) copy(path string) error {
	from, err := fsx.OpenQuiet(t.d.FS, path)
	if err != nil {
		return err
	}
	defer from.Close() // nothing was written
	to, err := t.create(filepath.Base(path))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(to, 0), io.NewSectionReader(from, 0, math.MaxInt64))
	return errors.Join(err, to.Sync(), to.Close())
}

// alone calls do while nobody else has the mailbox open. Index and status are
// locked first, as by who moves messages: two who raise the lock on the
// metadata at once would lose it both.
func (d *Driver) alone(ctx context.Context, n mailbox.Name, op string, do func(h *hold) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir, err := d.Place(n)
	if err != nil {
		return err
	}
	h, err := d.hold(ctx, dir, true)
	if err != nil {
		return err
	}
	p, err := h.lock(ctx, lock.Exclusive, lock.Exclusive)
	if errors.Is(err, mailbox.ErrCorrupt) { // a damaged mailbox may go as well
		p, err = &pair{}, nil
	}
	if err == nil {
		var ok bool
		if ok, err = h.tryAlone(); err == nil && !ok {
			err = mailbox.Sayf(mailbox.ErrBusy, "Can't lock mailbox for %s: %.80s", op, n.Text)
		}
		if err == nil {
			err = do(h)
		}
		err = errors.Join(err, p.close())
	}
	return errors.Join(err, h.f.Close())
}
