package lock

import (
	"context"
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// A kernel lock is one that the kernel keeps, and drops when the file is
// closed.
type kernel struct {
	o      Options
	name   string                         // as the system call is called
	kinds  []string                       // as /proc/locks calls it
	try    func(f *os.File, m Mode) error // unix.EAGAIN when another has it
	unlock func(f *os.File) error
}

func (k kernel) Lock(ctx context.Context, f *os.File, m Mode) (Held, error) {
	w := wait{k.o, f.Name(), kernelPause, func() Holder { return k.holder(f) }}
	got := held(func() error { return k.release(f) })
	err := w.poll(ctx, func() (bool, error) {
		err := k.try(f, m)
		if noLocks(err) {
			k.o.say("%s of %s is not possible (%v), going on without it", k.name, f.Name(), err)
			got, err = none, nil
		}
		if err == unix.EAGAIN {
			return false, nil
		}
		if err != nil {
			return false, &os.PathError{Op: k.name, Path: f.Name(), Err: err}
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return got, nil
}

// release unlocks. A file that is closed has lost its locks already.
func (k kernel) release(f *os.File) error {
	err := k.unlock(f)
	if err == nil || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return &os.PathError{Op: k.name, Path: f.Name(), Err: err}
}

// holder returns who has the lock that we want. Open-file locks have no name
// on them: then it is who has another lock on the file, but for us, who may
// well have the locks that go before this one.
func (k kernel) holder(f *os.File) Holder {
	st, err := stat(f)
	if err != nil {
		return Holder{}
	}
	all := kernelHolders(st, k.kinds...)
	for _, list := range [][]Holder{all, kernelHolders(st), {dotHolder(dotName(f.Name()))}} {
		for _, h := range list {
			if h.PID != 0 && h.PID != os.Getpid() {
				return h
			}
		}
	}
	return firstOf(all)
}

// noLocks reports whether err means that the file system has no such locks.
// EBADF is an NFS that wants a writable file for an exclusive flock.
func noLocks(err error) bool {
	return slices.Contains([]error{
		unix.ENOLCK, unix.ENOTSUP, unix.EOPNOTSUPP, unix.ENOSYS, unix.EINVAL, unix.EBADF,
	}, err)
}

// control makes a system call on f, again when a signal came between.
func control(f *os.File, call func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	err = c.Control(func(fd uintptr) {
		for {
			if callErr = call(int(fd)); callErr != unix.EINTR {
				return
			}
		}
	})
	if err != nil {
		return os.ErrClosed // the only reason, which comes in other words
	}
	return callErr
}
