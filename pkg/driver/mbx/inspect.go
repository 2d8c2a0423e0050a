package mbx

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"path/filepath"

	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

var _ mailbox.Checker = (*Driver)(nil)

// Inspect looks at every octet of n. A file that has lost its file block is
// known by the record behind that, or at its beginning.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	in, err := d.inspect(ctx, n, report)
	return in, d.fail("check", n, err)
}

func (d *Driver) inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	path, err := d.Place(n)
	if err != nil {
		return mailbox.Inspection{}, err
	}
	fi, err := d.FS.Stat(path)
	if err != nil {
		return mailbox.Inspection{}, err
	}
	if !fi.Mode().IsRegular() {
		return mailbox.Inspection{}, mailbox.ErrNotMailbox
	}
	// Side files are found by the file's own name, whatever links lead there.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return mailbox.Inspection{}, err
	}
	look := inspect.Look{FS: d.FS, Driver: d.Name(), Path: path, Lock: lock.Flock(d.files().Locks()), Report: report}
	return inspect.Run(ctx, look, func(f *inspect.File) error {
		return (&inspection{File: f, d: d}).run()
	})
}

// An inspection looks at one file.
type inspection struct {
	*inspect.File
	d *Driver

	block    block
	hasBlock bool   // what the block says is known
	unnamed  uint32 // keyword bits without a name that were reported
	seq      uint32 // visible messages so far
	foreign  bool   // behind the block of another file
	uids     uids
	buf      []byte
}

// run looks at the file block, what is beside the file, and all records.
func (i *inspection) run() error {
	head := make([]byte, min(i.Size, blockSize+2*maxShift+maxLine))
	if _, err := i.ReadAt(head, 0); err != nil {
		return err
	}
	start, ok := i.recognise(head)
	if !ok {
		return mailbox.ErrFormat
	}
	i.Sides(i.d.env, i.d.journal(), "mbx", 0)
	if start < 0 { // nothing behind the block can be read
		return i.Err
	}
	most := i.block.uidLast
	if !i.hasBlock {
		most = math.MaxUint32 - uidSlack
	}
	w := newWalker(i, start, i.Size, most)
	for !i.Stopped() {
		p, ok, err := w.step()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := i.piece(&p); err != nil {
			return err
		}
	}
	i.uidLast()
	return i.Err
}

// piece reports what is wrong with a piece.
func (i *inspection) piece(p *piece) error {
	switch p.kind {
	case isBlock:
		i.Damage("mbx.second-block", p.off, 0,
			"another mailbox begins here: two files were joined, and no reader sees the messages of the second")
		i.foreign, i.uids = true, uids{}
	case isCopies:
		i.Damage("mbx.copies", p.off, 0, "%s are left of a removal of messages that was interrupted, copies of messages before them",
			octetsOf(p.end-p.off))
	case isJunk:
		return i.junk(p)
	default:
		return i.message(p)
	}
	return nil
}

// junk reports octets that are no message.
func (i *inspection) junk(p *piece) error {
	b := make([]byte, min(p.end-p.off, 512))
	if _, err := i.ReadAt(b, p.off); err != nil {
		return err
	}
	n := p.end - p.off
	where, code := "between messages", "mbx.gap"
	if p.end == i.Size {
		where, code = "behind the last message", "mbx.junk-tail"
	}
	switch rest := bytes.TrimLeft(b, "\x00"); {
	case len(rest) == 0:
		i.Damage(code, p.off, 0, "%s stand %s that are NULs or begin so: blocks that were never written", octetsOf(n), where)
	case len(rest) < len(b):
		i.Damage(code, p.off, 0, "%s that begin with NULs stand %s: an internal line may have been there", octetsOf(n), where)
	case len(bytes.Trim(b, "\r\n")) == 0:
		i.Damage(code, p.off, 0, "%s of line ends stand %s, perhaps put there by a text editor", octetsOf(n), where)
	default:
		i.Damage(code, p.off, 0, "%s stand %s that are no message: %.20q", octetsOf(n), where, b)
	}
	return nil
}

// octetsOf says how many octets.
func octetsOf(n int64) string {
	if n == 1 {
		return "1 octet"
	}
	return fmt.Sprintf("%d octets", n)
}
