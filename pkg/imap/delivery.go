package imap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"strings"

	"mailutil/pkg/internal/spool"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/remote"
)

// How much may be under way without MULTIAPPEND.
const (
	maxPending       = 32
	maxPendingOctets = 8 << 20
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

	pending []*parcel
	octets  int64 // of those
	kept    uint32
	passed  uint32 // messages that were there already
	uids    mailbox.UIDs
	state   error // why nothing more can be added
	doubt   bool  // what was sent may have been stored
}

// A parcel is a message on its way.
type parcel struct {
	tag   string
	text  spool.Spool
	sum   digest
	flags string
	date  string
	nul   bool // NULs are in it
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
		keep := t.created || t.journal != nil && t.journal.resumed
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
	if old && t.journal.validity == 0 { // cut off while it was created
		if st.Messages > 0 {
			return mailbox.ErrExist
		}
		t.created, old = true, false
	}
	if old && st.UIDValidity == t.journal.validity {
		t.created = t.journal.created
		return t.resume()
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
		return altered, p.text.Close()
	}
	if t.multi {
		err = errors.Join(t.sendNext(p), p.text.Close())
	} else {
		err = t.sendOne(p)
	}
	if err != nil {
		t.state = err
	}
	return altered, t.fail(err)
}

func (t *delivery) fail(err error) error { return t.d.fail("append", t.n, err) }

// pack reads a message, so that its size is known and nothing that is wrong
// with the source is noticed in the middle of a literal.
func (t *delivery) pack(it mailbox.Item) (*parcel, mailbox.Altered, error) {
	p := &parcel{}
	w := &crlf{w: &p.text, sum: sha256.New()}
	n, err := io.Copy(w, it.Text)
	if err == nil && it.Size >= 0 && n != it.Size {
		err = fmt.Errorf("message of %d octets was said to have %d", n, it.Size)
	}
	altered := mailbox.Altered{LineEnds: w.ends}
	if err != nil {
		return nil, altered, errors.Join(err, p.text.Close())
	}
	copy(p.sum[:], w.sum.Sum(nil))
	p.nul = w.nul
	names := mailbox.Flags{System: it.Flags.System &^ mailbox.Recent}.Names(nil)
	for i, k := range t.o.Keywords {
		switch {
		case i >= mailbox.MaxKeywords || it.Flags.Keywords&(1<<i) == 0:
		case k != "" && mailbox.ValidKeyword(k) && t.permanent.keeps(k):
			names = append(names, k)
		default:
			altered.Keywords++
		}
	}
	p.flags = strings.Join(names, " ")
	if w.size == 0 {
		err := fmt.Errorf("%w: IMAP has no messages without an octet", mailbox.ErrUnsupported) // RFC 3502 gives up at one
		return nil, altered, errors.Join(err, p.text.Close())
	}
	p.setDate(it.Date, &altered)
	return p, altered, nil
}

// The years that internal dates may have in the formats that we know.
const (
	firstYear = 1970
	lastYear  = 2097
)

// setDate writes the internal date. Where there is none, or none that others
// can hold, the server takes the time of arrival. 31-Feb and second 60, which
// are no dates to a server, roll over.
func (p *parcel) setDate(d mailbox.Date, altered *mailbox.Altered) {
	switch real := mailbox.DateOf(d.Time()); {
	case d.IsZero():
		return
	case d.Year < firstYear || d.Year > lastYear:
		altered.Dates++
		return
	case real.Day != d.Day || real.Second != d.Second:
		d = real
		altered.Dates++
	}
	p.date = ` "` + d.String() + `"`
}

// arguments are those of one message, up to its literal.
func (t *delivery) arguments(p *parcel) string {
	eight, marker := "", ""
	if p.nul && t.c.has("BINARY") {
		eight = "~" // RFC 3516, 4.4
	}
	if t.c.literalPlus(p.text.Size()) {
		marker = "+"
	}
	return fmt.Sprintf("(%s)%s %s{%d%s}\r\n", p.flags, p.date, eight, p.text.Size(), marker)
}

