package mailbox

import (
	"context"
	"fmt"
	"strings"
)

// A Checker looks at a mailbox octet by octet and reports what is not as it
// should be. It is an optional ability of a Driver.
type Checker interface {
	// Inspect reads the mailbox n from end to end, goes on behind damage as far
	// as it can, and calls report for every finding, mostly in the order of the
	// file. An error of report ends it and is returned. Nothing is written: no
	// octet, no time stamp, no lock file. A kernel lock keeps others from
	// moving messages meanwhile.
	//
	// A file that is not of this format and does not look like a damaged one of
	// it gives ErrFormat, before anything is reported. ErrChanged means that
	// somebody wrote to the file meanwhile, so that the findings may be due to
	// that. Damage is no error.
	Inspect(ctx context.Context, n Name, report func(Finding) error) (Inspection, error)
}

// A Severity says how bad a finding is.
type Severity int

// Doubt is what may be as somebody meant it: nothing is known to be lost, and
// all readers go on. Damage is what was lost or broken: a reader stops there,
// or does not see what was written, or gives messages new UIDs.
const (
	Doubt Severity = iota
	Damage
)

// String returns "doubt" or "damage".
func (s Severity) String() string {
	if s == Damage {
		return "damage"
	}
	return "doubt"
}

// A Finding is one thing that an inspection found.
type Finding struct {
	Code     string // stable words for programs: "mbx.torn-tail"
	Off      int64  // octet offset in the file; -1 where it is about something beside it
	Line     int64  // number of the line that Off is in, from 1; 0 for none
	Seq      uint32 // message that it is about, as readers would number it; 0 for none
	Severity Severity
	Text     string // for people: lower case, object first, no full stop
}

// String says where, what, and the code.
func (f Finding) String() string {
	var b strings.Builder
	where := func(format string, args ...any) {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, format, args...)
	}
	if f.Seq > 0 {
		where("message %d", f.Seq)
	}
	if f.Off >= 0 {
		where("octet %d", f.Off)
	}
	if f.Line > 0 {
		where("line %d", f.Line)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "%s: %s [%s]", f.Severity, f.Text, f.Code)
	return b.String()
}

// An Inspection sums up what was looked at.
type Inspection struct {
	Driver   string // format, or what the file seems to have been
	Path     string
	Size     int64  // octets that were looked at
	Messages uint32 // messages that were found, damaged ones too
	Doubts   int    // findings of each severity
	Damages  int
}

// Count counts f.
func (i *Inspection) Count(f Finding) {
	if f.Severity == Damage {
		i.Damages++
	} else {
		i.Doubts++
	}
}

// Sound reports whether there is no damage.
func (i Inspection) Sound() bool { return i.Damages == 0 }

// String sums up in words what was found, and what to do about damage.
func (i Inspection) String() string {
	what := "sound"
	if !i.Sound() {
		what = fmt.Sprintf("damaged in %s", counted(i.Damages, "place", "places"))
	}
	text := fmt.Sprintf("%s: %s mailbox of %s, %s", i.Path, i.Driver, counted(int(i.Messages), "message", "messages"), what)
	if i.Doubts > 0 {
		text += ", " + counted(i.Doubts, "doubt", "doubts")
	}
	if !i.Sound() {
		text += "; run mailutil repair"
	}
	return text
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
