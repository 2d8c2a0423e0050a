package mbx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// Append begins to add mail to n, which must exist unless o.New says that it
// must not.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if o.New {
		return d.appendNew(ctx, n, o)
	}
	path, err := d.Place(n)
	if err != nil {
		return nil, d.fail("append", n, err)
	}
	t, err := d.files().Append(ctx, n, path, &target{d: d, n: n, o: o})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// A target is a mailbox that exists and gets mail.
type target struct {
	d *Driver
	n mailbox.Name
	o mailbox.AppendOptions

	now   block // as it is on disk
	was   block // as Append found it
	block block // with the keywords that are to be created
}

// Check reads the file block.
func (t *target) Check(f fsx.File) error {
	k, ok, err := readBlock(f)
	if err == nil && !ok {
		err = mailbox.Sayf(mailbox.ErrFormat, "Not a MBX-format mailbox: %.80s", t.n.Text)
	}
	t.now = k
	return err
}

// Recorder creates keywords in memory.
func (t *target) Recorder(to io.Writer, path string) *flocked.Recorder {
	t.was, t.block = t.now, t.now
	t.block.lines = slices.Clone(t.was.lines)
	return newRecorder(t.d, to, &t.block, t.o, path).Recorder
}

// Changed reports whether there are new keywords.
func (t *target) Changed() bool { return !slices.Equal(t.was.lines, t.block.lines) }

// Prepare makes new keywords durable, before messages bear them: a power cut in
// between leaves keywords that nothing bears. It is a patch.
func (t *target) Prepare(f fsx.File) error {
	if err := t.d.heal(f); err != nil || !t.Changed() {
		return err
	}
	if !slices.Equal(t.was.lines, t.now.lines) {
		return fmt.Errorf("%w: another process created keywords at the same time", mailbox.ErrTemporary)
	}
	k := t.now
	k.lines = t.block.lines
	if err := writeBlock(f, &k); err != nil {
		return err
	}
	return f.Sync()
}

// appendNew begins to fill a mailbox that does not exist.
func (d *Driver) appendNew(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	f, err := d.createNew(ctx, n)
	if err != nil {
		return nil, d.fail("append", n, err)
	}
	k := d.newBlock()
	if o.UIDValidity != 0 {
		k.validity = o.UIDValidity
	}
	// Room for the block, of which the keywords come last.
	out := fsx.NewWriter(f)
	if _, err := out.Write(make([]byte, blockSize)); err != nil {
		return nil, d.fail("append", n, errors.Join(err, f.Abort()))
	}
	rec := newRecorder(d, out, &k, o, f.Name())
	finish := func() (mailbox.UIDs, error) {
		k.uidLast = max(k.uidLast, rec.last, max(o.UIDNext, 1)-1)
		uids := mailbox.UIDs{Validity: k.validity, First: rec.first, Last: rec.last}
		if rec.first == 0 {
			uids = mailbox.UIDs{}
		}
		return uids, writeBlock(f, &k)
	}
	return &flocked.NewDelivery{Files: d.files(), Name: n, File: f, Out: out, Record: rec.Recorder, Finish: finish}, nil
}

// Count is Status of a mailbox opened read-only, to which INBOX adds what
// waits in the spool as long as it has no recent mail of its own.
func (d *Driver) Count(ctx context.Context, n mailbox.Name) (mailbox.Status, error) {
	return d.files().Count(ctx, n, d.Open, d.spool)
}
