package phile

import (
	"context"

	"mailutil/pkg/mailbox"
)

var _ mailbox.Checker = (*Driver)(nil)

// Inspect finds nothing: all octets are right in a file without a format.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, _ func(mailbox.Finding) error) (mailbox.Inspection, error) {
	if err := d.own(ctx, "check", n); err != nil {
		return mailbox.Inspection{}, err
	}
	fi, err := d.fsys.Stat(n.Path)
	if err != nil {
		return mailbox.Inspection{}, d.fail("check", n, err)
	}
	return mailbox.Inspection{Driver: d.Name(), Path: n.Path, Size: fi.Size(), Messages: 1}, nil
}
