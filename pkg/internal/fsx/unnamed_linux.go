package fsx

import (
	"os"

	"golang.org/x/sys/unix"
)

// openUnnamed makes a file that never has a name, where the file system can.
func openUnnamed(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE|unix.O_EXCL, 0o600)
}
