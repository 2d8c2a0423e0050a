package lock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxRaces is how often a lock file may go away under our hands before we
// take a breath.
const maxRaces = 100

// Temp takes flock(2) on the lock file /tmp/.DEV.INO that belongs to f: the
// device and inode numbers of f, in lower-case hexadecimal digits. The file
// is made when it is missing, and removed by the last holder. ErrUnsafe when
// its name is a symbolic link, a second hard link or no regular file.
func Temp(ctx context.Context, f *os.File, m Mode, o Options) (Held, error) {
	t, err := takeTemp(ctx, f, m, o)
	if err != nil {
		return nil, err
	}
	return held(t.release), nil
}

// A temp is a Temp lock that is held.
type temp struct {
	name string
	f    *os.File
}

// tempName returns the name of the lock file for the mailbox st.
func tempName(st unix.Stat_t, dir string) string {
	if dir == "" {
		dir = "/tmp" // whatever $TMPDIR says: all programs must agree
	}
	return filepath.Join(dir, fmt.Sprintf(".%x.%x", st.Dev, st.Ino))
}

func takeTemp(ctx context.Context, f *os.File, m Mode, o Options) (*temp, error) {
	st, err := stat(f)
	if err != nil {
		return nil, &os.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	name := tempName(st, o.Dir)
	w := wait{o, f.Name(), kernelPause, func() Holder { return firstOf(tempHolders(name)) }}
	var got *temp
	err = w.poll(ctx, func() (_ bool, err error) {
		got, err = tryTemp(name, m, o)
		return got != nil, err
	})
	if err != nil {
		return nil, err
	}
	return got, nil
}

// tryTemp takes the lock, nil when another has it.
func tryTemp(name string, m Mode, o Options) (*temp, error) {
	for range maxRaces {
		f, err := openTemp(name, o)
		if errors.Is(err, fs.ErrPermission) && exists(name) {
			return nil, nil // being made by another user, or locked up by one
		}
		if err != nil {
			return nil, err
		}
		if f == nil {
			continue
		}
		switch ok, err := lockTemp(f, name, m, o); {
		case ok:
			_ = f.Chmod(o.mode()) // not ours to change, then not ours to mind
			return &temp{name, f}, nil
		case errors.Is(err, unix.EAGAIN):
			return nil, f.Close()
		case err != nil:
			return nil, errors.Join(err, f.Close())
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// openTemp opens the lock file, or makes it. A nil file means that it came or
// went meanwhile.
func openTemp(name string, o Options) (*os.File, error) {
	var st unix.Stat_t
	switch err := unix.Lstat(name, &st); {
	case err == unix.ENOENT:
		return makeTemp(name, o)
	case err != nil:
		return nil, &os.PathError{Op: "lstat", Path: name, Err: err}
	}
	if err := safeTemp(name, st); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
		return nil, nil
	}
	return f, err
}

func makeTemp(name string, o Options) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, o.mode())
	if errors.Is(err, fs.ErrExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(o.mode()); err != nil { // whatever the umask
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lockTemp locks f and reports whether it still is the file called name.
func lockTemp(f *os.File, name string, m Mode, o Options) (bool, error) {
	err := flock(f, m)
	if noLocks(err) {
		o.say("flock of %s is not possible (%v), going on without it", name, err)
		err = nil
	}
	if err != nil {
		return false, &os.PathError{Op: "flock", Path: name, Err: err}
	}
	mine, err := stat(f)
	if err != nil {
		return false, &os.PathError{Op: "fstat", Path: name, Err: err}
	}
	var now unix.Stat_t
	if unix.Lstat(name, &now) != nil || !same(mine, now) {
		return false, nil
	}
	if err := safeTemp(name, now); err != nil {
		return false, err
	}
	return true, nil
}

// safeTemp returns an error when the lock file may be a trap.
func safeTemp(name string, st unix.Stat_t) error {
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return fmt.Errorf("%s: %w: symbolic link on lock name", name, ErrUnsafe)
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("%s: %w: not a regular file", name, ErrUnsafe)
	case st.Nlink > 1:
		return fmt.Errorf("%s: %w: hard link to lock name", name, ErrUnsafe)
	}
	return nil
}

// release removes the file when nobody else has or wants the lock.
func (t *temp) release() error {
	var err error
	st, statErr := stat(t.f)
	if statErr == nil && flock(t.f, Exclusive) == nil && is(t.name, st) {
		err = os.Remove(t.name)
		if errors.Is(err, fs.ErrPermission) {
			err = nil // another user made it, in a sticky directory; it does no harm
		}
	}
	return errors.Join(err, t.f.Close())
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
