package mend

import (
	"bufio"
	"errors"
	"io"
	"os"
)

// A Scratch keeps octets that were made of a file's: in a file without a name.
type Scratch struct {
	f *os.File
	w *bufio.Writer
	n int64
}

// NewScratch makes one in dir, or where temporary files go.
func NewScratch(dir string) (*Scratch, error) {
	f, err := os.CreateTemp(dir, ".mailutil-*")
	if err != nil {
		f, err = os.CreateTemp("", ".mailutil-*")
	}
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Scratch{f: f, w: bufio.NewWriterSize(f, 256<<10)}, nil
}

// Write adds octets.
func (s *Scratch) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.n += int64(n)
	return n, err
}

// Size is how many octets were written.
func (s *Scratch) Size() int64 { return s.n }

// ReadAt reads what was written.
func (s *Scratch) ReadAt(p []byte, off int64) (int, error) {
	if s.w.Buffered() > 0 {
		if err := s.w.Flush(); err != nil {
			return 0, err
		}
	}
	return s.f.ReadAt(p, off)
}

// Close frees the octets.
func (s *Scratch) Close() error { return s.f.Close() }

// LineEnds writes the octets [off, end) of r to w with other line ends: CR LF
// for each LF without CR, and for each CR CR LF.
func LineEnds(w io.Writer, r io.ReaderAt, off, end int64) error {
	in := bufio.NewReaderSize(io.NewSectionReader(r, off, end-off), 256<<10)
	out := bufio.NewWriterSize(w, 256<<10)
	crs := 0 // that are held back
	for {
		c, err := in.ReadByte()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if c == '\r' {
			crs++
			continue
		}
		if c == '\n' {
			crs = 1
		}
		for ; crs > 0; crs-- {
			out.WriteByte('\r')
		}
		out.WriteByte(c)
	}
	for ; crs > 0; crs-- {
		out.WriteByte('\r')
	}
	return out.Flush()
}
