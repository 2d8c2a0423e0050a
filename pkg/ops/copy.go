package ops

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"slices"
	"strings"

	"mailutil/pkg/internal/journal"
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

// ErrUnproven means that the copy stands in the target, but does not read back
// as it should, or that the source changed under it; the source was left as it
// is.
var ErrUnproven = errors.New("copy could not be proven")

// errUIDs means that UIDs can be kept in a new mailbox only.
var errUIDs = errors.New("UIDs can be kept in a new mailbox only")

// Copy copies or moves the messages of src to dst. The Account is valid with
// an error too: a copy that fails leaves nothing in the target. Only a move
// can be partly done: its messages are then in both mailboxes.
func (s *Session) Copy(ctx context.Context, src, dst string, o CopyOptions) (Account, error) {
	acc := Account{Target: dst, DateFrom: o.DateFrom}
	from, err := s.openSource(ctx, src, o)
	if err != nil {
		return acc, err
	}
	defer from.Close() // the error of a read-only source says nothing about the copy; move closes itself
	st := from.Status()
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
	n, d, err := s.find(src)
	if err != nil {
		return nil, err
	}
	mode := mailbox.ReadOnly
	if (o.Move || o.ReadWrite) && !s.DryRun {
		mode = mailbox.ReadWrite
	}
	return d.Open(ctx, n, mode)
}

// A copier is one copy under way.
type copier struct {
	s       *Session
	from    mailbox.Mailbox
	status  mailbox.Status
	to      mailbox.Delivery
	acc     *Account
	o       CopyOptions
	notes   []string          // where a note of this copy may be
	resumed bool              // an earlier run has delivered the first messages
	lastUID uint32            // of what was copied
	names   []string          // of the keyword bits in the target
	words   map[string]uint64 // keyword bits of the fields of the origin, by name in lower case
	chosen  mailbox.Set       // what is to be copied
	matcher *search.Matcher   // of a stream: which messages are to be copied, nil for all
	done    mailbox.Set       // what is in the target
	uids    mailbox.UIDs
	at      *mailbox.Name // of the target, where it is not what the user wrote
	lost    uint64        // keywords that the target has no room for, as bits
	tick    func() error  // called now and then; may be nil
	sums    []stored      // the same as the target must give it back
}

// remembers reports whether sums are kept.
func (c *copier) remembers() bool { return c.o.Move || c.o.Verify }

