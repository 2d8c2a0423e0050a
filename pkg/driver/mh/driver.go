package mh

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

const (
	sequencesName = ".mh_sequences"
	oldSequences  = ".mh_sequence" // of programs long gone; removed with the mailbox
	inboxDir      = "inbox"
)

// Driver is the mh format. Its fields may be set before first use.
type Driver struct {
	numbered.Sessions
	FS fsx.FS // the file calls of writers

	env    *mailbox.Env
	spool  mailbox.Driver // reads the system INBOX, nil for none
	read   sync.Once      // of known
	known  profile
	warned sync.Once
}

var (
	_ mailbox.Driver    = (*Driver)(nil)
	_ mailbox.Creator   = (*Driver)(nil)
	_ mailbox.Deleter   = (*Driver)(nil)
	_ mailbox.Renamer   = (*Driver)(nil)
	_ mailbox.Appender  = (*Driver)(nil)
	_ mailbox.Placer    = (*Driver)(nil)
	_ mailbox.Lister    = (*Driver)(nil)
	_ mailbox.Checker   = (*Driver)(nil)
	_ mailbox.Repairer  = (*Driver)(nil)
	_ mailbox.Parent    = (*Driver)(nil)
	_ mailbox.Holder    = (*Driver)(nil)
	_ mailbox.Forgetter = (*Driver)(nil)
)

// New returns the driver. spool reads the system INBOX, from which new mail moves
// to #mhinbox; it may be nil.
func New(env *mailbox.Env, spool mailbox.Driver) *Driver {
	d := &Driver{FS: fsx.OS{}, env: env, spool: spool}
	d.Of = d.format
	return d
}

// Name returns "mh".
func (d *Driver) Name() string { return "mh" }

// A profile is what we need of ~/.mh_profile.
type profile struct {
	path   string // of the directory that all mailboxes are below, "" where there is none
	unseen string // name of the sequence of messages that are not seen
	err    error  // why nobody can tell
}

// readProfile reads ~/.mh_profile, lines "Key: value" of which the first of a
// key counts. Without the file there are no mh names, unless the configuration
// says where they are.
func (d *Driver) readProfile() profile {
	p := profile{unseen: seqUnseen}
	file := filepath.Join(d.env.Home, ".mh_profile")
	text, err := os.ReadFile(file)
	if err == nil {
		p.path = "Mail"
		p.read(string(text))
	}
	if path := d.env.Config.MHPath; path != "" {
		p.path = path
	}
	if p.path != "" && p.path[0] != '/' {
		p.path = filepath.Join(d.env.Home, p.path)
	}
	p.path = strings.TrimRight(p.path, "/")
	if err != nil && !node.Gone(err) && p.path == "" {
		p.err = err
	}
	return p
}

func (p *profile) read(text string) {
	var path, unseen string
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case value == "":
		case path == "" && strings.EqualFold(key, "Path"):
			path = value
		case unseen == "" && strings.EqualFold(key, "Unseen-Sequence"):
			if names := strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" ,\t:", r) }); len(names) > 0 {
				unseen = names[0]
			}
		}
	}
	if path != "" {
		p.path = path
	}
	if unseen != "" {
		p.unseen = unseen
	}
}

// profile returns the profile, which is read once.
func (d *Driver) profile() *profile {
	d.read.Do(func() { d.known = d.readProfile() })
	return &d.known
}

// unseen is the name of the sequence of messages that are not seen.
func (d *Driver) unseen() string { return d.profile().unseen }

// root returns the directory that mh names are below, "" where there are none.
func (d *Driver) root() (string, error) {
	p := d.profile()
	return p.path, p.err
}

// Open opens n. Where that is #mhinbox, for writing, new mail is moved in from the
// system INBOX first; a session that lasts does not look for more.
func (d *Driver) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	if m == mailbox.ReadWrite && d.spool != nil && (n.Inbox || strings.EqualFold(n.Text, "#mhinbox")) {
		path, err := d.place(n)
		if is, unknown := d.Probe(n); err == nil && is && unknown == nil {
			d.files().TakeIn(ctx, d.spool, path, func() (mailbox.Delivery, error) {
				return d.Append(ctx, n, mailbox.AppendOptions{})
			})
		}
	}
	return d.Sessions.Open(ctx, n, m)
}

// Place returns the directory of n.
func (d *Driver) Place(n mailbox.Name) (string, error) { return d.place(n) }

