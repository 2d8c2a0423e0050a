package imap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/remote"
)

// An openBox is a mailbox that is open on a connection of its own.
type openBox struct {
	d    *Driver
	n    mailbox.Name
	mode mailbox.Mode
	ctx  context.Context // of Open: what is under way ends with it
	c    *conn

	msgs      []entry // what we know; Ping alone removes from it
	exists    uint32  // messages that the server has told us about, less gone
	gone      []uint32
	validity  uint32
	next      uint32
	keywords  []string
	permanent permanent
	readOnly  bool
	lostWords int // keywords that there was no bit for

	pipe pipe
}

// An entry is what is kept of a message.
type entry struct {
	size  int64
	flags mailbox.Flags
	uid   uint32
	date  mailbox.Date
	known bool
}

// Permanent is what flags a mailbox can keep.
type permanent struct {
	told bool // PERMANENTFLAGS was there
	any  bool // new keywords may be made: \*
	all  []string
}

// keeps reports whether a keyword can be stored.
func (p permanent) keeps(keyword string) bool {
	if !p.told || p.any { // RFC 3501, 7.1: without it, all can
		return true
	}
	for _, k := range p.all {
		if strings.EqualFold(k, keyword) {
			return true
		}
	}
	return false
}

// Open selects a mailbox and reads its index.
func (d *Driver) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	if n.Remote.ReadOnly {
		m = mailbox.ReadOnly
	}
	c, err := d.conn(ctx, n.Remote)
	if err != nil {
		return nil, d.fail("open", n, err)
	}
	b := &openBox{d: d, n: n, mode: m, ctx: ctx, c: c}
	b.pipe.b = b
	if err = b.selectBox(); err == nil {
		err = b.load(1)
	}
	if err != nil {
		err = c.missing(err, n)
		b.Close()
		return nil, d.fail("open", n, err)
	}
	if b.readOnly && m == mailbox.ReadWrite {
		d.env.Notify(mailbox.Warn, "Can't get write access to mailbox, access is readonly")
	}
	return b, nil
}

// selectBox opens the mailbox on the connection.
func (b *openBox) selectBox() error {
	verb := "SELECT"
	if b.mode == mailbox.ReadOnly {
		verb = "EXAMINE"
	}
	b.exists, b.gone = 0, nil
	b.c.box = b.untagged
	r, err := b.c.command("%s %s", verb, wire(b.n))
	if err != nil {
		b.c.box = nil
		return err
	}
	b.readOnly = b.mode == mailbox.ReadOnly || r.code == "READ-ONLY"
	return nil
}

// load reads the index of the messages from number first on.
func (b *openBox) load(first int) error {
	if int(b.exists) < first {
		return nil
	}
	for len(b.msgs) < int(b.exists) {
		b.msgs = append(b.msgs, entry{})
	}
	if _, err := b.c.command("FETCH %d:%d (UID INTERNALDATE RFC822.SIZE FLAGS)", first, b.exists); err != nil {
		return err
	}
	var last uint32
	for i, e := range b.msgs {
		if !e.known && !b.isGone(i) {
			return &ProtocolError{fmt.Sprintf("it says nothing about message %d of %d", i+1, len(b.msgs))}
		}
		if e.uid <= last && e.known {
			return &ProtocolError{fmt.Sprintf("message %d has UID %d after UID %d", i+1, e.uid, last)}
		}
		last = max(last, e.uid)
	}
	b.next = max(b.next, last+1)
	if b.lostWords > 0 {
		b.d.env.Notify(mailbox.Warn, fmt.Sprintf("%s has more than %d keywords: %d flags of messages are left out", b.n.Text, mailbox.MaxKeywords, b.lostWords))
		b.lostWords = 0
	}
	return nil
}

// isGone reports whether message i was expunged by another session.
func (b *openBox) isGone(i int) bool {
	return len(b.gone) > 0 && b.index(uint32(i)+1, true) < 0
}

