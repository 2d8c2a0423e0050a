package maildir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

var _ mailbox.Repairer = (*Driver)(nil)

// PlanRepair looks at every octet of n and plans what is to be done.
func (d *Driver) PlanRepair(ctx context.Context, n mailbox.Name, o mailbox.RepairOptions, report func(mailbox.Finding) error) (mailbox.Repair, error) {
	r := &repair{d: d, name: n, o: o}
	in, err := d.inspect(ctx, n, report, func(c *check, before [5]stamp) (err error) {
		r.p, r.before = &planner{check: c}, before
		if c.broken != nil {
			return c.broken
		}
		if c.ix != nil {
			r.names, err = r.digestNames()
		}
		return errors.Join(err, r.plan())
	})
	if err != nil {
		return nil, d.fail("repair", n.Text, err)
	}
	r.in = in
	return r, nil
}

// A repair is what is to be done about one Maildir.
type repair struct {
	d      *Driver
	name   mailbox.Name
	o      mailbox.RepairOptions
	in     mailbox.Inspection
	before [5]stamp
	names  uint64 // digest of those that were there
	p      *planner
	again  bool // there is more to be seen afterwards
}

func (r *repair) plan() error {
	p := r.p
	switch {
	case p.pending:
		r.again = true
		p.step("finish", none, 0, "finish the change that was interrupted, and look again")
		return nil
	case p.ix == nil:
		r.again = true
		p.early()
		return nil
	}
	if err := p.run(); err != nil || !p.needed() {
		return err
	}
	return p.verify()
}

// Inspection sums up what was found.
func (r *repair) Inspection() mailbox.Inspection { return r.in }

// Needed reports whether anything is to be done.
func (r *repair) Needed() bool { return r.p.needed() }

// Steps yields what is to be done.
func (r *repair) Steps() iter.Seq[mailbox.Step] { return slices.Values(r.p.steps) }

// Account says what the mailbox will be.
func (r *repair) Account() mailbox.RepairAccount { return r.p.acc }

// Close does nothing: the plan holds no files.
func (r *repair) Close() error { return nil }

// digestNames is a digest of the names of all files of the mailbox, in whatever
// order they come.
func (r *repair) digestNames() (sum uint64, err error) {
	for _, part := range parts {
		err := ignoreGone(r.d.readNames(r.p.dir+"/"+part, func(name string) { sum += maphash.String(seed, part+"/"+name) }))
		if err != nil {
			return 0, err
		}
	}
	return sum, nil
}

// verify looks at what the mailbox is to be as a check does, which must find no
// damage, and as a reader does, who must find each message by its UID.
func (p *planner) verify() error {
	var damage error
	v := &check{d: p.d, ctx: p.ctx, dir: p.dir, ix: &index{}}
	v.report = func(f mailbox.Finding) error {
		if f.Severity == mailbox.Damage || strings.HasPrefix(f.Code, "maildir.info") || strings.HasPrefix(f.Code, "maildir.key") {
			damage = fmt.Errorf("the repaired mailbox does not stand the test: %v", f)
		}
		return damage
	}
	var from []int
	for i := range p.ix.all {
		if file := p.file(i); file != "" {
			v.ix.add(file)
			v.seen = append(v.seen, p.seen[i])
			from = append(from, i)
		}
	}
	find, twice := v.ix.byBase()
	if len(twice) > 0 {
		return fmt.Errorf("%w: two messages would be called %s", mailbox.ErrUnsupported, v.ix.name(&twice[0]))
	}
	v.ix.setTable(p.slots)
	for i := range v.ix.all {
		v.info(i)
		if v.seen[i].whole {
			v.sizes(i)
		}
	}
	if p.list != nil {
		if err := v.listIn(uidlistFile, bytes.NewReader(p.list)); err != nil {
			return err
		}
		var list list
		list, err := scanList(bytes.NewReader(p.list), func(r record) bool {
			e := find(r.base)
			if e != nil {
				e.uid = r.uid
			}
			return e != nil
		}, func(problem) {})
		if err != nil || list.validity != p.acc.UIDValidity {
			return errors.Join(err, damage, fmt.Errorf("UIDVALIDITY would be %d", list.validity))
		}
		for k := range v.ix.all {
			if v.ix.all[k].uid != p.uids[from[k]] {
				return fmt.Errorf("%s would have the UID %d, not %d", v.ix.name(&v.ix.all[k]), v.ix.all[k].uid, p.uids[from[k]])
			}
		}
	}
	return errors.Join(damage, v.err)
}

