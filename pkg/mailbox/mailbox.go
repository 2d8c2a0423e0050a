package mailbox

import (
	"context"
	"io"
	"iter"
)

// A Driver is one mailbox format or protocol.
type Driver interface {
	// Name is the format's name as commands print and accept it: "mbx".
	Name() string

	// Probe reports whether n is a mailbox of this format. It costs at most
	// a stat and one short read and leaves the access time as it was. A
	// missing file is (false, nil); an error means that nobody can tell.
	Probe(n Name) (bool, error)

	// Open opens a mailbox. With ReadWrite the caller may get a mailbox whose
	// Status says ReadOnly: the reason has been said through Env.Notify.
	Open(ctx context.Context, n Name, m Mode) (Mailbox, error)
}

// What a format may be able to do beyond reading is found by type assertion
// on its Driver.
type (
	// A Creator makes new, empty mailboxes. The error is ErrExist where the
	// name is taken.
	Creator interface {
		Create(ctx context.Context, n Name) error
	}

	// A Deleter removes a mailbox for good; ErrBusy where it is in use.
	Deleter interface {
		Delete(ctx context.Context, n Name) error
	}

	// A Renamer gives a mailbox another name; ErrBusy where it is in use,
	// ErrExist where the new name is taken.
	Renamer interface {
		Rename(ctx context.Context, from, to Name) error
	}

	// An Appender takes mail without opening the mailbox.
	Appender interface {
		Append(ctx context.Context, n Name, o AppendOptions) (Delivery, error)
	}

	// A Lister knows what mailboxes there are in a place with names of its
	// own: a server, a namespace. It yields those whose names begin with
	// prefix, in the order of their names.
	Lister interface {
		List(ctx context.Context, prefix Name) iter.Seq2[Entry, error]
	}

	// A Placer knows where it keeps a mailbox, as an absolute path: INBOX is
	// where the format has it. Nothing need be there.
	Placer interface {
		Place(n Name) (string, error)
	}

	// A Claimer knows that a new mailbox of some name can be of its format only,
	// unless another is asked for by name: what is below a Maildir.
	Claimer interface {
		Claims(n Name) (bool, error)
	}

	// A Parent's mailboxes are directories that may have others below them.
	// Part reports whether an entry of such a directory is the mailbox's own.
	Parent interface {
		Part(entry string) bool
	}

	// A Holder keeps everybody else out of a mailbox. Hold opens it read-only,
	// all messages included that anybody had delivered, and takes every lock
	// that keeps deliveries and sessions of other programs away; they are given
	// up at Close, and the mailbox is as it was. ErrBusy, naming the holder,
	// where a session has it open, or a lock is not to be had in time. Ping of
	// such a mailbox looks for nothing: it keeps the locks from growing stale,
	// and should be called at least once a minute.
	//
	// A delivery or a session that waited meanwhile, and then finds another
	// mailbox under the name than the one it was begun with, must begin anew or
	// fail; it never writes to the one that went.
	Holder interface {
		Hold(ctx context.Context, n Name) (Mailbox, error)
	}

	// A Forgetter's mailboxes keep no UIDs, or no UIDVALIDITY: each session makes
	// it up, and clients begin anew. ForgetsUIDs does nothing.
	Forgetter interface {
		ForgetsUIDs()
	}

	// A Counter counts without opening, where that differs from opening
	// read-only and asking Status (an mbx INBOX counts the spool as well).
	Counter interface {
		Count(ctx context.Context, n Name) (Status, error)
	}
)

// An Entry is one name that a Lister yields.
type Entry struct {
	Name       string // as a user writes it, with {host} or #namespace
	Delimiter  byte   // between the levels of the hierarchy; 0 where it is flat
	Selectable bool   // it can be opened; else it only has others below it
}

// A Mode says what an open mailbox may be used for.
type Mode int

// ReadOnly never writes to the mailbox, not even its time stamps. ReadWrite
// takes the session locks and allows Store and Expunge.
const (
	ReadOnly Mode = iota
	ReadWrite
)

// AppendOptions say how mail is to be added.
type AppendOptions struct {
	// New asks for a mailbox that must not exist yet (ErrExist). It is
	// written under a hidden name and appears, whole, at Commit.
	New bool

	// Keywords names the keyword bits in the Flags of the items added, bit n
	// being Keywords[n]; "" stands for a bit that no item bears. The names that
	// the mailbox lacks are created in it, as far as the format can; what it
	// cannot hold is counted in Altered.
	Keywords []string

	// UIDValidity, when not zero, goes with New: the mailbox gets this
	// UIDVALIDITY, and items keep the UIDs they bring (they must ascend).
	UIDValidity uint32

	// UIDNext goes with UIDValidity: the UIDNEXT of the mailbox is at least
	// this, even where no item bears the UID before it, so that no UID that was
	// ever given is given again.
	UIDNext uint32
}

