package dummy

import (
	"context"

	"mailutil/pkg/mailbox"
)

var _ mailbox.Checker = (*Driver)(nil)

// Inspect finds nothing: there is nothing in an empty mailbox.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, _ func(mailbox.Finding) error) (mailbox.Inspection, error) {
	if _, err := d.check(ctx, "check", n); err != nil {
		return mailbox.Inspection{}, err
	}
	return mailbox.Inspection{Driver: d.Name(), Path: d.path(n)}, nil
}
