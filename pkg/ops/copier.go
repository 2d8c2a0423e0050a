package ops

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"mailutil/pkg/internal/journal"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/search"
)

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
	above   missing       // directories that are made for the target
	lost    uint64        // keywords that the target has no room for, as bits
	tick    func() error  // called now and then; may be nil
	sums    []stored      // the same as the target must give it back
}

// remembers reports whether sums are kept.
func (c *copier) remembers() bool { return c.o.Move || c.o.Verify }

// openTarget begins the delivery; in a dry run it looks whether it could be.
func (c *copier) openTarget(ctx context.Context, dst string) error {
	n, a, err := c.target(dst)
	if err != nil {
		return err
	}
	if n.Space == stream && c.remembers() {
		return mailbox.Sayf(mailbox.ErrUnsupported, "standard output cannot be read back: copy to a mailbox, to move or to verify")
	}
	ao := mailbox.AppendOptions{New: c.creates()}
	if ao.Keywords, err = c.targetKeywords(); err != nil {
		return err
	}
	if c.o.KeepUIDs {
		if !ao.New {
			return errUIDs
		}
		ao.UIDValidity, ao.UIDNext = c.status.UIDValidity, c.status.UIDNext
	}
	if c.s.DryRun && n.Space != stream {
		return c.s.wouldTake(n, ao.New)
	}
	if !c.s.DryRun {
		if ao.New {
			c.above = missingAbove(n.Path)
		}
		c.to, err = a.Append(ctx, n, ao)
	}
	return err
}

// A missing is the directories above a path that there are none of, the last
// first.
type missing []string

func missingAbove(path string) (dirs missing) {
	for dir := filepath.Dir(path); path != "" && !exists(dir); dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
	}
	return dirs
}

// undo removes those that were made for what has failed, unless something has come
// into them.
func (dirs missing) undo(failed error) {
	for _, dir := range dirs {
		if failed == nil || syscall.Rmdir(dir) != nil && exists(dir) {
			return
		}
	}
}

// creates reports whether the target is to be made.
func (c *copier) creates() bool { return c.o.Create && !c.resumed }

// target finds the format of the target.
func (c *copier) target(dst string) (n mailbox.Name, a mailbox.Appender, err error) {
	if n, err = c.resolveTarget(dst); err != nil {
		return n, nil, err
	}
	switch {
	case c.resumed: // it is there
		n.Format = ""
	case c.o.Format != "" && n.Space == "" && n.Format == "":
		n.Format = c.o.Format
	}
	var d mailbox.Driver
	if c.creates() || n.Format != "" || n.Space != "" {
		d, err = c.s.newFormat(n)
	} else {
		d, err = c.s.Drivers.Find(n)
	}
	if err != nil {
		return n, nil, err
	}
	a, ok := d.(mailbox.Appender)
	if !ok {
		return n, nil, fail("append", dst, mailbox.ErrUnsupported)
	}
	return n, a, nil
}

func (c *copier) resolveTarget(dst string) (mailbox.Name, error) {
	if c.o.Create {
		return c.s.resolveNew(dst)
	}
	return c.s.Env.ResolveTarget(dst)
}

// stream is the format of standard input and output, and of archives.
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
	if done, err := c.link(m); done || err != nil {
		return err
	}
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

// link has the target take message m with its file, where it can and nothing
// about the text is to be looked at or changed.
func (c *copier) link(m mailbox.Message) (done bool, err error) {
	to, ok := c.to.(mailbox.Linker)
	if !ok || c.o.DateFrom != DateInternal || c.o.Origin != NoOrigin || c.field(m) != "" {
		return false, nil
	}
	altered, done, err := to.Link(c.from, mailbox.Item{Message: c.bare(m)})
	if !done || err != nil {
		return false, err
	}
	c.date(m, nil, &c.acc.Dates)
	c.added(m, altered)
	if !c.remembers() {
		return true, nil
	}
	text, err := c.from.Open(m.Seq)
	if err != nil {
		return true, err
	}
	sum, err := digestOf(text)
	if err == nil {
		err = c.remember(m, c.bare(m), sum, altered)
	}
	return true, err
}

// bare is message m without the flags that the target is not to have.
func (c *copier) bare(m mailbox.Message) mailbox.Message {
	m.Flags.System &^= mailbox.Recent
	m.Flags.Keywords &^= c.lost
	if c.o.Keywords == Drop {
		m.Flags.Keywords = 0
	}
	return m
}

// item is message m as the target gets it, but for its date.
func (c *copier) item(m mailbox.Message) (it mailbox.Item, text mailbox.Content, err error) {
	it.Message = c.bare(m)
	if e, ok := c.from.(mailbox.Enveloper); ok {
		if it.Sender, err = e.Sender(m.Seq); err != nil {
			return it, nil, err
		}
	}
	prefix := c.field(m)
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
