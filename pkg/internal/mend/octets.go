package mend

import "io"

// BareLFs counts LFs without CR, up to a little more than most.
func BareLFs(r io.ReaderAt, off, end, most int64) (n int64, err error) {
	buf := make([]byte, 64<<10)
	last := byte(0)
	for off < end && n <= most {
		k, err := r.ReadAt(buf[:min(int64(len(buf)), end-off)], off)
		if k == 0 {
			return 0, err
		}
		for i := range k {
			if buf[i] == '\n' && last != '\r' {
				n++
			}
			last = buf[i]
		}
		off += int64(k)
	}
	return n, nil
}

// CRLFs counts LFs with a CR before them.
func CRLFs(r io.ReaderAt, off, end int64) (n int64, err error) {
	buf := make([]byte, 64<<10)
	last := byte(0)
	for off < end {
		k, err := r.ReadAt(buf[:min(int64(len(buf)), end-off)], off)
		if k == 0 {
			return 0, err
		}
		for _, c := range buf[:k] {
			if c == '\n' && last == '\r' {
				n++
			}
			last = c
		}
		off += int64(k)
	}
	return n, nil
}

// minDoubled is how many octets in a row must be there twice to be no accident.
const minDoubled = 48

// Doubled looks for n octets of r in [from, to) that are followed by the same
// again, and returns where the second ones begin; there must be one such place.
func Doubled(r io.ReaderAt, from, to, n int64) (at int64, ok bool, err error) {
	if n < minDoubled || to-from < 2*n {
		return 0, false, nil
	}
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	run := int64(0)
	for off := from; off+n < to; {
		k := min(int64(len(a)), to-n-off)
		if _, err := r.ReadAt(a[:k], off); err != nil && err != io.EOF {
			return 0, false, err
		}
		if _, err := r.ReadAt(b[:k], off+n); err != nil && err != io.EOF {
			return 0, false, err
		}
		for i := range k {
			if a[i] != b[i] {
				run = 0
				continue
			}
			if run++; run == n {
				if ok {
					return 0, false, nil // more than one: who knows which
				}
				at, ok = off+i+1, true
			}
		}
		off += k
	}
	return at, ok, nil
}

// Twice looks for what keeps the text of a message from being as long as its line
// says, if that are octets of line or text that are there twice: without n octets
// from cut on it is. The line is at own, the text at text, should end at claim and
// does at end.
func Twice(r io.ReaderAt, own, text, claim, end int64) (cut int64, ok bool, err error) {
	if end-claim > claim-own {
		return 0, false, nil
	}
	cut, ok, err = Doubled(r, own, end, end-claim)
	return cut, ok && cut >= text, err
}
