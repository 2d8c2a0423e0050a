package mailtxt

import (
	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// extent returns where the text of p ends, which should end at claim. What is sure
// by itself is asked first: a line that is left there, records that lead beyond it,
// line ends only, octets that are there twice; then what is near or fits; at last
// what the octets up to the next record look like.
func (w *walker) extent(p *piece) (int64, error) {
	text, claim := p.text, p.claim
	if next, err := w.moreCRs(text, claim); next >= 0 || err != nil {
		return next, err
	}
	line, err := w.lineArea(claim)
	if line > 0 || err != nil {
		return claim, err
	}
	inner, sure, err := w.inner(text, min(claim, w.s.size), p.line.date)
	if err != nil {
		return 0, err
	}
	if end, err := w.extents().Within(p.off, text, claim, inner, sure); end >= 0 || err != nil {
		return end, err
	}
	if claim > w.s.size {
		return w.next(text)
	}
	return w.beyondClaim(text, claim, line == 0)
}

// beyondClaim decides whether a text in which no record begins ends at claim, or only
// where the next record begins; header says that the header of mail is at claim: that
// of a message that has lost its line, unless the text is still in its own header.
func (w *walker) beyondClaim(text, claim int64, header bool) (int64, error) {
	next, err := w.next(claim)
	if err != nil {
		return 0, err
	}
	if !header {
		return w.extents().Judge(text, claim, next)
	}
	ended, err := flocked.HeaderEnds(w.s.r, text, claim)
	if ended {
		next = claim
	}
	return next, err
}

// moreCRs returns where the next record begins if all that keeps a text from
// having its size are the CRs that lines have got, else -1.
func (w *walker) moreCRs(text, claim int64) (int64, error) {
	if w.s.format.EOL != "\n" || claim >= w.s.size {
		return -1, nil
	}
	next, err := w.find(claim, w.s.size)
	if err != nil {
		return -1, err
	}
	if next < 0 {
		next = w.s.size
	}
	if next-claim > (next-text)/2 {
		return -1, nil
	}
	n, err := mend.CRLFs(w.s.r, text, next)
	if err != nil || n != next-claim {
		return -1, err
	}
	if n, err = mend.BareLFs(w.s.r, text, next, 0); n > 0 {
		next = -1 // an editor changes all lines, or none
	}
	return next, err
}

// extents decides by what the walk knows.
func (w *walker) extents() *mend.Extents {
	return &mend.Extents{R: w.s.r, Size: w.s.size, Begins: w.begins, Next: w.next, Tail: w.tail}
}

// near is how far a size may be wrong for the next record to be believed without
// more.
const near = 1 << 10

// inner looks for the record behind a text that ends before claim, -1 for none:
// the first whose chain leads there or beyond, or which is sure for itself, else the
// first that came later, else the last that is near to claim. Mail that was forwarded
// as a file is text.
func (w *walker) inner(text, claim int64, date mailbox.Date) (at int64, sure bool, err error) {
	last := int64(-1)
	for from := text; from < claim; {
		next, err := w.find(from, claim)
		if err != nil || next < 0 {
			return last, false, err
		}
		off, err := w.chain(next, claim)
		if err != nil {
			return -1, false, err
		}
		if off >= claim {
			if ok, err := w.proven(off); ok || err != nil {
				return next, off > claim, err
			}
		}
		if ok, err := w.sure(next); ok || err != nil {
			return next, ok, err
		}
		l, good, err := w.lineAt(next)
		leads := !good
		if good {
			leads, err = w.proven(next + int64(l.length) + l.size)
		}
		switch {
		case err != nil:
			return -1, false, err
		case claim-next <= near && (leads || !l.date.Time().Before(date.Time())):
			last = next
		case claim-next <= near:
		case !l.date.Time().Before(date.Time()):
			return next, false, nil
		}
		from = max(off, next+1)
	}
	return last, false, nil
}

// chain follows records from off on, until one leads to claim or beyond, and returns
// where they end.
func (w *walker) chain(off, claim int64) (int64, error) {
	for off < claim && off < w.s.size {
		l, ok, err := w.lineAt(off)
		if err != nil || !ok {
			return off, err
		}
		off += int64(l.length) + l.size
	}
	return off, nil
}

// sure reports whether the line at off is that of a record, whatever is before it:
// it stands within a line of text, or three records follow each other. Mail that
// was forwarded as a file has neither, but for large ones.
func (w *walker) sure(off int64) (bool, error) {
	b, err := w.read(off-1, 1)
	if err != nil || len(b) > 0 && b[0] != '\n' {
		return err == nil, err
	}
	for n := 0; n < 3; n++ {
		l, ok, err := w.lineAt(off)
		if err != nil || !ok || l.size >= w.s.size {
			return false, err
		}
		off += int64(l.length) + l.size
	}
	return true, nil
}
