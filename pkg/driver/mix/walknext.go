package mix

import (
	"bytes"
	"cmp"
	"math"
	"slices"
)

// lands reports whether something begins at off: a message, or nothing as the
// file ends.
func (w *walker) lands(off int64) (bool, error) {
	if off == w.size {
		return true, nil
	}
	from := max(0, off-lineMost)
	b, err := w.read(from, off-from+lineMost)
	if err != nil || from+int64(len(b)) <= off {
		return false, err
	}
	all, front, b := b, b[:off-from], b[off-from:]
	if _, _, _, ok := looseToken(b); ok {
		return true, nil
	}
	for i := range front { // off is within a line
		if _, n, _, ok := looseToken(all[i:]); ok && i+n > len(front) {
			return false, nil
		}
	}
	_, _, n := salvageToken(b)
	return n > 0, nil
}

// leads reports whether a text leads to something at end: what lands says, or
// the index lists a message there whose line is gone.
func (w *walker) leads(text, end int64) (bool, error) {
	if ok, err := w.lands(end); ok || err != nil {
		return ok, err
	}
	r := w.listedAt(end)
	if r == nil || end >= w.size || end <= text {
		return false, nil
	}
	if short, err := w.short(r.end()); short || err != nil {
		return false, err
	}
	next, err := w.following(end)
	if err != nil {
		return false, err
	}
	b, err := w.read(next, lineMost)
	if err != nil {
		return false, err
	}
	m, n, _, ok := looseToken(b)
	if !ok {
		return true, nil
	}
	last, _ := w.between(w.last, next)
	if m.uid <= r.uid || last == nil || last.end() <= next {
		return m.uid > r.uid, nil
	}
	// It comes too early for what the index lists before it: it is part of a text,
	// or octets are missing.
	ok, err = w.lands(next + int64(n) + m.size)
	if ok && err == nil {
		ok, err = w.goesOn(next + int64(n) + m.size)
	}
	return !ok, err
}

// short reports whether octets are missing before end: the line of another
// message that the index lists is there.
func (w *walker) short(end int64) (bool, error) {
	for next := w.at + 1; ; next++ {
		var err error
		if next, err = w.following(next); err != nil || next >= min(end, w.size) {
			return false, err
		}
		b, err := w.read(next, lineMost)
		if err != nil {
			return false, err
		}
		m, _, _, _ := looseToken(b)
		if r := w.index.of(m.uid); r != nil && r.size == m.size && r.date == m.date {
			return true, nil
		}
	}
}

// goesOn reports whether the line at off leads to another, or the file ends
// there.
func (w *walker) goesOn(off int64) (bool, error) {
	if off == w.size {
		return true, nil
	}
	b, err := w.read(off, lineMost)
	if err != nil {
		return false, err
	}
	m, n, _, ok := looseToken(b)
	if !ok { // damaged, but it is one
		return true, nil
	}
	return w.lands(off + int64(n) + m.size)
}

// following returns where the next readable line is, from off on; the end of
// the file where there is none.
func (w *walker) following(off int64) (int64, error) {
	if w.next >= off && w.from <= off && w.from > 0 {
		return w.next, nil
	}
	next, err := w.search(off)
	w.from, w.next = off, next
	return next, err
}

// search looks for the next readable line from off on, however far it is; the end of
// the file where there is none.
func (w *walker) search(off int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for off < w.size {
		n, err := w.r.ReadAt(buf[:min(int64(len(buf)), w.size-off)], off)
		if n == 0 {
			return w.size, err
		}
		for i := 0; ; i++ {
			k := bytes.Index(buf[i:n], []byte(token))
			if k < 0 {
				break
			}
			i += k
			b, err := w.read(off+int64(i), lineMost)
			if err != nil {
				return 0, err
			}
			if _, _, _, ok := looseToken(b); ok {
				return off + int64(i), nil
			}
		}
		next := off + int64(n)
		if next < w.size {
			next = max(off+1, next-int64(len(token))+1)
		}
		off = next
	}
	return w.size, nil
}

