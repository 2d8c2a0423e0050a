package swap

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// exchange gives two files or directories each other's names, at once; ok is
// false where the system cannot.
func exchange(a, b string) (ok bool, err error) {
	err = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if canNot(err) {
		return false, nil
	}
	if err != nil {
		return false, &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return true, nil
}

// renameNew renames a file or a directory and replaces no other (fs.ErrExist).
func renameNew(old, new string) error {
	err := unix.Renameat2(unix.AT_FDCWD, old, unix.AT_FDCWD, new, unix.RENAME_NOREPLACE)
	switch {
	case err == nil:
		return nil
	case canNot(err):
		return renameUnlessThere(old, new)
	}
	return &os.LinkError{Op: "rename", Old: old, New: new, Err: err}
}

// canNot reports whether the system, or the file system, has no such renames.
func canNot(err error) bool {
	return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EOPNOTSUPP)
}
