// Package node makes, removes and renames mailboxes that are plain files or
// directories, with the sentences of the original where that fails.
package node

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// Reason is the system's reason for an error as the original words it:
// "File exists".
func Reason(err error) string {
	text := err.Error()
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		text = errno.Error()
	} else if errors.Is(err, fs.ErrExist) {
		text = syscall.EEXIST.Error()
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// Gone reports whether an error means that nothing has the name.
func Gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG)
}

// WhyNot says why a path is no mailbox of a format that has directories.
func WhyNot(fsys fsx.FS, path string) error {
	if path == "" {
		return mailbox.ErrNotExist
	}
	fi, err := fsys.Stat(path)
	switch {
	case Gone(err):
		return mailbox.ErrNotExist
	case err != nil:
		return err
	case fi.IsDir():
		return mailbox.ErrNotMailbox
	}
	return mailbox.ErrFormat
}

// kind is the error of package mailbox for an error of the system.
func kind(err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: %w", mailbox.ErrExist, err)
	case Gone(err):
		return fmt.Errorf("%w: %w", mailbox.ErrNotExist, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", mailbox.ErrOverQuota, err)
	}
	return err
}

// Create makes an empty file at path, or a directory where path ends in "/".
// Missing directories above it are made as well.
func Create(fsys fsx.FS, path string, c mailbox.Config) error {
	dir, isDir := strings.CutSuffix(path, "/")
	if isDir {
		return makeDir(fsys, dir, c.DirMode)
	}
	if err := makeParents(fsys, path, c.DirMode); err != nil {
		return err
	}
	f, err := fsx.CreateNew(fsys, path, c.MailboxMode, c.DirMode)
	if errors.Is(err, fsx.ErrInUse) {
		return &mailbox.Error{Op: "create", Name: path, Off: -1, Err: fmt.Errorf("%w: %w", mailbox.ErrBusy, err)}
	}
	if err == nil {
		err = errors.Join(f.Publish(), f.Abort())
	}
	return createError(path, err)
}

func createError(path string, err error) error {
	if err == nil {
		return nil
	}
	return mailbox.Sayf(kind(err), "Can't create mailbox node %s: %s", path, Reason(err))
}

// makeParents makes the directories above path.
func makeParents(fsys fsx.FS, path string, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	fi, err := fsys.Stat(dir)
	if err == nil && fi.IsDir() {
		return nil
	}
	return makeDir(fsys, dir, mode)
}

// makeDir makes a directory that must not exist, durably.
func makeDir(fsys fsx.FS, dir string, mode fs.FileMode) error {
	if err := makeParents(fsys, dir, mode); err != nil {
		return err
	}
	err := fsys.Mkdir(dir, mode)
	if err == nil {
		err = fsys.SyncDir(filepath.Dir(dir))
	}
	return createError(dir+"/", err)
}

// Delete removes the file or the empty directory at path.
func Delete(fsys fsx.FS, n mailbox.Name, path string) error {
	path = strings.TrimRight(path, "/")
	err := fsys.Remove(path)
	if err == nil {
		err = fsys.SyncDir(filepath.Dir(path))
	}
	if err == nil {
		return nil
	}
	return mailbox.Sayf(kind(err), "Can't delete mailbox %s: %s", n.Text, Reason(err))
}

// Rename gives the file or directory at from the path to, which nothing has.
// Missing directories above it are made.
func Rename(fsys fsx.FS, old, new mailbox.Name, from string, c mailbox.Config) error {
	from = strings.TrimRight(from, "/")
	to := new.Path
	if to == "" || strings.HasSuffix(to, "/") {
		return mailbox.Sayf(mailbox.ErrName, "Can't rename %s to %s: invalid name", old.Text, new.Text)
	}
	_, err := fsys.Lstat(from)
	if err == nil {
		if err := makeParents(fsys, to, c.DirMode); err != nil {
			return err
		}
		err = fsx.RenameNew(fsys, from, to)
	}
	if err == nil {
		return nil
	}
	return mailbox.Sayf(kind(err), "Can't rename mailbox %s to %s: %s", old.Text, new.Text, Reason(err))
}

// An ID tells files apart, whatever their names.
type ID struct{ dev, ino uint64 }

// IDOf returns the ID of a file that package os has looked at.
func IDOf(fi fs.FileInfo) ID {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return ID{}
	}
	return ID{uint64(st.Dev), uint64(st.Ino)}
}

// String writes an ID so that ParseID can read it.
func (id ID) String() string { return fmt.Sprintf("%x:%x", id.dev, id.ino) }

// ParseID reads what String wrote.
func ParseID(s string) (id ID, ok bool) {
	dev, ino, _ := strings.Cut(s, ":")
	id.dev, _ = strconv.ParseUint(dev, 16, 64)
	id.ino, _ = strconv.ParseUint(ino, 16, 64)
	return id, id.String() == s
}
