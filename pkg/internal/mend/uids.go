package mend

import (
	"math"
	"slices"
	"sort"
)

// A UID is that of one message in a plan.
type UID struct {
	Now  uint32 // as it is in the file, 0 for none that could be read
	Then uint32 // as it is to be, 0 where readers give it
	Lost bool   // the message had one, or must get one
}

// Number gives numbers to messages so that they ascend. Where exactly as many
// numbers are free between two messages as are wanted there, they are these.
// Where more are free it is a guess, and where there are too few, all from there
// on get new ones above last, the highest that was ever given: both change what
// is known of messages (changed). Messages without a number behind the last one
// that has one, or must get one, get theirs from readers.
func Number(all []UID, last uint32) (highest uint32, changed bool) {
	Distrust(all)
	for i := range all {
		if u := &all[i]; u.Now != 0 && !u.Lost {
			u.Then = u.Now
			last = max(last, u.Now)
		}
	}
	before := uint32(0)
	for i := 0; i < len(all); {
		if all[i].Then != 0 {
			before = all[i].Then
			i++
			continue
		}
		end := i
		for end < len(all) && all[end].Then == 0 {
			end++
		}
		switch {
		case end == len(all):
			last = tail(all[i:], before, last)
		case int64(all[end].Then)-int64(before)-1 >= int64(end-i):
			changed = changed || int64(all[end].Then)-int64(before)-1 > int64(end-i)
			for k := i; k < end; k++ {
				before++
				all[k].Then = before
			}
		default:
			for k := i; k < len(all); k++ {
				last++
				all[k].Then = last
			}
			return last, true
		}
		i = end
	}
	return last, changed
}

// tail numbers messages behind the last one that has a number, which is before.
func tail(all []UID, before, last uint32) uint32 {
	known := 0
	for k := range all {
		if all[k].Lost {
			known = k + 1
		}
	}
	next := last
	if known > 0 && int64(last)-int64(before) == int64(known) {
		next = before // exactly those that are missing
	}
	for k := range known {
		next++
		all[k].Then = next
	}
	return max(last, next)
}

// Distrust takes their numbers from those messages that keep the others from
// ascending: as few as possible, and of two with the same number the second.
func Distrust(all []UID) {
	var tops []int // the message with the lowest number that ends a list of that length
	before := make([]int, len(all))
	for i, u := range all {
		if u.Now == 0 || u.Lost {
			continue
		}
		k := sort.Search(len(tops), func(k int) bool { return all[tops[k]].Now >= u.Now })
		before[i] = -1
		if k > 0 {
			before[i] = tops[k-1]
		}
		switch {
		case k == len(tops):
			tops = append(tops, i)
		case all[tops[k]].Now > u.Now:
			tops[k] = i
		}
	}
	var keep []int
	if len(tops) > 0 {
		for i := tops[len(tops)-1]; i >= 0; i = before[i] {
			keep = append(keep, i)
		}
		slices.Reverse(keep)
	}
	for i := range all {
		if _, ok := slices.BinarySearch(keep, i); !ok && all[i].Now != 0 {
			all[i].Lost = true
		}
	}
	for n := range keep {
		exchange(all, keep, n)
	}
}

// exchange takes its number from message keep[n], where the next one without has
// the same and there is no room for another behind it, but before it.
func exchange(all []UID, keep []int, n int) {
	k := keep[n]
	i, end, before, next := k+1, len(all), -1, uint32(math.MaxUint32)
	if n > 0 {
		before = keep[n-1]
	}
	if n+1 < len(keep) {
		end, next = keep[n+1], all[keep[n+1]].Now
	}
	for i < end && all[i].Now != all[k].Now {
		i++
	}
	last := uint32(0)
	if before >= 0 {
		last = all[before].Now
	}
	if i == end || int64(next)-int64(all[k].Now)-1 >= int64(end-k-1) || int64(all[k].Now)-int64(last)-1 < int64(i-before-1) {
		return
	}
	all[k].Lost, all[i].Lost = true, false
	keep[n] = i
}
