package imap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/remote"
)

// A delivery adds messages to a mailbox.
type delivery struct {
	d   *Driver
	n   mailbox.Name
	o   mailbox.AppendOptions
	ctx context.Context
	c   *conn

	permanent permanent
	selected  bool // a mailbox is open on the connection
	created   bool // the mailbox is ours, and new
	multi     bool // one command for all
	tag       string
	journal   *journal // nil: another process has it

	// Texts and how often they are in the mailbox: stored by an earlier delivery
	// that was cut off, those of them that have not been met again, and stored by
	// this one.
	before, have, now map[digest]int

	// What may be stored twice, see removeLate: the messages from the journal's
	// UIDNEXT on that were there when we looked, the texts that were stored since,
	// and those that may be stored late, lateAll for any.
	seen        map[uint32]digest
	fresh, late map[digest]int
	lateAll     bool

	pending []*parcel
	octets  int64     // of those
	spare   []*parcel // empty ones
	kept    uint32
	passed  uint32 // messages that were there already
	uids    mailbox.UIDs
	state   error // why nothing more can be added
	doubt   bool  // what was sent may have been stored
}

var errOver = errors.New("the delivery is over")

// Append begins to add mail to a mailbox.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if o.UIDValidity != 0 {
		return nil, d.fail("append", n, fmt.Errorf("%w: an IMAP server chooses the UIDs itself", mailbox.ErrUnsupported))
	}
	c, err := d.conn(ctx, n.Remote)
	if err != nil {
		return nil, d.fail("append", n, err)
	}
	t := &delivery{d: d, n: n, o: o, ctx: ctx, c: c, multi: c.has("MULTIAPPEND"), now: map[digest]int{}}
	if err := t.begin(); err != nil {
		// What an earlier delivery has left is still to be known to the next.
		keep := t.created || t.journal != nil && t.journal.resumed || o.New && errors.Is(err, remote.ErrLost)
		return nil, d.fail("append", n, errors.Join(err, t.letGo(keep)))
	}
	return t, nil
}

// begin makes sure that the mailbox is there, and looks what an earlier
// delivery has left.
func (t *delivery) begin() error {
	var err error
	if t.journal, err = openJournal(t.d.env.StateDir, canonical(t.c, t.n)); err != nil {
		return err
	}
	old := t.journal != nil && t.journal.resumed
	if t.o.New {
		if old, err = t.create(old); err != nil {
			return err
		}
	}
	st, err := t.look()
	if err != nil {
		return err
	}
	if old && t.journal.validity == 0 { // cut off before or while it was created
		old, t.journal.resumed = false, false
		if t.o.New && st.Messages > 0 { // before: it was there
			return mailbox.ErrExist
		}
		t.created = t.o.New
	}
	if old && st.UIDValidity == t.journal.validity {
		t.created = t.journal.created
		return t.resume()
	}
	if old && t.o.New { // another one of that name
		t.journal.resumed = false
		return mailbox.ErrExist
	}
	if t.journal == nil {
		return nil
	}
	return t.journal.begin(st.UIDValidity, st.UIDNext, t.created)
}

// create makes the new mailbox, or finds that it is one that was cut off. The
// journal says first that it is going to be made. resumes tells that there is
// something in the journal to go on with.
func (t *delivery) create(old bool) (resumes bool, err error) {
	ours := old && t.journal.created
	if t.journal != nil && !old {
		if err := t.journal.begin(0, 0, true); err != nil {
			return false, err
		}
	}
	err = t.c.create(t.n)
	switch {
	case err == nil:
		t.created = true
		return false, nil
	case errors.Is(err, mailbox.ErrExist) && ours:
		return true, nil
	}
	return false, err
}

// look finds out what the mailbox is like: by STATUS, and where keywords are
// to be stored, by opening it.
func (t *delivery) look() (mailbox.Status, error) {
	var st mailbox.Status
	t.c.box = func(line []byte) { parseStatus(line, &st) }
	_, err := t.c.command("STATUS %s (MESSAGES UIDNEXT UIDVALIDITY)", wire(t.n))
	t.c.box = nil
	if err = t.c.missing(err, t.n); errors.Is(err, mailbox.ErrNotExist) {
		return st, mailbox.Sayf(mailbox.ErrNotExist, "[TRYCREATE] Must create mailbox before append")
	}
	if err != nil || strings.Join(t.o.Keywords, "") == "" {
		return st, err
	}
	b := &openBox{d: t.d, n: t.n, mode: mailbox.ReadWrite, ctx: t.ctx, c: t.c}
	b.pipe.b = b
	if err := b.selectBox(); err != nil {
		return st, err
	}
	t.permanent = b.permanent
	return st, t.unselect(b)
}

