package mailtxt

import (
	"context"
	"io"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// Append begins to add mail to n, which must exist unless o.New says that it
// must not. An empty file is taken whoever made it. UIDs are not kept, for the
// format has none.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if o.New {
		f, err := d.createNew(ctx, n)
		if err != nil {
			return nil, d.fail("append", n, err)
		}
		out := fsx.NewWriter(f)
		return &flocked.NewDelivery{
			O: d.files(), N: n, F: f, Out: out, In: newRecorder(d, out, o, f.Name()),
			Finish: func() (mailbox.UIDs, error) { return mailbox.UIDs{}, nil },
		}, nil
	}
	path, err := d.Place(n)
	if err != nil {
		return nil, d.fail("append", n, err)
	}
	t, err := d.files().Append(ctx, n, path, &intake{d: d, n: n, o: o})
	if err != nil {
		return nil, d.fail("append", n, err)
	}
	return t, nil
}

// An intake is what a delivery must know of the format.
type intake struct {
	*recorder
	d *Driver
	n mailbox.Name
	o mailbox.AppendOptions
}

// Check looks whether the file is ours.
func (t *intake) Check(f fsx.File) error {
	ours, err := t.d.owns(f, true)
	if err == nil && !ours {
		err = t.d.format.notOurs(t.n)
	}
	return err
}

// Begin says where the records go.
func (t *intake) Begin(out io.Writer, path string) { t.recorder = newRecorder(t.d, out, t.o, path) }

// Empty reports whether there are no messages.
func (t *intake) Empty() bool { return t.count == 0 }

// Prepare heals the file.
func (t *intake) Prepare(f fsx.File) error { return t.d.heal(f) }
