package mend

import "slices"

// An Edit puts new octets in the place of n octets of a file.
type Edit struct {
	Off, N int64
	New    []byte
}

// Edited returns the image of a file of the given size with edits, of which
// those that overlap one before them are left out. The octets before start are
// not in it.
func Edited(m *Image, start int64, edits []Edit) {
	slices.SortStableFunc(edits, func(a, b Edit) int {
		switch {
		case a.Off < b.Off:
			return -1
		case a.Off > b.Off:
			return 1
		}
		return 0
	})
	at := start
	for _, e := range edits {
		if e.Off < at {
			continue
		}
		m.Keep(at, e.Off-at)
		m.Put(e.New)
		at = e.Off + e.N
	}
	m.Keep(at, m.oldSize-at)
}

// Over makes an image of an image one of the file.
func (m *Image) Over(inner *Image) *Image {
	out := NewImage(inner.file, inner.oldSize)
	out.scratch = inner.scratch
	for i, p := range m.pieces {
		n := m.endOf(i) - p.at
		if p.from == fresh {
			out.Put(m.lits[p.off : p.off+n])
			continue
		}
		out.part(inner, p.off, n)
	}
	return out
}

// part adds n octets of another image, from at on.
func (m *Image) part(inner *Image, at, n int64) {
	for i := inner.find(at); n > 0 && i < len(inner.pieces); i++ {
		p := inner.pieces[i]
		k := min(n, inner.endOf(i)-at)
		off := p.off + at - p.at
		if p.from == fresh {
			m.Put(inner.lits[off : off+k])
		} else {
			m.add(p.from, off, k)
		}
		at, n = at+k, n-k
	}
}
