package pop3

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"strings"
	"time"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/remote"
	"mailutil/pkg/rfc822"
)

// Driver reads the mailboxes of POP3 servers, and can remove messages there.
type Driver struct {
	env *mailbox.Env
	o   remote.Options
}

var (
	_ mailbox.Driver  = (*Driver)(nil)
	_ mailbox.Counter = (*Driver)(nil)
)

// New returns the driver.
func New(env *mailbox.Env, o remote.Options) *Driver { return &Driver{env, o} }

// Name returns "pop3".
func (d *Driver) Name() string { return "pop3" }

// Probe takes every name of such a server: it has INBOX and nothing else.
func (d *Driver) Probe(n mailbox.Name) (bool, error) { return n.Remote.Service == d.Name(), nil }

func (d *Driver) fail(op string, n mailbox.Name, err error) error {
	var e *mailbox.Error
	if err == nil || errors.As(err, &e) || errors.Is(err, context.Canceled) {
		return err
	}
	return &mailbox.Error{Op: op, Driver: d.Name(), Name: n.Text, Off: -1, Err: err}
}

// Count counts: all messages are new, for there are no flags.
func (d *Driver) Count(ctx context.Context, n mailbox.Name) (mailbox.Status, error) {
	mb, err := d.Open(ctx, n, mailbox.ReadOnly)
	if err != nil {
		return mailbox.Status{}, err
	}
	st := mb.Status()
	return st, mb.Close()
}

// maxMessages bounds the index that a server makes us keep.
const maxMessages = 10_000_000

// An openBox is a session.
type openBox struct {
	d        *Driver
	n        mailbox.Name
	ctx      context.Context
	c        *conn
	msgs     []entry
	validity uint32
	readOnly bool
	dated    bool // the dates are known

	ahead mailbox.Set
	queue []uint32 // messages asked for, that have not come yet
	text  *dotReader
	of    uint32 // message that text is of
}

// An entry is what is kept of a message.
type entry struct {
	number uint32 // at the server
	uid    uint32 // ours
	uidl   uint64 // digest of what the server calls it; 0 where it has no UIDL
	size   int64  // as the server tells it
	date   mailbox.Date
}

var seed = maphash.MakeSeed()

// Open logs in and reads the index.
func (d *Driver) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := connect(ctx, d.env, n.Remote, d.o)
	if err != nil {
		return nil, d.fail("open", n, err)
	}
	b := &openBox{
		d: d, n: n, ctx: ctx, c: c, validity: uint32(d.env.Now().Unix()),
		readOnly: m == mailbox.ReadOnly || n.Remote.ReadOnly,
	}
	if b.msgs, err = c.index(); err != nil {
		c.Close()
		return nil, d.fail("open", n, err)
	}
	for i := range b.msgs {
		b.msgs[i].uid = uint32(i + 1)
	}
	return b, nil
}

