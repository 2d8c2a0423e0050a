package mailtxt

import (
	"context"
	"io"
	"path/filepath"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// Append begins to add mail to n, which must exist unless o.New says that it
// must not. An empty file is taken whoever made it. UIDs are not kept, for the
// format has none.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	path, err := d.Place(n)
	if err != nil {
		return nil, d.fail("append", n, err)
	}
	if o.New {
		f, err := d.files().CreateNew(ctx, path)
		if err != nil {
			return nil, d.fail("append", n, err)
		}
		out := fsx.NewWriter(f)
		return &flocked.NewDelivery{Files: d.files(), Name: n, File: f, Out: out, Record: d.recorder(out, o, f.Name())}, nil
	}
	t, err := d.files().Append(ctx, n, path, &target{d, n, o})
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
}

// Check looks whether the file is ours.
func (t *target) Check(f fsx.File) error { return t.d.check(f, t.n) }

// Recorder returns what writes records to to, of the mailbox at path.
func (t *target) Recorder(to io.Writer, path string) *flocked.Recorder {
	return t.d.recorder(to, t.o, path)
}

// Changed is false: keywords are those of the configuration.
func (t *target) Changed() bool { return false }

// Prepare sees that mail can be added at the end of f.
func (t *target) Prepare(f fsx.File) error { return t.d.heal(f) }

// recorder returns what writes records to to, of the mailbox at path.
func (d *Driver) recorder(to io.Writer, o mailbox.AppendOptions, path string) *flocked.Recorder {
	bits := make([]uint32, len(o.Keywords)) // 0 where there is none
	for i, name := range o.Keywords {
		bits[i] = d.bit(name)
	}
	line := func(b []byte, it mailbox.Item, size int64) ([]byte, mailbox.Altered, error) {
		date, now, a := d.files().Date(it)
		var keywords uint32
		for i := range min(len(bits), mailbox.MaxKeywords) {
			if it.Flags.Keywords&(1<<i) == 0 {
				continue
			}
			keywords |= bits[i]
			if bits[i] == 0 {
				a.Keywords++
			}
		}
		return d.format.appendLine(b, date, now, size, keywords, sysbits.Bits[uint8](it.Flags.System)), a, nil
	}
	return &flocked.Recorder{To: to, Dir: filepath.Dir(path), LF: d.format.EOL == "\n", Most: maxSize, Line: line}
}