// sendNext adds a message to the one command of MULTIAPPEND, RFC 3502.
func (t *delivery) sendNext(p *parcel) error {
	line := " " + t.arguments(p)
	if t.tag == "" {
		t.tag = t.c.tag()
		line = fmt.Sprintf("%s APPEND %s %s", t.tag, wire(t.n), t.arguments(p))
	}
	t.kept++ // once the command ends well
	return t.text(line, p)
}

// text sends a line and the literal that it ends in.
func (t *delivery) text(line string, p *parcel) error {
	c := t.c
	if c.broken != nil {
		return c.broken
	}
	c.Trace("> ", []byte(line))
	_, err := io.WriteString(c.W, line)
	if err == nil && !t.c.literalPlus(p.text.Size()) {
		if err = c.W.Flush(); err == nil {
			if err := t.await(func() bool { return false }); err != nil {
				return err
			}
		}
	}
	if err == nil {
		_, err = p.text.WriteTo(c.W)
	}
	if err != nil {
		return c.fatal(t.why(err))
	}
	return nil
}

// why finds the reason for which a server has hung up while we were sending.
func (t *delivery) why(err error) error {
	for range maxPending {
		line, ended := t.c.read()
		if ended != nil {
			return err
		}
		if r, ok := status(line, "*"); ok && r.kind == "BYE" {
			return fmt.Errorf("%w: %w", err, &StatusError{"BYE", r.code, r.text})
		}
		if r, ok := status(line, t.tag); ok && r.kind != "OK" {
			return fmt.Errorf("%w: %w", err, r.err())
		}
	}
	return err
}

// await reads until the server asks for a literal, or enough says that there is
// no need to wait any longer.
func (t *delivery) await(enough func() bool) error {
	for !enough() {
		line, err := t.c.read()
		if err != nil {
			return t.c.fatal(err)
		}
		if bytes.HasPrefix(line, []byte("+")) {
			return nil
		}
		if err := t.answer(line); err != nil {
			return err
		}
	}
	return nil
}

// answer takes a response: the end of a command that is under way, or what is
// untagged.
func (t *delivery) answer(line []byte) error {
	if t.multi {
		if r, ok := status(line, t.tag); ok {
			t.tag = ""
			t.kept = 0
			if err := r.err(); err != nil {
				return err
			}
			return t.c.fatal(&ProtocolError{"APPEND has ended before its messages"})
		}
		return t.c.untagged(line)
	}
	for i, p := range t.pending {
		r, ok := status(line, p.tag)
		if !ok {
			continue
		}
		t.pending = append(t.pending[:i:i], t.pending[i+1:]...)
		t.octets -= p.text.Size()
		return errors.Join(t.stored(p, r), p.text.Close())
	}
	return t.c.untagged(line)
}

// stored takes the answer to the APPEND of one message.
func (t *delivery) stored(p *parcel, r response) error {
	t.c.note(r)
	if err := r.err(); err != nil {
		return err
	}
	t.kept++
	t.now[p.sum]++
	uid := t.appendUID(r)
	if t.journal == nil {
		return nil
	}
	return t.journal.stored(uid, p.sum)
}

// appendUID takes "[APPENDUID validity uid]", RFC 4315, 3, and returns the
// first UID.
func (t *delivery) appendUID(r response) uint32 {
	if r.code != "APPENDUID" {
		return 0
	}
	var validity, first, last uint32
	if n, _ := fmt.Sscanf(r.args, "%d %d:%d", &validity, &first, &last); n < 2 {
		return 0
	}
	t.uids.Validity = validity
	if t.uids.First == 0 {
		t.uids.First = first
	}
	t.uids.Last = max(first, last)
	return first
}

// sendOne sends a message in a command of its own. Where the connection breaks,
// what was under way is looked for at the server, and sent again if it is not
// there.
func (t *delivery) sendOne(p *parcel) error {
	for try := 0; ; try++ {
		err := t.sendCommand(p)
		if err == nil || !errors.Is(err, remote.ErrLost) || try == maxReconnects || t.journal == nil {
			return err
		}
		if err := t.again(err); err != nil {
			return err
		}
	}
}

