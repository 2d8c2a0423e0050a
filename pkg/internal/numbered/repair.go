package numbered

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A Mending is what is to be done about a damaged mailbox. It changes no message:
// names that are none are put where the original is kept, files that their owner
// may not read become readable, and the state file gets a new content.
type Mending struct {
	*Survey
	Account mailbox.RepairAccount
	Text    []byte // of the state file, nil where it stays as it is

	steps  []mailbox.Step
	strays []stray
	lost   []mend.Lost
}

// A stray is a name that is in the way.
type stray struct {
	name string
	file bool // of octets; else a directory, a link to nowhere, or a device
}

// Step adds a step that is about octets of the state file, or off -1, and about
// message seq of the result, or none.
func (p *Mending) Step(action string, off, octets int64, seq uint32, format string, args ...any) {
	p.steps = append(p.steps, mailbox.Step{Action: action, Off: off, Octets: octets, Seq: seq, Text: fmt.Sprintf(format, args...)})
}

// Lose leaves octets of the state file out.
func (p *Mending) Lose(off, end int64, why string) {
	p.lost = append(p.lost, mend.Lost{Off: off, End: end, Why: why, From: bytes.NewReader(p.Octets), Of: p.f.StateFile})
	p.Account.SetAside += end - off
	p.Step("set-aside", off, end-off, 0, "set %d octets aside: %s", end-off, why)
}

// PlanRepair looks at every octet of n and plans what is to be done.
func (m *Mender) PlanRepair(ctx context.Context, n mailbox.Name, o mailbox.RepairOptions, report func(mailbox.Finding) error) (mailbox.Repair, error) {
	r := &repair{f: m, name: n, o: o}
	var err error
	r.in, err = m.survey(ctx, n, report, r.plan)
	if err == nil && r.p.Broken != nil {
		err = r.p.Broken
	}
	if err != nil {
		return nil, m.Fail("repair", n, err)
	}
	return r, nil
}

// A repair is a plan that can be carried out.
type repair struct {
	f    *Mender
	name mailbox.Name
	o    mailbox.RepairOptions
	in   mailbox.Inspection
	p    *Mending
	need bool
}

var _ mailbox.Repair = (*repair)(nil)

// plan plans from what s has found.
func (r *repair) plan(s *Survey) error {
	r.p = &Mending{Survey: s}
	p := r.p
	p.Account = mailbox.RepairAccount{Messages: s.In.Messages, Intact: s.In.Messages}
	if r.need = !s.In.Sound(); !r.need || s.Broken != nil {
		return nil
	}
	if s.Pending {
		p.Step("finish", inspect.Beside, 0, 0, "finish the change that was interrupted, and look again")
		return nil
	}
	for _, name := range s.Shut {
		p.Step("make-readable", inspect.Beside, 0, 0, "let its owner read %s", name)
	}
	if p.again() {
		p.Step("look-again", inspect.Beside, 0, 0, "look again")
		return nil
	}
	strays := s.List.Strays
	if s.Other {
		strays = append(slices.Clip(strays), r.f.StateFile)
	}
	for _, name := range strays {
		if err := p.stray(name); err != nil {
			return err
		}
	}
	r.f.Mend(p)
	return nil
}

// again reports whether there is more to be seen after the repair.
func (p *Mending) again() bool { return p.Pending || slices.Contains(p.Shut, p.f.StateFile) }

// stray plans what becomes of a name that is no message. The octets of a file go
// to NAME.lost, and to NAME.salvage, where they can be read as mail.
func (p *Mending) stray(name string) error {
	fi, err := p.f.FS.Lstat(p.Dir.Path + "/" + name)
	if err != nil {
		return err
	}
	st := stray{name, fi.Mode().IsRegular()}
	p.strays = append(p.strays, st)
	if !st.file || isShut(fi) {
		p.Step("set-aside", inspect.Beside, 0, 0, "put %s beside the mailbox, with the original: it is no message", name)
		return nil
	}
	if fi.Size() > 0 {
		p.lost = append(p.lost, mend.Lost{End: fi.Size(), Why: "its name is no number of a message", Salvage: true, Of: name})
	}
	p.Account.SetAside += fi.Size()
	p.Step("set-aside", inspect.Beside, fi.Size(), 0, "set %s aside, %d octets: its name is no number of a message", name, fi.Size())
	return nil
}

func (r *repair) Inspection() mailbox.Inspection { return r.in }

func (r *repair) Needed() bool { return r.need }

func (r *repair) Steps() iter.Seq[mailbox.Step] { return slices.Values(r.p.steps) }

func (r *repair) Account() mailbox.RepairAccount { return r.p.Account }

// Close does nothing: the plan holds no files.
func (r *repair) Close() error { return nil }

// CarryOut repairs the mailbox.
func (r *repair) CarryOut(ctx context.Context) (made mailbox.RepairFiles, again bool, err error) {
	p := r.p
	if p.again() && !p.Pending {
		var undo mend.Undo
		if err = p.open(&undo); err != nil {
			err = errors.Join(err, undo.Run())
		}
		return made, err == nil, r.f.Fail("repair", r.name, err)
	}
	s, err := r.acquire(ctx)
	if err != nil {
		return made, false, r.f.Fail("repair", r.name, err)
	}
	again = p.Pending // Acquire has finished it
	if !again {
		made, err = r.alone(ctx, s)
	}
	return made, again, r.f.Fail("repair", r.name, errors.Join(err, s.Release()))
}

