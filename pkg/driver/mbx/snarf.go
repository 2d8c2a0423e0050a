package mbx

import (
	"context"

	"mailutil/pkg/mailbox"
)

func (b *box) snarfDue() bool                                     { return false }
func (b *box) snarf(ctx context.Context) error                    { return nil }
func (d *Driver) addSpool(ctx context.Context, s *mailbox.Status) {}
