// Package flocked opens mailboxes that are one file each, under the two locks
// that the original takes for mbx, mtx and tenex:
//
//   - flock(2) on the mailbox, shared as long as a session or an append lasts:
//     as long as it is there nobody moves messages. It is raised to an
//     exclusive one, without waiting, to move messages, to delete and to
//     rename, by who holds the other lock only.
//   - the temp lock /tmp/.DEV.INO, held to read what is new, to append and to
//     change anything.
//
// It also finishes what a crash interrupted, keeps what has to be cut off, and
// words the errors that the formats have in common.
package flocked

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Files opens mailboxes of one format.
type Files struct {
	FS     fsx.FS // the file calls of writers
	Env    *mailbox.Env
	Format string // the driver's name
}

// Journal returns where side files go.
func (o Files) Journal() journal.Options {
	return journal.Options{FS: o.FS, StateDir: o.Env.StateDir}
}

// Locks returns how locks are waited for.
func (o Files) Locks() lock.Options {
	return lock.Options{
		Timeout: o.Env.LockTimeout,
		Dir:     o.Env.LockDir,
		Mode:    o.Env.Config.LockMode,
		Notify:  func(text string) { o.Env.Notify(mailbox.Warn, text) },
	}
}

// Open opens a file. Who only reads leaves the access time as it was, where
// the system lets the owner of a file do so.
func (o Files) Open(path string, flag int) (fsx.File, error) {
	if flag == os.O_RDONLY && fsx.NoAtime != 0 {
		f, err := o.FS.OpenFile(path, flag|fsx.NoAtime, 0)
		if !errors.Is(err, fs.ErrPermission) {
			return f, err
		}
	}
	return o.FS.OpenFile(path, flag, 0)
}

// Peek lets look read a regular file, and puts its times back: a look is not a
// read, and programs tell new mail by the access time. Without such a file look
// is not called.
func (o Files) Peek(path string, look func(f fsx.File) error) error {
	fi, err := o.FS.Stat(path)
	if node.Gone(err) || err == nil && !fi.Mode().IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := o.Open(path, os.O_RDONLY)
	if node.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written
	before := Times(f)
	err = look(f)
	if after := Times(f); after.Access != before.Access {
		o.FS.Chtimes(path, before.Access, before.Data) // only the owner may
	}
	return err
}

// OpenLocked opens the file at path and takes the temp lock, then the shared
// lock on the file. Another process may delete or rename it before we have
// them: then what is at path now is opened.
func (o Files) OpenLocked(ctx context.Context, path string, flag int, m lock.Mode) (fsx.File, lock.Held, error) {
	for {
		// Side files are found by the file's own name, whatever links lead there.
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil, nil, err
		}
		f, err := o.Open(real, flag)
		if err != nil {
			return nil, nil, err
		}
		held, err := o.TempLock(ctx, f, m)
		if err != nil {
			return nil, nil, errors.Join(err, f.Close())
		}
		err = o.Share(ctx, f)
		same := false
		if err == nil {
			same, err = o.isAt(f, path)
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
func (o Files) isAt(f fsx.File, path string) (bool, error) {
	a, err := f.Stat()
	if err != nil {
		return false, err
	}
	b, err := o.FS.Stat(path)
	if node.Gone(err) {
		return false, nil
	}
	return err == nil && os.SameFile(a, b), err
}

// TempLock takes the lock /tmp/.DEV.INO of f.
func (o Files) TempLock(ctx context.Context, f fsx.File, m lock.Mode) (lock.Held, error) {
	return lock.Temp(ctx, f.OS(), m, o.Locks())
}

// Share takes the shared lock on the mailbox, waiting for it. Closing f gives
// it up.
func (o Files) Share(ctx context.Context, f fsx.File) error {
	_, err := lock.Flock(o.Locks()).Lock(ctx, f.OS(), lock.Shared)
	return err
}

// TryExclusive takes the exclusive lock on the mailbox; ok is false where
// another has it open. Either way the shared lock may be gone: the caller, who
// holds the temp lock, must Share again.
func TryExclusive(f fsx.File) (ok bool, err error) {
	err = lock.TryFlock(f.OS(), lock.Exclusive)
	if errors.Is(err, lock.ErrBusy) {
		return false, nil
	}
	return err == nil, err
}

// Alone calls do with the mailbox n at path open while nobody else has it
// open, to delete or rename it. A file that may not be written to is protected:
// it keeps its name.
func (o Files) Alone(ctx context.Context, n mailbox.Name, path string, do func(f fsx.File) error) error {
	f, held, err := o.OpenLocked(ctx, path, os.O_RDWR, lock.Exclusive)
	if MayNotWrite(err) {
		return mailbox.Sayf(err, "Can't open mailbox %.80s: %s", n.Text, node.Reason(err))
	}
	if err != nil {
		return err
	}
	// What a crash left must not meet a new mailbox of that name.
	_, err = o.FinishChange(f)
	if err == nil {
		var ok bool
		if ok, err = TryExclusive(f); err == nil && !ok {
			err = mailbox.Sayf(mailbox.ErrBusy, "Mailbox %.80s is in use by another process", n.Text)
		}
	}
	if err == nil {
		err = do(f)
	}
	return errors.Join(err, held.Release(), f.Close())
}
