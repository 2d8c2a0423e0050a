package mailtxt

import (
	"hash/maphash"

	"mailutil/pkg/internal/mend"
)

// remember keeps the line at off, to know it again.
func (w *walker) remember(off int64, l line) error {
	h, err := w.lineDigest(off, l)
	if w.seen == nil {
		w.seen = map[uint64]int64{}
	}
	if _, ok := w.seen[h]; !ok {
		w.seen[h] = off
	}
	return err
}

func (w *walker) lineDigest(off int64, l line) (uint64, error) {
	b, err := w.read(off, int64(l.length))
	return maphash.Bytes(seed, b), err
}

// copies makes something of octets that lead to no record where the next record,
// at from or behind it, was there before: an interrupted removal has left octets
// behind the place to which they were moved, or a region of the file is there
// twice. What is the same proves it.
func (w *walker) copies(p *piece, from int64) (done bool, err error) {
	again, err := w.next(from)
	if err != nil || again == w.s.size {
		return false, err
	}
	l, _, err := w.lineAt(again)
	if err != nil {
		return false, err
	}
	h, err := w.lineDigest(again, l)
	if err != nil {
		return false, err
	}
	for _, first := range []int64{p.off, w.firstOf(h)} {
		if p.copied || first < 0 {
			break
		}
		if err := w.copyOf(p, first, again); err != nil {
			return false, err
		}
	}
	return p.copied, nil
}

// firstOf is where a line with that digest was first, -1 for nowhere.
func (w *walker) firstOf(h uint64) int64 {
	if off, ok := w.seen[h]; ok {
		return off
	}
	return -1
}

// copyOf makes p copies if what is at first is the same as what is again.
func (w *walker) copyOf(p *piece, first, again int64) (err error) {
	var same mend.Shared
	if err := same.Grow(w.s.r, 0, w.s.size, first, again); err != nil {
		return err
	}
	end := int64(-1)
	switch {
	case same.By < minLine: // NULs, for one
	case same.Adjoins() && same.Off <= p.off && p.off <= same.Off+same.By:
		end = p.off + same.By
	case first < p.off && same.Off+same.By <= p.off:
		end, err = w.lastEnd(again, same.End+same.By)
	}
	if end > p.off {
		p.copied, p.end = true, end
	}
	return err
}

// copyAgain makes p copies if it is behind damage and was there before: as far as
// it is the same.
func (w *walker) copyAgain(p *piece) (done bool, err error) {
	if !w.suspect {
		return false, nil
	}
	h, err := w.lineDigest(p.off, p.line)
	first := w.firstOf(h)
	if err != nil || first < 0 || first >= p.off {
		return false, err
	}
	var same mend.Shared
	if err := same.Grow(w.s.r, 0, w.s.size, first, p.off); err != nil {
		return false, err
	}
	end := min(same.End+same.By, p.claim)
	if end <= p.text {
		return false, nil
	}
	p.copied, p.end = true, end
	return true, nil
}

// lookAhead is how many records are looked at for one that is there again.
const lookAhead = 64

// again reports whether the record p, which leads to no other, is there once more
// behind it, with a text of that size: then its size is right. The records that
// are the same there are copies.
func (w *walker) again(p *piece) (bool, error) {
	own, err := w.lineDigest(p.off, p.line)
	if err != nil || p.claim > w.s.size {
		return false, err
	}
	off, err := w.find(p.text, w.s.size)
	for n := 0; n < lookAhead && off >= 0 && off < w.s.size && err == nil; n++ {
		l, ok, err := w.lineAt(off)
		if err != nil || !ok {
			return false, err
		}
		h, err := w.lineDigest(off, l)
		if err != nil {
			return false, err
		}
		if h == own {
			var same mend.Shared
			err := same.Grow(w.s.r, 0, w.s.size, p.off, off)
			ok := same.End >= p.claim
			if ok {
				w.copyOff, w.copyEnd = same.Off+same.By, same.End+same.By
			}
			if ok || err != nil {
				return ok, err
			}
			whole, err := w.begins(off + int64(l.length) + l.size)
			if whole && same.End > p.text { // the one that is here is only a part
				p.copied, p.end = true, min(same.End, off)
				if same.Adjoins() { // with what is before it
					p.end = off
				}
			}
			return false, err
		}
		off += int64(l.length) + l.size
	}
	return false, err
}

// lastEnd returns where the last of the records from off on ends that end at most
// at limit.
func (w *walker) lastEnd(off, limit int64) (int64, error) {
	for {
		l, ok, err := w.lineAt(off)
		next := off + int64(l.length) + l.size
		if err != nil || !ok || next > limit {
			return off, err
		}
		off = next
	}
}
