package mbx

import (
	"bytes"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/mend"
)

// skip passes over what no reader knows, to the next record, if a damaged one.
func (w *walker) skip(p *piece) error {
	next, err := w.beyond(p.off + 1)
	if err != nil {
		return err
	}
	p.kind = isJunk
	p.end, err = w.tail(p.off+1, next)
	return err
}

// tail returns where in [from, to) a line begins of which the end can be seen
// and the date cannot, or which was wiped, to for none.
func (w *walker) tail(from, to int64) (int64, error) {
	return layout.Search(w.s.r, from, to, w.s.size, func(b []byte, off int64) (int64, error) {
		return w.tailIn(b, off, from, to)
	})
}

// tailIn is tail for what is in b, which is at off; -1 for none.
func (w *walker) tailIn(b []byte, off, from, to int64) (int64, error) {
	wiped, err := layout.Unveiled(w.s.r, b, off, from, to)
	if err != nil {
		return -1, err
	}
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte("\r\n"))
		if i < 0 {
			return wiped, nil
		}
		at += i + 2
		if off+int64(at) >= to {
			return wiped, nil
		}
		start := at - 2 - tailLen
		switch {
		case at == len(b) || lineEndingAt(b, at) >= 0:
			continue
		case start >= 0 && tailFits(b[start:at-2]) == tailLen && mend.BeginsText(b[at:]):
			start = flocked.LineBegin(b[:start])
		case isUID(b[:at-2]) && mend.StartsMail(b[at:]):
			rest := bytes.TrimRight(b[max(0, at-2-maxLine/2):at-2], "0123456789abcdef;-")
			start = max(0, at-2-maxLine/2) + len(rest)
		default:
			continue
		}
		begin := max(off+int64(start), from)
		if wiped >= 0 {
			begin = min(begin, wiped)
		}
		return begin, nil
	}
}

// toNext returns where the next record begins, or the end of the file. Records
// that do not lead on are the text of mail that was forwarded as a file, unless
// there are no others.
func (w *walker) toNext(from int64) (int64, error) {
	first := w.s.size
	for from < w.s.size {
		next, err := w.candidate(from)
		if err != nil || next < 0 {
			return first, err
		}
		end, n, err := w.lead(next)
		if err != nil || n >= manyLinks || end == w.s.size || end > w.s.size && n > 1 {
			return next, err
		}
		if ok, err := w.sure(next); ok || err != nil {
			return next, err
		}
		if end > w.s.size && n == 1 { // torn, or text
			first = min(first, next)
			from = next + 1
			continue
		}
		if ok, err := w.fits(next, end); ok || err != nil {
			return next, err
		}
		first = min(first, next)
		from = max(end, next+1)
	}
	return first, nil
}

// beyond is toNext where no text is known to reach, or one that ends there: what is
// near is the next record.
func (w *walker) beyond(from int64) (int64, error) {
	w.loose = true
	defer func() { w.loose = false }()
	next, err := w.candidate(from)
	if err != nil {
		return 0, err
	}
	if next >= 0 && next-from <= near {
		end, _, err := w.lead(next)
		if err != nil {
			return 0, err
		}
		if ok, err := w.precedes(next, end); ok || err != nil {
			return next, err
		}
	}
	return w.toNext(from)
}

// lead follows records from off on and returns where they end, or where so many
// have been seen that they are no text.
func (w *walker) lead(off int64) (end int64, n int, err error) {
	for ; n < manyLinks && off < w.s.size; n++ {
		l, ok, err := w.lineAt(off)
		if err != nil || !ok || n > 0 && !w.canBe(l, off) {
			return off, n, err
		}
		off += int64(l.length) + l.size
	}
	return off, n, nil
}

// canBe reports whether the line at off can be that of a record, by UID and size.
func (w *walker) canBe(l line, off int64) bool {
	return uint64(l.uid) <= uint64(max(w.most, w.last))+uidSlack && l.size < w.s.size
}
