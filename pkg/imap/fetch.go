package imap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/remote"
)

// How much is asked for ahead of its use.
const (
	windowMessages = 256
	windowOctets   = 2 << 20 // and there may be two windows under way
	headWindow     = 64
	maxReconnects  = 3 // in a row
)

// A pipe has the texts that were asked for: the one that is being read, and
// those that come after it in the same order.
type pipe struct {
	b       *openBox
	ahead   mailbox.Set // in which order messages will be asked for
	flights []flight    // commands under way, oldest first
	width   int         // messages to ask for at a time: 1, and then more and more

	current uint32 // the message whose literal is being read; 0 for none
	left    int64  // of that literal
	open    bool   // its response has not ended
	lastSeq uint32 // opened last, to see whether they come in order

	heads map[uint32][]byte // header blocks that were read ahead
	head  []byte            // the memory of the header of the current text
}

// A flight is a command that asks for texts.
type flight struct {
	tag  string
	seqs []uint32 // those that have not come yet
}

// body comes to the text of a message from an offset on, and returns how many
// octets there are.
func (p *pipe) body(seq uint32, off int64) (int64, error) {
	for try := 0; ; try++ {
		n, err := p.tryBody(seq, off)
		if err == nil || !errors.Is(err, remote.ErrLost) || try == maxReconnects {
			return n, err
		}
		if err := p.reconnect(err); err != nil {
			return 0, err
		}
	}
}

func (p *pipe) tryBody(seq uint32, off int64) (int64, error) {
	if err := p.endCurrent(); err != nil {
		return 0, err
	}
	for alone := false; ; alone = true {
		if off > 0 || !p.expects(seq) {
			if err := p.drain(); err != nil {
				return 0, err
			}
			if err := p.ask(seq, off, alone || off > 0); err != nil {
				return 0, err
			}
		}
		n, found, err := p.await(seq)
		if err != nil {
			return 0, err
		}
		if found {
			return n, p.askAhead(seq)
		}
		if alone {
			return 0, fmt.Errorf("%w: the server does not give message %d (UID %d) any more", mailbox.ErrChanged, seq, p.b.msgs[seq-1].uid)
		}
	}
}

// expects reports whether seq is what comes next.
func (p *pipe) expects(seq uint32) bool {
	for _, f := range p.flights {
		if len(f.seqs) > 0 {
			return f.seqs[0] == seq
		}
	}
	return false
}

// ask asks for a message, and for those behind it as far as it seems useful.
func (p *pipe) ask(seq uint32, off int64, alone bool) error {
	p.width = 1
	if !alone && seq > p.lastSeq && p.lastSeq > 0 {
		p.width = 16 // they come in order
	}
	if off > 0 {
		return p.command([]uint32{seq}, fmt.Sprintf("BODY.PEEK[]<%d.%d>", off, 1<<32-1))
	}
	return p.command(p.window(seq, p.width), "BODY.PEEK[]")
}

// window returns up to most messages, beginning with seq, that will be asked
// for.
func (p *pipe) window(seq uint32, most int) []uint32 {
	out := []uint32{seq}
	octets := p.size(seq)
	for next := range p.ahead.After(seq, uint32(len(p.b.msgs))) {
		octets += p.size(next)
		if len(out) >= most || octets > windowOctets {
			break
		}
		out = append(out, next)
	}
	return out
}

// size is that of a message, as far as it is known.
func (p *pipe) size(seq uint32) int64 { return max(p.b.msgs[seq-1].size, 1) }

// askAhead sends the next command while the answer to the last still comes in.
func (p *pipe) askAhead(seq uint32) error {
	p.lastSeq = seq
	last := seq
	waiting := 0
	for _, f := range p.flights {
		if len(f.seqs) > 0 {
			waiting++
			last = f.seqs[len(f.seqs)-1]
		}
	}
	if p.width <= 1 || waiting > 1 {
		return nil
	}
	next := p.after(last)
	if next == 0 || p.size(next) > windowOctets {
		return nil
	}
	p.width = min(2*p.width, windowMessages)
	return p.command(p.window(next, p.width), "BODY.PEEK[]")
}