func (c *copier) openTarget(ctx context.Context, dst string) error {
	n, err := c.resolveTarget(dst)
	if err != nil {
		return err
	}
	create := c.o.Create && !c.resumed
	switch {
	case c.resumed: // it is there
		n.Format = ""
	case c.o.Format != "" && n.Space == "" && n.Format == "":
		n.Format = c.o.Format
	}
	var d mailbox.Driver
	if create || n.Format != "" || n.Space != "" {
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
	if n.Space == stream && c.remembers() {
		return mailbox.Sayf(mailbox.ErrUnsupported, "standard output cannot be read back: copy to a mailbox, to move or to verify")
	}
	ao := mailbox.AppendOptions{New: create}
	if ao.Keywords, err = c.targetKeywords(); err != nil {
		return err
	}
	if c.o.KeepUIDs {
		if !create {
			return errUIDs
		}
		ao.UIDValidity, ao.UIDNext = c.status.UIDValidity, c.status.UIDNext
	}
	if c.s.DryRun && n.Space != stream {
		return c.s.wouldTake(n, create)
	}
	if !c.s.DryRun {
		c.to, err = a.Append(ctx, n, ao)
	}
	return err
}

func (c *copier) resolveTarget(dst string) (mailbox.Name, error) {
	if c.o.Create {
		return c.s.resolveNew(dst)
	}
	return c.s.Env.ResolveTarget(dst)
}

// stream is the format of standard output.
const stream = "stream"

// targetKeywords are the names that the target is to have, with those that the
// fields of the origin bring.
func (c *copier) targetKeywords() (names []string, err error) {
	if names, err = c.keywords(); err == nil {
		names, err = c.learn(slices.Clone(names))
	}
	c.names = names
	return names, err
}

// keywords are those of the source, "" for bits that the target need not know.
func (c *copier) keywords() ([]string, error) {
	switch c.o.Keywords {
	case Drop:
		return nil, nil
	case KeepAll:
		return c.status.Keywords, nil
	}
	if c.status.Streaming || len(c.status.Keywords) == 0 { // nobody knows yet which ones are borne, or none can be
		return c.status.Keywords, nil
	}
	var borne uint64
	for m, err := range c.from.Messages(c.chosen) {
		if err != nil {
			return nil, err
		}
		borne |= m.Flags.Keywords
	}
	names := slices.Clone(c.status.Keywords)
	for i := range names {
		if borne&^c.lost&(1<<i) == 0 {
			names[i] = ""
		}
	}
	return names, nil
}

// run copies all messages, commits, and proves that the source stayed as it
// was.
func (c *copier) run(ctx context.Context, dst string) error {
	proof, err := beginProof(c.from)
	if err != nil {
		return err
	}
	for m, err := range c.messages(ctx) {
		if err == nil {
			err = c.ticked()
		}
		if err == nil {
			err = inMessage(m, c.one(m))
		}
		if err != nil {
			return c.rollback(err)
		}
	}
	if err := proof.end(c.acc); err != nil {
		return c.rollback(err)
	}
	if err := c.takeNote(ctx, dst); err != nil {
		return c.rollback(err)
	}
	if c.uids, err = c.to.Commit(); err != nil {
		if !errors.Is(err, journal.ErrUnfinished) { // else it will be delivered by who opens the target next
			err = errors.Join(err, c.dropNotes())
		}
		return c.rollback(err)
	}
	c.acc.Failed = c.acc.Found - c.acc.Copied - c.acc.Skipped
	return nil
}

func (c *copier) ticked() error {
	if c.tick == nil {
		return nil
	}
	return c.tick()
}

// rollback empties the account: nothing that was added is kept, but for what an
// earlier run has delivered.
func (c *copier) rollback(err error) error {
	c.acc.Copied, c.acc.Skipped, c.acc.Octets = c.acc.Resumed, 0, 0
	c.acc.Failed = c.acc.Found - c.acc.Copied
	c.acc.Dates = DateCounts{}
	if k, ok := c.to.(mailbox.Keeper); ok {
		c.acc.Copied = min(c.acc.Resumed+k.Kept(), c.acc.Found)
		c.acc.Failed = c.acc.Found - c.acc.Copied
	}
	return errors.Join(err, c.to.Abort())
}

// seed makes digests comparable within this process.
var seed = maphash.MakeSeed()

// one copies one message.
func (c *copier) one(m mailbox.Message) error {
	it, text, err := c.item(m)
	if err != nil {
		return err
	}
	dates := c.acc.Dates
	if it.Date, err = c.date(m, text, &dates); err != nil {
		return err
	}
	lost, err := c.mapFields(&it, text)
	if err != nil {
		return err
	}
	var sum maphash.Hash
	if c.remembers() {
		sum.SetSeed(seed)
		it.Text = io.TeeReader(it.Text, &sum)
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
	altered.Keywords += lost
	c.acc.Dates = dates
	c.added(m, altered)
	if c.remembers() {
		return c.remember(m, it.Message, sum.Sum64(), altered)
	}
	return nil
}

// item is message m as the target gets it, but for its date.
func (c *copier) item(m mailbox.Message) (it mailbox.Item, text mailbox.Content, err error) {
	it.Message = m
	it.Flags.System &^= mailbox.Recent
	if c.o.Keywords == Drop {
		it.Flags.Keywords = 0
	}
	if e, ok := c.from.(mailbox.Enveloper); ok {
		if it.Sender, err = e.Sender(m.Seq); err != nil {
			return it, nil, err
		}
	}
	prefix := c.field(m)
	it.Flags.Keywords &^= c.lost
	text, err = c.from.Open(m.Seq)
	it.Text = text
	if z, ok := text.(mailbox.Sizer); ok && err == nil {
		it.Size, err = z.Size()
	}
	it.Size += int64(len(prefix))
	if prefix != "" {
		it.Text = io.MultiReader(strings.NewReader(prefix), text)
	}
	return it, text, err
}

// added accounts for a message that was added.
func (c *copier) added(m mailbox.Message, altered mailbox.Altered) {
	c.acc.Copied++
	c.acc.Octets += m.Size
	c.lastUID = m.UID
	c.done.Add(m.Seq)
	if c.o.Progress != nil {
		c.o.Progress(Progress{Done: c.acc.Copied + c.acc.Skipped, Total: c.total(), Octets: c.acc.Octets})
	}
	if altered.Any() {
		c.acc.AlteredMessages++
		c.acc.Altered = c.acc.Altered.Plus(altered)
		c.except(Exception{Seq: m.Seq, UID: m.UID, Altered: altered})
	}
}

// mapFields lets the fields of the origin have their say.
func (c *copier) mapFields(it *mailbox.Item, text mailbox.Content) (lost int, err error) {
	if c.o.Origin == NoOrigin {
		return 0, nil
	}
	header, err := text.Header()
	if err != nil {
		return 0, err
	}
	if c.o.Folder != "" && folderOf(header) != c.o.Folder {
		return 0, fmt.Errorf("%w: %w", mailbox.ErrChanged, errOtherLabels)
	}
	return c.apply(it, header), nil
}

// total is how many messages there are to copy, 0 as long as nobody knows.
func (c *copier) total() uint32 {
	if c.status.Streaming {
		return 0
	}
	return c.acc.Found
}

// field is what is put before the text of m: a field with those of its
// keywords that the target has no room for; "" where it has room for all.
func (c *copier) field(m mailbox.Message) string {
	names := (mailbox.Flags{Keywords: m.Flags.Keywords & c.lost}).Names(c.status.Keywords)
	if len(names) == 0 {
		return ""
	}
	return "X-Keywords: " + strings.Join(names, " ") + "\r\n"
}

// remember keeps what the target must give back for m, which it got as it.
func (c *copier) remember(m, it mailbox.Message, digest uint64, altered mailbox.Altered) error {
	if altered.Any() {
		text, err := c.from.Open(m.Seq)
		if err != nil {
			return err
		}
		if digest, err = essence(io.MultiReader(strings.NewReader(c.field(m)), text)); err != nil {
			return err
		}
	}
	c.sums = append(c.sums, stored{it, digest, altered})
	return nil
}

func (c *copier) except(e Exception) {
	if c.o.Except != nil {
		c.o.Except(e)
	}
	if len(c.acc.Exceptions) < MaxExceptions {
		c.acc.Exceptions = append(c.acc.Exceptions, e)
	}
}
