package mbx

import (
	"context"
	"fmt"
	"io"
	"slices"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// Append begins to add mail to n, which must exist unless o.New says that it
// must not.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if o.New {
		t, err := d.appendNew(ctx, n, o)
		if err != nil {
			return nil, d.fail("append", n, err)
		}
		return t, nil
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

// An intake is what a delivery must know of the format. Messages get their UIDs
// when the mailbox is opened for writing next.
type intake struct {
	*recorder
	d     *Driver
	n     mailbox.Name
	o     mailbox.AppendOptions
	old   block    // as the file has it
	was   []string // its keywords, when the delivery began
	block block    // with the keywords that are to be created
}

// Check reads the file block.
func (t *intake) Check(f fsx.File) error {
	k, ok, err := readBlock(f)
	if err == nil && !ok {
		err = mailbox.Sayf(mailbox.ErrFormat, "Not a MBX-format mailbox: %.80s", t.n.Text)
	}
	t.old = k
	return err
}

// Begin creates keywords, in memory.
func (t *intake) Begin(out io.Writer, path string) {
	t.was, t.block = t.old.lines, t.old
	t.block.lines = slices.Clone(t.old.lines)
	t.recorder = newRecorder(t.d, out, &t.block, t.o, path)
}

// Empty reports whether there are neither messages nor keywords.
func (t *intake) Empty() bool { return t.count == 0 && slices.Equal(t.was, t.block.lines) }

// Prepare heals the file, and makes new keywords durable. It is a patch.
func (t *intake) Prepare(f fsx.File) error {
	if err := t.d.heal(f); err != nil || slices.Equal(t.was, t.block.lines) {
		return err
	}
	if !slices.Equal(t.was, t.old.lines) {
		return fmt.Errorf("%w: another process created keywords at the same time", mailbox.ErrTemporary)
	}
	k := t.old
	k.lines = t.block.lines
	if err := writeBlock(f, &k); err != nil {
		return err
	}
	return f.Sync()
}

// Count is Status of a mailbox opened read-only, to which INBOX adds what
// waits in the spool as long as it has no recent mail of its own.
func (d *Driver) Count(ctx context.Context, n mailbox.Name) (mailbox.Status, error) {
	mb, err := d.Open(ctx, n, mailbox.ReadOnly)
	if err != nil {
		return mailbox.Status{}, err
	}
	st := mb.Status()
	if err := mb.Close(); err != nil {
		return st, err
	}
	if n.Inbox && st.Recent == 0 {
		err = d.files().AddSpool(ctx, d.spool, st.Path, &st)
	}
	return st, err
}
