package ops

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"

	"mailutil/pkg/mailbox"
)

// A KeywordMode says which keywords go along with a copy.
type KeywordMode int

// KeepBorne creates in the target the keywords that messages bear, KeepAll
// every keyword of the source (-kw), Drop none (-ig).
const (
	KeepBorne KeywordMode = iota
	KeepAll
	Drop
)

// CopyOptions say how to copy.
type CopyOptions struct {
	Create    bool // the target is a new mailbox (copy, move); else it exists (append)
	Move      bool // expunge the messages from the source once the copy is proven
	ReadWrite bool // open the source read-write
	Keywords  KeywordMode

	// Started, when not nil, is called once the source is open, before
	// anything is written.
	Started func(source mailbox.Status)
	// Progress, when not nil, is called after each message.
	Progress func(Progress)
}

// Progress is how far a copy is.
type Progress struct {
	Done, Total uint32 // messages
	Octets      int64  // of text, so far
}

// An Account says what became of each message that a copy found.
type Account struct {
	Source, Target string // canonical name; name as the user wrote it
	Found          uint32 // messages in the source when it was opened
	Copied         uint32 // durable in the target
	Skipped        uint32 // the target's format cannot hold them
	Failed         uint32 // everything else
	Octets         int64  // of text copied
	Deleted        uint32 // expunged from the source (move)

	Altered         mailbox.Altered // what the target's format could not hold
	AlteredMessages uint32          // how many messages that concerns
	Exceptions      []Exception     // each message that was not stored octet for octet, at most MaxExceptions

	SourceProven bool  // the source's octets were the same before and after
	SourceGrew   int64 // octets that arrived in the source meanwhile
}

// MaxExceptions bounds Account.Exceptions: the sums count every message.
const MaxExceptions = 1000

// An Exception is one message that was not stored as it was.
type Exception struct {
	Seq, UID uint32
	Altered  mailbox.Altered
	Err      error // why it was skipped; nil when it was stored altered
}

// Balanced reports whether every message found was copied or has a reason why
// not.
func (a Account) Balanced() bool { return a.Found == a.Copied+a.Skipped+a.Failed }

// Equation returns the account as "3 found = 2 copied + 1 skipped + 0 failed".
func (a Account) Equation() string {
	return fmt.Sprintf("%d found = %d copied + %d skipped + %d failed", a.Found, a.Copied, a.Skipped, a.Failed)
}

// ErrUnproven means that the copy stands in the target, but does not read back
// as it should, or that the source changed under it; the source was left as it
// is.
var ErrUnproven = errors.New("copy could not be proven")

// Copy copies or moves all messages of src to dst. The Account is valid with
// an error too: a copy that fails leaves nothing in the target. Only a move
// can be partly done: its messages are then in both mailboxes.
func (s *Session) Copy(ctx context.Context, src, dst string, o CopyOptions) (Account, error) {
	acc := Account{Target: dst}
	from, err := s.openSource(ctx, src, o)
	if err != nil {
		return acc, err
	}
	defer from.Close() // the error of a read-only source says nothing about the copy; move closes itself
	st := from.Status()
	acc.Source, acc.Found, acc.Failed = st.Path, st.Messages, st.Messages

	c := &copier{s: s, from: from, status: st, acc: &acc, o: o}
	if err := c.openTarget(ctx, dst); err != nil {
		return acc, err
	}
	defer c.to.Abort() // a no-op after Commit
	if o.Started != nil {
		o.Started(st)
	}
	if err := c.run(ctx); err != nil {
		return acc, err
	}
	if o.Move {
		return acc, c.finishMove(ctx, dst)
	}
	return acc, nil
}

func (s *Session) openSource(ctx context.Context, src string, o CopyOptions) (mailbox.Mailbox, error) {
	n, d, err := s.find(src)
	if err != nil {
		return nil, err
	}
	mode := mailbox.ReadOnly
	if o.Move || o.ReadWrite {
		mode = mailbox.ReadWrite
	}
	return d.Open(ctx, n, mode)
}

// A copier is one copy under way.
type copier struct {
	s      *Session
	from   mailbox.Mailbox
	status mailbox.Status
	to     mailbox.Delivery
	acc    *Account
	o      CopyOptions
	done   mailbox.Set // what is in the target
	sums   []stored    // the same as the target must give it back, kept for a move only
}

// stored is what the target must give back for one message.
type stored struct {
	size    int64
	digest  uint64 // of the text; of its essence when altered
	altered bool
}

