// Package lock holds the locks by which mail programs keep off each other's
// toes on one mailbox file, each exactly as the original (the UW IMAP toolkit)
// takes it:
//
//	Dot      MAILBOX.lock, by a hitching post and link(2), or by the set-gid
//	         helper mlock where the directory is not writable
//	Fcntl    the whole file, an open-file-description lock on Linux
//	Flock    flock(2) on the mailbox
//	Temp     flock(2) on /tmp/.DEV.INO, with its link checks
//	Session  Temp, held by a read-write session of a unix mailbox: it names
//	         its owner, who may be asked to leave by SIGUSR2
//
// A lock that is not to be had within Options.Timeout gives a *BusyError that
// names the holder as well as the system lets us know. Refusals for safety
// (a symbolic link or a second hard link on a lock name) are ErrUnsafe.
//
// A lock that a file system cannot hold (ENOLCK, ENOTSUP: network file
// systems) and a dot lock that we may not make are left out, with a word to
// Options.Notify: the other locks still hold. All waiting is by polling, with
// growing pauses, so that contexts and timeouts always work: of milliseconds at
// first, in the end 250 ms for dot locks and 100 ms for the others.
//
// Locks taken by one process on two open files exclude each other too, except
// Fcntl outside Linux.
package lock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// A Mode is how a lock is shared.
type Mode int

// Shared locks go together; an Exclusive one is alone.
const (
	Shared Mode = iota
	Exclusive
)

// A Locker takes one kind of lock on the file f (f.Name() must be its
// absolute path). It waits until the lock is had, Options.Timeout passes
// (*BusyError) or ctx ends (ctx.Err()).
type Locker interface {
	Lock(ctx context.Context, f *os.File, m Mode) (Held, error)
}

// Held is a lock that is held. Release may be called more than once.
type Held interface{ Release() error }

// Options are common to all kinds.
type Options struct {
	Timeout time.Duration     // how long to wait; 0 is 5 minutes, negative: do not wait
	Stale   time.Duration     // age at which a dot lock is seized; 0 is 5 minutes
	Dir     string            // where Temp locks live; "" is /tmp
	Mode    fs.FileMode       // mode of lock files; 0 is 0666
	Notify  func(text string) // said while waiting, and about locks that are seized or left out; may be nil
	NoWarn  bool              // do not say that a dot lock could not be made
}

// ErrBusy is what every *BusyError is.
var ErrBusy = errors.New("locked by another process")

// ErrUnsafe means that a lock name is a symbolic link or has a second hard
// link: somebody may be playing tricks.
var ErrUnsafe = errors.New("unsafe lock file")

// A Holder is who has a lock, as far as the system tells.
type Holder struct {
	PID     int           // 0 when unknown
	Command string        // "" when unknown
	Since   time.Duration // how long, 0 when unknown
}

// String returns "pid 4711 (procmail) since 12 s", or "another process".
func (h Holder) String() string {
	s := "another process"
	if h.PID != 0 {
		s = fmt.Sprintf("pid %d", h.PID)
		if h.Command != "" {
			s += " (" + h.Command + ")"
		}
	}
	if h.Since >= time.Second {
		s += fmt.Sprintf(" since %d s", int(h.Since.Seconds()))
	}
	return s
}

// A BusyError is a lock that was not to be had in time.
type BusyError struct {
	Path   string // mailbox or lock file
	Holder Holder
	Waited time.Duration
}

// Error says who holds what.
func (e *BusyError) Error() string {
	return fmt.Sprintf("%s is locked by %s", e.Path, e.Holder)
}

// Is makes every BusyError an ErrBusy.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }
