package mailbox

import (
	"context"
	"fmt"
	"iter"
	"strings"
)

// A Repairer can make a damaged mailbox sound. It is an optional ability of a
// Driver.
type Repairer interface {
	// PlanRepair looks at n as Checker.Inspect does, with the same findings and
	// errors, and plans from the same pass what is to be done about the damage.
	// Nothing is written.
	PlanRepair(ctx context.Context, n Name, o RepairOptions, report func(Finding) error) (Repair, error)
}

// RepairOptions say how a mailbox is to be repaired.
type RepairOptions struct {
	// KeepIn is the directory where the original is kept; "" is that of the
	// mailbox.
	KeepIn string

	// Undelete makes messages visible again that are marked as removed for good
	// but are still there.
	Undelete bool

	// SplitFrom takes doubtful From_ lines of mbox formats for the beginning of
	// a message, QuoteFrom for text, which gets a ">". Without either they stay
	// as readers take them.
	SplitFrom, QuoteFrom bool
}

// A Repair is a plan for one mailbox.
type Repair interface {
	// Inspection sums up what was found.
	Inspection() Inspection

	// Needed reports whether anything is to be done. The mailbox of a Repair
	// that is not needed is left as it is.
	Needed() bool

	// Steps yields what is to be done, in the order of the file: all of it, and
	// nothing else.
	Steps() iter.Seq[Step]

	// Account says what the mailbox will be, and what becomes of messages.
	Account() RepairAccount

	// CarryOut does it, under the mailbox's own locks. The result is looked at
	// and compared before it takes the place of the original, which is kept. The
	// error is ErrBusy where another session has the mailbox, ErrChanged where it
	// is not what was looked at any more: plan again. After any error the mailbox
	// is as it was. Again says that an interrupted change was finished instead:
	// plan again.
	CarryOut(ctx context.Context) (made RepairFiles, again bool, err error)

	// Close frees what the plan holds; its files are left alone.
	Close() error
}

// TakeIn is the Action of a Step by which what stood between messages in mbox
// format becomes one.
const TakeIn = "take-in"

// A Step is one thing that a Repair does.
type Step struct {
	Action string // stable words for programs: "write-line", "set-aside"
	Off    int64  // octet offset in the original; -1 where it is about something else
	Octets int64  // how many octets of the original it is about
	Seq    uint32 // message in the result that it is about; 0 for none
	Text   string // for people: lower case, no full stop
}

// String says where and what.
func (s Step) String() string {
	var where []string
	if s.Seq > 0 {
		where = append(where, fmt.Sprintf("message %d", s.Seq))
	}
	if s.Off >= 0 {
		where = append(where, fmt.Sprintf("octet %d", s.Off))
	}
	if len(where) == 0 {
		return s.Text
	}
	return strings.Join(where, ", ") + ": " + s.Text
}

// A RepairAccount accounts for every message and for every octet that is not
// in the mailbox any more.
type RepairAccount struct {
	Messages uint32 // in the result, visible ones
	Intact   uint32 // of these, whose text is as it was written, as far as can be told
	Partial  uint32 // whose text lacks octets, or has some that were not its own

	Dates, Flags, UIDs uint32 // messages of which these had to be guessed, or are lost
	Ends               uint32 // messages whose size did not fit: whole if only that was wrong
	Keywords           int    // names that had to be made up
	SetAside           int64  // octets that belong to no message: to NAME.lost
	Gone               bool   // messages are not in the file any more, as it seems

	UIDValidity uint32 // of the result
	Raised      bool   // it is another than before: messages have other UIDs
}

// Whole reports whether nothing was lost and nothing guessed.
func (a RepairAccount) Whole() bool {
	return a.Partial == 0 && a.Dates == 0 && a.Flags == 0 && a.UIDs == 0 && a.Ends == 0 &&
		a.Keywords == 0 && a.SetAside == 0 && !a.Gone && !a.Raised
}

// String says it in words.
func (a RepairAccount) String() string {
	text := counted(int(a.Messages), "message", "messages")
	list := []string{fmt.Sprintf("%d intact", a.Intact)}
	add := func(n int, format string) {
		if n > 0 {
			list = append(list, fmt.Sprintf(format, n))
		}
	}
	add(int(a.Partial), "%d salvaged in part")
	add(int(a.Dates), "%d with a guessed date")
	add(int(a.Flags), "%d without their flags")
	add(int(a.UIDs), "%d with a guessed or new UID")
	add(int(a.Ends), "%d whose size was wrong")
	if a.Keywords > 0 {
		list = append(list, counted(a.Keywords, "name of a keyword", "names of keywords")+" made up")
	}
	if a.SetAside > 0 {
		list = append(list, counted(int(a.SetAside), "octet", "octets")+" set aside")
	}
	if a.Gone {
		list = append(list, "messages may be missing")
	}
	if a.Raised {
		list = append(list, fmt.Sprintf("new UIDVALIDITY %d", a.UIDValidity))
	}
	return text + ": " + strings.Join(list, ", ")
}

// RepairFiles are the files that a repair has made, "" for none.
type RepairFiles struct {
	Original string // the mailbox as it was
	Lost     string // octets that belong to no message, with their offsets
	Salvage  string // the same as a mailbox, as far as they are text
}