// resume goes on with a delivery that was cut off.
func (t *delivery) resume() error {
	have, err := t.haveStored()
	if err != nil {
		return err
	}
	n := 0
	t.late, t.lateAll = positive(t.journal.sent), t.journal.ended
	t.before = maps.Clone(have)
	for _, count := range have {
		n += count
	}
	t.have = have
	if n > 0 {
		t.d.env.Notify(mailbox.Warn, fmt.Sprintf("%s: %d messages are there from an earlier copy that was cut off; they are not stored again", t.n.Text, n))
	}
	return nil
}

// positive returns the counts above 0.
func positive(counts map[digest]int) map[digest]int {
	out := maps.Clone(counts)
	maps.DeleteFunc(out, func(_ digest, n int) bool { return n <= 0 })
	return out
}

// Add sends a message.
func (t *delivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	if t.state != nil {
		return mailbox.Altered{}, t.fail(t.state)
	}
	if err := t.ctx.Err(); err != nil {
		return mailbox.Altered{}, err
	}
	p, altered, err := t.pack(it)
	if errors.Is(err, mailbox.ErrUnsupported) {
		return altered, t.fail(err) // of this message alone
	}
	if err != nil {
		t.state = err
		return altered, t.fail(err)
	}
	if t.have[p.sum] > 0 {
		t.have[p.sum]--
		t.passed++
		return altered, t.drop(p)
	}
	if t.multi {
		err = errors.Join(t.sendNext(p), t.drop(p))
	} else {
		err = t.sendOne(p)
	}
	if err != nil {
		t.state = err
	}
	return altered, t.fail(err)
}

func (t *delivery) fail(err error) error { return t.d.fail("append", t.n, err) }

// Commit ends the one command, or waits for the ends of those under way.
func (t *delivery) Commit() (mailbox.UIDs, error) {
	if t.state != nil {
		return mailbox.UIDs{}, t.fail(t.state)
	}
	if err := t.ctx.Err(); err != nil {
		return mailbox.UIDs{}, err
	}
	if err := t.finish(); err != nil {
		t.state = err
		return mailbox.UIDs{}, t.fail(err)
	}
	if t.journal != nil && t.isDoubtful() {
		if err := t.removeLate(); err != nil { // all that was to be stored is
			t.d.env.Notify(mailbox.Warn, fmt.Sprintf("%s: some messages may be there twice: %v", t.n.Text, err))
		}
	}
	t.state = errOver
	return t.uids, t.fail(t.letGo(false))
}

// Kept returns how many messages are in the mailbox though the delivery
// failed. It is 0 where a server takes all or none.
func (t *delivery) Kept() uint32 {
	if t.multi {
		return t.passed
	}
	return t.kept + t.passed
}

// Abort gives up. What a server without MULTIAPPEND has stored stays there, and
// the next delivery knows.
func (t *delivery) Abort() error {
	if errors.Is(t.state, errOver) {
		return nil
	}
	t.state = errOver
	keep := t.doubt || len(t.pending) > 0 || t.Kept() > 0
	for _, p := range t.pending {
		p.text.Close() // only read
	}
	if t.tag != "" || len(t.pending) > 0 {
		t.c.fatal(os.ErrClosed) // in the middle of a command: closing makes nothing of it
	}
	undo := t.created && !keep
	err := t.letGo(keep)
	if undo {
		err = errors.Join(err, t.uncreate())
	}
	return t.fail(err)
}

// uncreate deletes the mailbox that we made and that nothing came into.
func (t *delivery) uncreate() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), remote.DefaultIdle)
	defer cancel()
	st, err := t.d.Count(ctx, t.n)
	if err != nil || st.Messages > 0 {
		return ignoreLost(err)
	}
	return t.d.Delete(ctx, t.n)
}

// letGo gives the connection and the journal back.
func (t *delivery) letGo(keep bool) error {
	var err error
	if t.journal != nil {
		err = t.journal.end(keep)
		t.journal = nil
	}
	switch {
	case t.c == nil:
	case t.c.broken != nil:
		t.c.Close()
	case t.selected:
		t.c.logout() // a mailbox is open there
	default:
		t.d.release(t.c)
	}
	t.c = nil
	return err
}
