package mh

import (
	"context"

	"mailutil/pkg/mailbox"
)

func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	return mailbox.Inspection{}, mailbox.ErrUnsupported
}
