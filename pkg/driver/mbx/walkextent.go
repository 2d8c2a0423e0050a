package mbx

import (
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// message finds out how long the text of a readable record is.
func (w *walker) message(p *piece, l line) error {
	p.line = l
	p.text = p.off + int64(l.length)
	p.claim = p.text + l.size
	if l.uid != 0 && uint64(l.uid) <= uint64(w.most)+uidSlack { // one that is higher is damaged itself
		w.last, w.top = l.uid, max(w.top, l.uid)
		if d, err := mailbox.ParseDate(string(l.date), time.UTC); err == nil {
			w.came = d.Time()
		}
	}
	var err error
	p.end, err = w.extent(p)
	return err
}

// extent returns where the text of p ends, which should end at claim. What is sure
// by itself is asked first: a line that is left there, records that lead beyond it,
// line ends only, octets that are there twice; then what is near or fits; at last
// what the octets up to the next record look like.
func (w *walker) extent(p *piece) (int64, error) {
	text, claim := p.text, p.claim
	if ok, err := w.begins(claim); ok || err != nil {
		return claim, err
	}
	line, header, err := w.wasLine(claim)
	if line || err != nil {
		return claim, err
	}
	inner, sure, err := w.inner(text, claim)
	if err != nil {
		return 0, err
	}
	if end, err := w.extents().Within(p.off, text, claim, inner, sure); end >= 0 || err != nil {
		return end, err
	}
	if claim > w.s.size {
		return w.toNext(text) // torn, for the most part
	}
	return w.beyondClaim(text, claim, header)
}

// beyondClaim decides whether a text in which no record begins ends at claim, or only
// where the next record begins; header says that the header of mail is at claim.
func (w *walker) beyondClaim(text, claim int64, header bool) (int64, error) {
	next, err := w.beyond(claim)
	if err != nil {
		return 0, err
	}
	if next, err = w.tail(claim, next); err != nil {
		return 0, err
	}
	if copies, err := w.copies(claim, next); copies || err != nil {
		return claim, err
	}
	if header {
		return w.header(text, claim, next)
	}
	b, err := w.read(claim, maxLine)
	if err != nil || nuls(b) >= 16 {
		return claim, err
	}
	return w.extents().Judge(text, claim, next)
}

// header decides whether a text ends at claim, where the header of mail begins,
// which may have lost its line, or only at next. It is part of the text where the
// text is still in its own header there, and where no UID is free for it.
func (w *walker) header(text, claim, next int64) (int64, error) {
	ended, err := flocked.HeaderEnds(w.s.r, text, claim)
	if err != nil {
		return 0, err
	}
	l, ok, err := w.lineAt(next)
	if !ended || ok && l.uid == w.last+1 && w.last > 0 {
		return next, err
	}
	return claim, err
}

// near is how far a size may be wrong for the next record to be believed without
// more.
const near = 64

// inner looks for the record behind a text that ends before claim, -1 for none:
// the first whose chain leads beyond claim, or there, or which is sure for itself,
// else the last that is near to claim, else the first that fits. Mail that was
// forwarded as a file is text.
func (w *walker) inner(text, claim int64) (at int64, sure bool, err error) {
	best, fit := int64(-1), int64(-1)
	for from := text; from < min(claim, w.s.size); {
		next, err := w.candidate(from)
		if err != nil || next < 0 || next >= claim {
			return best, false, err
		}
		end, err := w.chain(next, claim)
		if err != nil {
			return 0, false, err
		}
		if end >= claim || end == w.s.size {
			if best < 0 || fit < 0 || claim-next <= near {
				fit = next
			}
			return fit, end > claim, nil
		}
		if ok, err := w.sure(next); ok || err != nil {
			return next, ok, err
		}
		fits := false
		if claim-next <= near {
			fits, err = w.precedes(next, end)
		} else if best < 0 {
			if fits, err = w.fits(next, end); fits {
				fit = next
			}
		}
		if err != nil {
			return -1, false, err
		}
		if fits {
			best = next
		}
		from = max(end, next+1)
	}
	return best, false, nil
}

// fits reports whether a chain of records that ends at end, where nothing
// readable is, can be one of the file: a damaged line is there, or UIDs ascend to
// the next records. Records in a text have UIDs of another mailbox.
func (w *walker) fits(first, end int64) (bool, error) {
	_, readable, err := w.lineAt(end)
	if err != nil {
		return false, err
	}
	if !readable { // else it is none that can be
		if ok, err := w.broken(end); ok || err != nil {
			return ok, err
		}
	}
	l, _, err := w.lineAt(first)
	if err != nil {
		return false, err
	}
	if d, err := mailbox.ParseDate(string(l.date), time.UTC); err == nil && d.Time().Before(w.came) {
		return false, nil
	}
	return w.precedes(first, end)
}

// precedes reports whether no UID of the records [first, end) is above that of the next
// one behind them that leads on for sure, as far as there is one near. The same is
// that of a copy.
func (w *walker) precedes(first, end int64) (bool, error) {
	last := uint32(0)
	for off := first; off < end; {
		l, ok, err := w.lineAt(off)
		if err != nil || !ok {
			return false, err
		}
		last = max(last, l.uid)
		off += int64(l.length) + l.size
	}
	for from := max(end, first+1); last > 0 && from < min(end+lookAhead, w.s.size); {
		next, err := w.candidate(from)
		if err != nil || next < 0 {
			return err == nil, err
		}
		l, _, err := w.lineAt(next)
		if err != nil {
			return false, err
		}
		to, n, err := w.lead(next)
		if err != nil || n >= manyLinks || to == w.s.size {
			return l.uid == 0 || l.uid >= last, err
		}
		from = max(to, next+1)
	}
	return true, nil
}

// chain follows records from off on, until one leads to claim or beyond, and
// returns where they end. What leads beyond must lead to something.
func (w *walker) chain(off, claim int64) (int64, error) {
	for off < claim && off < w.s.size {
		l, ok, err := w.lineAt(off)
		if err != nil || !ok {
			return off, err
		}
		off += int64(l.length) + l.size
	}
	if off >= w.s.size {
		return off, nil
	}
	ok, err := w.proven(off)
	if !ok {
		off = min(off, claim-1)
	}
	return off, err
}

// wasLine reports whether a line is at off of which enough is left to be sure,
// or a header without one.
func (w *walker) wasLine(off int64) (sure, header bool, err error) {
	b, err := w.read(off, maxLine)
	if err != nil || flocked.WasLine(b) {
		return err == nil, false, err
	}
	n, err := w.lineArea(off)
	return n > 0, n == 0, err
}

// extents decides by what the walk knows.
func (w *walker) extents() *mend.Extents {
	return &mend.Extents{R: w.s.r, Size: w.s.size, Begins: w.begins, Next: w.toNext, Tail: w.tail}
}
