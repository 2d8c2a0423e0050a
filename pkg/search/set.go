package search

import (
	"strconv"
	"strings"

	"mailutil/pkg/mailbox"
)

// A numberSet is a sequence set, RFC 3501, 9.
type numberSet []span

type span struct{ lo, hi uint32 } // lo <= hi; hi may be star

// star stands for "*", the largest number in use, whatever it is.
const star = 1<<32 - 1

// parseSet reads "1,3:5,*".
func parseSet(s string) (set numberSet, ok bool) {
	for part := range strings.SplitSeq(s, ",") {
		first, second, isRange := strings.Cut(part, ":")
		a, ok := parseNumber(first)
		if !ok {
			return nil, false
		}
		b := a
		if isRange {
			if b, ok = parseNumber(second); !ok {
				return nil, false
			}
		}
		set = append(set, span{min(a, b), max(a, b)})
	}
	return set, true
}

// parseNumber reads a number of at least 1, or "*".
func parseNumber(s string) (n uint32, ok bool) {
	if s == "*" {
		return star, true
	}
	if s == "" || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	u, err := strconv.ParseUint(s, 10, 32)
	return uint32(u), err == nil && u < star
}

// What a set may be about.
type numbering func(*mailbox.Message) uint32

func bySeq(m *mailbox.Message) uint32 { return m.Seq }
func byUID(m *mailbox.Message) uint32 { return m.UID }

// term makes the test whether a message is in the set. The last message is in
// every range up to "*", even when that begins above it.
func (s numberSet) term(of numbering) term {
	return indexTerm(func(m *Matcher, msg *mailbox.Message) bool {
		n := of(msg)
		for _, r := range s {
			if r.lo <= n && n <= r.hi || r.hi == star && msg.Seq == m.messages {
				return true
			}
		}
		return false
	})
}
