package stream

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/klauspost/compress/zstd"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/mailbox"
)

// A delivery writes messages to standard output or to a new archive.
type delivery struct {
	d     *Driver
	n     mailbox.Name
	f     *fsx.NewFile // nil for standard output
	file  *fsx.Writer  // to f
	pack  io.WriteCloser
	out   *bufio.Writer // to pack, file or standard output
	form  *mbox.Formatter
	table mbox.Table
	o     mailbox.AppendOptions

	uids   mailbox.UIDs
	count  int
	failed error
	done   bool
}

// Append begins to write. What was written to standard output stays there,
// whatever comes; a new archive appears at Commit. An archive that exists is
// never changed.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := &delivery{d: d, n: n, o: o, table: mbox.NewTable(nil, o.Keywords, true)}
	var to io.Writer
	switch {
	case n.Space != "" && d.Out == nil:
		return nil, d.fail("append", n, errors.New("there is no standard output"))
	case n.Space != "":
		to = d.Out
	case !o.New:
		return nil, d.fail("append", n, fmt.Errorf("%w: a compressed archive can only be read; copy to a new one", mailbox.ErrReadOnly))
	default:
		f, err := fsx.CreateNew(d.fs, n.Path, d.env.Config.MailboxMode, d.env.Config.DirMode)
		if err != nil {
			return nil, d.fail("create", n, existing(err))
		}
		t.f, t.file = f, fsx.NewWriter(f)
		to = t.file
	}
	if err := t.compress(to); err != nil {
		return nil, errors.Join(d.fail("append", n, err), t.Abort())
	}
	return t, nil
}

// existing says ErrExist of a file that is there, ErrBusy of one that is being
// made.
func existing(err error) error {
	switch {
	case errors.Is(err, os.ErrExist):
		return fmt.Errorf("%w: %w", mailbox.ErrExist, err)
	case errors.Is(err, fsx.ErrInUse):
		return fmt.Errorf("%w: %w", mailbox.ErrBusy, err)
	}
	return err
}

// compress puts the compression before to.
func (t *delivery) compress(to io.Writer) error {
	switch t.d.Compress {
	case None:
	case Gzip:
		t.pack = gzip.NewWriter(to)
	case Zstd:
		z, err := zstd.NewWriter(to, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return err
		}
		t.pack = z
	default:
		return fmt.Errorf("%w: nothing is written in this compression", mailbox.ErrUnsupported)
	}
	if t.pack != nil {
		to = t.pack
	}
	t.out = bufio.NewWriterSize(to, 64<<10)
	t.form = mbox.NewFormatter(t.d.env, t.out)
	t.form.Dialect = t.d.Dialect
	return nil
}

// Add writes one message.
func (t *delivery) Add(it mailbox.Item) (a mailbox.Altered, err error) {
	if t.failed != nil {
		return a, t.failed
	}
	defer func() { t.failed = err }()
	keep := t.o.UIDValidity != 0
	if keep && it.UID <= t.uids.Last {
		return a, t.d.fail("append", t.n, fmt.Errorf("UID %d does not ascend", it.UID))
	}
	flags, lost := t.table.Flags(it.Flags)
	st := mbox.State{Table: t.table.Names, Flags: flags}
	if keep {
		st.UID = it.UID
		t.uids.Last = it.UID
		if t.count == 0 {
			t.uids.First = it.UID
		}
	}
	if t.count == 0 && (keep || len(st.Table) > 0) {
		st.Base, st.Validity, st.Last = true, t.o.UIDValidity, max(t.o.UIDNext, 1)-1
		if !keep {
			st.Validity = uint32(t.d.env.Now().Unix())
		}
	}
	a, err = t.form.Message(it, st)
	a.Keywords += lost
	t.count++
	return a, t.d.fail("append", t.n, err)
}

// Commit writes what is held back, makes a new archive appear, and waits for
// the disk where standard output is a file.
func (t *delivery) Commit() (mailbox.UIDs, error) {
	err := t.failed
	if err == nil {
		err = t.out.Flush()
	}
	if err == nil && t.pack != nil {
		err = t.pack.Close()
	}
	if err == nil && t.f != nil {
		err = t.publish()
	} else if err == nil {
		err = syncFile(t.d.Out)
	}
	if err = errors.Join(err, t.Abort()); err != nil {
		return mailbox.UIDs{}, t.d.fail("append", t.n, err)
	}
	if t.uids.Last > 0 {
		t.uids.Validity = t.o.UIDValidity
	}
	return t.uids, nil
}

func (t *delivery) publish() error {
	if err := t.file.Flush(); err != nil {
		return err
	}
	return existing(t.f.Publish())
}

// syncFile makes durable what was written to w, where w is a file.
func syncFile(w io.Writer) error {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return err
	}
	if err := f.Sync(); !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// Abort removes an archive that was not published. Standard output keeps what
// it has got.
func (t *delivery) Abort() error {
	if t.done {
		return nil
	}
	t.done = true
	var err error
	if t.form != nil {
		err = t.form.Close()
	}
	if t.f == nil {
		return err
	}
	t.file.Stop()
	return errors.Join(err, t.f.Abort())
}
