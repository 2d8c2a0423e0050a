package ops

import (
	"context"
	"errors"
	"iter"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/search"
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
	Where     *search.Criteria // only the messages that meet them; nil for all
	Verify    bool             // read the target back and compare, as a move always does
	KeepUIDs  bool             // goes with Create: UIDs and UIDVALIDITY stay as they are
	Format    string           // goes with Create: of a new mailbox whose name does not say; "" as the configuration says
	DateFrom  DateSource
	Missing   bool   // only the messages whose text the target, which exists, does not have
	Origin    Origin // whose fields in the header say what the flags are
	Folder    string // of a Takeout: all messages must belong in it, by their labels; "" for any

	// Started, when not nil, is called once the source is open, before
	// anything is written. Of a stream it is not known yet how many messages
	// there will be.
	Started func(source mailbox.Status)
	// Progress, when not nil, is called after each message.
	Progress func(Progress)
	// Except, when not nil, is called for each message that was not stored as
	// it was, also beyond MaxExceptions.
	Except func(Exception)
}

// ErrUnproven means that the copy stands in the target, but does not read back
// as it should, or that the source changed under it; the source was left as it
// is.
var ErrUnproven = errors.New("copy could not be proven")

// errUIDs means that UIDs can be kept in a new mailbox only.
var errUIDs = errors.New("UIDs can be kept in a new mailbox only")

// Copy copies or moves the messages of src to dst. The Account is valid with
// an error too: a copy that fails leaves nothing in the target. Only a move
// can be partly done: its messages are then in both mailboxes.
func (s *Session) Copy(ctx context.Context, src, dst string, o CopyOptions) (acc Account, err error) {
	acc = Account{Target: dst, DateFrom: o.DateFrom}
	from, err := s.openSource(ctx, src, o)
	if err != nil {
		return acc, err
	}
	defer from.Close() // the error of a read-only source says nothing about the copy; move closes itself
	st := from.Status()
	if o.Move && st.Driver == stream { // known before a copy is made that would be made again
		return acc, mailbox.Sayf(mailbox.ErrUnsupported, "nothing can be moved out of %s: use copy or append", src)
	}
	acc.Source = st.Path

	c := &copier{s: s, from: from, status: st, acc: &acc, o: o}
	if err := c.choose(ctx); err != nil {
		return acc, err
	}
	if o.Missing {
		if err := c.leaveOut(ctx, dst); err != nil {
			return acc, err
		}
	} else if err := c.resume(ctx, dst); err != nil {
		return acc, err
	}
	complete := c.resumed && c.chosen.Empty()
	if !complete {
		defer func() { c.above.undo(err) }()
		if err := c.openTarget(ctx, dst); err != nil {
			return acc, err
		}
	}
	if o.Started != nil {
		st.Messages = acc.Found
		o.Started(st)
	}
	if s.DryRun {
		return acc, c.pretend(ctx)
	}
	if !complete {
		defer c.to.Abort() // a no-op after Commit
		if err := c.run(ctx, dst); err != nil {
			return acc, err
		}
	}
	err = c.finish(ctx, dst)
	if err == nil || acc.Differing > 0 { // else the next run has to know
		err = errors.Join(err, c.dropNotes())
	}
	if err == nil && o.Create {
		if n, e := s.resolveNew(dst); e == nil {
			s.tellSpool(ctx, n)
		}
	}
	return acc, err
}

// choose finds the messages that are to be copied. Those of a stream are
// looked at when they come.
func (c *copier) choose(ctx context.Context) error {
	n := c.status.Messages
	switch {
	case c.status.Streaming:
		c.chosen = mailbox.All
		if c.o.Where != nil {
			c.matcher = search.NewMatcher(c.o.Where, c.status)
		}
		return nil
	case c.o.Where == nil:
		c.chosen = mailbox.Range(1, n)
	default:
		var err error
		if c.chosen, n, err = selected(ctx, c.from, c.o.Where); err != nil {
			return err
		}
		c.acc.NotSelected = c.status.Messages - n
	}
	c.acc.Found, c.acc.Failed = n, n
	return nil
}

// messages yields the messages that are to be copied, and counts those of a
// stream.
func (c *copier) messages(ctx context.Context) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		for m, err := range c.from.Messages(c.chosen) {
			wanted := true
			if err == nil {
				err = ctx.Err()
			}
			if err == nil && c.status.Streaming {
				wanted, err = c.comes(m)
			}
			if (wanted || err != nil) && (!yield(m, err) || err != nil) {
				return
			}
		}
	}
}

// comes counts a message of a stream and reports whether it is to be copied.
func (c *copier) comes(m mailbox.Message) (wanted bool, err error) {
	wanted = true
	if c.matcher != nil {
		wanted, err = matches(c.matcher, c.from, m)
	}
	switch {
	case err != nil:
	case wanted:
		c.acc.Found++
		c.acc.Failed++
	default:
		c.acc.NotSelected++
	}
	return wanted, err
}

// pretend accounts for a copy that is not made.
func (c *copier) pretend(ctx context.Context) error {
	for m, err := range c.messages(ctx) {
		if err != nil {
			return err
		}
		c.acc.Octets += m.Size
	}
	c.acc.Failed = 0
	c.acc.Copied = c.acc.Found
	return nil
}

func (s *Session) openSource(ctx context.Context, src string, o CopyOptions) (mailbox.Mailbox, error) {
	mode := mailbox.ReadOnly
	if (o.Move || o.ReadWrite) && !s.DryRun {
		mode = mailbox.ReadWrite
	}
	n, err := s.Env.Resolve(src)
	if err != nil {
		return nil, err
	}
	return s.sources().Open(ctx, n, mode)
}
