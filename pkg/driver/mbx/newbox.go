package mbx

import (
	"context"
	"errors"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// appendNew begins a mailbox that nobody sees before its delivery is committed.
func (d *Driver) appendNew(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (*flocked.NewDelivery, error) {
	f, err := d.createNew(ctx, n)
	if err != nil {
		return nil, err
	}
	k := d.newBlock()
	if o.UIDValidity != 0 {
		k.validity = o.UIDValidity
	}
	// Room for the block, of which the keywords come last.
	out := fsx.NewWriter(f)
	if _, err := out.Write(make([]byte, blockSize)); err != nil {
		return nil, errors.Join(err, f.Abort())
	}
	rec := newRecorder(d, out, &k, o, f.Name())
	return &flocked.NewDelivery{O: d.files(), N: n, F: f, Out: out, In: rec, Finish: func() (mailbox.UIDs, error) {
		k.uidLast = max(k.uidLast, rec.last, max(o.UIDNext, 1)-1)
		err := writeBlock(f, &k)
		if err != nil || rec.first == 0 {
			return mailbox.UIDs{}, err
		}
		return mailbox.UIDs{Validity: k.validity, First: rec.first, Last: rec.last}, nil
	}}, nil
}
