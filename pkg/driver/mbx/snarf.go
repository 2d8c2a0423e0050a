package mbx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailutil/pkg/internal/journal"
	"mailutil/pkg/mailbox"
)

// snarfPause is how long an open INBOX leaves the spool alone.
const snarfPause = 60 * time.Second

// snarfDue reports whether it is time to look for new mail in the spool.
func (b *box) snarfDue() bool {
	return !b.readOnly && b.name.Inbox && b.d.spool != nil &&
		(b.snarfed.IsZero() || b.d.env.Now().Sub(b.snarfed) >= snarfPause)
}

// snarf moves new mail from the spool to INBOX. It is durable there before it
// goes from the spool: a power cut in between doubles it. What cannot be moved
// stays, which is told, and is no reason to fail. The caller holds the temp
// lock and has parsed the file to its end.
func (b *box) snarf(ctx context.Context) {
	b.snarfed = b.d.env.Now()
	spool, err := b.d.files().OpenSpool(ctx, b.d.spool, b.path, mailbox.ReadWrite)
	if err == nil && spool != nil {
		if st := spool.Status(); st.Messages > 0 && !st.ReadOnly {
			err = b.moveFrom(spool)
		}
		err = errors.Join(err, spool.Close())
	}
	if err != nil {
		b.d.env.Notify(mailbox.Warn, fmt.Sprintf("Can't copy new mail: %v", err))
	}
}

// moveFrom moves the messages of the spool to the end of our file.
func (b *box) moveFrom(spool mailbox.Mailbox) error {
	tail, err := journal.Append(b.f, b.d.journal())
	if err != nil {
		return err
	}
	moved, err := b.copyFrom(spool, tail)
	if err == nil && !moved.Empty() {
		err = tail.Commit()
	}
	if err = errors.Join(err, tail.Abort()); err != nil || moved.Empty() {
		return err
	}
	_, err = spool.Expunge(moved)
	return err
}

// copyFrom writes the messages of the spool to tail. Keywords stay behind, as
// in the original; so do messages without any octet.
func (b *box) copyFrom(spool mailbox.Mailbox, tail *journal.Tail) (moved mailbox.Set, err error) {
	rec := newRecorder(b.d, tail, &b.block, mailbox.AppendOptions{}, b.path)
	for m, err := range spool.Messages(mailbox.All) {
		if err != nil {
			return moved, err
		}
		if m.Size == 0 {
			continue
		}
		text, err := spool.Open(m.Seq)
		if err != nil {
			return moved, err
		}
		if _, err := rec.add(mailbox.Item{Message: m, Text: text}); err != nil {
			return moved, err
		}
		moved.Add(m.Seq)
	}
	return moved, nil
}