// CarryOut repairs the mailbox.
func (r *repair) CarryOut(ctx context.Context) (made mailbox.RepairFiles, again bool, err error) {
	held, err := r.d.lock(ctx, r.p.dir)
	if err != nil {
		return made, false, r.d.fail("repair", r.name.Text, err)
	}
	did, err := r.d.recover(r.p.dir, held)
	again = did != "" || r.again
	switch {
	case err != nil:
	case !again:
		made, err = r.alone(ctx, held)
	case did == "" && !r.p.pending:
		made, err = r.first(ctx)
	}
	return made, again && err == nil, r.d.fail("repair", r.name.Text, errors.Join(err, held.Release()))
}

// first sees to what is in the way of a look at the messages.
func (r *repair) first(ctx context.Context) (made mailbox.RepairFiles, err error) {
	if len(r.p.others) > 0 {
		keep := mend.Keeper{FS: r.d.fs, Dir: r.p.dir, As: r.as(), In: r.o.KeepIn, Now: r.d.env.Now()}
		if made.Original, err = keep.Keep(ctx); err != nil {
			return made, err
		}
	}
	var undo mend.Undo
	if err = r.prepare(&undo, made.Original); err == nil {
		err = r.complete()
	}
	if err != nil {
		err = errors.Join(err, undo.Run())
	}
	return made, err
}

// alone repairs the mailbox, which is locked.
func (r *repair) alone(ctx context.Context, held *lock.Uidlist) (made mailbox.RepairFiles, err error) {
	p := r.p
	if err := r.unchanged(); err != nil {
		return made, err
	}
	keep := mend.Keeper{FS: r.d.fs, Dir: p.dir, As: r.as(), In: r.o.KeepIn, Now: r.d.env.Now()}
	for _, name := range []string{uidlistFile, keywordsFile, courierFile} {
		if fi, err := r.d.fs.Stat(p.dir + "/" + name); err == nil && fi.Mode().IsRegular() {
			keep.Names = append(keep.Names, name)
		}
	}
	for _, s := range p.moves {
		keep.Linked = append(keep.Linked, s.from)
	}
	if made.Original, err = keep.Keep(ctx); err != nil {
		return made, err
	}
	a := mend.Aside{FS: r.d.fs, Name: r.as(), Lost: slices.Clone(p.lost), Now: r.d.env.Now()}
	for i := range a.Lost {
		if a.Lost[i].From == nil {
			a.Lost[i].From = fsx.Lazy{FS: r.d.fs, Path: p.dir + "/" + a.Lost[i].Of}
		}
	}
	if err := a.Write(&made, filepath.Base(made.Original)); err != nil {
		return made, err
	}
	if err := ctx.Err(); err != nil {
		return made, err
	}
	return made, r.change(held, made.Original)
}

// as is NAME of the files beside the mailbox. What stands beside a dotted folder
// is in a Maildir, where it would be taken for a folder: that goes beside the
// Maildir.
func (r *repair) as() string {
	dir := r.p.dir
	if dotted, err := r.d.isSubfolder(dir); dotted && err == nil {
		return filepath.Dir(dir) + filepath.Base(dir)
	}
	return dir
}

// unchanged returns mailbox.ErrChanged where the mailbox is not what was looked
// at any more.
func (r *repair) unchanged() error {
	now, err := r.d.stamps(r.p.dir)
	if err != nil {
		return err
	}
	names, err := r.digestNames()
	if err == nil && (now != r.before || names != r.names) {
		err = mailbox.ErrChanged
	}
	return err
}

