package mix

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

var _ mailbox.Repairer = (*Driver)(nil)

// PlanRepair looks at every octet of n and plans what is to be done.
func (d *Driver) PlanRepair(ctx context.Context, n mailbox.Name, o mailbox.RepairOptions, report func(mailbox.Finding) error) (mailbox.Repair, error) {
	r := &repair{d: d, name: n, o: o}
	var err error
	r.in, err = d.inspect(ctx, n, report, r.plan)
	if err != nil {
		return nil, d.fail("repair", n, err)
	}
	return r, nil
}

// A repair is what is to be done about one mailbox.
type repair struct {
	d      *Driver
	name   mailbox.Name
	dir    string
	o      mailbox.RepairOptions
	in     mailbox.Inspection
	before map[string]fs.FileInfo // the files that were looked at

	pending bool     // an interrupted change has to be finished first
	p       *planner // nil where nothing is to be done
	acc     mailbox.RepairAccount
}

// plan plans from what i has found.
func (r *repair) plan(i *inspection) error {
	r.dir = i.dir
	if r.pending = i.pending || i.appendPending(); r.pending {
		return nil
	}
	r.acc = mailbox.RepairAccount{Messages: i.in.Messages, Intact: i.in.Messages, UIDValidity: i.meta.validity}
	if i.in.Sound() && !r.o.Undelete {
		return nil
	}
	p := &planner{i: i, d: r.d, o: r.o}
	if err := p.run(); err != nil {
		return err
	}
	if i.in.Sound() && p.undeleted == 0 {
		return nil
	}
	r.p, r.acc, r.before = p, p.acc, map[string]fs.FileInfo{}
	for _, name := range i.names {
		f, err := i.open(name)
		if err != nil {
			return err
		}
		r.before[name] = f.fi
	}
	return nil
}

// appendPending reports whether an append of ours was interrupted, which the
// next session takes back.
func (i *inspection) appendPending() bool {
	index, status := i.opened[indexName], i.opened[statusName]
	if !i.hasMeta || index == nil || status == nil {
		return false
	}
	h := &hold{d: i.d, dir: i.dir}
	all, err := h.unfinished(&pair{index: index}, &i.s)
	if err != nil || len(all) == 0 {
		return false
	}
	c := scanner{dir: i.dir, fsys: i.d.FS, warn: func(string) {}, repair: true}
	_, err = c.scan(i.meta, index, status)
	return err == nil
}

func (r *repair) Inspection() mailbox.Inspection { return r.in }

func (r *repair) Needed() bool { return r.pending || r.p != nil }

// Steps yields what is to be done.
func (r *repair) Steps() iter.Seq[mailbox.Step] {
	if r.pending {
		return slices.Values([]mailbox.Step{{Action: "finish", Off: beside, Text: "finish the change that was interrupted, and look again"}})
	}
	return func(yield func(mailbox.Step) bool) {
		for k := 0; r.p != nil && k < len(r.p.steps); k++ {
			if !yield(r.p.steps[k].Step) {
				return
			}
		}
	}
}

func (r *repair) Account() mailbox.RepairAccount { return r.acc }

// Close does nothing: the plan holds no files.
func (r *repair) Close() error { return nil }

// CarryOut repairs the mailbox: what is to be different is made in a hidden
// directory within it, looked at and compared there, and takes its place once
// all of it is durable.
func (r *repair) CarryOut(ctx context.Context) (made mailbox.RepairFiles, again bool, err error) {
	made, again, err = r.carryOut(ctx)
	return made, again, r.d.fail("repair", r.name, err)
}

