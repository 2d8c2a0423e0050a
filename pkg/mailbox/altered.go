package mailbox

import (
	"fmt"
	"strings"
)

// Altered counts what a format could not hold as it was, and what was done
// about it. The zero value means: stored octet for octet.
type Altered struct {
	QuotedFrom     int // lines beginning "From " that got a ">"
	RenamedHeaders int // status headers in the text, renamed X-Original-...
	LineEnds       int // bare LFs that became line ends
	Newlines       int // missing final newlines or header ends that were added
	Keywords       int // keywords that the format has no room for
	Dates          int // internal dates out of the format's range, replaced
	Octets         int // 0x01 dropped from text that would have ended the message
}

// Any reports whether something was altered.
func (a Altered) Any() bool { return a != Altered{} }

// Plus returns the sum of a and b.
func (a Altered) Plus(b Altered) Altered {
	a.QuotedFrom += b.QuotedFrom
	a.RenamedHeaders += b.RenamedHeaders
	a.LineEnds += b.LineEnds
	a.Newlines += b.Newlines
	a.Keywords += b.Keywords
	a.Dates += b.Dates
	a.Octets += b.Octets
	return a
}

// Words says what was altered, "" for nothing.
func (a Altered) Words() string {
	var out []string
	say := func(n int, one, many string) {
		if n == 1 {
			out = append(out, "1 "+one)
		} else if n > 1 {
			out = append(out, fmt.Sprintf("%d %s", n, many))
		}
	}
	say(a.QuotedFrom, `line beginning "From " quoted with ">"`, `lines beginning "From " quoted with ">"`)
	say(a.RenamedHeaders, "status header renamed X-Original-", "status headers renamed X-Original-")
	say(a.LineEnds, "bare LF made a line end", "bare LFs made line ends")
	say(a.Newlines, "missing newline added", "missing newlines added")
	say(a.Keywords, "keyword dropped", "keywords dropped")
	say(a.Dates, "internal date replaced", "internal dates replaced")
	say(a.Octets, "octet 0x01 dropped", "octets 0x01 dropped")
	return strings.Join(out, ", ")
}
