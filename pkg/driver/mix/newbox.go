package mix

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A stage is a hidden directory, .NAME.new beside its place, in which the files
// of a new mailbox are made. It gets its name when they are durable. Where a
// directory has the name already the files are linked into that, the metadata
// last, which make it a mailbox.
type stage struct {
	d      *Driver
	path   string
	hidden string
	lock   *os.File // the hidden directory, by which others see that we live
	exists bool     // a directory has the name already
	names  []string // of files, in the order in which they were made
	done   bool
}

// stage begins the mailbox at path.
func (d *Driver) stage(path string) (*stage, error) {
	t := &stage{d: d, path: path, hidden: filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")}
	if err := t.free(); err != nil {
		return nil, err
	}
	if err := fsx.MakeDirs(d.FS, filepath.Dir(path), d.env.Config.DirMode); err != nil {
		return nil, err
	}
	for range 8 {
		ok, err := t.begin()
		if err != nil {
			return nil, err
		}
		if ok {
			return t, t.free() // a leftover is gone now
		}
	}
	return nil, &fs.PathError{Op: "create", Path: t.hidden, Err: fsx.ErrInUse}
}

// free returns an error where something has the name.
func (t *stage) free() error {
	fi, err := t.d.FS.Stat(t.path)
	if node.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return &fs.PathError{Op: "create", Path: t.path, Err: fs.ErrExist}
	}
	t.exists = true
	if is, err := t.d.isMailbox(t.path); err != nil || is {
		return errors.Join(err, existsAlready(is))
	}
	return nil
}

func existsAlready(is bool) error {
	if is {
		return mailbox.ErrExist
	}
	return nil
}

