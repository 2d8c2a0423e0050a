package mbx

import (
	"context"
	"io"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/mailbox"
)

// snarf moves new mail from the spool to INBOX. The caller holds the temp lock
// and has parsed the file to its end.
func (b *box) snarf(ctx context.Context) {
	b.Snarf(ctx, func(to io.Writer) *flocked.Recorder {
		return newRecorder(b.d, to, &b.block, mailbox.AppendOptions{}, b.Path).Recorder
	})
}
