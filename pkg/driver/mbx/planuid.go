package mbx

import (
	"math"
	"slices"
	"sort"
)

// number gives UIDs to the messages that have none that can be. Where exactly
// as many numbers are free between two messages as are wanted there, they are
// these. Where more are free it is a guess, and UIDVALIDITY changes; where there
// are too few, all from there on get new ones, too.
// Messages behind the last one that has a number are as new ones: they change
// nothing for others.
func (p *planner) number() {
	p.distrust()
	last := p.block.uidLast
	if !p.known {
		last = 0
	}
	for i := range p.msgs {
		if p.msgs[i].trusted() {
			last = max(last, p.msgs[i].uid)
		}
	}
	low := p.known && last > p.block.uidLast
	p.block.uidLast = last
	before, renumber, changed := uint32(0), false, false
	for i := 0; i < len(p.msgs); {
		if !renumber && p.msgs[i].trusted() {
			before = p.msgs[i].uid
			i++
			continue
		}
		end := i
		for end < len(p.msgs) && !p.msgs[end].trusted() {
			end++
		}
		switch {
		case renumber:
			end = len(p.msgs)
			p.anew(i, end)
		case end == len(p.msgs):
			p.tail(i, before)
		case int64(p.msgs[end].uid)-int64(before)-1 == int64(end-i):
			for k := i; k < end; k++ {
				before++
				p.give(k, before)
				p.acc.UIDs++
				p.step("write-uid", p.msgs[k].off, 0, uint32(k)+1, "give it the UID %d, the only one that is free there", before)
			}
		case int64(p.msgs[end].uid)-int64(before)-1 > int64(end-i):
			// Which of them it was nobody knows. With another UIDVALIDITY it does
			// not matter, and the others keep theirs.
			p.step("write-uid", p.msgs[i].off, 0, uint32(i)+1, "give %s free UIDs, from %d on", counted(end-i, "message", "messages"), uint64(before)+1)
			for k := i; k < end; k++ {
				before++
				p.give(k, before)
				p.acc.UIDs++
			}
			changed = true
		case p.msgs[end].bits&planTold != 0: // rather than all that are behind it
			p.msgs[end].bits |= planNoUID
			continue
		default:
			renumber = true
			continue
		}
		i = end
	}
	p.validity(renumber || changed)
	if low {
		p.step("write-block", uidLastOff, 8, 0, "raise UIDLAST to %d", p.block.uidLast)
	}
	p.acc.UIDValidity = p.block.validity
	for i := range p.msgs {
		if p.msgs[i].flags&bitExpunged == 0 {
			p.acc.Messages++
		}
	}
}

// trusted reports whether the number of m is believed.
func (m *planned) trusted() bool { return m.uid != 0 && m.bits&(planNoUID|planForeign) == 0 }

// give gives message k a number.
func (p *planner) give(k int, uid uint32) {
	p.msgs[k].uid = uid
	p.msgs[k].bits |= planLine | planNumbered
}

// anew gives the messages [i, end) new numbers.
func (p *planner) anew(i, end int) {
	if uint64(p.block.uidLast)+uint64(end-i) > math.MaxUint32-1 { // start over
		i, p.block.uidLast = 0, 0
	}
	p.step("renumber", p.msgs[i].off, 0, uint32(i)+1, "give it and the %d behind it new UIDs, from %d on", end-i-1, uint64(p.block.uidLast)+1)
	for k := i; k < end; k++ {
		p.block.uidLast++
		p.give(k, p.block.uidLast)
		p.acc.UIDs++
	}
}

// tail numbers the messages from i on, behind the last one that has a number,
// which is before. Those without one get theirs when the mailbox is opened.
func (p *planner) tail(i int, before uint32) {
	lost, known := 0, 0
	for k := i; k < len(p.msgs); k++ {
		if p.msgs[k].bits&(planNoUID|planForeign) != 0 {
			lost++
			known = k + 1
		}
	}
	if lost == 0 {
		return
	}
	next := p.block.uidLast
	if free := p.block.uidLast - before; p.known && lost == known-i && free == uint32(lost) && p.msgs[known-1].bits&planForeign == 0 {
		next = before // exactly those that are missing
	}
	p.step("write-uid", p.msgs[i].off, 0, uint32(i)+1, "give new UIDs to %s, from %d on", counted(known-i, "message", "messages"), next+1)
	for k := i; k < known; k++ {
		next++
		p.give(k, next)
		p.acc.UIDs++
	}
	p.block.uidLast = max(p.block.uidLast, next)
}

// validity makes UIDVALIDITY a new one where numbers have changed, or there is
// none.
func (p *planner) validity(renumbered bool) {
	old := p.block.validity
	if !renumbered && old != 0 {
		return
	}
	p.block.validity = max(uint32(p.r.d.env.Now().Unix()), 1)
	if old != math.MaxUint32 {
		p.block.validity = max(p.block.validity, old+1)
	}
	p.acc.Raised = true
	p.step("write-block", validityOff, 8, 0, "make UIDVALIDITY %d", p.block.validity)
}

// distrust takes their numbers from those messages that keep the others from
// ascending: as few as possible.
func (p *planner) distrust() {
	slack := uint64(uidSlack)
	if !p.known {
		slack = math.MaxUint32
	}
	ascend, last := true, uint32(0)
	for i := range p.msgs {
		m := &p.msgs[i]
		if m.uid == math.MaxUint32 || m.trusted() && uint64(m.uid) > uint64(p.block.uidLast)+slack {
			m.bits |= planNoUID
		}
		if m.trusted() {
			ascend = ascend && m.uid > last
			last = m.uid
		}
	}
	if ascend {
		return
	}
	keep := p.ascending()
	for i := range p.msgs {
		if _, ok := slices.BinarySearch(keep, i); !ok && p.msgs[i].trusted() {
			p.msgs[i].bits |= planNoUID
		}
	}
}

// ascending returns the longest list of messages whose numbers ascend; of two
// with the same number the first.
func (p *planner) ascending() (list []int) {
	var tops []int // the message with the lowest number that ends a list of that length
	before := make([]int, len(p.msgs))
	for i := range p.msgs {
		if !p.msgs[i].trusted() {
			continue
		}
		uid := p.msgs[i].uid
		k := sort.Search(len(tops), func(k int) bool { return p.msgs[tops[k]].uid >= uid })
		before[i] = -1
		if k > 0 {
			before[i] = tops[k-1]
		}
		switch {
		case k == len(tops):
			tops = append(tops, i)
		case p.msgs[tops[k]].uid > uid:
			tops[k] = i
		}
	}
	if len(tops) == 0 {
		return nil
	}
	for i := tops[len(tops)-1]; i >= 0; i = before[i] {
		list = append(list, i)
	}
	slices.Reverse(list)
	return list
}
