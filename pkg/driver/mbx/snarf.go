package mbx

import "context"

func (b *box) snarfDue() bool                  { return false }
func (b *box) snarf(ctx context.Context) error { return nil }