func (r *repair) carryOut(ctx context.Context) (made mailbox.RepairFiles, again bool, err error) {
	s, err := r.d.sole(ctx, r.dir)
	if err != nil {
		return made, false, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	did, err := s.finish()
	if did || err != nil {
		return made, did, err
	}
	if r.pending || !r.unchanged() {
		return made, false, mailbox.ErrChanged
	}
	t := &staging{sole: s, p: r.p, before: r.before, path: filepath.Join(r.dir, stagingName)}
	made, err = r.replace(ctx, t)
	if err != nil {
		err = errors.Join(err, mend.RemoveDir(r.d.FS, t.path))
	}
	return made, false, err
}

// replace keeps the original and gives the mailbox its new files.
func (r *repair) replace(ctx context.Context, t *staging) (made mailbox.RepairFiles, err error) {
	if err := t.make(ctx); err != nil {
		return made, err
	}
	if err := t.verify(ctx); err != nil {
		return made, fmt.Errorf("the repaired mailbox does not stand the test, nothing was changed: %w", err)
	}
	keep := mend.Keeper{FS: r.d.FS, Dir: r.dir, In: r.o.KeepIn, Now: r.d.env.Now()}
	for name := range r.before {
		keep.Names = append(keep.Names, name)
	}
	slices.Sort(keep.Names)
	if made.Original, err = keep.Keep(ctx); err != nil {
		return made, err
	}
	if err := r.setAside(&made); err != nil {
		return made, err
	}
	if err := ctx.Err(); err != nil {
		return made, err
	}
	return made, t.commit()
}

// setAside writes what was lost.
func (r *repair) setAside(made *mailbox.RepairFiles) (err error) {
	open := map[string]fsx.File{}
	defer func() {
		for _, f := range open {
			err = errors.Join(err, f.Close())
		}
	}()
	lost := slices.Clone(r.p.lost)
	for k := range lost {
		f := open[lost[k].Of]
		if f == nil {
			if f, err = fsx.OpenQuiet(r.d.FS, filepath.Join(r.dir, lost[k].Of)); err != nil {
				return err
			}
			open[lost[k].Of] = f
		}
		lost[k].From = f
	}
	a := mend.Aside{FS: r.d.FS, Name: r.dir, Lost: lost, Now: r.d.env.Now()}
	return a.Write(made, filepath.Base(made.Original))
}

// unchanged reports whether the files are what was looked at.
func (r *repair) unchanged() bool {
	all, err := entries(r.dir)
	if err != nil {
		return false
	}
	n := 0
	for _, e := range all {
		if !isOurs(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		now, err := r.d.FS.Stat(filepath.Join(r.dir, e.Name()))
		was := r.before[e.Name()]
		if err != nil || was == nil || !os.SameFile(now, was) || now.Size() != was.Size() || !now.ModTime().Equal(was.ModTime()) {
			return false
		}
		n++
	}
	return n == len(r.before)
}

// A sole is a mailbox, damaged as it may be, that nobody else has open. The
// locks are those of who moves messages, as far as their files are there, and
// one on the directory for two repairs of a mailbox without metadata.
type sole struct {
	*hold
	p     *pair
	entry *os.File
}

func (d *Driver) sole(ctx context.Context, dir string) (s *sole, err error) {
	s = &sole{hold: &hold{d: d, dir: dir}, p: &pair{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.entry, err = os.Open(dir); err != nil {
		return s, err
	}
	if err := lock.TryFlock(s.entry, lock.Exclusive); errors.Is(err, lock.ErrBusy) { // not all file systems can
		return s, fmt.Errorf("%w: another repair of it is under way", mailbox.ErrBusy)
	}
	there := map[string]bool{}
	for _, name := range []string{metaName, indexName, statusName} {
		_, err := d.FS.Stat(filepath.Join(dir, name))
		there[name] = err == nil
	}
	if there[metaName] {
		if s.f, err = d.open(filepath.Join(dir, metaName), os.O_RDWR); err != nil {
			return s, err
		}
		if err := s.share(ctx); errors.Is(err, lock.ErrBusy) {
			return s, s.inUse()
		} else if err != nil {
			return s, err
		}
	}
	if there[indexName] {
		if s.p.index, err = s.openLocked(ctx, indexName, "index", lock.Exclusive); err != nil {
			return s, err
		}
	}
	if there[statusName] {
		if s.p.status, err = s.openLocked(ctx, statusName, "status", lock.Exclusive); err != nil {
			return s, err
		}
	}
	if !there[metaName] {
		return s, nil
	}
	ok, err := s.tryAlone()
	if err == nil && !ok {
		err = s.inUse()
	}
	return s, err
}

// inUse says who has the mailbox.
func (h *hold) inUse() error { return mend.InUse(filepath.Join(h.dir, metaName), h.d.locks()) }

func (s *sole) close() error {
	err := s.p.close()
	if s.f != nil {
		err = errors.Join(err, s.f.Close())
	}
	if s.entry != nil {
		err = errors.Join(err, s.entry.Close())
	}
	return err
}

// finish finishes, or takes back, what was interrupted; did says whether there
// was anything.
func (s *sole) finish() (did bool, err error) {
	for _, f := range []fsx.File{s.f, s.p.index, s.p.status} {
		if f == nil {
			continue
		}
		pending, err := journal.Pending(f.Name(), s.d.journal())
		if err != nil {
			return did, err
		}
		if !pending {
			continue
		}
		did = true
		if _, err := journal.Recover(f, s.d.journal()); err != nil {
			return did, err
		}
	}
	staged, err := s.finishStaged()
	if staged || did || err != nil {
		return staged || did, err
	}
	return s.takeBack()
}

// takeBack takes an interrupted append of ours back.
func (s *sole) takeBack() (did bool, err error) {
	if s.f == nil || s.p.index == nil || s.p.status == nil {
		return false, nil
	}
	m, err := readMeta(s.f)
	if err != nil {
		return false, nil // what is damaged is repaired
	}
	c := scanner{dir: s.dir, fsys: s.d.FS, warn: func(string) {}, repair: true}
	state, err := c.scan(m, s.p.index, s.p.status)
	if err != nil {
		return false, nil
	}
	err = s.rollBack(s.p, state, func(string) { did = true })
	return did, err
}
