package mbox

import "mailutil/pkg/mailbox"

// A Table maps the keywords of items to those of a mailbox.
type Table struct {
	Names []string
	to    []int // index in Names of the item's keyword, -1: cannot be held
}

// NewTable adds the keywords wanted to those there are; as far as there is
// room, and may.
func NewTable(have, want []string, create bool) Table {
	t := Table{Names: have, to: make([]int, len(want))}
	for i, k := range want {
		t.to[i] = KeywordIndex(t.Names, k)
		if t.to[i] < 0 && create && len(t.Names) < MaxKeywords && mailbox.ValidKeyword(k) {
			t.to[i] = len(t.Names)
			t.Names = append(t.Names[:len(t.Names):len(t.Names)], k)
		}
	}
	return t
}

// Flags maps the flags of an item; lost is how many keywords cannot be held.
func (t Table) Flags(f mailbox.Flags) (_ mailbox.Flags, lost int) {
	out := mailbox.Flags{System: f.System &^ mailbox.Recent}
	for i := range mailbox.MaxKeywords {
		switch {
		case f.Keywords&(1<<i) == 0:
		case i >= len(t.to) || t.to[i] < 0:
			lost++
		default:
			out.Keywords |= 1 << t.to[i]
		}
	}
	return out, lost
}
