package winread

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// unknown is the end of a window on a stream that has not ended yet.
const unknown = math.MaxInt64

// NewStream returns a window of the given size on what r gives, which is read
// once, front to back. Octets before the offset that was given to Keep last are
// gone. End is the true end once the window has reached it, and before that an
// offset behind every octet; there always is an octet at an offset that is less
// than End and not behind the window. An error of r is returned where the
// octets before it end. Close the window when it is done with.
func NewStream(r io.Reader, size int) *Window {
	w := New(nil, size, unknown)
	w.stream = &stream{r: r}
	w.Refill(0) // so that End is known when there is nothing; an error comes again
	return w
}

// Keep gives up the octets of a stream before off.
func (w *Window) Keep(off int64) error { return w.stream.discard(off) }

// ReadAt reads octets of a stream that are kept.
func (w *Window) ReadAt(p []byte, off int64) (int, error) { return w.stream.readAt(p, off) }

// Close gives up what a stream keeps; its reader stays open.
func (w *Window) Close() error { return w.stream.close() }

// refillStream is Refill for a stream. It reads one octet ahead of the window,
// to know the end as soon as the window reaches it.
func (w *Window) refillStream(off int64) ([]byte, error) {
	w.base, w.n = off, 0
	n, err := w.stream.readAt(w.buf, off)
	if n == 0 && err != nil && err != io.EOF {
		return nil, err
	}
	w.n = n
	var ahead [1]byte
	if _, err := w.stream.readAt(ahead[:], off+int64(n)); err == io.EOF {
		w.end = w.stream.from + w.stream.kept()
	}
	return w.buf[:n], nil
}

// A stream keeps the octets of a reader from some offset on: in memory while
// they are few, in a file without a name else.
type stream struct {
	r     io.Reader
	from  int64  // offset of the first octet that is kept
	buf   []byte // in memory, buf[start:] is kept
	start int
	file  *os.File // not in memory: what is kept, from its start on
	size  int64    // octets in file
	err   error    // of the reader; io.EOF at its end
}

const (
	inMemory = 4 << 20   // octets that are kept in memory at most
	piece    = 256 << 10 // octets that are read from the reader at a time
)

// kept is how many octets are kept.
func (s *stream) kept() int64 {
	if s.file != nil {
		return s.size
	}
	return int64(len(s.buf) - s.start)
}

// readAt reads octets that are kept, or not yet read. The error is that of the
// reader where it ended before p was full.
func (s *stream) readAt(p []byte, off int64) (n int, err error) {
	if off < s.from {
		return 0, fmt.Errorf("octet %d of a stream is gone", off)
	}
	for s.err == nil && s.from+s.kept() < off+int64(len(p)) {
		if err := s.more(); err != nil {
			return 0, err
		}
	}
	at := min(off-s.from, s.kept())
	if s.file == nil {
		n = copy(p, s.buf[s.start+int(at):])
	} else if n, err = s.file.ReadAt(p, at); err != nil && err != io.EOF {
		return n, err
	}
	if n < len(p) {
		return n, s.err
	}
	return n, nil
}

// more reads a piece. The error is that of keeping it; the reader's goes to
// s.err.
func (s *stream) more() error {
	if s.file == nil && s.kept()+piece > inMemory {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if s.file != nil {
		n, err := s.r.Read(s.buf[:piece])
		s.err = err
		_, err = s.file.WriteAt(s.buf[:n], s.size)
		s.size += int64(n)
		return err
	}
	s.room()
	n, err := s.r.Read(s.buf[len(s.buf) : len(s.buf)+piece])
	s.buf, s.err = s.buf[:len(s.buf)+n], err
	return nil
}

// room makes room for a piece behind what is kept.
func (s *stream) room() {
	if cap(s.buf)-len(s.buf) >= piece {
		return
	}
	to := s.buf[:0]
	if s.start < len(s.buf)/2 { // moving little at a time would cost much
		to = make([]byte, 0, 2*len(s.buf)+2*piece)
	}
	s.buf, s.start = append(to, s.buf[s.start:]...), 0
	if cap(s.buf)-len(s.buf) < piece {
		s.buf = append(make([]byte, 0, 2*len(s.buf)+2*piece), s.buf...)
	}
}

// spill moves what is kept to a file. From then on buf is room for a piece.
func (s *stream) spill() error {
	f, err := os.CreateTemp("", ".mailutil-*")
	if err != nil {
		return err
	}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = f.WriteAt(s.buf[s.start:], 0)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s.file, s.size = f, s.kept()
	s.buf, s.start = make([]byte, 0, piece), 0
	return nil
}

// discard gives up the octets before off, or before what was read.
func (s *stream) discard(off int64) error {
	gone := min(off-s.from, s.kept())
	if gone <= 0 {
		return nil
	}
	if s.file == nil {
		s.from += gone
		s.start += int(gone)
		return nil
	}
	left := s.size - gone
	if left+piece > inMemory { // another message of that sort: the file stays
		return nil
	}
	buf := make([]byte, left, left+piece)
	if n, err := s.file.ReadAt(buf, gone); int64(n) < left {
		return err
	}
	s.from += gone
	s.buf, s.start = buf, 0
	err := s.file.Close()
	s.file = nil
	return err
}

func (s *stream) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
