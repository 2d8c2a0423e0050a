package mend

import (
	"bytes"
	"io"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/mailbox"
)

// Extents decides where texts end whose sizes lead to nothing, by what stands there.
type Extents struct {
	R    io.ReaderAt
	Size int64 // of the file

	// Begins reports whether a record begins at off, or the file ends there.
	Begins func(off int64) (bool, error)
	// Next returns where the next record begins from off on, or the end of the file.
	Next func(off int64) (int64, error)
	// Tail returns where in [from, to) a line begins of which the beginning is lost,
	// or which was wiped, to for none.
	Tail func(from, to int64) (int64, error)
}

// Within returns where a text ends that is at text, and should end at claim, where
// something in it or behind it tells, else -1: a record at inner that is sure, line
// ends only, octets that are there twice; then a record at inner that is not, -1 for
// none, and a line of which a part is left. The line of the text is at own.
func (e *Extents) Within(own, text, claim, inner int64, sure bool) (int64, error) {
	if sure {
		return e.Torn(text, inner)
	}
	if ok, err := e.OnlyBlank(claim); ok || err != nil {
		return claim, err
	}
	if next, err := e.twice(own, text, claim); next >= 0 || err != nil {
		return next, err
	}
	if inner >= 0 {
		return e.Torn(text, inner)
	}
	next, err := e.Tail(text, min(claim+flocked.MaxLine, e.Size))
	if err == nil && next >= min(claim, e.Size) {
		next = -1
	}
	return next, err
}

// twice returns where the next record begins if all that keeps a text from having its
// size is that some octets of it and its line are there twice, else -1.
func (e *Extents) twice(own, text, claim int64) (int64, error) {
	if claim > e.Size {
		return -1, nil
	}
	next, err := e.Next(claim)
	if err != nil {
		return -1, err
	}
	_, ok, err := Twice(e.R, own, text, claim, next)
	if !ok {
		next = -1
	}
	return next, err
}

// Torn is Tail for a text that may end at next: a line of which only the end is left
// is none of the text, one of which a little is damaged can be.
func (e *Extents) Torn(text, next int64) (int64, error) {
	at, err := e.Tail(text, next)
	if err != nil || at == next {
		return next, err
	}
	b, err := e.read(at, flocked.MaxLine)
	if flocked.WasLine(b) {
		at = next
	}
	return at, err
}

// OnlyBlank reports whether there are only line ends between claim and the next
// record, or the end of the file.
func (e *Extents) OnlyBlank(claim int64) (bool, error) {
	b, err := e.read(claim-1, 1+flocked.MaxLine)
	blank := flocked.StrayLineEnds(b)
	if err != nil || blank == 0 {
		return false, err
	}
	return e.Begins(claim + int64(blank))
}

// Judge decides whether a text ends at claim, where nothing readable begins, or only
// at next, where something does, or the file ends.
func (e *Extents) Judge(text, claim, next int64) (int64, error) {
	if n := next - claim; n <= claim {
		var same Shared
		if err := same.Grow(e.R, claim-n, next, claim-n, claim); err != nil || same.Adjoins() {
			return claim, err // what stands there is the end of the text once more
		}
	}
	const far, near, large = 4096, 256, 1000
	b, err := e.read(claim-1, min(next-claim, far)+1)
	if err != nil {
		return 0, err
	}
	ended, err := flocked.HeaderEnds(e.R, text, claim)
	if err != nil {
		return 0, err
	}
	before, gap := b[0], b[1:]
	digit := flocked.OneDigit(claim-text, next-text) && (next < e.Size || next-claim >= large) // anything may have been added to a file
	switch {
	case flocked.TornLine(gap):
		return claim, nil
	case !ended && headerGoesOn(gap), digit && IsText(gap):
		return next, nil
	case before == '\n', before != '\r' && len(bytes.Trim(gap, "\r\n\x00")) == 0,
		!IsText(gap), !IsText(gap[:min(len(gap), near)]):
		return claim, nil
	}
	return next, nil
}

// headerGoesOn reports whether b, which stands behind a part of a header, is the rest
// of a line and more of the header.
func headerGoesOn(b []byte) bool {
	eol := bytes.IndexByte(b, '\n') + 1
	return eol > 0 && IsText(b[:eol]) && BeginsText(b[eol:])
}

// read returns n octets at off, fewer at the end of the file.
func (e *Extents) read(off, n int64) ([]byte, error) {
	if off < 0 || off >= e.Size {
		return nil, nil
	}
	b := make([]byte, min(n, e.Size-off))
	got, err := e.R.ReadAt(b, off)
	if got == len(b) {
		return b, nil
	}
	if err == nil || err == io.EOF {
		err = mailbox.ErrChanged
	}
	return nil, err
}
