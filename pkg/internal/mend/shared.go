package mend

import "io"

// A Shared is a run of octets [Off, End) of a file that is there once more, By
// octets further on.
type Shared struct{ Off, End, By int64 }

// Grow makes s the longest run of that kind, of which the octets at and again
// are the first ones that are known to be the same. What [start, end) of r holds
// is looked at, and of what s had nothing is read again.
func (s *Shared) Grow(r io.ReaderAt, start, end, at, again int64) error {
	by := again - at
	if s.By == by && s.Off <= at && at < s.End {
		return nil
	}
	*s = Shared{at, at, by}
	n, err := same(r, at, again, min(by, end-again))
	if err != nil {
		return err
	}
	s.End += n
	n, err = sameBefore(r, at, again, min(by, at-start))
	s.Off -= n
	return err
}

// Adjoins reports whether the run and its copy are next to each other, so that
// one of them can go.
func (s *Shared) Adjoins() bool { return s.End-s.Off >= s.By }

// same returns how many octets at a and b are the same, up to most.
func same(r io.ReaderAt, a, b, most int64) (n int64, err error) {
	p, q := make([]byte, 64<<10), make([]byte, 64<<10)
	for n < most {
		k := min(most-n, int64(len(p)))
		if err := readTwo(r, p[:k], q[:k], a+n, b+n); err != nil {
			return 0, err
		}
		for i := range k {
			if p[i] != q[i] {
				return n + i, nil
			}
		}
		n += k
	}
	return n, nil
}

// sameBefore returns how many octets before a and b are the same, up to most.
func sameBefore(r io.ReaderAt, a, b, most int64) (n int64, err error) {
	p, q := make([]byte, 64<<10), make([]byte, 64<<10)
	for n < most {
		k := min(most-n, int64(len(p)))
		if err := readTwo(r, p[:k], q[:k], a-n-k, b-n-k); err != nil {
			return 0, err
		}
		for i := range k {
			if p[k-1-i] != q[k-1-i] {
				return n + i, nil
			}
		}
		n += k
	}
	return n, nil
}

func readTwo(r io.ReaderAt, p, q []byte, a, b int64) error {
	for _, part := range []struct {
		b   []byte
		off int64
	}{{p, a}, {q, b}} {
		if n, err := r.ReadAt(part.b, part.off); n < len(part.b) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}
