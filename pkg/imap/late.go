package imap

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"mailutil/pkg/mailbox"
)

// view opens the mailbox on the connection of the delivery: a server may not
// give us another one.
func (t *delivery) view(m mailbox.Mode) (*openBox, error) {
	b := &openBox{d: t.d, n: t.n, mode: m, ctx: t.ctx, c: t.c}
	b.pipe.b = b
	if err := b.selectBox(); err != nil {
		return nil, err
	}
	err := b.load(1)
	t.c = b.c // it may have been made anew
	if err == nil && t.journal != nil && b.validity != t.journal.validity {
		err = fmt.Errorf("%w: UIDVALIDITY was %d and is %d", mailbox.ErrChanged, t.journal.validity, b.validity)
	}
	return b, err
}

// inMailbox finds the texts that are in the mailbox since the journal was begun,
// by UID.
func (t *delivery) inMailbox() (map[uint32]digest, error) {
	b, err := t.view(mailbox.ReadOnly)
	if err != nil {
		return nil, err
	}
	there := map[uint32]digest{}
	for m := range b.Messages(mailbox.All) {
		if m.UID < t.journal.next {
			continue
		}
		sum, known := t.journal.done[m.UID]
		if !known {
			if sum, err = digestOf(b, m.Seq); err != nil {
				break
			}
		}
		there[m.UID] = sum
	}
	t.c = b.c
	if err != nil {
		return nil, err
	}
	return there, t.unselect(b)
}

// count counts texts.
func count(there map[uint32]digest) map[digest]int {
	have := map[digest]int{}
	for _, sum := range there {
		have[sum]++
	}
	return have
}

// haveStored counts the texts that are in the mailbox since the journal was
// begun, and remembers what was there.
func (t *delivery) haveStored() (map[digest]int, error) {
	there, err := t.inMailbox()
	if err != nil {
		return nil, err
	}
	t.seen, t.fresh = there, map[digest]int{}
	return count(there), nil
}

// isDoubtful reports whether the server may still be storing what an earlier
// delivery, or connection, has sent.
func (t *delivery) isDoubtful() bool { return len(t.late) > 0 || t.lateAll }

// removeLate removes what was stored twice: a server that was still busy with
// what was sent before a connection broke has stored some of that after we
// looked, and sent it again. Only as many of a text go as were under way then.
func (t *delivery) removeLate() error {
	there, err := t.inMailbox()
	if err != nil {
		return err
	}
	extra := map[digest]int{}
	for uid, sum := range there {
		if _, old := t.seen[uid]; !old {
			extra[sum]++
		}
	}
	for sum := range extra {
		most := t.late[sum]
		if t.lateAll {
			most = t.fresh[sum]
		}
		extra[sum] = min(extra[sum]-t.fresh[sum], most)
	}
	if extra = positive(extra); len(extra) == 0 {
		return nil
	}
	b, err := t.view(mailbox.ReadWrite)
	if err != nil {
		return err
	}
	var twice mailbox.Set
	for i := len(b.msgs) - 1; i >= 0; i-- { // the last of those that are the same
		sum, ok := there[b.msgs[i].uid]
		if _, old := t.seen[b.msgs[i].uid]; ok && !old && extra[sum] > 0 {
			extra[sum]--
			twice.Add(uint32(i + 1))
		}
	}
	n, err := b.Expunge(twice)
	if n > 0 {
		t.d.env.Notify(mailbox.Warn, fmt.Sprintf("%s: %d messages that the server has stored late are removed again", t.n.Text, n))
	}
	return errors.Join(err, t.unselect(b))
}

func digestOf(b *openBox, seq uint32) (sum digest, err error) {
	text, err := b.Open(seq)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = text.WriteTo(h)
	copy(sum[:], h.Sum(nil))
	return sum, err
}

// unselect closes a mailbox on the connection of the delivery, as far as the
// server can; where it cannot, the mailbox is let go of at the end.
func (t *delivery) unselect(b *openBox) error {
	if err := b.pipe.drain(); err != nil {
		return err
	}
	t.c.box = nil
	if !t.c.has("UNSELECT") {
		t.selected = true
		return nil
	}
	_, err := t.c.command("UNSELECT")
	return err
}
