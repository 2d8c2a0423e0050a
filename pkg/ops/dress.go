package ops

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mailutil/pkg/internal/fsx"
)

// dress gives a new mailbox, a file or a directory, the owner, the group, the
// mode and the times of another, durably. Who can read a file can look into a
// directory that takes its place.
func dress(path string, like fs.FileInfo, times stamps) error {
	err := filepath.WalkDir(path, func(at string, e fs.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return dressOne(at, like, e.IsDir())
	})
	if err != nil {
		return err
	}
	times.restore(path)
	return fsx.OS{}.SyncDir(path) // of a file as well: its owner and times
}

func dressOne(path string, like fs.FileInfo, dir bool) error {
	mode := like.Mode().Perm()
	switch {
	case dir && !like.IsDir():
		mode |= mode & 0o444 >> 2
	case !dir && like.IsDir():
		mode &^= 0o111
	}
	if err := own(path, like); err != nil {
		return err
	}
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	if dir {
		return fsx.OS{}.SyncDir(path)
	}
	return nil
}

// own gives path the owner and the group of another file.
func own(path string, like fs.FileInfo) error {
	want, ok := like.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	fi, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if got := fi.Sys().(*syscall.Stat_t); got.Uid == want.Uid && got.Gid == want.Gid {
		return nil
	}
	if err := os.Lchown(path, int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("the new mailbox cannot be given to its owner: %w", err)
	}
	return nil
}

// links is how many names a file has.
func links(fi fs.FileInfo) uint64 {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return uint64(st.Nlink)
}

// stamps are the times of a file.
type stamps struct{ access, data time.Time }

func timesOf(fi fs.FileInfo) stamps { return stamps{accessed(fi), fi.ModTime()} }

// restore sets the times. That they cannot be set does no harm to mail.
func (t stamps) restore(path string) {
	if fi, err := os.Stat(path); err != nil || errors.Is(err, fs.ErrNotExist) || fi.ModTime().Equal(t.data) && accessed(fi).Equal(t.access) {
		return
	}
	_ = os.Chtimes(path, t.access, t.data)
}
