package swap

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openElsewhere reports whether anybody but f has its file open: then no lease
// to write is given (fcntl(2), F_SETLEASE). known is false where the file system
// or the system does not say, or not to us.
func openElsewhere(f *os.File) (open, known bool) {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	if errors.Is(err, unix.EAGAIN) {
		return true, true
	}
	if err != nil {
		return false, false
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return false, err == nil
}
