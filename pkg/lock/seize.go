package lock

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// examine looks at a lock of another process, seizes it when its owner must be
// gone, and says whether to try again. Otherwise got is the lock to go on
// with, nil to wait.
func (d dot) examine(name string, now time.Time) (got Held, again bool, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err == unix.ENOENT {
		return nil, true, nil
	} else if err != nil {
		return nil, false, &os.PathError{Op: "lstat", Path: name, Err: err}
	}
	if err := lockFile(name, st); err != nil {
		return nil, false, err
	}
	reason := d.seizable(name, st, now)
	if reason == "" {
		return nil, false, nil
	}
	removed, err := remove(name, st)
	switch {
	case errors.Is(err, fs.ErrPermission): // another's, in a sticky directory
		return d.without("error removing old lock %s: %v", name, cause(err)), false, nil
	case err != nil:
		return nil, false, err
	case removed:
		d.o.say("Mailbox %s lock overridden: %s", strings.TrimSuffix(name, ".lock"), reason)
	}
	return nil, removed, nil
}

// lockFile returns an error unless st can be a lock file. People have
// mailboxes called "x" and "x.lock"; seizing would lose one.
func lockFile(name string, st unix.Stat_t) error {
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return fmt.Errorf("%s: %w: symbolic link on lock name", name, ErrUnsafe)
	case st.Mode&unix.S_IFMT != unix.S_IFREG, st.Size > maxLockSize:
		return notLock(name)
	}
	return nil
}

func notLock(name string) error {
	return fmt.Errorf("%s: %w: it is something else than a lock", name, ErrUnsafe)
}

// seizable returns why the lock may be seized, "" when it may not.
func (d dot) seizable(name string, st unix.Stat_t, now time.Time) string {
	age := now.Sub(changed(st))
	if age >= d.o.stale() {
		return fmt.Sprintf("the lock was %d s old", int(age.Seconds()))
	}
	if age < d.deadAge {
		return ""
	}
	if pid := pidIn(name); pid != 0 && gone(pid) && !remote(name) {
		return fmt.Sprintf("process %d, which had it, is gone", pid)
	}
	return ""
}

// remove removes the lock that was judged, if it is still the same. Those who
// seize keep each other off by flock(2) on the old lock; else the second of
// two could remove the new lock of the first.
func remove(name string, judged unix.Stat_t) (bool, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err == nil {
		defer f.Close()
		if flock(f, Exclusive) == unix.EAGAIN {
			return false, nil
		}
		if looksLikeMail(f) {
			return false, notLock(name)
		}
	}
	var st unix.Stat_t
	if unix.Lstat(name, &st) != nil || !same(st, judged) || st.Mtim != judged.Mtim || st.Ctim != judged.Ctim {
		return false, nil
	}
	if err := os.Remove(name); err != nil {
		return false, err
	}
	return true, nil
}

// looksLikeMail reports whether a small file is a mailbox after all.
func looksLikeMail(r io.Reader) bool {
	start := make([]byte, 5)
	n, _ := io.ReadFull(r, start)
	s := string(start[:n])
	return s == "From " || strings.HasPrefix(s, "\x01\x01\x01\x01")
}
