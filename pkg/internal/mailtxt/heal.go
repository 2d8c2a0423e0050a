package mailtxt

import (
	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
)

// lines say how internal lines look.
func (f *Format) lines() flocked.Lines {
	return flocked.Lines{EOL: f.EOL, Most: maxLine, EndingAt: f.lineAndSize}
}

// heal sees that mail can be added at the end of f. The caller holds the temp
// lock.
func (d *Driver) heal(f fsx.File) error {
	return d.files().Heal(f, d.format.lines(), func(size int64) (pos int64, err error) {
		s := d.scanner(f, 0, size)
		for ok := true; ok && err == nil; {
			_, ok, err = s.next()
		}
		return s.pos, err
	})
}

// lineEndingAt returns where the internal line begins whose EOL is at end, -1
// where none does. It takes only what is written, not all that is read.
func lineEndingAt(b []byte, end int) int {
	semi := end - flagsLen - 1
	if semi < flocked.DateLen+2 || b[semi] != ';' {
		return -1
	}
	if _, _, ok := parseFlags(b[semi+1 : end]); !ok {
		return -1
	}
	comma := semi - 1
	for comma > 0 && isDigit(b[comma]) {
		comma--
	}
	start := comma - flocked.DateLen
	if b[comma] != ',' || comma == semi-1 || start < 0 || end-start > maxLine || !flocked.IsDate(b[start:comma]) {
		return -1
	}
	return start
}

// lineAndSize returns where the line begins that ends at b[:end], with its EOL,
// -1 where none does, and the size of the text that it tells, -1 for none.
func (f *Format) lineAndSize(b []byte, end int) (start int, size int64) {
	end -= len(f.EOL)
	if start = lineEndingAt(b, end); start < 0 {
		return -1, -1
	}
	size, ok := parseSize(b[start+flocked.DateLen+1 : end-flagsLen-1])
	if !ok {
		return start, -1
	}
	return start, size
}