// place returns the directory of n, "" where n is no mh name.
func (d *Driver) place(n mailbox.Name) (string, error) {
	if n.Space == "" && !n.Inbox {
		return strings.TrimRight(n.Path, "/"), nil
	}
	root, err := d.root()
	switch {
	case err != nil:
		return "", err
	case root == "":
		if n.Space == d.Name() {
			d.warn()
		}
		return "", nil
	case n.Inbox && !d.env.Config.MHAllowInbox:
		return "", nil
	case n.Inbox, strings.EqualFold(n.Text, "#mhinbox"):
		return filepath.Join(root, inboxDir), nil
	case n.Space == d.Name() && len(n.Text) > len("#mh/"):
		return strings.TrimRight(root+"/"+n.Text[len("#mh/"):], "/"), nil
	}
	return "", nil
}

// warn says, once, that there are no mh names.
func (d *Driver) warn() {
	d.warned.Do(func() {
		d.env.Notify(mailbox.Warn, filepath.Join(d.env.Home, ".mh_profile")+" not found, mh format names disabled")
	})
}

func (d *Driver) files() flocked.Files { return flocked.Files{FS: d.FS, Env: d.env, Format: d.Name()} }

func (d *Driver) fail(op string, n mailbox.Name, err error) error { return d.files().Fail(op, n, err) }

func (d *Driver) dir(path string) numbered.Dir { return numbered.Dir{FS: d.FS, Path: path} }

// Probe reports whether n is a directory that is known for a mailbox: by its
// name, by where it is, or by its sequences.
func (d *Driver) Probe(n mailbox.Name) (bool, error) {
	path, err := d.place(n)
	if err != nil || path == "" {
		return false, d.fail("open", n, err)
	}
	ok, err := d.isMailbox(path)
	return ok, d.fail("open", n, err)
}

func (d *Driver) isMailbox(path string) (bool, error) {
	fi, err := d.FS.Stat(path)
	if node.Gone(err) || err == nil && !fi.IsDir() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if below, err := d.below(path); below || err != nil {
		return below, err
	}
	fi, err = d.FS.Stat(filepath.Join(path, sequencesName))
	if node.Gone(err) {
		return false, nil
	}
	return err == nil && fi.Mode().IsRegular(), err
}

// below reports whether a path is below the directory of all mh mailboxes.
func (d *Driver) below(path string) (bool, error) {
	root, err := d.root()
	return root != "" && strings.HasPrefix(filepath.Clean(path), root+"/"), err
}

// Part reports whether an entry of a mailbox is its own; directories may be
// mailboxes below it.
func (d *Driver) Part(entry string) bool {
	return entry == sequencesName || entry == oldSequences || isBackup(entry) || numbered.IsPart(entry, sequencesName)
}

// isBackup reports whether a name is that of a message that nmh has removed.
func isBackup(name string) bool {
	return len(name) > 1 && name[0] == ',' && numbered.AllDigits(name[1:])
}

// mailboxPath is place for a mailbox that must exist.
func (d *Driver) mailboxPath(n mailbox.Name) (string, error) {
	path, err := d.place(n)
	if err != nil {
		return "", err
	}
	ok := false
	if path != "" {
		ok, err = d.isMailbox(path)
	}
	if err == nil && !ok {
		err = node.WhyNot(d.FS, path)
	}
	return path, err
}

// newPath is place for a mailbox that is to be made.
func (d *Driver) newPath(n mailbox.Name) (string, error) {
	path, err := d.place(n)
	if err != nil {
		return "", err
	}
	if path == "" {
		return "", mailbox.Sayf(mailbox.ErrName, "Can't create %s: invalid name", n.Text)
	}
	if numbered.BadName(n.Text) {
		return "", mailbox.Sayf(mailbox.ErrName, "Can't create mailbox %s: invalid MH-format name", n.Text)
	}
	return path, nil
}

// format is what tells mh from other directories of numbered files.
func (d *Driver) format() *numbered.Format {
	return &numbered.Format{
		Files: d.files(), StateFile: sequencesName, Lock: lock.Fcntl(d.files().Locks()), LF: true, Reuses: true,
		Place: d.mailboxPath, OpenState: d.openSequences, Fresh: d.createNew,
		Kept: func(s *numbered.State) numbered.Kept { return &state{State: s, d: d} },
	}
}

