package lock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// deadAge is how old a dot lock is before its owner is believed dead.
const deadAge = 2 * time.Second

// Dot returns the dot lock of f's path, whatever the mode. It holds our
// process id; those of the original are empty.
//
// A lock is seized once it is older than Options.Stale, by its change time and
// the clock of the file system, and after 2 s when it holds the id of a
// process that is gone, unless the file system is shared with other hosts. A
// file that cannot be a lock, by its type or size, is never removed: it is
// ErrUnsafe.
//
// In a directory where we may not create files the program mlock is asked for
// the lock. When that fails as well, and when the lock cannot be created for
// any other reason, Lock says so to Options.Notify and goes on without.
func Dot(o Options) Locker { return dot{o, mlockPaths(), deadAge} }

type dot struct {
	o       Options
	helpers []string      // where mlock may be, the best first
	deadAge time.Duration // see the constant
}

// dotName returns the name of the dot lock of path.
func dotName(path string) string { return path + ".lock" }

func (d dot) Lock(ctx context.Context, f *os.File, _ Mode) (Held, error) {
	name := dotName(f.Name())
	w := wait{d.o, f.Name(), dotPause, func() Holder { return dotHolder(name) }}
	var got Held
	err := w.poll(ctx, func() (_ bool, err error) {
		if d.fresh(name) {
			return false, nil
		}
		got, err = d.try(ctx, f, name)
		return got != nil, err
	})
	if err != nil {
		return nil, err
	}
	return got, nil
}

// fresh reports whether another has just made the lock, by a look that leaves
// the directory alone.
func (d dot) fresh(name string) bool {
	var st unix.Stat_t
	if unix.Lstat(name, &st) != nil || lockFile(name, st) != nil {
		return false
	}
	age := time.Since(changed(st))
	return age >= 0 && age < min(d.deadAge, d.o.stale())
}

// try takes the lock called name, by a hitching post: a file of a name that
// nobody else uses, which link(2) then gives the name of the lock. That works
// on network file systems that cannot create exclusively. A nil Held means
// that another has the lock.
func (d dot) try(ctx context.Context, f *os.File, name string) (Held, error) {
	post, err := d.create(postName(name))
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrExist):
		return nil, nil // a post of this process, of this second
	case errors.Is(err, unix.ENAMETOOLONG):
		return d.tryExclusive(name)
	case errors.Is(err, fs.ErrPermission): // EACCES, EPERM
		return d.ask(ctx, f, name)
	default:
		return d.without("error creating %s: %v", name, cause(err)), nil
	}
	got, ours, err := d.hitch(post, name)
	if removeErr := os.Remove(post.Name()); removeErr != nil {
		d.o.say("lock file %s is left behind: %v", post.Name(), cause(removeErr))
	}
	if !ours {
		post.Close() // nothing in it matters
	}
	return got, err
}

// hitch links the post to name, and reports whether the lock is the post
// itself. The link may exist though link(2) failed, when the answer of a
// server was lost: what counts is what name is now.
func (d dot) hitch(post *os.File, name string) (got Held, ours bool, err error) {
	for range 2 {
		linkErr := os.Link(post.Name(), name)
		st, err := stat(post)
		switch {
		case err != nil:
			return nil, false, err
		case is(name, st), linkErr == nil && st.Nlink == 2:
			return d.held(post, name), true, nil
		case linkErr == nil:
			return nil, false, nil // taken away at once
		case noLinks(linkErr):
			got, err := d.tryExclusive(name)
			return got, false, err
		case !errors.Is(linkErr, fs.ErrExist):
			return d.without("error creating %s: %v", name, cause(linkErr)), false, nil
		}
		if got, again, err := d.examine(name, changed(st)); !again {
			return got, false, err
		}
	}
	return nil, false, nil
}

// tryExclusive takes the lock where link(2) does not work.
func (d dot) tryExclusive(name string) (Held, error) {
	for range 2 {
		f, err := d.create(name)
		if err == nil {
			return d.held(f, name), nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return d.without("error creating %s: %v", name, cause(err)), nil
		}
		if got, again, err := d.examine(name, time.Now()); !again {
			return got, err
		}
	}
	return nil, nil
}

// create makes a lock file with our process id in it.
func (d dot) create(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, d.o.mode())
	if err != nil {
		return nil, err
	}
	// The lock is as good without its text and mode, on a full disk or a file
	// system that has no modes.
	_, _ = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	_ = f.Chmod(d.o.mode()) // whatever the umask
	return f, nil
}

// held is the lock called name, which is f. The file stays open so that its
// inode number is not given to another while we compare it.
func (d dot) held(f *os.File, name string) Held {
	release := func() error {
		st, err := stat(f)
		switch {
		case err != nil:
		case is(name, st):
			err = os.Remove(name)
		default:
			d.o.say("lock file %s was removed by another process", name)
		}
		return errors.Join(err, f.Close())
	}
	renew := func() error {
		if st, err := stat(f); err != nil || !is(name, st) {
			return errors.Join(err, fmt.Errorf("lock file %s was removed by another process", name))
		}
		return os.Chtimes(name, time.Now(), time.Now())
	}
	return &once{sync.OnceValue(release), renew}
}

// without goes on without the lock.
func (d dot) without(format string, args ...any) Held {
	if !d.o.NoWarn {
		d.o.say("Mailbox vulnerable - "+format, args...)
	}
	return none
}

// postName returns the name of a hitching post, as the original makes them.
func postName(name string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return fmt.Sprintf("%s.%d.%d.%s", name, time.Now().Unix(), os.Getpid(), filepath.Base(host))
}

// noLinks reports whether err means that link(2) is not possible here.
func noLinks(err error) bool {
	for _, e := range []error{unix.EPERM, unix.EACCES, unix.ENOTSUP, unix.EOPNOTSUPP, unix.ENOSYS, unix.EXDEV, unix.EMLINK} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// cause strips an error of the names that the text around it has.
func cause(err error) error {
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return errno
	}
	return err
}
