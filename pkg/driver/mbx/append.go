package mbx

import (
	"context"

	"mailutil/pkg/mailbox"
)

func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	return nil, mailbox.ErrUnsupported
}
func (d *Driver) Count(ctx context.Context, n mailbox.Name) (mailbox.Status, error) {
	return mailbox.Status{}, nil
}
func (b *box) Store(s mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error { return nil }
func (b *box) Expunge(s mailbox.Set) (int, error)                               { return 0, nil }
