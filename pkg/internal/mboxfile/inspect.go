package mboxfile

import (
	"bytes"
	"context"
	"io"

	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

var _ mailbox.Checker = (*Driver)(nil)

// Inspect looks at every octet of n. No dot lock is taken, which would leave a
// trace in the directory: mail that arrives meanwhile may give ErrChanged.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	in, err := d.inspect(ctx, n, report)
	return in, d.named("check", n, err)
}

func (d *Driver) inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	look, err := d.looking(n, report)
	if err != nil {
		return mailbox.Inspection{}, err
	}
	return inspect.Run(ctx, look, d.look)
}

// looking says how n is looked at.
func (d *Driver) looking(n mailbox.Name, report func(mailbox.Finding) error) (inspect.Look, error) {
	if d.spool != nil && !n.Inbox {
		return inspect.Look{}, mailbox.ErrFormat // it has no other mailboxes
	}
	path := d.path(n)
	fi, err := d.FS.Stat(path)
	if node.Gone(err) {
		return inspect.Look{}, mailbox.ErrNotExist
	}
	if err != nil {
		return inspect.Look{}, err
	}
	if !fi.Mode().IsRegular() {
		return inspect.Look{}, mailbox.ErrNotMailbox
	}
	o := d.locks()
	return inspect.Look{FS: d.FS, Driver: d.Name(), Path: path, Lock: lock.Chain(lock.Fcntl(o), lock.Flock(o)), Report: report}, nil
}

// look looks at an open file.
func (d *Driver) look(f *inspect.File) error {
	start, end, err := d.recognise(f)
	if err != nil {
		return err
	}
	f.Sides(d.env, d.journal(), d.format.Name(), d.env.Config.DotLockTimeout)
	if end < 0 {
		return nil
	}
	silent := *d.env
	silent.Notify = func(mailbox.Level, string) {} // all of it is reported
	ix := mbox.Index{End: start}
	s := mbox.Scanner{
		Format: d.format, Env: &silent, W: winread.New(f, windowSize, end), Ix: &ix, ReadOnly: true,
		Check: d.format.NewCheck(f),
	}
	err = s.Run()
	f.In.Messages = uint32(len(ix.Msgs))
	return err
}

// recognise reports what is wrong with the beginning of the file, and returns
// the octets that can be scanned.
func (d *Driver) recognise(f *inspect.File) (start, end int64, err error) {
	if f.Size == 0 {
		return 0, 0, mailbox.ErrFormat
	}
	head := make([]byte, min(f.Size, headSize))
	if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
		return 0, 0, err
	}
	if len(bytes.Trim(head, "\x00")) == 0 {
		return d.behindNULs(f)
	}
	if d.format == mbox.MMDF {
		return recogniseMMDF(f, head)
	}
	if ok, err := mbox.Probe(f); ok || err != nil {
		if head[0] != 'F' {
			f.Doubt("unix.leading-blank", 0, 0, "blanks or empty lines stand before the first From_ line")
		}
		return 0, f.Size, err
	}
	switch what, at := mbox.Begin(head); what {
	case mbox.Junk:
		f.Damage("unix.leading-junk", 0, 0, "%d octets stand before the first From_ line: no reader knows the file", at)
		return at, f.Size, nil
	case mbox.BadFrom:
		f.Damage("unix.from-bad", at, 0, "first line is no From_ line, but a header follows: no reader knows the file")
		return 0, 0, nil
	}
	return 0, 0, mailbox.ErrFormat
}

// headSize is how much of the beginning of a file is looked at.
const headSize = 64 << 10

// farthest is how far behind NULs a message is looked for.
const farthest = 1 << 20

// behindNULs is recognise for a file that begins with a lot of NULs: what is behind
// them counts. end is -1 where that is to be looked at without them.
func (d *Driver) behindNULs(f *inspect.File) (start, end int64, err error) {
	head := make([]byte, farthest)
	for off := int64(0); off < f.Size; {
		n, err := f.ReadAt(head, off)
		if n == 0 {
			return 0, 0, err
		}
		rest := bytes.TrimLeft(head[:n], "\x00")
		if off += int64(n - len(rest)); len(rest) == 0 {
			continue
		}
		head = head[:min(f.Size-off+1, farthest)]
		if _, err := f.ReadAt(head, off-1); err != nil && err != io.EOF {
			return 0, 0, err
		}
		what, at := mbox.Begin(head)
		if d.format == mbox.MMDF {
			what, at = mbox.BeginMMDF(head)
		}
		switch what {
		case mbox.Foreign:
			return 0, 0, mailbox.ErrFormat
		case mbox.BadFrom, mbox.BadDelimiter:
			f.Damage(d.format.Name()+".leading-junk", 0, 0, "%d NULs stand before the first message: no reader knows the file", off)
			return off, -1, nil
		}
		f.Damage(d.format.Name()+".leading-junk", 0, 0, "%d octets stand before the first message: no reader knows the file", off-1+at)
		return off - 1 + at, f.Size, nil
	}
	return 0, 0, mailbox.ErrFormat
}

// recogniseMMDF is recognise for MMDF.
func recogniseMMDF(f *inspect.File, head []byte) (start, end int64, err error) {
	switch what, at := mbox.BeginMMDF(head); what {
	case mbox.Whole:
		return 0, f.Size, nil
	case mbox.Junk:
		f.Damage("mmdf.leading-junk", 0, 0, "%d octets stand before the first delimiter: no reader knows the file", at)
		return at, f.Size, nil
	case mbox.BadDelimiter:
		f.Damage("mmdf.delimiter-bad", 0, 0, "first line is nearly a delimiter: no reader knows the file")
		return 0, 0, nil
	case mbox.BadFrom:
		f.Damage("mmdf.from-bad", 0, 0, "the first delimiter is lost, but a header with status fields is there: no reader knows the file")
		return 0, 0, nil
	}
	return 0, 0, mailbox.ErrFormat
}
