package ops

import (
	"context"
	"fmt"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/search"
)

// selected returns the messages of mb that meet c, and how many they are.
func selected(ctx context.Context, mb mailbox.Mailbox, c *search.Criteria) (set mailbox.Set, n uint32, err error) {
	matcher := search.NewMatcher(c, mb.Status())
	for m, err := range mb.Messages(mailbox.All) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return set, n, err
		}
		ok, err := matcher.Match(m, func() (mailbox.Content, error) { return mb.Open(m.Seq) })
		if err != nil {
			return set, n, fmt.Errorf("message %d: %w", m.Seq, err)
		}
		if ok {
			set.Add(m.Seq)
			n++
		}
	}
	return set, n, nil
}
