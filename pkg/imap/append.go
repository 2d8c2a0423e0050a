package imap

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/remote"
)

// How much may be under way without MULTIAPPEND.
const (
	maxPending       = 32
	maxPendingOctets = 8 << 20
)

// sendNext adds a message to the one command of MULTIAPPEND, RFC 3502.
func (t *delivery) sendNext(p *parcel) error {
	line := " " + t.arguments(p)
	if t.tag == "" {
		t.tag = t.c.tag()
		line = fmt.Sprintf("%s APPEND %s %s", t.tag, wire(t.n), t.arguments(p))
	}
	t.kept++ // once the command ends well
	if t.fresh != nil {
		t.fresh[p.sum]++
	}
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
		return errors.Join(t.stored(p, r), t.drop(p))
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
	if t.fresh != nil {
		t.fresh[p.sum]++
	}
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
		if t.journal != nil {
			if err := t.journal.under(p.sum); err != nil {
				return err
			}
		}
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
		if t.late == nil {
			t.late = map[digest]int{}
		}
		t.late[p.sum]++
		if err := t.sendCommand(p); err != nil {
			return err
		}
	}
	return nil
}

func (t *delivery) finish() error {
	if !t.multi {
		return t.finishPending()
	}
	if t.tag == "" {
		return nil
	}
	t.doubt = true
	if t.journal != nil {
		if err := t.journal.ends(); err != nil {
			return err
		}
	}
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