// index returns where the message is in msgs that the server now calls seq, -1
// for nowhere. With ours, seq is the number in msgs, and the answer is -1 for
// one that is gone.
func (b *openBox) index(seq uint32, ours bool) int {
	if ours {
		for _, g := range b.gone {
			if seq == g {
				return -1
			}
			if seq > g {
				seq--
			}
		}
		return int(seq) - 1
	}
	for i := len(b.gone) - 1; i >= 0; i-- {
		if seq >= b.gone[i] {
			seq++
		}
	}
	if seq < 1 || int(seq) > len(b.msgs) {
		return -1
	}
	return int(seq) - 1
}

// untagged takes what the server says about the mailbox.
func (b *openBox) untagged(line []byte) {
	p := parser{line}
	if string(p.atom()) != "*" {
		return
	}
	p.space()
	start := p
	if n, ok := p.number(); ok {
		p.space()
		b.numbered(n, &p)
		return
	}
	switch word := start.atom(); {
	case bytes.EqualFold(word, []byte("FLAGS")):
		start.space()
		if words, err := start.words(); err == nil {
			b.define(words)
		}
	case bytes.EqualFold(word, []byte("OK")):
		code, args := start.code()
		b.code(code, args)
	}
}

// numbered takes "n EXISTS", "n EXPUNGE" and "n FETCH (...)".
func (b *openBox) numbered(n uint32, p *parser) {
	switch word := p.atom(); {
	case bytes.EqualFold(word, []byte("EXISTS")):
		b.exists = n
	case bytes.EqualFold(word, []byte("EXPUNGE")):
		if n >= 1 && n <= b.exists {
			b.exists--
			b.gone = append(b.gone, n)
		}
	case bytes.EqualFold(word, []byte("FETCH")):
		p.space()
		b.fetched(n, p)
	}
}

// code takes the response codes that say what the mailbox is like.
func (b *openBox) code(code, args string) {
	var n uint32
	switch code {
	case "UIDVALIDITY":
		fmt.Sscan(args, &n)
		b.validity = n
	case "UIDNEXT":
		fmt.Sscan(args, &n)
		b.next = n
	case "PERMANENTFLAGS":
		p := parser{[]byte(args)}
		words, err := p.words()
		if err != nil {
			return
		}
		b.permanent = permanent{told: true}
		for _, w := range words {
			b.permanent.any = b.permanent.any || w == `\*`
		}
		b.permanent.all = words
		b.define(words)
	}
}

// words reads a list of atoms.
func (p *parser) words() (out []string, err error) {
	err = p.list(func() error {
		out = append(out, string(p.atom()))
		return nil
	})
	return out, err
}

// define gives the keywords among flags their bits.
func (b *openBox) define(flags []string) {
	for _, f := range flags {
		if f != "" && f[0] != '\\' {
			b.bit(f)
		}
	}
}

// bit is the bit of a keyword, 0 where there is no more room.
func (b *openBox) bit(keyword string) uint64 {
	for i, k := range b.keywords {
		if strings.EqualFold(k, keyword) {
			return 1 << i
		}
	}
	if len(b.keywords) == mailbox.MaxKeywords {
		b.lostWords++
		return 0
	}
	b.keywords = append(b.keywords, strings.Clone(keyword))
	return 1 << (len(b.keywords) - 1)
}

// flags reads flags by name.
func (b *openBox) flags(words []string) (f mailbox.Flags) {
next:
	for _, w := range words {
		if w == "" {
			continue
		}
		if w[0] != '\\' {
			f.Keywords |= b.bit(w)
			continue
		}
		for i, name := range mailbox.SystemNames {
			if strings.EqualFold(w[1:], name) {
				f.System |= 1 << i
				continue next
			}
		}
	}
	return f
}

// fetched takes the items of a FETCH response. What is not understood leaves
// all as it was.
func (b *openBox) fetched(seq uint32, p *parser) {
	i := b.index(seq, false)
	if i < 0 {
		return
	}
	e := b.msgs[i]
	seen := 0
	err := p.list(func() error {
		name := strings.ToUpper(string(p.word()))
		p.space()
		return b.item(name, p, &e, &seen)
	})
	if err != nil || e.uid == 0 {
		return
	}
	if b.msgs[i].known && b.msgs[i].uid != e.uid {
		return // of a message that we do not know under this number
	}
	e.known = e.known || seen == 4
	b.msgs[i] = e
}

