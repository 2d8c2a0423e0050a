package ops

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mailutil/pkg/internal/journal"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Info is what can be told of a mailbox without reading its messages, unless it
// is a stream, and what is beside it.
type Info struct {
	mailbox.Status
	Busy     bool          // locked by another process: of Status only Driver and Path are known
	Size     int64         // octets on disk; of a directory, of all files in it
	Modified time.Time     // zero where there is no file
	Holders  []lock.Holder // who has locks on it, as far as the system tells
	Pending  bool          // a change was interrupted, the next program of ours to open it finishes it
	DotLock  string        // path of its lock file, "" for none
	Lost     string        // path of the file that mail without a place was saved to, "" for none
}

// Info tells about a mailbox. It never alters it.
func (s *Session) Info(ctx context.Context, name string) (Info, error) {
	n, d, err := s.find(name)
	if err != nil {
		return Info{}, err
	}
	var in Info
	if n.Path != "" { // opening it takes locks, and may finish a change
		if err := in.surroundings(n.Path, s.Env); err != nil {
			return in, err
		}
	}
	mb, err := d.Open(ctx, n, mailbox.ReadOnly)
	if errors.Is(err, mailbox.ErrBusy) && n.Path != "" {
		in.Busy = true
		in.Driver, in.Path = d.Name(), n.Path
		return in, nil
	}
	if err != nil {
		return in, err
	}
	err = readStream(ctx, mb)
	in.Status = mb.Status()
	if err := errors.Join(err, mb.Close()); err != nil {
		return in, err
	}
	if n.Path != "" || !filepath.IsAbs(in.Path) {
		return in, nil
	}
	return in, in.surroundings(in.Path, s.Env)
}

// readStream reads a stream to its end, for its status.
func readStream(ctx context.Context, mb mailbox.Mailbox) error {
	if !mb.Status().Streaming {
		return nil
	}
	for _, err := range mb.Messages(mailbox.All) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// surroundings looks at the file at path and at what is beside it.
func (in *Info) surroundings(path string, env *mailbox.Env) (err error) {
	in.Holders = lock.Holders(path, lock.Options{Dir: env.LockDir})
	if in.Pending, err = journal.Pending(path, journal.Options{StateDir: env.StateDir}); err != nil {
		return err
	}
	if in.DotLock, err = existing(path + ".lock"); err != nil {
		return err
	}
	if in.Lost, err = existing(path + ".lost"); err != nil {
		return err
	}
	in.Size, in.Modified, err = sizeOf(path)
	return err
}

// existing returns path where something is there, else "".
func existing(path string) (string, error) {
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	}
	return path, nil
}

// sizeOf returns the size of a file, or of the files below a directory, and
// when the last of them was modified. What is not there has neither.
func sizeOf(path string) (size int64, modified time.Time, err error) {
	if path, err = filepath.EvalSymlinks(path); errors.Is(err, fs.ErrNotExist) {
		return 0, modified, nil
	} else if err != nil {
		return 0, modified, err
	}
	err = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // gone meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if fi.ModTime().After(modified) {
			modified = fi.ModTime()
		}
		if fi.Mode().IsRegular() {
			size += fi.Size()
		}
		return nil
	})
	return size, modified, err
}
