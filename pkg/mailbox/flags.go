package mailbox

import "strings"

// SystemFlags are the flags that every format knows, RFC 3501, 2.3.2.
type SystemFlags uint8

// The system flags. Recent belongs to the session and is never stored by
// Store or copied.
const (
	Seen SystemFlags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft
	Recent
)

// SystemNames lists the system flags in bit order, without the backslash.
var SystemNames = [...]string{"Seen", "Answered", "Flagged", "Deleted", "Draft", "Recent"}

// Flags are the flags of one message. Bit n of Keywords stands for
// Status.Keywords[n] (or AppendOptions.Keywords[n]).
type Flags struct {
	System   SystemFlags
	Keywords uint64
}

// MaxKeywords is how many keywords fit into Flags.
const MaxKeywords = 64

// FlagList names flags for Store.
type FlagList struct {
	System   SystemFlags
	Keywords []string
}

// A FlagOp says what Store does with the flags it is given.
type FlagOp int

// Add sets flags, Remove clears them, Replace makes them the only ones.
const (
	Add FlagOp = iota
	Remove
	Replace
)

// Apply returns f after op with the flags g. Recent is left alone.
func (f Flags) Apply(op FlagOp, g Flags) Flags {
	g.System &^= Recent
	switch op {
	case Add:
		f.System |= g.System
		f.Keywords |= g.Keywords
	case Remove:
		f.System &^= g.System
		f.Keywords &^= g.Keywords
	case Replace:
		f.System = g.System | f.System&Recent
		f.Keywords = g.Keywords
	}
	return f
}

// Names returns the flags as IMAP spells them: \Seen first, keywords last.
// keywords names the bits.
func (f Flags) Names(keywords []string) []string {
	var out []string
	for i, name := range SystemNames {
		if f.System&(1<<i) != 0 {
			out = append(out, `\`+name)
		}
	}
	for i, name := range keywords {
		if i < MaxKeywords && f.Keywords&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

// ValidKeyword reports whether s may be created as a keyword: 1 to 50 octets,
// each above 0x20 and below 0x7F, none of ( ) { ] % * " \, as in the original.
func ValidKeyword(s string) bool {
	if len(s) == 0 || len(s) > 50 {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7F || strings.IndexByte(`(){]%*"\`, s[i]) >= 0 {
			return false
		}
	}
	return true
}
