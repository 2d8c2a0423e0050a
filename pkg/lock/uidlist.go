package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// uidlistStale is how old Dovecot's lock of a list of UIDs is, unchanged,
// before anybody seizes it. It is Dovecot's own rule.
const uidlistStale = 2 * time.Minute

// A Uidlist is Dovecot's lock of the list of UIDs of a Maildir, held: a file
// made exclusively, with "PID:HOST" in it. It stays the same lock when the
// directory that it is in gets another name.
type Uidlist struct {
	f    *os.File
	dir  *os.File
	base string
	o    Options
	gone bool
}

// TakeUidlist takes the lock called name. Others seize it once it is two
// minutes old, or once its process is gone from this host: who holds it longer
// must Touch it. Where the directory is not writable the error is
// fs.ErrPermission or EROFS, at once.
func TakeUidlist(ctx context.Context, name string, o Options) (*Uidlist, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	o.Stale = uidlistStale
	d := dot{o: o, deadAge: deadAge}
	w := wait{o, name, kernelPause, func() Holder { return uidlistHolder(name, host) }}
	var got *Uidlist
	err = w.poll(ctx, func() (bool, error) {
		for range 2 {
			f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err == nil {
				_, _ = f.WriteString(strconv.Itoa(os.Getpid()) + ":" + host) // as good without, on a full disk
				got = &Uidlist{f: f, dir: dir, base: filepath.Base(name), o: o}
				return true, nil
			}
			if !errors.Is(err, fs.ErrExist) {
				return false, err
			}
			if again, err := d.examineUidlist(name, host); !again || err != nil {
				return false, err
			}
		}
		return false, nil
	})
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return got, nil
}

// examineUidlist seizes a lock whose owner must be gone, and says whether to
// try again.
func (d dot) examineUidlist(name, host string) (again bool, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err == unix.ENOENT {
		return true, nil
	} else if err != nil {
		return false, &os.PathError{Op: "lstat", Path: name, Err: err}
	}
	if err := lockFile(name, st); err != nil {
		return false, err
	}
	reason := d.seizable(name, st, time.Now())
	if pid := uidlistPID(name, host); reason == "" && pid != 0 && gone(pid) && time.Since(changed(st)) >= d.deadAge {
		reason = fmt.Sprintf("process %d, which had it, is gone", pid)
	}
	if reason == "" {
		return false, nil
	}
	removed, err := remove(name, st)
	if removed {
		d.o.say("lock %s overridden: %s", name, reason)
	}
	return removed, err
}

// uidlistPID returns the process of this host that is named in the lock, 0 for
// none.
func uidlistPID(name, host string) int {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLockSize))
	pid, at, ok := strings.Cut(strings.TrimSpace(string(text)), ":")
	if err != nil || !ok || at != host {
		return 0
	}
	return parsePID(pid)
}

func uidlistHolder(name, host string) Holder {
	h := dotHolder(name)
	if pid := uidlistPID(name, host); pid != 0 {
		h.PID, h.Command = pid, command(pid)
	}
	return h
}

// Touch shows that the owner of the lock lives. Of one that was taken away Release
// tells.
func (l *Uidlist) Touch() error {
	now := time.Now()
	err := os.Chtimes(l.f.Name(), now, now)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Release gives the lock up. One that went with its directory is gone already.
func (l *Uidlist) Release() error {
	if l.gone {
		return nil
	}
	l.gone = true
	st, err := stat(l.f)
	if err == nil && st.Nlink > 0 {
		err = control(l.dir, func(dir int) error {
			var now unix.Stat_t
			if unix.Fstatat(dir, l.base, &now, unix.AT_SYMLINK_NOFOLLOW) != nil || !same(now, st) {
				l.o.say("lock file %s was removed by another process", l.f.Name())
				return nil
			}
			return unix.Unlinkat(dir, l.base, 0)
		})
	}
	return errors.Join(err, l.f.Close(), l.dir.Close())
}
