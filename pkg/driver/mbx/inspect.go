package mbx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"

	"mailutil/pkg/internal/inspect"
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
	look, err := d.looking(n, report)
	if err != nil {
		return mailbox.Inspection{}, err
	}
	return inspect.Run(ctx, look, func(f *inspect.File) error {
		return (&inspection{File: f, d: d, told: n.Format == d.Name()}).run()
	})
}

// An inspection looks at one file.
type inspection struct {
	*inspect.File
	d    *Driver
	told bool // that the file is of the format need not be seen

	block    block
	hasBlock bool   // what the block says is known
	shifted  int64  // octets stand before it
	inPlace  bool   // but records are where they should be
	unnamed  uint32 // keyword bits without a name that were reported
	seq      uint32 // visible messages so far
	foreign  bool   // behind the block of another file
	uids     uids
	buf      []byte

	pending  bool     // an interrupted change has to be finished
	badTable bool     // names of keywords are lost
	plan     *planner // of a repair, nil where none is asked for
	seen     func(p *piece, digest uint64) error
	sum      maphash.Hash
	digest   uint64 // of the text that was looked at last
}

// run looks at the file block, what is beside the file, and all records.
func (i *inspection) run() error {
	head := make([]byte, min(i.Size, 2*blockSize))
	if _, err := i.ReadAt(head, 0); err != nil {
		return err
	}
	if i.shifted = i.findBlock(head); i.shifted > 0 {
		i.inPlace = i.shifted < blockSize && len(head) > blockSize && lineEnds(head[blockSize:]) > 0
		head = make([]byte, min(i.Size-i.shifted, 2*blockSize))
		if _, err := i.ReadAt(head, i.shifted); err != nil {
			return err
		}
	}
	start, ok := i.recognise(head)
	if !ok {
		return mailbox.ErrFormat
	}
	i.pending = i.Sides(i.d.env, i.d.journal(), "mbx", 0)
	if i.plan != nil {
		if i.pending {
			return i.Err
		}
		done, err := i.plan.begin(i, head, start)
		if done || err != nil {
			return errors.Join(i.Err, err)
		}
	}
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
	if i.told && !i.hasBlock && i.seq == 0 && i.Err == nil {
		return mailbox.ErrFormat
	}
	return i.Err
}

// piece reports what is wrong with a piece.
func (i *inspection) piece(p *piece) error {
	if err := i.look(p); err != nil || i.Stopped() {
		return err
	}
	if i.plan != nil {
		return i.plan.take(p, i.digest)
	}
	if i.seen != nil {
		return i.seen(p, i.digest)
	}
	return nil
}

func (i *inspection) look(p *piece) error {
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