// after is the message that will be asked for after seq, 0 for none.
func (p *pipe) after(seq uint32) uint32 {
	for next := range p.ahead.After(seq, uint32(len(p.b.msgs))) {
		return next
	}
	return 0
}

// command asks for an item of messages.
func (p *pipe) command(seqs []uint32, item string) error {
	tag, err := p.b.c.send("UID FETCH %s (UID %s)", p.b.uids(seqs), item)
	if err == nil {
		p.flights = append(p.flights, flight{tag, seqs})
	}
	return err
}

// uids writes the UIDs of messages as a set.
func (b *openBox) uids(seqs []uint32) string {
	var out []byte
	for i := 0; i < len(seqs); {
		j := i
		for j+1 < len(seqs) && seqs[j+1] == seqs[j]+1 && b.msgs[seqs[j+1]-1].uid == b.msgs[seqs[j]-1].uid+1 {
			j++
		}
		if len(out) > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendUint(out, uint64(b.msgs[seqs[i]-1].uid), 10)
		if j > i {
			out = append(out, ':')
			out = strconv.AppendUint(out, uint64(b.msgs[seqs[j]-1].uid), 10)
		}
		i = j + 1
	}
	return string(out)
}

// await reads on until the literal of seq begins, or until the command that
// should have brought it ends.
func (p *pipe) await(seq uint32) (size int64, found bool, err error) {
	c := p.b.c
	for len(p.flights) > 0 {
		oldest := p.flights[0]
		n, got, ended, err := p.next()
		switch {
		case err != nil:
			return 0, false, c.fatal(err)
		case ended && slices.Contains(oldest.seqs, seq): // it did not come
			return 0, false, nil
		case ended:
		case got == seq:
			p.took(seq)
			p.current, p.left, p.open = seq, n, n >= 0
			return max(n, 0), true, nil
		case n >= 0: // another one: passed over
			p.took(got)
			p.current, p.left, p.open = got, n, true
			if err := p.endCurrent(); err != nil {
				return 0, false, err
			}
		}
	}
	return 0, false, nil
}

// took notes that a text has come.
func (p *pipe) took(seq uint32) {
	f := &p.flights[0]
	for i, s := range f.seqs {
		if s == seq {
			f.seqs = f.seqs[i+1:] // those before it did not come
			return
		}
	}
}

// next reads a response. n is the size of the literal that begins, of message
// seq; -1 where the response has none. ended says that the oldest command has.
func (p *pipe) next() (n int64, seq uint32, ended bool, err error) {
	c := p.b.c
	if c.broken != nil {
		return 0, 0, false, c.broken
	}
	c.in.begin()
	for {
		n, err := c.in.more()
		switch {
		case err != nil:
			return 0, 0, false, err
		case n < 0:
			seq, ended, err := p.whole()
			return -1, seq, ended, err
		case isItem(c.in.line, "BODY[]"):
			return n, p.whose(), false, nil
		}
		if err := c.in.keep(n); err != nil {
			return 0, 0, false, err
		}
	}
}

// whole takes a response without a literal that is text. seq is the message
// whose text was in it as a string: an empty one, which may be written so.
func (p *pipe) whole() (seq uint32, ended bool, err error) {
	c := p.b.c
	line := c.in.line
	c.Trace("< ", line)
	r, ok := status(line, p.flights[0].tag)
	if !ok {
		if s := p.whose(); s > 0 && isEmptyBody(line) {
			return s, false, nil
		}
		return 0, false, c.untagged(line)
	}
	p.flights = p.flights[1:]
	if r.kind == "BAD" {
		return 0, true, r.err()
	}
	return 0, true, nil // a NO gives fewer messages: those that lack are asked for again, alone
}

// isEmptyBody reports whether a response has an empty text, not as a literal.
func isEmptyBody(line []byte) bool {
	up := bytes.ToUpper(line)
	return bytes.Contains(up, []byte(`BODY[] ""`)) || bytes.Contains(up, []byte("BODY[] NIL"))
}