// index reads LIST, and UIDL where the server has it.
func (c *conn) index() (out []entry, err error) {
	at := map[uint32]int{}
	err = c.list("LIST", func(line string) error {
		var e entry
		if n, _ := fmt.Sscan(line, &e.number, &e.size); n < 2 || e.size < 0 || len(out) == maxMessages {
			return nil // an odd line is no message
		}
		if _, twice := at[e.number]; !twice {
			at[e.number] = len(out)
			out = append(out, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = c.list("UIDL", func(line string) error {
		number, id, _ := strings.Cut(line, " ")
		var n uint32
		fmt.Sscan(number, &n)
		if i, ok := at[n]; ok && id != "" {
			out[i].uidl = max(maphash.String(seed, strings.TrimSpace(id)), 1)
		}
		return nil
	})
	if errors.As(err, new(*StatusError)) {
		err = nil
	}
	return out, err
}

// Status is what is known now.
func (b *openBox) Status() mailbox.Status {
	r := b.c.Remote
	r.ReadOnly = b.n.Remote.ReadOnly
	n := uint32(len(b.msgs))
	return mailbox.Status{
		Driver: b.d.Name(), Path: r.Canonical(), Messages: n, Recent: n, Unseen: n, UIDValidity: b.validity,
		UIDNext: b.nextUID(), ReadOnly: b.readOnly,
	}
}

func (b *openBox) nextUID() uint32 {
	if len(b.msgs) == 0 {
		return 1
	}
	return b.msgs[len(b.msgs)-1].uid + 1
}

// Messages yields the index, with the dates of the headers.
func (b *openBox) Messages(s mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		if err := b.readDates(); err != nil {
			yield(mailbox.Message{}, b.fail("open", err))
			return
		}
		b.ahead = s
		for seq := range s.Seqs(uint32(len(b.msgs))) {
			if int(seq) > len(b.msgs) {
				return
			}
			e := b.msgs[seq-1]
			m := mailbox.Message{Seq: seq, UID: e.uid, Date: e.date, Size: e.size, Flags: mailbox.Flags{System: mailbox.Recent}}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// readDates reads the headers of all messages, once.
func (b *openBox) readDates() error {
	if b.dated || len(b.msgs) == 0 {
		return nil
	}
	if err := b.wake(); err != nil {
		return err
	}
	window := 1
	if b.c.has("PIPELINING") {
		window = 64
	}
	for sent, got := 0, 0; got < len(b.msgs); {
		for ; sent < len(b.msgs) && sent < got+window; sent++ {
			if err := b.c.write(fmt.Sprintf("TOP %d 0", b.msgs[sent].number), ""); err != nil {
				return err
			}
		}
		head, err := b.top()
		switch {
		case errors.As(err, new(*StatusError)): // no TOP, or no such message: then there is no date
		case err != nil:
			return err
		default:
			b.msgs[got].date = dateOf(head)
		}
		got++
	}
	b.dated = true
	return nil
}

// top reads the answer to TOP.
func (b *openBox) top() ([]byte, error) {
	if _, err := b.c.answer(); err != nil {
		return nil, err
	}
	r := &dotReader{c: b.c}
	head, err := io.ReadAll(io.LimitReader(r, mailbox.MaxHeader))
	if err != nil {
		return nil, err
	}
	return head, r.end()
}

// dateOf is the internal date of a message that a server does not tell: that of
// its Date field, as in the original, else that of its newest Received field.
func dateOf(head []byte) mailbox.Date {
	if raw, ok := rfc822.Header(head, "Date"); ok {
		if d, err := mailbox.ParseDate(string(bytes.TrimSpace(rfc822.Unfold(nil, raw))), time.UTC); err == nil {
			return d
		}
	}
	if raw, ok := rfc822.Header(head, "Received"); ok {
		text := rfc822.Unfold(nil, raw)
		if i := bytes.LastIndexByte(text, ';'); i >= 0 {
			if d, err := mailbox.ParseDate(string(bytes.TrimSpace(text[i+1:])), time.UTC); err == nil {
				return d
			}
		}
	}
	return mailbox.Date{}
}

func (b *openBox) fail(op string, err error) error { return b.d.fail(op, b.n, err) }

// Store cannot: POP3 has no flags.
func (b *openBox) Store(mailbox.Set, mailbox.FlagOp, mailbox.FlagList) error {
	return b.fail("store", fmt.Errorf("%w: POP3 has no flags", mailbox.ErrUnsupported))
}

// Expunge marks messages and ends the session, by which they go, all or none
// (RFC 1939, 6). A new one shows what is left.
func (b *openBox) Expunge(s mailbox.Set) (int, error) {
	if b.readOnly {
		return 0, b.fail("expunge", mailbox.ErrReadOnly)
	}
	if err := b.wake(); err != nil {
		return 0, b.fail("expunge", err)
	}
	var left []entry
	doomed := 0
	for i, e := range b.msgs {
		if !s.Contains(uint32(i + 1)) {
			left = append(left, e)
			continue
		}
		if _, err := b.c.command(fmt.Sprintf("DELE %d", e.number)); err != nil {
			b.c.command("RSET")
			return 0, b.fail("expunge", err)
		}
		doomed++
	}
	if doomed == 0 {
		return 0, nil
	}
	if err := b.c.quit(); err != nil {
		return 0, b.fail("expunge", fmt.Errorf("the messages may still be there: %w", err))
	}
	b.msgs = left
	b.c.fatal(errEnded)
	return doomed, nil
}

// errEnded means that an expunge has ended the session: the next use begins
// another one. A server may want some time to pass before.
var errEnded = fmt.Errorf("%w: the session has ended", remote.ErrLost)

// wake begins a new session after an expunge.
func (b *openBox) wake() error {
	if errors.Is(b.c.broken, errEnded) {
		return b.again()
	}
	return b.drain()
}

// again begins a new session and finds the messages in it.
func (b *openBox) again() error {
	c, err := connect(b.ctx, b.d.env, b.n.Remote, b.d.o)
	if err != nil {
		return err
	}
	b.c, b.queue, b.text = c, nil, nil
	now, err := c.index()
	if err != nil {
		return err
	}
	return b.adopt(now)
}

// adopt takes the numbers of a new session: by UIDL, or where the server has
// none, by number, if all sizes are the same.
func (b *openBox) adopt(now []entry) error {
	where := map[uint64]entry{}
	for _, e := range now {
		where[e.uidl] = e
	}
	for i, e := range b.msgs {
		found, ok := where[e.uidl]
		if e.uidl == 0 {
			ok = i < len(now)
			if ok {
				found = now[i]
				ok = found.size == e.size
			}
		}
		if !ok {
			return fmt.Errorf("%w: message %d is no longer there", mailbox.ErrChanged, i+1)
		}
		b.msgs[i].number = found.number
	}
	return nil
}

// Ping keeps the session from being ended: others cannot change it.
func (b *openBox) Ping() (bool, error) {
	if err := b.wake(); err != nil {
		return false, b.fail("open", err)
	}
	_, err := b.c.command("NOOP")
	return false, b.fail("open", err)
}

// Close ends the session. Nothing is marked then.
func (b *openBox) Close() error {
	if b.c == nil {
		return nil
	}
	c := b.c
	b.c = nil
	if c.broken != nil || len(b.queue) > 0 || b.text != nil {
		c.Close() // in the middle of a text: nothing is lost by hanging up
		return nil
	}
	if err := c.quit(); err != nil && !errors.Is(err, remote.ErrLost) {
		return b.fail("close", err)
	}
	return nil
}

// A dotReader reads a text up to the line with the dot, and takes off the dots
// that were put before others (RFC 1939, 3).
type dotReader struct {
	c     *conn
	piece []byte // read, and not given yet
	mid   bool   // in the middle of a line
	done  bool
	err   error
}

func (d *dotReader) Read(p []byte) (int, error) {
	for len(d.piece) == 0 {
		if d.err == nil && !d.done {
			d.next()
		}
		if d.err != nil {
			return 0, d.err
		}
		if d.done {
			return 0, io.EOF
		}
	}
	n := copy(p, d.piece)
	d.piece = d.piece[n:]
	return n, nil
}

// next reads a line, or a piece of a long one.
func (d *dotReader) next() {
	if d.c.broken != nil {
		d.err = d.c.broken
		return
	}
	line, err := d.c.R.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		d.err = d.c.fatal(err)
		return
	}
	if !d.mid && len(line) > 0 && line[0] == '.' {
		if s := string(line); s == ".\r\n" || s == ".\n" {
			d.done = true
			return
		}
		line = line[1:]
	}
	d.mid = err != nil
	d.piece = line
}

// end reads to the end.
func (d *dotReader) end() error {
	_, err := io.Copy(io.Discard, d)
	return err
}
