package lock

import (
	"context"
	"errors"
	"os"
)

var errStub = errors.New("lock: not built yet")

// Dot returns the dot lock of f's path.
func Dot(o Options) Locker { return stub{} }

// Fcntl returns the POSIX lock on the whole of f (OFD on Linux).
func Fcntl(o Options) Locker { return stub{} }

// Flock returns the flock(2) lock on f.
func Flock(o Options) Locker { return stub{} }

// Chain takes the locks in order and releases them in reverse; all or none.
func Chain(l ...Locker) Locker { return stub{} }

// File is the lock that is held while a unix or mmdf file is read or written:
// Dot, Fcntl, Flock, in that order.
func File(o Options) Locker { return Chain(Dot(o), Fcntl(o), Flock(o)) }

// TryFlock takes flock(2) on f without waiting, changing the mode of a lock
// that f already holds. A change that fails may have lost the old lock, as
// flock(2) does; take it again. ErrBusy when another has it.
func TryFlock(f *os.File, m Mode) error { return errStub }

// Temp takes flock(2) on the lock file /tmp/.DEV.INO that belongs to f.
func Temp(ctx context.Context, f *os.File, m Mode, o Options) (Held, error) { return nil, errStub }

// A Session is the session lock of a read-write session on f: Temp with our
// process id in it.
type Session struct{}

// TakeSession takes the session lock. A holder who can be asked is asked to
// leave by SIGUSR2 once, and given 15 s; then, or at once when nobody can be
// asked, the error is a *BusyError. A silent session leaves the lock file
// empty, neither asks nor waits, and cannot be asked.
func TakeSession(ctx context.Context, f *os.File, silent bool, o Options) (*Session, error) {
	return nil, errStub
}

// Asked reports whether somebody has asked us to leave. The owner should then
// finish what it is doing and Release.
func (s *Session) Asked() bool { return false }

// Release gives the lock up and removes its file.
func (s *Session) Release() error { return nil }

// Holders says who holds locks on the file at path, by /proc/locks and the
// content of lock files; best effort.
func Holders(path string, o Options) []Holder { return nil }

type stub struct{}

func (stub) Lock(context.Context, *os.File, Mode) (Held, error) { return nil, errStub }
