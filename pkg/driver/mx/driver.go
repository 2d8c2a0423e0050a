package mx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// indexName is the file that makes a directory a mailbox.
const indexName = ".mxindex"

// Driver is the mx format. Its fields may be set before first use.
type Driver struct {
	numbered.Sessions
	FS fsx.FS // the file calls of writers

	env *mailbox.Env
}

var (
	_ mailbox.Driver   = (*Driver)(nil)
	_ mailbox.Creator  = (*Driver)(nil)
	_ mailbox.Deleter  = (*Driver)(nil)
	_ mailbox.Renamer  = (*Driver)(nil)
	_ mailbox.Appender = (*Driver)(nil)
	_ mailbox.Placer   = (*Driver)(nil)
	_ mailbox.Checker  = (*Driver)(nil)
	_ mailbox.Repairer = (*Driver)(nil)
	_ mailbox.Parent   = (*Driver)(nil)
	_ mailbox.Holder   = (*Driver)(nil)
)

// New returns the driver.
func New(env *mailbox.Env) *Driver {
	d := &Driver{FS: fsx.OS{}, env: env}
	d.Of = d.format
	return d
}

// Name returns "mx".
func (d *Driver) Name() string { return "mx" }

// Place returns the directory of n.
func (d *Driver) Place(n mailbox.Name) (string, error) { return d.place(n) }

// place returns the directory of the mailbox n; that of INBOX is ~/INBOX.
func (d *Driver) place(n mailbox.Name) (string, error) {
	if !n.Inbox {
		return strings.TrimRight(n.Path, "/"), nil
	}
	inbox, err := d.env.Resolve("~/INBOX")
	return inbox.Path, err
}

func (d *Driver) files() flocked.Files { return flocked.Files{FS: d.FS, Env: d.env, Format: d.Name()} }

func (d *Driver) fail(op string, n mailbox.Name, err error) error { return d.files().Fail(op, n, err) }

func (d *Driver) dir(path string) numbered.Dir { return numbered.Dir{FS: d.FS, Path: path} }

// Probe reports whether n is a directory with an index.
func (d *Driver) Probe(n mailbox.Name) (bool, error) {
	path, err := d.place(n)
	if err != nil || path == "" {
		return false, err
	}
	ok, err := d.hasIndex(path)
	return ok, d.fail("open", n, err)
}

func (d *Driver) hasIndex(path string) (bool, error) {
	fi, err := d.FS.Stat(filepath.Join(path, indexName))
	if node.Gone(err) {
		return false, nil
	}
	return err == nil && fi.Mode().IsRegular(), err
}

// Part reports whether an entry of a mailbox is its own; others may be mailboxes
// below it.
func (d *Driver) Part(entry string) bool {
	return entry == indexName || numbered.IsPart(entry, indexName)
}

// format is what tells mx from other directories of numbered files.
func (d *Driver) format() *numbered.Format {
	return &numbered.Format{
		Files: d.files(), StateFile: indexName, Lock: lock.Flock(d.files().Locks()),
		Place: d.place, OpenState: d.openIndex,
		Kept:  func(s *numbered.State) numbered.Kept { return &state{State: s, d: d} },
		Fresh: func(ctx context.Context, n mailbox.Name) (numbered.Fresh, error) { return d.createNew(ctx, n) },
	}
}

// openIndex opens the index of the mailbox at path.
func (d *Driver) openIndex(path string, write bool) (fsx.File, error) {
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
	}
	f, err := d.files().Open(filepath.Join(path, indexName), flag)
	if node.Gone(err) {
		return nil, node.WhyNot(d.FS, path)
	}
	return f, err
}

// locked calls do with the index of the mailbox at path locked for writing.
func (d *Driver) locked(ctx context.Context, path string, do func(s *state) error) error {
	return d.format().Locked(ctx, path, true, func(k numbered.Kept) error { return do(k.(*state)) })
}

// Hold opens n and keeps the index locked for writing until Close: nobody can
// deliver or change flags meanwhile. A session of the original that has the
// mailbox open holds no lock, and cannot be seen.
func (d *Driver) Hold(ctx context.Context, n mailbox.Name) (mailbox.Mailbox, error) {
	return d.format().Hold(ctx, n)
}

// Create makes an empty mailbox, in a directory that may be there already.
func (d *Driver) Create(ctx context.Context, n mailbox.Name) error {
	c, err := d.createNew(ctx, n)
	if err == nil {
		err = errors.Join(c.Publish(nil), c.Release())
	}
	return d.fail("create", n, err)
}

// Delete removes the messages and the index, and the directory where nothing
// else is in it.
func (d *Driver) Delete(ctx context.Context, n mailbox.Name) error {
	path, err := d.place(n)
	if err == nil {
		err = d.locked(ctx, path, func(s *state) error { return s.delete() })
	}
	if err != nil {
		return d.fail("delete", n, err)
	}
	switch err := d.FS.Remove(path); {
	case err == nil:
		return d.fail("delete", n, d.FS.SyncDir(filepath.Dir(path)))
	default: // other mailboxes are below
		d.env.Notify(mailbox.Warn, fmt.Sprintf("Can't delete name %s: %s", n.Text, node.Reason(err)))
		return nil
	}
}

// delete removes the messages first: as long as one is there, so is the index.
func (s *state) delete() error {
	if err := s.Dir.RemoveAll(&s.List); err != nil {
		return err
	}
	for _, name := range s.List.Strays {
		// An empty directory goes as well, and a full one stays.
		s.d.FS.Remove(filepath.Join(s.Dir.Path, name))
	}
	if err := s.d.FS.Remove(s.File.Name()); err != nil {
		return err
	}
	return s.d.FS.SyncDir(s.Dir.Path)
}

// Rename gives the directory another name: mailboxes below it go with it. Where
// INBOX goes away a new one is made.
func (d *Driver) Rename(ctx context.Context, from, to mailbox.Name) error {
	path, err := d.place(from)
	if err == nil && numbered.BadName(to.Text) {
		err = mailbox.Sayf(mailbox.ErrName, "Can't rename to mailbox %s: invalid MX-format name", to.Text)
	}
	if err == nil {
		to.Path, err = d.place(to)
	}
	if err == nil {
		err = d.locked(ctx, path, func(*state) error { return node.Rename(d.FS, from, to, path, d.env.Config) })
	}
	if err == nil && from.Inbox {
		err = d.Create(ctx, from)
	}
	return d.fail("rename", from, err)
}

// gone reports whether err says that there is no such file.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
