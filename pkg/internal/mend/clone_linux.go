package mend

import (
	"os"

	"golang.org/x/sys/unix"
)

// clone is FICLONE.
func clone(to, from *os.File) error {
	return unix.IoctlFileClone(int(to.Fd()), int(from.Fd()))
}