// begin makes the hidden directory; ok is false where a leftover had to go
// first, or somebody was faster.
func (t *stage) begin() (ok bool, err error) {
	err = t.d.FS.Mkdir(t.hidden, t.d.env.Config.DirMode)
	fresh := err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	dir, err := os.OpenFile(t.hidden, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := lock.TryFlock(dir, lock.Exclusive); err != nil {
		return false, errors.Join(&fs.PathError{Op: "create", Path: t.hidden, Err: fsx.ErrInUse}, dir.Close())
	}
	a, err := dir.Stat()
	if err != nil {
		return false, errors.Join(err, dir.Close())
	}
	if b, err := t.d.FS.Lstat(t.hidden); err != nil || !os.SameFile(a, b) {
		return false, dir.Close() // thrown away meanwhile
	}
	if !fresh {
		return false, errors.Join(t.clear(), dir.Close())
	}
	t.lock = dir
	return true, dir.Chmod(t.d.env.Config.DirMode) // whatever the umask
}

// clear removes the hidden directory, and links to its files from a directory
// that was to become a mailbox and is none.
func (t *stage) clear() error {
	all, err := entries(t.hidden)
	if err != nil {
		return err
	}
	for _, e := range all {
		hidden, linked := filepath.Join(t.hidden, e.Name()), filepath.Join(t.path, e.Name())
		if t.exists && !t.done {
			a, aerr := t.d.FS.Lstat(hidden)
			b, berr := t.d.FS.Lstat(linked)
			if aerr == nil && berr == nil && os.SameFile(a, b) {
				err = errors.Join(err, t.d.FS.Remove(linked))
			}
		}
		err = errors.Join(err, t.d.FS.Remove(hidden))
	}
	return errors.Join(err, t.d.FS.Remove(t.hidden))
}

// create makes a file.
func (t *stage) create(name string) (fsx.File, error) {
	f, err := t.d.FS.OpenFile(filepath.Join(t.hidden, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, t.d.env.Config.MailboxMode)
	if err != nil {
		return nil, err
	}
	t.names = append(t.names, name)
	if err := f.Chmod(t.d.env.Config.MailboxMode); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// write makes a file with these octets, durably.
func (t *stage) write(name string, b []byte) error {
	f, err := t.create(name)
	if err != nil {
		return err
	}
	if len(b) > 0 {
		_, err = f.WriteAt(b, 0)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// publish gives the mailbox its name, durably. The files are durable.
func (t *stage) publish() error {
	if err := t.d.FS.SyncDir(t.hidden); err != nil {
		return err
	}
	if err := t.free(); err != nil {
		return err
	}
	if t.exists {
		return t.link()
	}
	if err := t.d.FS.Rename(t.hidden, t.path); err != nil {
		return err
	}
	t.done = true
	if err := t.d.FS.SyncDir(filepath.Dir(t.path)); err != nil {
		if rerr := t.d.FS.Rename(t.path, t.hidden); rerr == nil {
			t.done = false
		}
		return err
	}
	return nil
}

// link links the files into the directory that has the name.
func (t *stage) link() error {
	if err := t.d.clearDeleted(t.path); err != nil {
		return err
	}
	all, err := entries(t.path)
	if err != nil {
		return err
	}
	for _, e := range all {
		if isOurs(e.Name()) {
			return fmt.Errorf("%w: %s has files of a mailbox without its metadata, such as %s: run mailutil repair, or remove them",
				mailbox.ErrExist, t.path, e.Name())
		}
	}
	// By the hidden directory a crash is known for what it was.
	if err := t.d.FS.SyncDir(filepath.Dir(t.hidden)); err != nil {
		return err
	}
	names := slices.DeleteFunc(slices.Clone(t.names), func(name string) bool { return name == metaName })
	for _, name := range names {
		if err := t.d.FS.Link(filepath.Join(t.hidden, name), filepath.Join(t.path, name)); err != nil {
			return err
		}
	}
	if err := t.d.FS.SyncDir(t.path); err != nil {
		return err
	}
	meta := filepath.Join(t.path, metaName)
	if err := t.d.FS.Link(filepath.Join(t.hidden, metaName), meta); err != nil {
		return err
	}
	if err := t.d.FS.SyncDir(t.path); err != nil {
		return errors.Join(err, t.d.FS.Remove(meta))
	}
	t.done = true
	if err := t.clear(); err != nil {
		t.d.warn("%s could not be removed: %v", t.hidden, err)
	}
	return nil
}

// abort removes what was not published; safe after publish.
func (t *stage) abort() error {
	if t.lock == nil {
		return nil
	}
	var err error
	if !t.done {
		err = t.clear()
	}
	err = errors.Join(err, t.lock.Close())
	t.lock = nil
	return err
}

// newMeta is the metadata of a new mailbox.
func (d *Driver) newMeta() meta {
	now := d.later()
	m := meta{seq: now, validity: now, newFile: now}
	for _, name := range d.env.Config.Keywords {
		if m.bit(name) == 0 {
			m.create(name) // what is not possible is left out, as in the original
		}
	}
	return m
}

// A newDelivery fills a mailbox that nobody sees before Commit.
type newDelivery struct {
	d     *Driver
	n     mailbox.Name
	stage *stage
	meta  meta
	rec   *recorder

	file uint32 // data file that is written
	f    fsx.File
	all  []fsx.File // every data file
	out  *fsx.Writer
	size int64 // of it
	msgs []message
	over bool
}

func (d *Driver) appendNew(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (*newDelivery, error) {
	s, err := d.begin(ctx, n)
	if err != nil {
		return nil, err
	}
	t := &newDelivery{d: d, n: n, stage: s, meta: d.newMeta()}
	if o.UIDValidity != 0 {
		t.meta.validity = o.UIDValidity
	}
	t.meta.uidLast = max(o.UIDNext, 1) - 1
	if o.UIDValidity == 0 {
		t.meta.uidLast = 0
	}
	t.rec = newRecorder(d, t, o, t.meta.keywords, s.hidden)
	t.rec.before = t.place
	t.file = t.meta.newFile - 1
	if err := t.roll(); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// begin begins the mailbox n.
func (d *Driver) begin(ctx context.Context, n mailbox.Name) (*stage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, err := d.Place(n)
	if err != nil {
		return nil, err
	}
	if !validName(mailbox.Name{Path: path}) {
		return nil, mailbox.Sayf(mailbox.ErrName, "Can't create mailbox %.80s: invalid MIX-format name", n.Text)
	}
	t, err := d.stage(path)
	switch {
	case err == nil:
		return t, nil
	case t != nil:
		err = errors.Join(err, t.abort())
	case errors.Is(err, syscall.ENOTDIR):
		return nil, mailbox.Sayf(mailbox.ErrExist, "Can't create mailbox %.80s: File exists", n.Text)
	}
	if errors.Is(err, mailbox.ErrExist) || errors.Is(err, fs.ErrExist) {
		return nil, mailbox.Sayf(flocked.Classify(err), "Can't create mailbox %.80s: mailbox already exists", n.Text)
	}
	return nil, err
}

// roll begins the next data file.
func (t *newDelivery) roll() error {
	if t.out != nil {
		if err := t.out.Flush(); err != nil {
			return err
		}
	}
	t.file++
	f, err := t.stage.create(dataName(t.file))
	if err != nil {
		return err
	}
	t.f, t.size = f, 0
	t.all = append(t.all, f)
	t.out = fsx.NewWriter(f)
	return nil
}

// place writes the token line of the next message.
func (t *newDelivery) place(a *added) error {
	if t.size > 0 && t.size+tokenLen+a.size > hugeFile {
		if err := t.roll(); err != nil {
			return err
		}
	}
	uid := a.uid
	if uid == 0 {
		if t.meta.uidLast+1 == 0 {
			return fmt.Errorf("%w: no UIDs are left", mailbox.ErrUnsupported)
		}
		uid = t.meta.uidLast + 1
	}
	t.meta.uidLast = max(t.meta.uidLast, uid)
	m := a.message(uid, t.file, t.size, t.meta.seq)
	t.msgs = append(t.msgs, m)
	_, err := t.Write(appendToken(nil, &m))
	return err
}

// Write adds octets to the data file.
func (t *newDelivery) Write(p []byte) (int, error) {
	n, err := t.out.Write(p)
	t.size += int64(n)
	return n, err
}

// Add adds a message.
func (t *newDelivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	if t.over {
		return mailbox.Altered{}, t.d.fail("append", t.n, os.ErrClosed)
	}
	alt, err := t.rec.add(it)
	return alt, t.d.fail("append", t.n, err)
}

// Commit makes the mailbox appear.
func (t *newDelivery) Commit() (mailbox.UIDs, error) {
	if t.over {
		return mailbox.UIDs{}, t.d.fail("append", t.n, os.ErrClosed)
	}
	err := t.rec.broken
	if err == nil {
		err = t.write()
	}
	if err == nil {
		err = t.stage.publish()
	}
	uids := mailbox.UIDs{Validity: t.meta.validity}
	if n := len(t.msgs); n > 0 {
		uids.First, uids.Last = t.msgs[0].uid, t.msgs[n-1].uid
	} else {
		uids = mailbox.UIDs{}
	}
	if err = errors.Join(err, t.close()); err != nil {
		return mailbox.UIDs{}, t.d.fail("append", t.n, err)
	}
	return uids, nil
}

// write makes all files durable.
func (t *newDelivery) write() error {
	if err := t.out.Flush(); err != nil {
		return err
	}
	if err := fsx.SyncAll(t.all); err != nil {
		return err
	}
	var index, flags []byte
	seq := t.meta.seq
	if len(t.msgs) > 0 {
		index, flags = appendSeq(nil, seq), appendSeq(nil, seq)
		t.meta.seq = t.d.later(seq)
	}
	for i := range t.msgs {
		m := &t.msgs[i]
		m.header, m.keywords = t.rec.items[i].header, t.rec.items[i].keywords
		index, flags = appendIndex(index, m), appendStatus(flags, m.record())
	}
	t.meta.newFile, t.meta.keywords = t.file, t.rec.names.keywords
	return errors.Join(
		t.stage.write(indexName, index), t.stage.write(statusName, flags), t.stage.write(metaName, t.meta.print()))
}

// Abort removes what was written.
func (t *newDelivery) Abort() error { return t.d.fail("append", t.n, t.close()) }

func (t *newDelivery) close() error {
	if t.over {
		return nil
	}
	t.over = true
	if t.out != nil {
		t.out.Stop()
	}
	var err error
	for _, f := range t.all {
		err = errors.Join(err, f.Close())
	}
	return errors.Join(err, t.stage.abort())
}
