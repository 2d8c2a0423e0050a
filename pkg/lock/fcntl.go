package lock

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Fcntl returns the POSIX lock on the whole of f. On Linux it belongs to the
// open file, elsewhere to the process: there two files of one process do not
// exclude each other, and closing any file on the mailbox drops the lock. A
// file that is open for reading only gets the shared lock whatever the mode,
// and one for writing only the exclusive one: the system has no others.
func Fcntl(o Options) Locker {
	return kernel{o: o, name: "fcntl", kinds: []string{"POSIX", "OFDLCK"}, try: fcntl, unlock: unfcntl}
}

// fcntl takes the lock, or returns unix.EAGAIN.
func fcntl(f *os.File, m Mode) error {
	return control(f, func(fd int) error {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil {
			return err
		}
		how := unix.F_RDLCK
		access := flags & unix.O_ACCMODE
		if access == unix.O_WRONLY || access == unix.O_RDWR && m == Exclusive {
			how = unix.F_WRLCK
		}
		err = setlk(fd, how)
		if err == unix.EACCES { // POSIX allows either
			return unix.EAGAIN
		}
		return err
	})
}

func unfcntl(f *os.File) error {
	return control(f, func(fd int) error { return setlk(fd, unix.F_UNLCK) })
}

// setlk sets the lock on the whole file, without waiting.
func setlk(fd, how int) error {
	l := unix.Flock_t{Type: int16(how), Whence: io.SeekStart}
	return unix.FcntlFlock(uintptr(fd), setlkCmd, &l)
}
