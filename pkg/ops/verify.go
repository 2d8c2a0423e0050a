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
	msgs, err := allMessages(mb)
	if err != nil {
		return err
	}
	added, err := findTogether(ctx, mb, msgs, c.sums)
	if err != nil {
		return err
	}
	if added == nil {
		return c.otherTexts(mb, msgs)
	}
	if err := c.compareIndex(mb.Status(), added); err != nil {
		return err
	}
	c.acc.Verified = true
	return nil
}

func (c *copier) reopenTarget(ctx context.Context, dst string) (mailbox.Mailbox, error) {
	if c.at != nil {
		mb, err := c.s.Drivers.Open(ctx, *c.at, mailbox.ReadOnly)
		return &ticking{mb, c}, err
	}
	n, err := c.s.Env.ResolveTarget(dst)
	if err != nil {
		return nil, err
	}
	n.Format = ""
	return c.s.Drivers.Open(ctx, n, mailbox.ReadOnly)
}

// A ticking mailbox is read while locks on another are to be kept young.
type ticking struct {
	mailbox.Mailbox
	c *copier
}

// Open opens a message.
func (t *ticking) Open(seq uint32) (mailbox.Content, error) {
	if err := t.c.ticked(); err != nil {
		return nil, err
	}
	return t.Mailbox.Open(seq)
}

func allMessages(mb mailbox.Mailbox) (msgs []mailbox.Message, err error) {
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			return nil, err
		}
		msgs = append(msgs, m)
	}
	return msgs, nil
}

// findTogether finds the messages whose texts are those wanted, one behind the
// other, the last such place first; nil where there is none.
func findTogether(ctx context.Context, mb mailbox.Mailbox, msgs []mailbox.Message, want []stored) ([]mailbox.Message, error) {
	for first := len(msgs) - len(want); first >= 0; first-- {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		here := msgs[first : first+len(want)]
		if !sizesMatch(here, want) {
			continue
		}
		i, err := firstOtherText(mb, here, want)
		if err != nil {
			return nil, err
		}
		if i < 0 {
			return here, nil
		}
	}
	return nil, nil
}

func sizesMatch(msgs []mailbox.Message, want []stored) bool {
	for i, w := range want {
		if !w.altered.Any() && w.Size >= 0 && msgs[i].Size != w.Size {
			return false
		}
	}
	return true
}

// firstOtherText returns the index of the first message whose text differs, -1
// for none.
func firstOtherText(mb mailbox.Mailbox, msgs []mailbox.Message, want []stored) (int, error) {
	for i, w := range want {
		same, err := sameText(mb, msgs[i].Seq, w)
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
	if kept && (c.s.forgetsUIDs(st.Driver) || c.uids.Validity == 0 && st.UIDValidity != c.status.UIDValidity) {
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
		if want.altered.Keywords == 0 && !slices.Equal(keywordNames(got, st.Keywords), keywordNames(want.Message, c.keywordsOf())) {
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

// forgetsUIDs reports whether a format keeps no UIDs.
func (s *Session) forgetsUIDs(format string) bool {
	_, forgets := s.Drivers.Named(format).(mailbox.Forgetter)
	return forgets
}

// keywordsOf names the bits of what was added; messages of an earlier run have
// those of the source.
func (c *copier) keywordsOf() []string {
	if c.words == nil {
		return c.status.Keywords
	}
	return c.names
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
