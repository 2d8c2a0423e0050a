package ops

import (
	"context"

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
		ok, err := matches(matcher, mb, m)
		if err != nil {
			return set, n, err
		}
		if ok {
			set.Add(m.Seq)
			n++
		}
	}
	return set, n, nil
}

// matches reports whether message m of mb meets the criteria.
func matches(matcher *search.Matcher, mb mailbox.Mailbox, m mailbox.Message) (bool, error) {
	if matcher.Endless() {
		matcher.Ends(mb.Status())
	}
	ok, err := matcher.Match(m, func() (mailbox.Content, error) { return mb.Open(m.Seq) })
	return ok, inMessage(m, err)
}
