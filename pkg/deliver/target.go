package deliver

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"mailutil/pkg/internal/node"
)

// A target is whose mailbox is meant, and what is demanded of it.
type target struct {
	who          string // login name
	folder       string // "" for INBOX
	arg          string // the recipient as it was given
	uid          int
	screen       string // characters that no folder name may begin with
	ownerMatters bool   // mailboxes must be the user's own
}

// guard judges a file that a driver has opened, before it is read or written:
// see package fsx.
func (t *target) guard(dir, file unix.Stat_t) error { return t.unsafe(dir, file) }

// unsafe returns why mail must not go into a file, nil when it may.
func (t *target) unsafe(dir, file unix.Stat_t) error {
	switch {
	case file.Mode&unix.S_IFMT == unix.S_IFLNK:
		return errors.New("symbolic link")
	case t.ownerMatters && int(file.Uid) != t.uid:
		return fmt.Errorf("uid mismatch (%d != %d)", file.Uid, t.uid)
	case file.Mode&unix.S_IFMT == unix.S_IFDIR:
		return nil
	case file.Mode&unix.S_IFMT != unix.S_IFREG:
		return errors.New(kindOf(uint32(file.Mode)))
	case file.Mode&unix.S_ISUID != 0:
		return errors.New("setuid file")
	case file.Mode&unix.S_ISGID != 0:
		return errors.New("setgid file")
	case file.Nlink > 1 && shared(dir, t.uid):
		return errLinks
	}
	return nil
}

// errLinks is true for a moment of a file that is being made: see lookTwice.
var errLinks = errors.New("multiple links in a directory of others")

// shared reports whether others than the user and root may make names in a
// directory.
func shared(dir unix.Stat_t, uid int) bool {
	return dir.Mode&(unix.S_IWGRP|unix.S_IWOTH) != 0 || dir.Uid != 0 && int(dir.Uid) != uid
}

// kindOf is what a file is that is none, in the words of the original.
func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFCHR:
		return "character special"
	case unix.S_IFBLK:
		return "block special"
	case unix.S_IFSOCK:
		return "socket"
	}
	return "file type 0000000"
}

// errMissing means that there is nothing of that name.
var errMissing = errors.New("no such file or directory")

// look looks at what path is, by descriptor, without opening it for anything:
// a FIFO does not block, and a symbolic link is seen as such.
func look(path string) (dir, file unix.Stat_t, err error) {
	fail := func(err error) (unix.Stat_t, unix.Stat_t, error) {
		if node.Gone(err) {
			err = fmt.Errorf("%w: %w", errMissing, err)
		}
		return dir, file, err
	}
	at, err := unix.Open(filepath.Dir(path), lookFlags|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(at) // nothing is written to it
	if err := unix.Fstat(at, &dir); err != nil {
		return fail(err)
	}
	if err := unix.Fstatat(at, filepath.Base(path), &file, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fail(err)
	}
	return dir, file, nil
}

// verify looks whether it is safe to put mail into path, and warns of what is
// odd about it. The decision is made again, by descriptor, for each file that
// is opened: see guard. An error has been reported, but for errMissing.
func (d *delivery) verify(path string) error {
	if d.ownerMatters {
		d.log.say(levelDebug, "Verifying safe delivery to %s by UID %d", path, d.uid)
	} else {
		d.log.say(levelDebug, "Verifying safe delivery to %s", path)
	}
	dir, file, err := d.lookTwice(path)
	if errors.Is(err, errMissing) {
		return err
	}
	if err == nil && file.Mode&unix.S_IFMT == unix.S_IFREG && dir.Mode&unix.S_IWOTH != 0 && dir.Mode&unix.S_ISVTX == 0 {
		err = errors.New("anybody may replace it")
	}
	if err != nil {
		return d.unsafeAt(path, err)
	}
	if d.warned != path {
		d.warned = path
		d.warn(path, file)
	}
	return nil
}

// lookTwice looks at a file until it is safe, or missing, or unsafe for good:
// programs that make a mailbox give it its name by a second link.
func (d *delivery) lookTwice(path string) (dir, file unix.Stat_t, err error) {
	for range linkTries {
		dir, file, err = look(path)
		if err == nil {
			err = d.unsafe(dir, file)
		}
		if err != errLinks {
			break
		}
		time.Sleep(linkPause)
	}
	return dir, file, err
}

// How often, and after which time each, a file with two links is looked at.
const (
	linkTries = 10
	linkPause = 10 * time.Millisecond
)

// unsafeAt reports why path takes no mail.
func (d *delivery) unsafeAt(path string, err error) error {
	reason := err.Error()
	if _, ok := errors.AsType[unix.Errno](err); ok {
		reason = node.Reason(err)
	}
	d.log.say(levelError, "delivery to %s unsafe: %s", path, reason)
	return errSaid
}

// warn says what is odd about a mailbox, but does no harm to mail.
func (d *delivery) warn(path string, st unix.Stat_t) {
	say := func(format string) { d.log.say(levelWarning, "WARNING: "+format, path) }
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if st.Mode&0o001 != 0 {
			say("directory %s is listable")
		}
		return
	}
	if st.Nlink != 1 {
		say("multiple links to file %s")
	}
	if st.Mode&0o111 != 0 {
		say("file %s is executable")
	}
	if st.Mode&unix.S_IWOTH != 0 {
		say("file %s is publicly-writable")
	}
	if st.Mode&unix.S_IROTH != 0 {
		say("file %s is publicly-readable")
	}
}