// openSequences opens the sequences of the mailbox at path; for writing they are
// made where they are missing.
func (d *Driver) openSequences(path string, write bool) (fsx.File, error) {
	name := filepath.Join(path, sequencesName)
	if write {
		f, err := d.FS.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, d.env.Config.MailboxMode)
		if node.Gone(err) {
			err = mailbox.ErrNotExist
		}
		return f, err
	}
	fi, err := d.FS.Stat(name)
	if node.Gone(err) {
		return nil, nil
	}
	if err == nil && !fi.Mode().IsRegular() { // a fifo would make us wait
		err = &fs.PathError{Op: "open", Path: name, Err: mailbox.ErrFormat}
	}
	if err != nil {
		return nil, err
	}
	f, err := d.files().Open(name, os.O_RDONLY)
	if node.Gone(err) {
		return nil, nil
	}
	return f, err
}

// locked calls do with the sequences of the mailbox at path locked for writing.
func (d *Driver) locked(ctx context.Context, path string, do func(s *state) error) error {
	return d.format().Locked(ctx, path, true, func(k numbered.Kept) error { return do(k.(*state)) })
}

// Hold opens n and keeps the sequences locked for writing until Close. What
// delivers without that lock, as the original does, is not kept out.
func (d *Driver) Hold(ctx context.Context, n mailbox.Name) (mailbox.Mailbox, error) {
	return d.format().Hold(ctx, n)
}

// ForgetsUIDs says that UIDVALIDITY is that of the session.
func (d *Driver) ForgetsUIDs() {}

// Create makes an empty mailbox: a directory, which gets a sequences file where
// nothing else shows what it is.
func (d *Driver) Create(ctx context.Context, n mailbox.Name) error {
	err := ctx.Err()
	if err == nil {
		err = d.create(n)
	}
	return d.fail("create", n, err)
}

func (d *Driver) create(n mailbox.Name) error {
	path, err := d.newPath(n)
	if err != nil {
		return err
	}
	c, err := numbered.CreateDir(d.FS, path, d.env.Config.DirMode)
	if err != nil {
		return err
	}
	below, err := d.below(path)
	if err == nil && !below {
		err = d.writeNew(c.Dir, nil)
	}
	if err == nil {
		err = c.Publish()
	}
	return errors.Join(err, c.Abort())
}

// writeNew makes the sequences file of a new mailbox.
func (d *Driver) writeNew(dir numbered.Dir, b []byte) error {
	f, err := d.FS.OpenFile(filepath.Join(dir.Path, sequencesName), os.O_RDWR|os.O_CREATE|os.O_EXCL, d.env.Config.MailboxMode)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Delete removes messages and sequences, and the directory where nothing else
// is in it.
func (d *Driver) Delete(ctx context.Context, n mailbox.Name) error {
	path, err := d.mailboxPath(n)
	if err == nil {
		err = d.locked(ctx, path, func(s *state) error { return s.delete() })
	}
	if err != nil {
		return d.fail("delete", n, err)
	}
	if err := d.FS.Remove(path); err != nil { // other mailboxes are below, or files
		d.env.Notify(mailbox.Warn, fmt.Sprintf("Can't delete mailbox %s: %s", n.Text, node.Reason(err)))
		return nil
	}
	return d.fail("delete", n, d.FS.SyncDir(filepath.Dir(path)))
}

// delete removes what is the format's, the sequences last.
func (s *state) delete() error {
	if err := s.Dir.RemoveAll(&s.List); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.Dir.Path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if (isBackup(name) || name == oldSequences) && e.Type().IsRegular() {
			if err := s.d.FS.Remove(filepath.Join(s.Dir.Path, name)); err != nil {
				return err
			}
		}
	}
	if err := s.d.FS.Remove(s.File.Name()); err != nil {
		return err
	}
	return s.d.FS.SyncDir(s.Dir.Path)
}

// Rename gives the directory another name: mailboxes below it go with it.
func (d *Driver) Rename(ctx context.Context, from, to mailbox.Name) error {
	if err := ctx.Err(); err != nil {
		return d.fail("rename", from, err)
	}
	path, err := d.mailboxPath(from)
	if err != nil {
		return d.fail("rename", from, err)
	}
	target := to
	if target.Path, err = d.newPath(to); err == nil {
		err = node.Rename(d.FS, from, target, path, d.env.Config)
	}
	return d.fail("rename", from, err)
}