// change does what is planned: what needs room first, then, once the list of it
// is durable, the renames, the removals, and the lists. A change that fails
// before anything is removed is taken back; another will be finished.
func (r *repair) change(held *lock.Uidlist, original string) (err error) {
	p := r.p
	c := change{d: r.d, dir: p.dir, lock: held, steps: slices.Clone(p.moves)}
	defer func() {
		if err != nil && !errors.Is(err, errUnfinished) {
			err = errors.Join(err, r.d.removeSides(p.dir))
		}
	}()
	if err := r.complete(); err != nil {
		return err
	}
	if p.newSlots {
		if err := r.writeSide(&c, slotsStep, p.slots.print()); err != nil {
			return err
		}
	}
	if p.list != nil {
		if err := r.writeSide(&c, listStep, p.list); err != nil {
			return err
		}
	}
	var undo mend.Undo
	if err := r.prepare(&undo, original); err != nil {
		return errors.Join(err, undo.Run())
	}
	err = c.run(r.seek)
	switch {
	case err == nil || errors.Is(err, errUnfinished):
		return err
	case slices.ContainsFunc(c.steps[:c.done], func(s step) bool { return !inside(s.to) }):
		return fmt.Errorf("%w: %w", errUnfinished, err)
	}
	return errors.Join(c.undo(err), undo.Run())
}

// complete makes missing directories, as their neighbours are.
func (r *repair) complete() error {
	if err := r.d.complete(r.p.dir); err != nil {
		return err
	}
	fi, err := r.d.fs.Stat(r.p.dir)
	for _, part := range r.p.missing {
		if f, oerr := os.Open(r.p.dir + "/" + part); oerr == nil && err == nil {
			mend.Own(f, fi)
			f.Close() // nothing was written
		}
	}
	return err
}

// writeSide writes a file that is to take the place of another, or to be new,
// and adds the step.
func (r *repair) writeSide(c *change, s step, b []byte) error {
	if err := r.d.writeSide(c.dir, s, b); err != nil {
		return err
	}
	f, err := r.d.fs.OpenFile(c.dir+"/"+s.from, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	like, err := r.d.fs.Stat(c.dir + "/" + s.to)
	if err == nil {
		err = f.Chmod(like.Mode().Perm())
	} else {
		like, err = r.d.fs.Stat(c.dir)
	}
	if err == nil {
		mend.Own(f.OS(), like)
	}
	c.steps = append(c.steps, s)
	return errors.Join(err, f.Close())
}

// seek finds a message that another program has renamed: its flags are its own,
// but its name is to be the planned one.
func (r *repair) seek(s step) (step, bool, error) {
	if !inside(s.from) || !inside(s.to) || strings.HasPrefix(s.from, "tmp/") {
		return s, false, nil
	}
	at, err := r.d.byBase(r.p.dir, s.from)
	if at == "" || err != nil || baseOf(at) == baseOf(s.to) {
		return s, false, err
	}
	_, info, _ := strings.Cut(at, ":")
	to := at[:4] + baseOf(s.to)
	if info != "" {
		to += ":" + info
	}
	return step{at, to}, true, nil
}

// prepare lets owners read their files, and puts what is no file where the
// original is.
func (r *repair) prepare(undo *mend.Undo, original string) error {
	for _, file := range r.p.shut {
		if err := undo.LetRead(r.d.fs, r.p.dir+"/"+file); err != nil {
			return err
		}
	}
	for _, s := range r.p.inner {
		if err := undo.Link(r.d.fs, r.p.dir+"/"+s.from, r.p.dir+"/"+s.to); err != nil {
			return err
		}
	}
	for _, file := range r.p.others {
		if err := undo.Move(r.d.fs, r.p.dir+"/"+file, original+"/"+file); err != nil {
			return err
		}
	}
	return nil
}
