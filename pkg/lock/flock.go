package lock

import (
	"os"

	"golang.org/x/sys/unix"
)

// Flock returns the flock(2) lock on f.
func Flock(o Options) Locker {
	return kernel{o: o, name: "flock", kinds: []string{"FLOCK"}, try: flock, unlock: unflock}
}

// TryFlock takes flock(2) on f without waiting, changing the mode of a lock
// that f already holds. A change that fails may have lost the old lock, as
// flock(2) does; take it again. ErrBusy when another has it. Where the file
// system has no such locks it does nothing, as the original on NFS.
func TryFlock(f *os.File, m Mode) error {
	switch err := flock(f, m); {
	case err == nil, noLocks(err):
		return nil
	case err == unix.EAGAIN:
		return ErrBusy
	default:
		return &os.PathError{Op: "flock", Path: f.Name(), Err: err}
	}
}

// flock takes the lock, or returns unix.EAGAIN.
func flock(f *os.File, m Mode) error {
	how := unix.LOCK_SH
	if m == Exclusive {
		how = unix.LOCK_EX
	}
	return control(f, func(fd int) error { return unix.Flock(fd, how|unix.LOCK_NB) })
}

func unflock(f *os.File) error {
	return control(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_UN) })
}
