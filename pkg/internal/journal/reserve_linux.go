package journal

import (
	"errors"
	"syscall"

	"mailutil/pkg/internal/fsx"
)

// reserve sees to it that a file has room to grow, before anything is changed:
// a full disk must not stop a change half way. File systems that cannot
// reserve are taken at their word later.
func reserve(f fsx.File, from, to int64) error {
	if to <= from {
		return nil
	}
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE
	for {
		err := syscall.Fallocate(int(f.OS().Fd()), keepSize, from, to-from)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
			return err
		default:
			return nil
		}
	}
}
