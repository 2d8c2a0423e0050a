package numbered

import (
	"context"

	"mailutil/pkg/mailbox"
)

// Sessions is what a driver can do because it has a Format, which is made each
// time: its surroundings may be set before first use.
type Sessions struct{ Of func() *Format }

var _ mailbox.Appender = Sessions{}

// Open opens n.
func (s Sessions) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	return s.Of().Open(ctx, n, m)
}

// Append begins to add mail to n, which must exist unless o.New says that it
// must not.
func (s Sessions) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	return s.Of().Append(ctx, n, o)
}
