package flocked

import "io"

const (
	scanWindow = 64 << 10 // what is read at once when records are small
	smallStep  = 8 << 10  // records are small up to here
)

// A Lookahead gives the beginnings of records that are one behind the other.
type Lookahead struct {
	R    io.ReaderAt
	Size int64 // of the file
	Most int   // octets that are wanted of each

	win  []byte // the octets at base
	base int64
	buf  [scanWindow]byte
}

// At returns the octets at pos, as many as are wanted or as there are; none at
// the end of the file, which may be before Size now. step is how far the record
// before reached. The octets are valid until the next call.
func (l *Lookahead) At(pos, step int64) ([]byte, error) {
	want := min(int64(l.Most), l.Size-pos)
	if i := pos - l.base; i >= 0 && i+want <= int64(len(l.win)) {
		return l.win[i : i+want], nil
	}
	n := int64(l.Most)
	if step < smallStep {
		n = scanWindow
	}
	got, err := l.R.ReadAt(l.buf[:min(n, l.Size-pos)], pos)
	if err != nil && err != io.EOF {
		return nil, err
	}
	l.win, l.base = l.buf[:got], pos
	return l.win[:min(got, l.Most)], nil
}
