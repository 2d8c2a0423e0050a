package ops

import (
	"fmt"

	"mailutil/pkg/mailbox"
)

// Progress is how far a copy is.
type Progress struct {
	Done, Total uint32 // messages; Total is 0 as long as nobody knows
	Octets      int64  // of text, so far
}

// An Account says what became of each message that a copy found.
type Account struct {
	Source, Target string // canonical name; name as the user wrote it
	Found          uint32 // messages selected from the source, as it was when it was opened
	NotSelected    uint32 // other messages of the source
	Present        uint32 // still others, which the target had already
	Copied         uint32 // durable in the target
	Resumed        uint32 // of these, by an earlier run that was interrupted
	Skipped        uint32 // the target's format cannot hold them
	Failed         uint32 // everything else
	Octets         int64  // of text copied
	Deleted        uint32 // expunged from the source (move)

	Altered         mailbox.Altered // what the target's format could not hold
	AlteredMessages uint32          // how many messages that concerns
	Exceptions      []Exception     // each message that was not stored octet for octet, at most MaxExceptions

	UIDsLost  bool   // the target's format keeps no UIDs, though they were to be kept
	Verified  bool   // the target was read back and compared
	Differing uint32 // messages that the target gives back otherwise
	DateFrom  DateSource
	Dates     DateCounts
	Mapped    Mapped

	SourceProven bool  // the source's octets were the same before and after
	SourceGrew   int64 // octets that arrived in the source meanwhile
}

// MaxExceptions bounds Account.Exceptions: the sums count every message.
const MaxExceptions = 1000

// An Exception is one message that was not stored as it was.
type Exception struct {
	Seq, UID uint32
	Altered  mailbox.Altered
	Differs  []string // what the target gave back otherwise: text, date, flags, keywords, uid
	Err      error    // why it was skipped; nil when it was stored
}

// Balanced reports whether every message found was copied or has a reason why
// not.
func (a Account) Balanced() bool { return a.Found == a.Copied+a.Skipped+a.Failed }

// Equation returns the account as "3 found = 2 copied + 1 skipped + 0 failed".
func (a Account) Equation() string {
	return fmt.Sprintf("%d found = %d copied + %d skipped + %d failed", a.Found, a.Copied, a.Skipped, a.Failed)
}