// acquire takes the lock of the mailbox; where the state file is lost, one on
// the directory, as who makes a mailbox there does.
func (r *repair) acquire(ctx context.Context) (*State, error) {
	if r.p.Has || r.p.Pending {
		k, err := r.f.Acquire(ctx, r.p.Dir.Path, true)
		if err != nil {
			return nil, err
		}
		return k.Base(), nil
	}
	dir, err := r.f.FS.OpenFile(r.p.Dir.Path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	if err := lock.TryFlock(dir.OS(), lock.Exclusive); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	s := &State{f: r.f.Format, Dir: r.p.Dir, File: dir}
	s.List, err = s.Dir.List()
	if _, gone := r.f.FS.Lstat(s.statePath()); err == nil && gone == nil && !r.p.Other {
		err = mailbox.ErrChanged
	}
	if err != nil {
		return nil, errors.Join(err, s.Release())
	}
	return s, nil
}

// alone repairs the mailbox, which is locked.
func (r *repair) alone(ctx context.Context, s *State) (made mailbox.RepairFiles, err error) {
	p := r.p
	if err := r.unchanged(s); err != nil {
		return made, err
	}
	if err := r.verify(ctx); err != nil {
		return made, fmt.Errorf("the repaired mailbox does not stand the test, nothing was changed: %w", err)
	}
	keep := mend.Keeper{FS: r.f.FS, Dir: p.Dir.Path, In: r.o.KeepIn, Now: r.f.Env.Now()}
	if p.Has {
		keep.Names = []string{r.f.StateFile}
	}
	for _, st := range p.strays {
		if st.file {
			keep.Linked = append(keep.Linked, st.name)
		}
	}
	if made.Original, err = keep.Keep(ctx); err != nil {
		return made, err
	}
	if err := r.setAside(&made); err != nil {
		return made, err
	}
	if err := ctx.Err(); err != nil {
		return made, err
	}
	return made, r.change(s, made.Original)
}

// unchanged returns mailbox.ErrChanged where the mailbox is not what was looked
// at any more.
func (r *repair) unchanged(s *State) error {
	p := r.p
	if !slices.Equal(s.List.Numbers, p.List.Numbers) || !slices.Equal(s.List.Strays, p.List.Strays) {
		return mailbox.ErrChanged
	}
	if !p.Has {
		return nil
	}
	b, err := s.ReadFile()
	if err == nil && !bytes.Equal(b, p.Octets) {
		err = mailbox.ErrChanged
	}
	return err
}

// verify looks at what the state file is to be as a deep check does, which must
// find no damage.
func (r *repair) verify(ctx context.Context) error {
	p := r.p
	if p.Text == nil {
		return nil
	}
	var damage error
	report := func(f mailbox.Finding) error {
		if f.Severity == mailbox.Damage {
			damage = fmt.Errorf("%v", f)
		}
		return damage
	}
	list := p.List
	list.Strays = nil
	_, err := inspect.Over(ctx, bytes.NewReader(p.Text), int64(len(p.Text)), r.f.Files.Format, p.Dir.Path, report, func(f *inspect.File) error {
		r.f.Examine(&Survey{File: f, Dir: p.Dir, Octets: p.Text, Has: true, List: list, f: r.f})
		return f.Err
	})
	return errors.Join(damage, err)
}

// setAside writes what was lost.
func (r *repair) setAside(made *mailbox.RepairFiles) (err error) {
	lost := slices.Clone(r.p.lost)
	for i := range lost {
		if lost[i].From == nil {
			lost[i].From = fsx.Lazy{FS: r.f.FS, Path: r.p.Dir.Path + "/" + lost[i].Of}
		}
	}
	a := mend.Aside{FS: r.f.FS, Name: r.p.Dir.Path, Lost: lost, Now: r.f.Env.Now()}
	return a.Write(made, filepath.Base(made.Original))
}

// change does what is planned, the state file last; after an error the rest is
// taken back.
func (r *repair) change(s *State, original string) error {
	p := r.p
	var undo mend.Undo
	err := p.open(&undo)
	if err == nil {
		err = p.leave(&undo, original)
	}
	if err == nil && p.Text != nil {
		err = r.replace(s)
	}
	if err != nil {
		err = errors.Join(err, undo.Run())
	}
	return err
}

// open lets owners read their files.
func (p *Mending) open(undo *mend.Undo) error {
	for _, name := range p.Shut {
		if err := undo.LetRead(p.f.FS, p.Dir.Path+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

// leave takes strays out of the mailbox: they are with the original.
func (p *Mending) leave(undo *mend.Undo, original string) error {
	for _, st := range p.strays {
		here, kept := p.Dir.Path+"/"+st.name, original+"/"+st.name
		take := undo.Move
		if st.file {
			take = undo.Remove
		}
		if err := take(p.f.FS, here, kept); err != nil {
			return err
		}
	}
	if len(p.strays) == 0 {
		return nil
	}
	return p.f.FS.SyncDir(p.Dir.Path)
}

// replace gives the state file its new content.
func (r *repair) replace(s *State) error {
	if r.p.Has {
		return s.Replace(r.p.Text)
	}
	dir, err := r.f.FS.Stat(r.p.Dir.Path)
	if err != nil {
		return err
	}
	cfg := r.f.Env.Config
	f, err := fsx.CreateNew(r.f.FS, s.statePath(), cfg.MailboxMode, cfg.DirMode)
	if err != nil {
		return err
	}
	mend.Own(f.OS(), dir)
	if _, err = f.WriteAt(r.p.Text, 0); err == nil {
		err = f.Publish()
	}
	return errors.Join(err, f.Abort())
}