// believed returns where the message behind one of the UID last begins, from
// off on: a line that leads to another, or is of a message that the index or the
// status knows.
func (w *walker) believed(off int64, last uint32) (int64, error) {
	for ; ; off++ {
		next, err := w.following(off)
		if err != nil || next >= w.size {
			return w.size, err
		}
		b, err := w.read(next, lineMost)
		if err != nil {
			return 0, err
		}
		m, n, _, _ := looseToken(b)
		if r := w.index.of(m.uid); r != nil && (r.size == m.size || r.date == m.date) && m.uid != last {
			return next, nil
		}
		end := next + int64(n) + m.size
		lands, err := w.lands(end)
		if lands && !w.knows(m.uid) && w.status.there { // a removed one, or part of a text
			lands, err = w.goesOn(end)
		}
		if err != nil {
			return 0, err
		}
		if lands && (m.uid > w.last || end == w.size) {
			return next, nil
		}
		if w.knows(m.uid) && m.uid > last {
			if later, err := w.landsLater(next+1, m.uid); !later || err != nil {
				return next, err
			}
		}
		off = next
	}
}

// landsLater reports whether a line of a UID is at off or behind that leads to
// another.
func (w *walker) landsLater(off int64, uid uint32) (bool, error) {
	for ; ; off++ {
		var err error
		if off, err = w.search(off); err != nil || off >= w.size {
			return false, err
		}
		b, err := w.read(off, lineMost)
		if err != nil {
			return false, err
		}
		m, n, _, _ := looseToken(b)
		if m.uid != uid {
			continue
		}
		if ok, err := w.lands(off + int64(n) + m.size); ok || err != nil {
			return ok, err
		}
	}
}

// chained returns where the first line is, from off on, from which message
// follows message up to end; end where there is none. Their UIDs do not matter:
// one of a message before may be wrong.
func (w *walker) chained(off, end int64) (int64, error) {
	for ; ; off++ {
		first, err := w.following(off)
		if err != nil || first >= end {
			return end, err
		}
		at := first
		for at < end {
			b, err := w.read(at, lineMost)
			if err != nil {
				return end, err
			}
			m, n, _, ok := looseToken(b)
			if !ok {
				break
			}
			at += int64(n) + m.size
		}
		if at == end {
			return first, nil
		}
		off = first
	}
}

// listedIn returns where in octets without a readable line the index lists a
// message that leads to the end of them; the end where it lists none.
func (w *walker) listedIn(off, end int64) int64 {
	k, _ := slices.BinarySearchFunc(w.places, off, func(n int32, off int64) int { return cmp.Compare(w.index.all[n].pos, off) })
	for ; k < len(w.places); k++ {
		r := &w.index.all[w.places[k]]
		if r.pos >= end {
			break
		}
		if r.known.has(knowSize) && r.uid > w.last && r.end() == end {
			return r.pos
		}
	}
	return end
}

// nextRecord returns what the index says of the message behind the one before,
// nil where it says nothing.
func (w *walker) nextRecord() *listed {
	for _, n := range w.places {
		if r := &w.index.all[n]; r.known.has(knowUID|knowSize) && r.uid > w.last && r.size > 0 {
			return r
		}
	}
	return nil
}

// between returns the last record of the index between the message of UID low and
// the one at next, nil where there is none; only says that there is no other.
func (w *walker) between(low uint32, next int64) (last *listed, only bool) {
	most := uint32(math.MaxUint32)
	if b, err := w.read(next, lineMost); err == nil {
		if m, _, _, ok := looseToken(b); ok {
			most = m.uid
		}
	}
	for _, n := range w.places {
		if r := &w.index.all[n]; r.known.has(knowUID) && low < r.uid && r.uid < most {
			last, only = r, last == nil
		}
	}
	return last, only
}
