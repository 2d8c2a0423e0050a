package mix

import (
	"cmp"
	"math"
	"slices"

	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// take lets piece k be what record r lists.
func (p *planner) take(k, r int) { p.pieces[k].rec, p.index.all[r].piece = r, k }

// match finds the pieces that the index lists: those that are as it says, then
// by their UIDs, then by their places, then by date and size, by the order in
// which they are, at last by their UIDs alone.
func (p *planner) match() {
	for n := range p.index.all {
		r := &p.index.all[n]
		if k := p.pieceAt(r); k >= 0 && r.known.has(knowUID) && p.pieces[k].known.has(knowUID) && p.pieces[k].line.uid == r.uid {
			p.take(k, n)
		}
	}
	byUID := map[uint32][]int{}
	for k := range p.pieces {
		if c := &p.pieces[k]; !c.junk && c.rec < 0 && c.known.has(knowUID) {
			byUID[c.line.uid] = append(byUID[c.line.uid], k)
		}
	}
	for n := range p.index.all {
		r := &p.index.all[n]
		if r.piece >= 0 || !r.known.has(knowUID) {
			continue
		}
		best, most := -1, 0
		for _, k := range byUID[r.uid] {
			if s := likeness(&p.pieces[k], r); s > most && p.pieces[k].rec < 0 {
				best, most = k, s
			}
		}
		if best >= 0 {
			p.take(best, n)
		}
	}
	for n := range p.index.all {
		r := &p.index.all[n]
		k := p.pieceAt(r)
		if k < 0 {
			k = p.pieceOf(r)
		}
		if k >= 0 && r.piece < 0 {
			if c := &p.pieces[k]; !c.known.has(knowUID) || c.line.date == r.date || c.line.size == r.size {
				p.take(k, n)
			}
		}
	}
	p.matchAlike()
	p.matchOrder()
	p.matchUID()
}

// pieceAt returns the piece where a record of the index says that its message
// is, if no other has it; -1 for none.
func (p *planner) pieceAt(r *listed) int {
	if !r.known.has(knowPlace) {
		return -1
	}
	f := p.fileOf(r.file)
	if f == nil {
		return -1
	}
	k, ok := slices.BinarySearchFunc(p.pieces[f.first:f.last], r.pos, func(c piece, pos int64) int { return cmp.Compare(c.off, pos) })
	if k += f.first; !ok || p.pieces[k].junk || p.pieces[k].rec >= 0 {
		return -1
	}
	return k
}

// pieceOf returns the piece that is the text where a record of the index says
// that it is, what may be left in front of it; -1 for none.
func (p *planner) pieceOf(r *listed) int {
	f := p.fileOf(r.file)
	if !r.known.has(knowPlace|knowSize) || f == nil {
		return -1
	}
	k, ok := slices.BinarySearchFunc(p.pieces[f.first:f.last], r.end(), func(c piece, end int64) int { return cmp.Compare(c.end, end) })
	k += f.first
	if !ok || p.pieces[k].junk || p.pieces[k].rec >= 0 || p.pieces[k].text != r.text() {
		return -1
	}
	return k
}

// likeness says how much of a piece is what the index says, 0 for nothing.
func likeness(c *piece, r *listed) (n int) {
	if r.known.has(knowPlace) && r.file == c.file && r.pos == c.off {
		n += 4
	}
	if r.known.has(knowSize) && (r.size == c.line.size || r.size == c.size) {
		n += 2
	}
	if r.known.has(knowDate) && c.known.has(knowDate) && r.date == c.line.date {
		n += 2
	}
	if n > 0 && c.fits() || r.known&^knowHeader == knowUID {
		n++
	}
	return n
}

// matchAlike matches records and pieces that have date and size in common, and
// nothing else has.
func (p *planner) matchAlike() {
	type key struct {
		date mailbox.Date
		size int64
	}
	pieces, records := map[key][]int{}, map[key][]int{}
	for k := range p.pieces {
		if c := &p.pieces[k]; !c.junk && c.rec < 0 && c.known.has(knowDate|knowSize) {
			pieces[key{c.line.date, c.line.size}] = append(pieces[key{c.line.date, c.line.size}], k)
		}
	}
	for n := range p.index.all {
		if r := &p.index.all[n]; r.piece < 0 && r.known.has(knowDate|knowSize) {
			records[key{r.date, r.size}] = append(records[key{r.date, r.size}], n)
		}
	}
	for at, k := range pieces {
		if n := records[at]; len(k) == 1 && len(n) == 1 {
			p.take(k[0], n[0])
		}
	}
}

// matchOrder matches pieces without a UID and the records between those of the
// pieces around them, where these are as many.
func (p *planner) matchOrder() {
	for _, f := range p.files {
		for k := f.first; k < f.last; k++ {
			if c := &p.pieces[k]; c.junk || c.rec >= 0 || c.known.has(knowUID) {
				continue
			}
			end := k
			var run []int
			for ; end < f.last && (p.pieces[end].junk || p.pieces[end].rec < 0 && !p.pieces[end].known.has(knowUID)); end++ {
				if !p.pieces[end].junk {
					run = append(run, end)
				}
			}
			low, high := p.bounds(f, k)
			var free []int
			for n := range p.index.all {
				if r := &p.index.all[n]; r.piece < 0 && r.known.has(knowUID) && low < r.uid && r.uid < high && (!r.known.has(knowPlace) || r.file == f.number) {
					free = append(free, n)
				}
			}
			run, free = p.matchSizes(run, free)
			if len(free) == len(run) {
				for n := range run {
					p.take(run[n], free[n])
				}
			}
			k = end - 1
		}
	}
}

// matchSizes matches pieces and records of a size that only one of each has,
// where there are not as many of them, and returns the others.
func (p *planner) matchSizes(run, free []int) (pieces, records []int) {
	if len(run) == len(free) {
		return run, free
	}
	left := slices.Clone(free)
	for _, k := range run {
		c := &p.pieces[k]
		same := func(n int) bool { return p.index.all[n].known.has(knowSize) && p.index.all[n].size == c.size }
		n := slices.IndexFunc(left, same)
		if n < 0 || !c.fits() || slices.ContainsFunc(left[n+1:], same) {
			pieces = append(pieces, k)
			continue
		}
		p.take(k, left[n])
		left = slices.Delete(left, n, n+1)
	}
	return pieces, left
}

// matchUID matches pieces and records that have nothing in common but the UID.
func (p *planner) matchUID() {
	for k := range p.pieces {
		c := &p.pieces[k]
		if c.junk || c.rec >= 0 || !c.known.has(knowUID) {
			continue
		}
		if n := p.index.find(c.line.uid); n >= 0 && p.index.all[n].piece < 0 {
			p.take(k, n)
		}
	}
}

// bounds returns the UIDs of the pieces before and behind piece k of a file that
// have one.
func (p *planner) bounds(f *planFile, k int) (low, high uint32) {
	high = math.MaxUint32
	for i := k - 1; i >= f.first; i-- {
		if uid := p.uidOf(i); uid > 0 {
			low = uid
			break
		}
	}
	for i := k + 1; i < f.last; i++ {
		if uid := p.uidOf(i); uid > 0 {
			return low, uid
		}
	}
	return low, high
}

// uidOf is the UID of a piece as far as it is known, 0 where it is not.
func (p *planner) uidOf(k int) uint32 {
	c := &p.pieces[k]
	switch {
	case c.junk || c.copy:
		return 0
	case c.uid > 0:
		return c.uid
	case c.rec >= 0 && p.index.all[c.rec].known.has(knowUID):
		return p.index.all[c.rec].uid
	case c.known.has(knowUID):
		return c.line.uid
	}
	return 0
}

// identify finds out the UIDs of all pieces: where index and line differ it is
// the one that the status knows, or that is in order.
func (p *planner) identify() {
	taken := map[uint32]bool{}
	for k := range p.pieces {
		c := &p.pieces[k]
		if c.junk {
			continue
		}
		if c.rec < 0 || !p.index.all[c.rec].known.has(knowUID) {
			if c.known.has(knowUID) {
				c.uid = c.line.uid
			}
			continue
		}
		r := p.index.all[c.rec].uid
		c.uid = r
		if !c.known.has(knowUID) || c.line.uid == r {
			taken[r] = true
			continue
		}
		knowsIndex, knowsLine := p.known(r), p.known(c.line.uid)
		switch {
		case taken[r], knowsLine && !knowsIndex:
			c.uid = c.line.uid
		case knowsLine == knowsIndex && !p.inOrder(c.rec):
			c.uid = c.line.uid
		}
		taken[c.uid] = true
	}
}

// inOrder reports whether a record of the index is between those around it.
func (p *planner) inOrder(n int) bool {
	all := p.index.all
	return (n == 0 || all[n-1].uid < all[n].uid) && (n == len(all)-1 || all[n].uid < all[n+1].uid)
}

// copies finds pieces that are copies of others, as moving messages leaves them.
func (p *planner) copies() {
	best := map[uint32]int{}
	for k := range p.pieces {
		c := &p.pieces[k]
		if c.uid == 0 || c.junk {
			continue
		}
		other, twice := best[c.uid]
		if !twice {
			best[c.uid] = k
			continue
		}
		o := &p.pieces[other]
		if c.known.has(knowDate) && o.known.has(knowDate) && c.line.date != o.line.date || c.fits() && o.fits() && c.size != o.size {
			weaker := c // another message, of another mailbox perhaps
			if c.rec >= 0 && o.rec < 0 {
				weaker, best[c.uid] = o, k
			}
			weaker.uid, weaker.foreign = 0, true
			continue
		}
		if a, b := c.worth(), o.worth(); a > b || a == b && c.rec >= 0 && o.rec < 0 {
			best[c.uid] = k
			if o.rec >= 0 && c.rec < 0 {
				r := o.rec
				o.rec = -1
				p.take(k, r)
			}
			c = o
		}
		c.copy = true
	}
}

// distrust takes their UIDs from pieces that the index does not list and that
// are not in the order of their file.
func (p *planner) distrust() {
	for _, f := range p.files {
		var all []mend.UID
		var at []int
		for k := f.first; k < f.last; k++ {
			if c := &p.pieces[k]; !c.junk && !c.copy && c.uid > 0 {
				u := c.uid
				if c.rec < 0 && p.had.lastKnown && uint64(u) > uint64(p.had.uidLast)+maxGap && !p.known(u) {
					u = 0 // no UID is that high
				}
				all, at = append(all, mend.UID{Now: u}), append(at, k)
			}
		}
		mend.Distrust(all)
		for n, u := range all {
			if c := &p.pieces[at[n]]; (u.Lost || u.Now == 0) && c.rec < 0 && !p.known(c.uid) {
				c.uid, c.misread = 0, true
			}
		}
	}
}

// maxGap is how far a UID may be above UIDLAST.
const maxGap = 1 << 16

// known reports whether the status knows a UID.
func (p *planner) known(uid uint32) bool {
	_, ok := p.status.of(uid)
	return ok
}
