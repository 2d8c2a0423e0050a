// Package spool keeps what is about to be written until its lock can be taken:
// in memory while that is little, in a file without a name otherwise.
package spool

import (
	"bufio"
	"errors"
	"io"
	"os"

	"mailutil/pkg/internal/fsx"
)

// inMemory is how much is kept in memory.
const inMemory = 1 << 20

// A Spool takes octets and gives them back. The zero value is empty, with its
// file, if it needs one, in the system's temporary directory.
type Spool struct {
	Dir string // where the file goes, if that is possible

	mem  []byte
	f    *os.File
	w    *bufio.Writer
	size int64
}

// Write adds octets.
func (s *Spool) Write(p []byte) (int, error) {
	if s.f == nil && len(s.mem)+len(p) > inMemory {
		if err := s.open(); err != nil {
			return 0, err
		}
	}
	s.size += int64(len(p))
	if s.f == nil {
		s.mem = append(s.mem, p...)
		return len(p), nil
	}
	return s.w.Write(p)
}

func (s *Spool) open() error {
	f, err := fsx.Unnamed(s.Dir)
	if err != nil {
		f, err = fsx.Unnamed(os.TempDir())
	}
	if err != nil {
		return err
	}
	s.f, s.w = f, bufio.NewWriterSize(f, inMemory)
	return nil
}

// Size is how many octets were written.
func (s *Spool) Size() int64 { return s.size }

// WriteTo writes all octets to w; it may be called more than once.
func (s *Spool) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(s.mem)
	if s.f == nil || err != nil {
		return int64(n), err
	}
	if err := s.w.Flush(); err != nil {
		return int64(n), err
	}
	buf := make([]byte, inMemory)
	var off int64
	for {
		k, err := s.f.ReadAt(buf, off)
		if k > 0 {
			if _, err := w.Write(buf[:k]); err != nil {
				return int64(n) + off, err
			}
			off += int64(k)
		}
		if err == io.EOF {
			return int64(n) + off, nil
		}
		if err != nil {
			return int64(n) + off, err
		}
	}
}

// Truncate throws away what was written behind the first size octets.
func (s *Spool) Truncate(size int64) error {
	s.size = size
	if size <= int64(len(s.mem)) {
		s.mem = s.mem[:size]
	}
	if s.f == nil {
		return nil
	}
	behind := size - int64(len(s.mem))
	err := s.w.Flush()
	_, serr := s.f.Seek(behind, io.SeekStart)
	return errors.Join(err, s.f.Truncate(behind), serr)
}

// Close forgets everything.
func (s *Spool) Close() error {
	s.mem = nil
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	s.f, s.w = nil, nil
	return err
}
