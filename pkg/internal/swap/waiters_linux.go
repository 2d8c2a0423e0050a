package swap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Waiters sees who tries to get the lock file of a mailbox: each try makes a file
// beside it, of which the name begins with NAME.lock.
type Waiters struct {
	fd    int // inotify(7), -1 where that cannot be had: nobody is seen then
	begin []byte
}

// Watch begins to look at the directory of path. Who has the lock himself has made
// his file before.
func Watch(path string) *Waiters {
	w := &Waiters{fd: -1, begin: []byte(filepath.Base(path) + ".lock")}
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return w
	}
	w.fd = fd
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_CREATE|unix.IN_ONLYDIR); err != nil {
		w.Close()
	}
	return w
}

// Came reports whether anybody has tried since this was asked last.
func (w *Waiters) Came() (came bool) {
	buf := make([]byte, 16<<10)
	for w.fd >= 0 {
		n, err := unix.Read(w.fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 { // nothing more has happened
			break
		}
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			mask := binary.NativeEndian.Uint32(b[4:])
			name := b[unix.SizeofInotifyEvent:][:binary.NativeEndian.Uint32(b[12:])]
			came = came || mask&unix.IN_Q_OVERFLOW != 0 || bytes.HasPrefix(name, w.begin)
			b = b[unix.SizeofInotifyEvent+len(name):]
		}
	}
	return came
}

// Close ends it.
func (w *Waiters) Close() {
	if w.fd >= 0 {
		unix.Close(w.fd) // nothing was written
		w.fd = -1
	}
}