func (t *delivery) sendCommand(p *parcel) error {
	if !t.isPending(p) {
		err := t.await(func() bool {
			return len(t.pending) == 0 || len(t.pending) < maxPending && t.octets+p.text.Size() <= maxPendingOctets
		})
		if err != nil {
			return err
		}
		t.pending = append(t.pending, p)
		t.octets += p.text.Size()
		p.tag = t.c.tag()
		if err := t.text(fmt.Sprintf("%s APPEND %s %s", p.tag, wire(t.n), t.arguments(p)), p); err != nil {
			return err
		}
		if _, err := io.WriteString(t.c.W, "\r\n"); err != nil {
			return t.c.fatal(err)
		}
	}
	return nil
}

func (t *delivery) isPending(p *parcel) bool {
	for _, q := range t.pending {
		if p == q {
			return true
		}
	}
	return false
}

// again connects again and brings what was under way to its end.
func (t *delivery) again(why error) error {
	t.d.env.Notify(mailbox.Warn, fmt.Sprintf("%v: connecting again", why))
	t.c.Close()
	c, err := connect(t.ctx, t.d.env, t.n.Remote, t.d.o)
	if err != nil {
		return err
	}
	t.c = c
	have, err := t.haveStored()
	if err != nil {
		return err
	}
	for sum := range have {
		have[sum] -= t.before[sum] + t.now[sum]
	}
	waiting := t.pending
	t.pending, t.octets = nil, 0
	for _, p := range waiting {
		if have[p.sum] > 0 {
			have[p.sum]--
			t.now[p.sum]++
			t.kept++
			continue
		}
		if err := t.sendCommand(p); err != nil {
			return err
		}
	}
	return nil
}

// Commit ends the one command, or waits for the ends of those under way.
func (t *delivery) Commit() (mailbox.UIDs, error) {
	if t.state != nil {
		return mailbox.UIDs{}, t.fail(t.state)
	}
	if err := t.ctx.Err(); err != nil {
		return mailbox.UIDs{}, err
	}
	err := t.finish()
	if err != nil {
		t.state = err
		return mailbox.UIDs{}, t.fail(err)
	}
	t.state = errOver
	return t.uids, t.fail(t.letGo(false))
}

func (t *delivery) finish() error {
	if !t.multi {
		return t.finishPending()
	}
	if t.tag == "" {
		return nil
	}
	t.doubt = true
	if err := t.c.write("\r\n", ""); err != nil {
		return err
	}
	r, err := t.c.finish(t.tag)
	t.doubt = err != nil && errors.Is(err, remote.ErrLost)
	if err != nil {
		t.kept = 0
		return err
	}
	t.tag = ""
	t.appendUID(r)
	return nil
}

func (t *delivery) finishPending() error {
	for try := 0; ; try++ {
		err := t.c.W.Flush()
		if err == nil {
			err = t.await(func() bool { return len(t.pending) == 0 })
		}
		if err == nil || !errors.Is(err, remote.ErrLost) || try == maxReconnects || t.journal == nil {
			return err
		}
		if err := t.again(err); err != nil {
			return err
		}
	}
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

// A crlf makes line ends of lone LFs, and digests what comes out.
type crlf struct {
	w    io.Writer
	sum  hash.Hash
	cr   bool // the last octet was a CR
	ends int  // LFs that became line ends
	nul  bool // there was a NUL
	size int64
}

func (c *crlf) Write(p []byte) (int, error) {
	c.nul = c.nul || bytes.IndexByte(p, 0) >= 0
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			c.cr = rest[len(rest)-1] == '\r'
			return len(p), c.put(rest)
		}
		lone := i > 0 && rest[i-1] != '\r' || i == 0 && !c.cr
		c.cr = false
		if !lone {
			if err := c.put(rest[:i+1]); err != nil {
				return 0, err
			}
		} else {
			c.ends++
			if err := errors.Join(c.put(rest[:i]), c.put([]byte("\r\n"))); err != nil {
				return 0, err
			}
		}
		rest = rest[i+1:]
	}
	return len(p), nil
}

func (c *crlf) put(p []byte) error {
	c.sum.Write(p)
	c.size += int64(len(p))
	_, err := c.w.Write(p)
	return err
}
