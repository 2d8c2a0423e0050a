package mailbox

import (
	"iter"
	"math"
	"slices"
	"sort"
)

// A Set is a set of sequence numbers, ascending, as inclusive ranges that
// neither touch nor overlap. The zero value is empty.
type Set struct{ ranges []span }

type span struct{ lo, hi uint32 }

// All holds every sequence number.
var All = Set{[]span{{1, math.MaxUint32}}}

// One returns the set of a single sequence number.
func One(seq uint32) Set { return Set{[]span{{seq, seq}}} }

// Range returns the set lo..hi, both included; empty when hi < lo.
func Range(lo, hi uint32) Set {
	if hi < lo {
		return Set{}
	}
	return Set{[]span{{lo, hi}}}
}

// Add puts seq into s. Ascending additions cost O(1).
func (s *Set) Add(seq uint32) {
	if n := len(s.ranges); n > 0 && seq > s.ranges[n-1].hi {
		if seq == s.ranges[n-1].hi+1 {
			s.ranges[n-1].hi = seq
			return
		}
		s.ranges = append(s.ranges, span{seq, seq})
		return
	} else if n == 0 {
		s.ranges = []span{{seq, seq}}
		return
	}
	*s = s.Union(One(seq))
}

// Contains reports whether seq is in s, in O(log ranges).
func (s Set) Contains(seq uint32) bool {
	i := sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].hi >= seq })
	return i < len(s.ranges) && s.ranges[i].lo <= seq
}

// Empty reports whether s holds nothing.
func (s Set) Empty() bool { return len(s.ranges) == 0 }

// Union returns what is in s or t.
func (s Set) Union(t Set) Set {
	all := append(slices.Clone(s.ranges), t.ranges...)
	slices.SortFunc(all, func(a, b span) int {
		if a.lo < b.lo {
			return -1
		}
		if a.lo > b.lo {
			return 1
		}
		return 0
	})
	var out Set
	for _, r := range all {
		n := len(out.ranges)
		if n > 0 && (out.ranges[n-1].hi == math.MaxUint32 || r.lo <= out.ranges[n-1].hi+1) {
			out.ranges[n-1].hi = max(out.ranges[n-1].hi, r.hi)
			continue
		}
		out.ranges = append(out.ranges, r)
	}
	return out
}

// Seqs yields the members up to and including last, ascending.
func (s Set) Seqs(last uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, r := range s.ranges {
			for seq := uint64(r.lo); seq <= uint64(min(r.hi, last)); seq++ {
				if !yield(uint32(seq)) {
					return
				}
			}
		}
	}
}

// After yields the members above seq, up to and including last, ascending.
func (s Set) After(seq, last uint32) iter.Seq[uint32] {
	i := sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].hi > seq })
	return func(yield func(uint32) bool) {
		for _, r := range s.ranges[i:] {
			for next := max(uint64(r.lo), uint64(seq)+1); next <= uint64(min(r.hi, last)); next++ {
				if !yield(uint32(next)) {
					return
				}
			}
		}
	}
}
