package mboxfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

var _ mailbox.Repairer = (*Driver)(nil)

// rounds is how often a file is looked at again for damage that other damage
// had hidden.
const rounds = 16

// PlanRepair looks at every octet of n and plans what is to be done.
func (d *Driver) PlanRepair(ctx context.Context, n mailbox.Name, o mailbox.RepairOptions, report func(mailbox.Finding) error) (mailbox.Repair, error) {
	look, err := d.looking(n, report)
	if err != nil {
		return nil, d.named("repair", n, err)
	}
	r := &repair{d: d, name: n, path: look.Path, o: o}
	r.in, err = inspect.Run(ctx, look, func(f *inspect.File) (err error) {
		if r.before, err = f.Stat(); err != nil {
			return err
		}
		return r.plan(ctx, f)
	})
	if err != nil {
		return nil, d.named("repair", n, err)
	}
	return r, nil
}

// named is fail for errors that do not say what they are about.
func (d *Driver) named(op string, n mailbox.Name, err error) error {
	if _, named := errors.AsType[*mailbox.Error](err); named || err == nil {
		return err
	}
	return d.fail(op, n.Text, err)
}

// A repair is what is to be done about one file.
type repair struct {
	d      *Driver
	name   mailbox.Name
	path   string
	o      mailbox.RepairOptions
	in     mailbox.Inspection
	before fs.FileInfo

	pending bool // an interrupted change has to be finished first
	image   *mend.Image
	all     []*mend.Image // of all rounds
	names   []string      // of keywords of mailboxes that were joined to this one

	headless bool // the file has lost its beginning
	quoted   bool // the first From_ line was quoted, so all were
	steps    []mailbox.Step
	lost     []mend.Lost
	acc      mailbox.RepairAccount
}

func (r *repair) Inspection() mailbox.Inspection { return r.in }

func (r *repair) Needed() bool { return r.pending || r.image != nil && !r.image.Same() }

// Steps yields what is to be done.
func (r *repair) Steps() iter.Seq[mailbox.Step] {
	if r.pending {
		return slices.Values([]mailbox.Step{{Action: "finish", Off: -1, Text: "finish the change that was interrupted, and look again"}})
	}
	return slices.Values(r.steps)
}

func (r *repair) Account() mailbox.RepairAccount { return r.acc }

func (r *repair) Close() error { return nil }

// plan looks, plans edits, looks at what comes of them, and so on, until there
// is no damage.
func (r *repair) plan(ctx context.Context, f *inspect.File) error {
	m := &mender{File: f, r: r}
	if err := m.look(); err != nil {
		return err
	}
	if r.pending = m.pending; r.pending {
		return nil
	}
	image := mend.NewImage(f, f.Size)
	mend.Edited(image, m.start, m.edits)
	r.all = append(r.all, image)
	sound := len(m.edits) == 0 && m.start == 0
	for n := 0; !sound; n++ {
		last := r.all[len(r.all)-1]
		if n == rounds {
			return fmt.Errorf("%w: there is damage left after %d repairs of it", mailbox.ErrCorrupt, n)
		}
		_, err := inspect.Over(ctx, last, last.Size(), r.d.Name(), r.path, nil, func(g *inspect.File) error {
			m = &mender{File: g, r: r}
			return m.look()
		})
		if err != nil {
			return err
		}
		if sound = len(m.edits) == 0 && m.start == 0; sound {
			break
		}
		next := mend.NewImage(last, last.Size())
		mend.Edited(next, m.start, m.edits)
		r.all = append(r.all, next)
	}
	r.image = r.all[0]
	for _, next := range r.all[1:] {
		r.image = next.Over(r.image)
	}
	r.acc.Messages = uint32(len(m.ix.Msgs))
	r.acc.Intact = r.acc.Messages - min(r.acc.Partial, r.acc.Messages)
	r.acc.UIDValidity = m.ix.Validity
	return nil
}

// CarryOut repairs the file.
func (r *repair) CarryOut(ctx context.Context) (made mailbox.RepairFiles, again bool, err error) {
	made, again, err = r.carryOut(ctx)
	return made, again, r.d.named("repair", r.name, err)
}

func (r *repair) carryOut(ctx context.Context) (made mailbox.RepairFiles, again bool, err error) {
	f, err := r.d.FS.OpenFile(r.path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return made, false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	session, err := lock.TakeSession(ctx, f.OS(), true, r.d.locks())
	if err != nil {
		if errors.Is(err, lock.ErrBusy) {
			err = fmt.Errorf("%w: %w", mailbox.ErrBusy, err)
		}
		return made, false, err
	}
	defer func() { err = errors.Join(err, session.Release()) }()
	held, err := r.d.lock(ctx, f, lock.Exclusive)
	if err != nil {
		return made, false, err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	return r.alone(ctx, f)
}

// alone repairs f, on which all locks are held.
func (r *repair) alone(ctx context.Context, f fsx.File) (made mailbox.RepairFiles, again bool, err error) {
	did, err := journal.Recover(f, r.d.journal())
	if did != "" || r.pending || err != nil {
		return made, err == nil, err
	}
	now, err := f.Stat()
	if err != nil {
		return made, false, err
	}
	if now.Size() != r.before.Size() || !now.ModTime().Equal(r.before.ModTime()) || !os.SameFile(now, r.before) {
		return made, false, mailbox.ErrChanged
	}
	r.all[0].Source(f)
	j := mend.Job{
		FS: r.d.FS, Journal: r.d.journal(), File: f, Image: r.image, Lost: r.lost, KeepIn: r.o.KeepIn,
		Now: r.d.env.Now(), Verify: r.verify,
	}
	made, err = j.Run(ctx)
	return made, false, err
}

// verify looks at what the file is to be as a deep check does and as a reader
// does, who must have nothing to say.
func (r *repair) verify(ctx context.Context, to io.ReaderAt, size int64) error {
	var said error
	report := func(f mailbox.Finding) error {
		if f.Severity == mailbox.Damage {
			said = fmt.Errorf("%v", f)
			return said
		}
		return nil
	}
	if size == 0 {
		return nil
	}
	_, err := inspect.Over(ctx, to, size, r.d.Name(), r.path, report, r.d.look)
	if err != nil {
		return err
	}
	silent := *r.d.env
	silent.Notify = func(mailbox.Level, string) {}
	ix := mbox.Index{}
	s := mbox.Scanner{Format: r.d.format, Env: &silent, W: winread.New(to, windowSize, size), Ix: &ix, ReadOnly: true}
	if err := s.Run(); err != nil {
		return err
	}
	if n := uint32(len(ix.Msgs)); n != r.acc.Messages {
		return fmt.Errorf("%d messages were found, %d planned", n, r.acc.Messages)
	}
	return said
}