func (c *copier) openTarget(ctx context.Context, dst string) error {
	resolve := c.s.Env.ResolveTarget
	if c.o.Create {
		resolve = c.s.resolveNew
	}
	n, err := resolve(dst)
	if err != nil {
		return err
	}
	var d mailbox.Driver
	if c.o.Create || n.Format != "" {
		d, err = c.s.newFormat(n)
	} else {
		d, err = c.s.Drivers.Find(n)
	}
	if err != nil {
		return err
	}
	a, ok := d.(mailbox.Appender)
	if !ok {
		return fail("append", dst, mailbox.ErrUnsupported)
	}
	ao := mailbox.AppendOptions{New: c.o.Create}
	if ao.Keywords, err = c.keywords(); err != nil {
		return err
	}
	c.to, err = a.Append(ctx, n, ao)
	return err
}

// keywords are the names that the target is to have, "" for bits that it need
// not know.
func (c *copier) keywords() ([]string, error) {
	switch c.o.Keywords {
	case Drop:
		return nil, nil
	case KeepAll:
		return c.status.Keywords, nil
	}
	var borne uint64
	for m, err := range c.from.Messages(mailbox.All) {
		if err != nil {
			return nil, err
		}
		borne |= m.Flags.Keywords
	}
	names := slices.Clone(c.status.Keywords)
	for i := range names {
		if borne&(1<<i) == 0 {
			names[i] = ""
		}
	}
	return names, nil
}

// run copies all messages, commits, and proves that the source stayed as it
// was.
func (c *copier) run(ctx context.Context) error {
	proof, err := beginProof(c.from)
	if err != nil {
		return err
	}
	for m, err := range c.from.Messages(mailbox.Range(1, c.status.Messages)) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = c.one(m)
		}
		if err != nil {
			return c.rollback(fmt.Errorf("message %d: %w", m.Seq, err))
		}
	}
	if err := proof.end(c.acc); err != nil {
		return c.rollback(err)
	}
	if _, err := c.to.Commit(); err != nil {
		return c.rollback(err)
	}
	c.acc.Failed -= c.acc.Copied + c.acc.Skipped
	return nil
}

// rollback empties the account: nothing that was added is kept.
func (c *copier) rollback(err error) error {
	c.acc.Copied, c.acc.Skipped, c.acc.Failed, c.acc.Octets = 0, 0, c.acc.Found, 0
	return errors.Join(err, c.to.Abort())
}

// seed makes digests comparable within this process.
var seed = maphash.MakeSeed()

// one copies one message.
func (c *copier) one(m mailbox.Message) error {
	it := mailbox.Item{Message: m}
	it.Flags.System &^= mailbox.Recent
	if c.o.Keywords == Drop {
		it.Flags.Keywords = 0
	}
	if e, ok := c.from.(mailbox.Enveloper); ok {
		sender, err := e.Sender(m.Seq)
		if err != nil {
			return err
		}
		it.Sender = sender
	}
	text, err := c.from.Open(m.Seq)
	if err != nil {
		return err
	}
	it.Text = text
	var sum maphash.Hash
	if c.o.Move {
		sum.SetSeed(seed)
		it.Text = io.TeeReader(text, &sum)
	}
	altered, err := c.to.Add(it)
	if errors.Is(err, mailbox.ErrUnsupported) {
		c.acc.Skipped++
		c.except(Exception{Seq: m.Seq, UID: m.UID, Err: err})
		return nil
	}
	if err != nil {
		return err
	}
	c.acc.Copied++
	c.done.Add(m.Seq)
	c.acc.Octets += m.Size
	if c.o.Progress != nil {
		c.o.Progress(Progress{Done: c.acc.Copied + c.acc.Skipped, Total: c.acc.Found, Octets: c.acc.Octets})
	}
	if altered.Any() {
		c.acc.AlteredMessages++
		c.acc.Altered = c.acc.Altered.Plus(altered)
		c.except(Exception{Seq: m.Seq, UID: m.UID, Altered: altered})
	}
	if c.o.Move {
		return c.remember(m, sum.Sum64(), altered.Any())
	}
	return nil
}

// remember keeps what the target must give back before a move deletes m.
func (c *copier) remember(m mailbox.Message, digest uint64, altered bool) error {
	if altered {
		text, err := c.from.Open(m.Seq)
		if err != nil {
			return err
		}
		if digest, err = essence(text); err != nil {
			return err
		}
	}
	c.sums = append(c.sums, stored{m.Size, digest, altered})
	return nil
}

func (c *copier) except(e Exception) {
	if len(c.acc.Exceptions) < MaxExceptions {
		c.acc.Exceptions = append(c.acc.Exceptions, e)
	}
}
