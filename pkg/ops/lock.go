package ops

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"mailutil/pkg/internal/syslog"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A Lock is a lock that somebody has on a mailbox.
type Lock = lock.Lock

// Locks says which locks there are on a mailbox that is one file. None is
// taken.
func (s *Session) Locks(name string) ([]Lock, error) {
	path, err := s.fileOf(name)
	if err != nil {
		return nil, err
	}
	return lock.Survey(path, s.lockOptions()), nil
}

// WithLocks calls do while nobody else reads or writes a mailbox that is one
// file, nor begins to: under all the locks that programs take for it, of any
// format. path is its file.
func (s *Session) WithLocks(ctx context.Context, name string, do func(path string) error) error {
	path, err := s.fileOf(name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrPermission) {
		return fail("lock", name, mailbox.ErrReadOnly)
	}
	if err != nil {
		return fail("lock", name, err)
	}
	defer f.Close() // nothing was written to it
	o := s.lockOptions()
	held, err := lock.Chain(tempLocker{o}, lock.File(o)).Lock(ctx, f, lock.Exclusive)
	if errors.Is(err, lock.ErrBusy) {
		err = fmt.Errorf("%w: %w", mailbox.ErrBusy, err)
	}
	if err != nil {
		return fail("lock", name, err)
	}
	return errors.Join(do(path), held.Release())
}

// A tempLocker is lock.Temp in a chain.
type tempLocker struct{ o lock.Options }

func (l tempLocker) Lock(ctx context.Context, f *os.File, m lock.Mode) (lock.Held, error) {
	return lock.Temp(ctx, f, m, l.o)
}

// BreakLock removes the lock file of a mailbox if whoever made it must be gone,
// and says so in the system's log. Else the error says who has it.
func (s *Session) BreakLock(name string) (reason string, err error) {
	path, err := s.fileOf(name)
	if err != nil {
		return "", err
	}
	if s.DryRun {
		return "", fail("break lock", name, fmt.Errorf("%w: a dry run changes nothing", mailbox.ErrUnsupported))
	}
	reason, err = lock.Break(path, s.lockOptions())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fail("break lock", name, errors.New("there is no lock file"))
	case errors.Is(err, lock.ErrBusy):
		return "", fail("break lock", name, alive{err})
	case err != nil:
		return "", fail("break lock", name, err)
	}
	syslog.Dial("mailutil").Say(syslog.Notice, fmt.Sprintf("lock of %s broken by uid %d: %s", path, os.Getuid(), reason))
	return reason, nil
}

// alive is a lock whose holder may be alive.
type alive struct{ error }

func (a alive) Error() string { return a.error.Error() + ", who may be alive" }

// Is makes it a mailbox.ErrBusy.
func (a alive) Is(target error) bool { return target == mailbox.ErrBusy }

func (a alive) Unwrap() error { return a.error }

func (s *Session) lockOptions() lock.Options {
	c := s.Env.Config
	return lock.Options{
		Timeout: s.Env.LockTimeout, Stale: c.DotLockTimeout, Dir: s.Env.LockDir, Mode: c.LockMode, NoWarn: c.NoLockWarning,
		Notify: func(text string) { s.Env.Notify(mailbox.Warn, text) },
	}
}

// fileOf returns the file of a mailbox. Those that are directories have no
// locks that could be had from outside.
func (s *Session) fileOf(name string) (string, error) {
	n, d, err := s.find(name)
	if err != nil {
		return "", err
	}
	path := n.Path
	if p, ok := d.(mailbox.Placer); ok {
		if path, err = p.Place(n); err != nil {
			return "", err
		}
	}
	fi, err := os.Stat(path)
	switch {
	case path == "" || err == nil && !fi.Mode().IsRegular():
		return "", fail("lock", name, fmt.Errorf("%w: it is not one file", mailbox.ErrUnsupported))
	case errors.Is(err, fs.ErrNotExist):
		return "", fail("lock", name, mailbox.ErrNotExist)
	case err != nil:
		return "", fail("lock", name, err)
	}
	return path, nil
}
