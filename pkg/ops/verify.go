package ops

import (
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"

	"mailutil/pkg/mailbox"
)

// stored is what the target must give back for one message.
type stored struct {
	mailbox.Message        // as it was given to the target
	digest          uint64 // of the text; of its essence when altered
	altered         mailbox.Altered
}

// verify reads the messages back from the target and compares their text,
// dates, flags, keywords and, where they are kept, UIDs. They are together
// there, in order, but others may have added mail before and behind them. Each
// message that differs is an exception of the account.
func (c *copier) verify(ctx context.Context, dst string) error {
	if len(c.sums) == 0 {
		c.acc.Verified = true
		return nil
	}
	mb, err := c.reopenTarget(ctx, dst)
	if err != nil {
		return err
	}
	defer mb.Close() // only read
	var msgs []mailbox.Message
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			return err
		}
		msgs = append(msgs, m)
	}
	msgs, err = c.added(ctx, mb, msgs)
	if err != nil {
		return err
	}
	if err := c.compareIndex(mb.Status(), msgs); err != nil {
		return err
	}
	c.acc.Verified = true
	return nil
}

func (c *copier) reopenTarget(ctx context.Context, dst string) (mailbox.Mailbox, error) {
	if c.at != nil {
		return c.s.Drivers.Open(ctx, *c.at, mailbox.ReadOnly)
	}
	n, err := c.s.Env.ResolveTarget(dst)
	if err != nil {
		return nil, err
	}
	n.Format = ""
	return c.s.Drivers.Open(ctx, n, mailbox.ReadOnly)
}

// added finds the messages whose text is that of the messages added.
func (c *copier) added(ctx context.Context, mb mailbox.Mailbox, msgs []mailbox.Message) ([]mailbox.Message, error) {
	for first := len(msgs) - len(c.sums); first >= 0; first-- {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !c.sizesMatch(msgs[first:]) {
			continue
		}
		i, err := c.firstOtherText(mb, msgs[first:])
		if err != nil {
			return nil, err
		}
		if i < 0 {
			return msgs[first : first+len(c.sums)], nil
		}
	}
	return nil, c.otherTexts(mb, msgs)
}

func (c *copier) sizesMatch(msgs []mailbox.Message) bool {
	for i, want := range c.sums {
		if !want.altered.Any() && msgs[i].Size != want.Size {
			return false
		}
	}
	return true
}

// firstOtherText returns the index of the first message whose text differs, -1
// for none.
func (c *copier) firstOtherText(mb mailbox.Mailbox, msgs []mailbox.Message) (int, error) {
	for i, want := range c.sums {
		if err := c.ticked(); err != nil {
			return i, err
		}
		same, err := sameText(mb, msgs[i].Seq, want)
		if err != nil || !same {
			return i, err
		}
	}
	return -1, nil
}

func sameText(mb mailbox.Mailbox, seq uint32, want stored) (bool, error) {
	text, err := mb.Open(seq)
	if err != nil {
		return false, fmt.Errorf("message %d of the target: %w", seq, err)
	}
	digest := digestOf
	if want.altered.Any() {
		digest = essence
	}
	got, err := digest(text)
	return got == want.digest, err
}

// otherTexts is the error when the messages are not in the target. It names
// those that are not at its end, where they should be.
func (c *copier) otherTexts(mb mailbox.Mailbox, msgs []mailbox.Message) error {
	for i, want := range c.sums {
		at := len(msgs) - len(c.sums) + i
		same := false
		if at >= 0 {
			var err error
			if same, err = sameText(mb, msgs[at].Seq, want); err != nil {
				return err
			}
		}
		if !same {
			c.differs(want, []string{"text"})
		}
	}
	return fmt.Errorf("%s does not give back the %d messages that were added", c.acc.Target, len(c.sums))
}

// compareIndex compares all but the texts.
func (c *copier) compareIndex(st mailbox.Status, msgs []mailbox.Message) error {
	kept := c.o.KeepUIDs
	if kept && c.uids.Validity == 0 && st.UIDValidity != c.status.UIDValidity {
		kept, c.acc.UIDsLost = false, true
	}
	if kept && st.UIDValidity != c.status.UIDValidity {
		return fmt.Errorf("%s has UIDVALIDITY %d, not %d", c.acc.Target, st.UIDValidity, c.status.UIDValidity)
	}
	for i, want := range c.sums {
		var parts []string
		got := msgs[i]
		if want.altered.Dates == 0 && !want.Date.IsZero() && !got.Date.Time().Equal(want.Date.Time()) {
			parts = append(parts, "date")
		}
		if (got.Flags.System^want.Flags.System)&^mailbox.Recent != 0 {
			parts = append(parts, "flags")
		}
		if want.altered.Keywords == 0 && !slices.Equal(keywordNames(got, st.Keywords), keywordNames(want.Message, c.status.Keywords)) {
			parts = append(parts, "keywords")
		}
		if kept && got.UID != want.UID {
			parts = append(parts, "uid")
		}
		if parts != nil {
			c.differs(want, parts)
		}
	}
	if c.acc.Differing > 0 {
		return fmt.Errorf("%s gives back %d messages otherwise than they were added", c.acc.Target, c.acc.Differing)
	}
	return nil
}

// keywordNames are the keywords of m in lower case, sorted.
func keywordNames(m mailbox.Message, names []string) []string {
	var out []string
	for _, name := range (mailbox.Flags{Keywords: m.Flags.Keywords}).Names(names) {
		out = append(out, strings.ToLower(name))
	}
	slices.Sort(out)
	return out
}

func (c *copier) differs(want stored, parts []string) {
	c.acc.Differing++
	c.except(Exception{Seq: want.Seq, UID: want.UID, Altered: want.altered, Differs: parts})
}

func digestOf(r io.Reader) (uint64, error) {
	var sum maphash.Hash
	sum.SetSeed(seed)
	_, err := io.Copy(&sum, r)
	return sum.Sum64(), err
}
