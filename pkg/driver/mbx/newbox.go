package mbx

import (
	"context"
	"errors"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// A newDelivery fills a mailbox that nobody sees before Commit.
type newDelivery struct {
	d     *Driver
	n     mailbox.Name
	f     *fsx.NewFile
	block block
	out   *fsx.Writer
	rec   *recorder
}

func (d *Driver) appendNew(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (*newDelivery, error) {
	f, err := d.createNew(ctx, n)
	if err != nil {
		return nil, err
	}
	t := &newDelivery{d: d, n: n, f: f, block: d.newBlock()}
	if o.UIDValidity != 0 {
		t.block.validity = o.UIDValidity
	}
	// Room for the block, of which the keywords come last.
	t.out = fsx.NewWriter(f)
	if _, err := t.out.Write(make([]byte, blockSize)); err != nil {
		return nil, errors.Join(err, f.Abort())
	}
	t.rec = newRecorder(d, t.out, &t.block, o, f.Name())
	return t, nil
}

// Add adds a message.
func (t *newDelivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	a, err := t.rec.add(it)
	return a, t.d.fail("append", t.n, err)
}

// Commit makes the mailbox appear.
func (t *newDelivery) Commit() (mailbox.UIDs, error) {
	t.block.uidLast = max(t.block.uidLast, t.rec.last, max(t.rec.o.UIDNext, 1)-1)
	err := t.rec.broken
	if err == nil {
		err = t.out.Flush()
	}
	if err == nil {
		err = writeBlock(t.f, &t.block)
	}
	if err == nil {
		err = t.f.Publish()
	}
	t.out.Stop()
	if err := errors.Join(err, t.f.Abort()); err != nil {
		return mailbox.UIDs{}, t.d.fail("append", t.n, err)
	}
	if t.rec.first == 0 {
		return mailbox.UIDs{}, nil
	}
	return mailbox.UIDs{Validity: t.block.validity, First: t.rec.first, Last: t.rec.last}, nil
}

// Abort removes what was written.
func (t *newDelivery) Abort() error {
	t.out.Stop()
	return t.d.fail("append", t.n, t.f.Abort())
}
