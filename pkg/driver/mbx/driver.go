package mbx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Driver is the mbx format. Its fields may be set before first use.
type Driver struct {
	FS  fsx.FS // the file calls of writers
	PID uint32 // what to write as LASTPID: our process id

	env   *mailbox.Env
	spool mailbox.Driver
}

var (
	_ mailbox.Driver   = (*Driver)(nil)
	_ mailbox.Creator  = (*Driver)(nil)
	_ mailbox.Deleter  = (*Driver)(nil)
	_ mailbox.Renamer  = (*Driver)(nil)
	_ mailbox.Appender = (*Driver)(nil)
	_ mailbox.Counter  = (*Driver)(nil)
)

// New returns the driver. spool reads the system INBOX, from which new mail
// goes to an INBOX of this format; nil leaves it where it is.
func New(env *mailbox.Env, spool mailbox.Driver) *Driver {
	return &Driver{FS: fsx.OS{}, PID: uint32(os.Getpid()), env: env, spool: spool}
}

// Name returns "mbx".
func (d *Driver) Name() string { return "mbx" }

// place returns the path of the mailbox n; that of INBOX is ~/INBOX.
func (d *Driver) place(n mailbox.Name) (string, error) {
	if !n.Inbox {
		return n.Path, nil
	}
	inbox, err := d.env.Resolve("~/INBOX")
	return inbox.Path, err
}

// Probe reports whether n is a file that begins with a file block.
func (d *Driver) Probe(n mailbox.Name) (bool, error) {
	path, err := d.place(n)
	if err != nil {
		return false, err
	}
	fi, err := d.FS.Stat(path)
	if node.Gone(err) || err == nil && !fi.Mode().IsRegular() {
		return false, nil
	}
	if err != nil {
		return false, d.fail("open", n, err)
	}
	f, err := d.openFile(path, os.O_RDONLY)
	if node.Gone(err) {
		return false, nil
	}
	if err != nil {
		return false, d.fail("open", n, err)
	}
	defer f.Close() // nothing was written
	before := times(f)
	_, ok, err := readBlock(f)
	// A look is not a read: programs tell new mail by the access time.
	if after := times(f); after.access != before.access {
		d.FS.Chtimes(path, before.access, before.data) // only the owner may
	}
	return ok, d.fail("open", n, err)
}

// openFile opens a file. Who only reads leaves the access time as it was,
// where the system lets the owner of a file do so.
func (d *Driver) openFile(path string, flag int) (fsx.File, error) {
	if flag == os.O_RDONLY && noAtime != 0 {
		f, err := d.FS.OpenFile(path, flag|noAtime, 0)
		if !errors.Is(err, fs.ErrPermission) {
			return f, err
		}
	}
	return d.FS.OpenFile(path, flag, 0)
}

// readBlock reads the file block; ok is false where there is none.
func readBlock(f fsx.File) (k block, ok bool, err error) {
	b := make([]byte, blockSize)
	n, err := f.ReadAt(b, 0)
	if n < blockSize {
		if err == io.EOF {
			err = nil
		}
		return block{}, false, err
	}
	k, ok = parseBlock(b)
	return k, ok, nil
}

// fail makes err an *Error about n. One that is an *Error gets what it lacks.
func (d *Driver) fail(op string, n mailbox.Name, err error) error {
	if err == nil {
		return nil
	}
	var e *mailbox.Error
	if errors.As(err, &e) {
		if e.Op != "" {
			return err // about another mailbox, such as the source of a copy
		}
		said := *e
		said.Op, said.Driver, said.Name = op, d.Name(), n.Text
		return &said
	}
	return &mailbox.Error{Op: op, Driver: d.Name(), Name: n.Text, Off: -1, Err: classify(err)}
}

// classify puts the kinds of package mailbox over errors of others.
func classify(err error) error {
	kind := func(k error) error {
		if errors.Is(err, k) {
			return err
		}
		return fmt.Errorf("%w: %w", k, err)
	}
	switch {
	case errors.Is(err, lock.ErrBusy), errors.Is(err, fsx.ErrInUse):
		return kind(mailbox.ErrBusy)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return kind(mailbox.ErrOverQuota)
	case errors.Is(err, journal.ErrUnfinished), errors.Is(err, lock.ErrUnsafe):
		return kind(mailbox.ErrTemporary)
	case errors.Is(err, fs.ErrExist):
		return kind(mailbox.ErrExist)
	case node.Gone(err):
		return kind(mailbox.ErrNotExist)
	}
	return err
}

func (d *Driver) journal() journal.Options {
	return journal.Options{FS: d.FS, StateDir: d.env.StateDir}
}

func (d *Driver) locks() lock.Options {
	return lock.Options{
		Timeout: d.env.LockTimeout,
		Dir:     d.env.LockDir,
		Mode:    d.env.Config.LockMode,
		Notify:  func(text string) { d.env.Notify(mailbox.Warn, text) },
	}
}

// tempLock takes the lock /tmp/.DEV.INO on f: whoever parses or changes a
// mailbox holds it.
func (d *Driver) tempLock(ctx context.Context, f fsx.File) (lock.Held, error) {
	return lock.Temp(ctx, f.OS(), lock.Exclusive, d.locks())
}

// share takes the shared lock on the mailbox that keeps others from moving
// messages, waiting for it.
func (d *Driver) share(ctx context.Context, f fsx.File) error {
	_, err := lock.Flock(d.locks()).Lock(ctx, f.OS(), lock.Shared)
	return err // closing f gives the lock up
}

// tryExclusive takes the exclusive lock on the mailbox; ok is false where
// another has it open. Either way the shared lock may be gone: the caller, who
// holds the temp lock, must share again.
func tryExclusive(f fsx.File) (ok bool, err error) {
	err = lock.TryFlock(f.OS(), lock.Exclusive)
	if errors.Is(err, lock.ErrBusy) {
		return false, nil
	}
	return err == nil, err
}

// inUse is the error where others have the mailbox open.
func inUse(n mailbox.Name) error {
	return mailbox.Sayf(mailbox.ErrBusy, "Mailbox %.80s is in use by another process", n.Text)
}

// openLocked opens the file at path and takes the temp lock, then the shared
// lock on the file. Another process may delete or rename it before we have
// them: then what is at path now is opened.
func (d *Driver) openLocked(ctx context.Context, path string, flag int) (fsx.File, lock.Held, error) {
	for {
		// Side files are found by the file's own name, whatever links lead there.
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil, nil, err
		}
		f, err := d.openFile(real, flag)
		if err != nil {
			return nil, nil, err
		}
		held, err := d.tempLock(ctx, f)
		if err != nil {
			return nil, nil, errors.Join(err, f.Close())
		}
		err = d.share(ctx, f)
		same := false
		if err == nil {
			same, err = d.isAt(f, path)
		}
		if same && err == nil {
			return f, held, nil
		}
		if err := errors.Join(err, held.Release(), f.Close()); err != nil {
			return nil, nil, err
		}
	}
}

// isAt reports whether f is the file at path.
func (d *Driver) isAt(f fsx.File, path string) (bool, error) {
	a, err := f.Stat()
	if err != nil {
		return false, err
	}
	b, err := d.FS.Stat(path)
	if node.Gone(err) {
		return false, nil
	}
	return err == nil && os.SameFile(a, b), err
}