// A Mailbox is one open mailbox. It is not safe for concurrent use.
type Mailbox interface {
	// Status is what is known now; it costs nothing.
	Status() Status

	// Messages yields what the index knows of the messages in s, in order.
	// It never reads text.
	Messages(s Set) iter.Seq2[Message, error]

	// Open streams one message. The Content is valid until the next call on
	// the mailbox.
	Open(seq uint32) (Content, error)

	// Store changes the flags of the messages in s, durably. Keywords that do
	// not exist are created where the format can; ErrUnsupported otherwise.
	// ErrReadOnly on a mailbox that is open read-only.
	Store(s Set, op FlagOp, f FlagList) error

	// Expunge removes the messages in s for good, whether or not they bear
	// Deleted, and returns how many went. It is all or nothing: after an error
	// or a power cut the mailbox is the old one or the new one.
	Expunge(s Set) (int, error)

	// Ping looks for what other sessions did: new mail, changed flags,
	// removed messages. Sequence numbers may change only here and in Expunge.
	Ping() (changed bool, err error)

	// Close writes what is pending and releases the locks. Its error counts.
	Close() error
}

// Optional abilities of a Mailbox, found by type assertion.
type (
	// An Enveloper keeps envelope senders (the address of a From_ line).
	// Sender returns "" where message seq has none.
	Enveloper interface {
		Sender(seq uint32) (string, error)
	}

	// A Prover can show that nobody changed the octets that were read. Two
	// Proofs of the same process are equal when the octets were equal.
	Prover interface {
		Prove() (Proof, error)
	}

	// A Witness is a Prover that need not read twice: from Witness on octets
	// are digested as messages are read, and Witnessed gives the Proof of what
	// was read, complete and in order, however it was read.
	Witness interface {
		Prover
		Witness()
		Witnessed() (Proof, error)
	}
)

// A Proof is the size and a digest of the octets that a mailbox was read from.
type Proof struct {
	Size   int64 // octets digested: the size when the mailbox was opened
	Digest uint64
	Now    int64 // size of the file now; larger than Size when mail has arrived
}

// Content is the text of one message with CRLF line ends, status headers of
// the format hidden. It borrows from the mailbox and is valid until the next
// call on it.
type Content interface {
	io.Reader
	io.WriterTo
	// Header returns the header block with its closing blank line (if it has
	// one), as Read would give it, a view that is valid like the Content. It
	// may be called before, between and after reads. At most MaxHeader octets
	// are returned.
	Header() ([]byte, error)
}

// A Sizer is a Content that knows the exact number of its octets where the
// Size of the message in the index may be wrong: servers tell wrong ones.
type Sizer interface {
	Size() (int64, error)
}

// MaxHeader is how much of a header block is looked at (for searching and
// listing; copies are never cut).
const MaxHeader = 4 << 20

// An Item is one message on its way into a mailbox.
type Item struct {
	Message           // Seq and UID are ignored unless AppendOptions keeps UIDs
	Sender  string    // envelope sender, "" when unknown
	Text    io.Reader // CRLF line ends; read to its end, once
}

// A Delivery takes messages and makes all of them visible at once, or none.
type Delivery interface {
	// Add takes one message. Item.Size must be the exact number of octets
	// Text gives, or -1 when it is not known. Altered says what the format
	// could not hold as it was. ErrUnsupported refuses a message that the
	// format cannot hold; others may follow. After any other error only Abort
	// is left.
	Add(it Item) (Altered, error)

	// Commit makes the messages durable and visible, in that order. Any error
	// means that none is.
	Commit() (UIDs, error)

	// Abort undoes everything; safe after Commit, so defer it.
	Abort() error
}

// A Keeper is a Delivery to a place that cannot take all or none. After it
// failed, and before Abort, Kept tells how many messages are in the mailbox
// nevertheless. The next delivery to that mailbox knows them and does not store
// them twice.
type Keeper interface {
	Kept() uint32
}

// A Linker is a Delivery that may take a message without its text being read:
// its file gets a second name. That is for mailboxes of a file for each message,
// which nobody ever writes to again.
type Linker interface {
	// Link is Add for message it.Seq of from, whose Text is not looked at. It
	// takes nothing, and ok is false, where the text has to be read.
	Link(from Mailbox, it Item) (a Altered, ok bool, err error)
}

// UIDs tells where a Delivery's messages went. Validity is zero where the
// format gives UIDs only when the mailbox is opened next.
type UIDs struct {
	Validity    uint32
	First, Last uint32
}

// Status is a snapshot of an open mailbox.
type Status struct {
	Driver      string
	Path        string // canonical name: full path of a local mailbox
	Messages    uint32
	Recent      uint32
	Unseen      uint32
	UIDValidity uint32
	UIDNext     uint32
	Keywords    []string // names of the keyword bits; owned by the mailbox
	ReadOnly    bool

	// Streaming says that messages are known only as Messages comes to them:
	// all counts are of what was read so far. Keywords are complete.
	Streaming bool
}

// A Message is what the index knows: plain values, no pointers to text.
type Message struct {
	Seq, UID uint32
	Flags    Flags
	Date     Date  // internal date
	Size     int64 // octets with CRLF line ends
}