// item reads one item.
func (b *openBox) item(name string, p *parser, e *entry, seen *int) (err error) {
	switch name {
	case "UID":
		uid, ok := p.number()
		if !ok || uid == 0 {
			return errSyntax
		}
		e.uid = uid
		*seen++
	case "FLAGS":
		words, err := p.words()
		if err != nil {
			return err
		}
		e.flags = b.flags(words)
		*seen++
	case "INTERNALDATE":
		text, _, err := p.text()
		if err != nil {
			return err
		}
		// A date that is none is that of no message: the copy says so.
		e.date, _ = mailbox.ParseDate(strings.TrimSpace(string(text)), time.UTC)
		*seen++
	case "RFC822.SIZE":
		n, ok := p.number()
		if !ok {
			return errSyntax
		}
		if e.size = int64(n); n == 1<<32-1 {
			e.size = -1 // what a server says that cannot count further
		}
		*seen++
	default:
		return p.skip()
	}
	return nil
}

// Status is what is known now.
func (b *openBox) Status() mailbox.Status {
	st := mailbox.Status{
		Driver: b.d.Name(), Path: canonical(b.c, b.n), Messages: uint32(len(b.msgs)), UIDValidity: b.validity,
		UIDNext: b.next, Keywords: b.keywords, ReadOnly: b.readOnly,
	}
	for _, e := range b.msgs {
		if e.flags.System&mailbox.Recent != 0 {
			st.Recent++
		}
		if e.flags.System&mailbox.Seen == 0 {
			st.Unseen++
		}
	}
	return st
}

// Messages yields the index. What is opened while it goes on is read ahead in
// the same order.
func (b *openBox) Messages(s mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		b.pipe.ahead = s
		for seq := range s.Seqs(uint32(len(b.msgs))) {
			if int(seq) > len(b.msgs) {
				return
			}
			if !yield(b.message(seq), nil) {
				return
			}
		}
	}
}

func (b *openBox) message(seq uint32) mailbox.Message {
	e := b.msgs[seq-1]
	return mailbox.Message{Seq: seq, UID: e.uid, Flags: e.flags, Date: e.date, Size: e.size}
}

// Ping asks what is new.
func (b *openBox) Ping() (bool, error) {
	if err := b.pipe.drain(); err != nil {
		return false, b.fail("open", err)
	}
	flags := make([]mailbox.Flags, len(b.msgs))
	for i, e := range b.msgs {
		flags[i] = e.flags
	}
	if _, err := b.c.command("NOOP"); err != nil {
		return false, b.fail("open", err)
	}
	changed := len(b.gone) > 0
	for i := range flags {
		changed = changed || flags[i] != b.msgs[i].flags
	}
	b.forget()
	if int(b.exists) > len(b.msgs) {
		changed = true
		if err := b.load(len(b.msgs) + 1); err != nil {
			return true, b.fail("open", err)
		}
		b.forget()
	}
	return changed, nil
}

// forget takes the messages that were expunged out of the index.
func (b *openBox) forget() {
	for _, g := range b.gone {
		if int(g) <= len(b.msgs) {
			b.msgs = append(b.msgs[:g-1], b.msgs[g:]...)
		}
	}
	b.gone = nil
	b.pipe.heads = nil
}

func (b *openBox) fail(op string, err error) error { return b.d.fail(op, b.n, err) }

// Close closes the mailbox; nothing is expunged by that.
func (b *openBox) Close() error {
	if b.c == nil {
		return nil
	}
	c := b.c
	if err := b.pipe.drain(); err != nil || c.broken != nil || !c.has("UNSELECT") {
		c.box = nil
		b.c = nil
		return ignoreLost(c.logout())
	}
	_, err := c.command("UNSELECT")
	b.c = nil
	b.d.release(c)
	return ignoreLost(err)
}

// ignoreLost is for what does not matter to a mailbox that is only let go of.
func ignoreLost(err error) error {
	if errors.Is(err, remote.ErrLost) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