// whose is the message that the response being read is about. The UID counts,
// where it stands before the text.
func (p *pipe) whose() uint32 {
	q := parser{p.b.c.in.line}
	q.atom()
	q.space()
	n, ok := q.number()
	if !ok {
		return 0
	}
	i := p.b.index(n, false)
	if uid := uidIn(q.b); uid > 0 && (i < 0 || p.b.msgs[i].uid != uid) {
		for _, s := range p.flights[0].seqs {
			if p.b.msgs[s-1].uid == uid {
				return s
			}
		}
		return 0
	}
	return uint32(i + 1)
}

// uidIn finds the UID in the items before a text.
func uidIn(line []byte) uint32 {
	up := upper(string(line[:min(len(line), 1000)]))
	i := strings.Index(up, "UID ")
	if i < 1 || up[i-1] != '(' && up[i-1] != ' ' {
		return 0
	}
	q := parser{line[i+len("UID "):]}
	n, _ := q.number()
	return n
}

// peek returns what has come of the text that body came to: an octet at least.
func (p *pipe) peek() ([]byte, error) {
	r := p.b.c.R
	if r.Buffered() == 0 {
		if _, err := r.Peek(1); err == io.EOF {
			return nil, io.ErrUnexpectedEOF
		} else if err != nil {
			return nil, err
		}
	}
	return r.Peek(int(min(int64(r.Buffered()), p.left)))
}

// discard is done with n octets of them.
func (p *pipe) discard(n int) {
	p.b.c.R.Discard(n) // they are there
	p.left -= int64(n)
}

// endCurrent passes over what is left of the current response.
func (p *pipe) endCurrent() error {
	if !p.open {
		p.current = 0
		return nil
	}
	c := p.b.c
	if c.broken != nil {
		return c.broken
	}
	for p.left > 0 {
		n, err := c.R.Discard(int(min(p.left, 1<<20)))
		p.left -= int64(n)
		if err != nil {
			return c.fatal(err)
		}
	}
	c.in.passed()
	for {
		n, err := c.in.more()
		if err != nil {
			return c.fatal(err)
		}
		if n < 0 {
			break
		}
		if err := c.in.keep(n); err != nil {
			return c.fatal(err)
		}
	}
	c.Trace("< ", c.in.line)
	p.open, p.current = false, 0
	return c.untagged(c.in.line)
}

// drain reads all that is under way, so that another command can be sent.
func (p *pipe) drain() error {
	if err := p.endCurrent(); err != nil {
		return err
	}
	for len(p.flights) > 0 {
		if _, _, err := p.await(0); err != nil {
			return err
		}
	}
	return nil
}

// reconnect makes the connection anew after it broke, and opens the mailbox
// again: the same one, as UIDVALIDITY says.
func (p *pipe) reconnect(why error) error {
	b := p.b
	b.c.box = nil
	b.c.Close()
	p.flights, p.open, p.current, p.left = nil, false, 0, 0
	b.d.env.Notify(mailbox.Warn, fmt.Sprintf("%v: connecting again", why))
	c, err := connect(b.ctx, b.d.env, b.n.Remote, b.d.o)
	if err != nil {
		return err
	}
	validity, msgs := b.validity, b.msgs
	b.c = c
	b.msgs = nil // the numbers of before mean nothing: the UIDs do
	if err := b.selectBox(); err != nil {
		return err
	}
	b.msgs = msgs
	if b.validity != validity {
		return fmt.Errorf("%w: UIDVALIDITY was %d and is %d", mailbox.ErrChanged, validity, b.validity)
	}
	return b.renumber()
}

// renumber finds out which messages are gone since the connection broke.
func (b *openBox) renumber() error {
	there := map[uint32]bool{}
	b.c.box = func(line []byte) { there[uidIn(line)] = true }
	exists := b.exists
	_, err := b.c.command("FETCH 1:%d (UID)", max(exists, 1))
	b.c.box = b.untagged
	if err != nil && exists > 0 {
		return err
	}
	for i, e := range b.msgs {
		if !there[e.uid] {
			b.gone = append(b.gone, uint32(i+1-len(b.gone)))
		}
	}
	return nil
}
