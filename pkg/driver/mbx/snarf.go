package mbx

import (
	"context"
	"io"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/mailbox"
)

// snarfPause is how long an open INBOX leaves the spool alone.
const snarfPause = 60 * time.Second

// snarfDue reports whether it is time to look for new mail in the spool.
func (b *box) snarfDue() bool {
	return !b.readOnly && b.name.Inbox && b.d.spool != nil &&
		(b.snarfed.IsZero() || b.d.env.Now().Sub(b.snarfed) >= snarfPause)
}

// snarf moves new mail from the spool to INBOX. The caller holds the temp lock
// and has parsed the file to its end.
func (b *box) snarf(ctx context.Context) {
	b.snarfed = b.d.env.Now()
	b.d.files().Snarf(ctx, b.d.spool, b.path, b.f, func(to io.Writer) *flocked.Recorder {
		return newRecorder(b.d, to, &b.block, mailbox.AppendOptions{}, b.path).Recorder
	})
}
