package ops

import (
	"context"
	"errors"

	"mailutil/pkg/mailbox"
)

// RepairOptions say how mailboxes are repaired.
type RepairOptions struct {
	mailbox.RepairOptions
	Format string // what the mailbox was, "" to find out
}

// A Repaired is what came of a repair.
type Repaired struct {
	mailbox.Inspection // of the mailbox as it was found
	Account            mailbox.RepairAccount
	Files              mailbox.RepairFiles
	Needed             bool // something was done, or would be
}

// attempts is how often a mailbox is looked at that changes meanwhile.
const attempts = 3

// Repair makes a damaged mailbox sound. finding is called for each finding, and
// then step for each thing that is to be done, before anything is done; both
// once, for the plan that is carried out. A mailbox that is sound is left as it
// is. In a dry run nothing is done.
func (s *Session) Repair(ctx context.Context, name string, o RepairOptions, finding func(mailbox.Finding), step func(mailbox.Step)) (Repaired, error) {
	if n, err := s.Env.Resolve(name); err == nil && n.Path != "" && o.Format == "" && s.within(n.Path) {
		return Repaired{}, mailbox.Sayf(mailbox.ErrUnsupported, "Can't repair mailbox %s: it is part of another mailbox, which can be repaired", name)
	}
	for n := 1; ; n++ {
		out, again, err := s.repair(ctx, name, o, finding, step)
		if n < attempts && (again || errors.Is(err, mailbox.ErrChanged)) && ctx.Err() == nil {
			continue
		}
		return out, err
	}
}

// repair plans once and carries the plan out.
func (s *Session) repair(ctx context.Context, name string, o RepairOptions, finding func(mailbox.Finding), step func(mailbox.Step)) (out Repaired, again bool, err error) {
	r, err := s.planRepair(ctx, name, o, finding)
	if err != nil {
		return out, false, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	out = Repaired{Inspection: r.Inspection(), Account: r.Account(), Needed: r.Needed()}
	if !out.Needed {
		return out, false, nil
	}
	for st := range r.Steps() {
		step(st)
	}
	if s.DryRun {
		return out, false, ctx.Err()
	}
	out.Files, again, err = r.CarryOut(ctx)
	return out, again, err
}

// planRepair asks the formats for a plan, as Inspect does.
func (s *Session) planRepair(ctx context.Context, name string, o RepairOptions, finding func(mailbox.Finding)) (r mailbox.Repair, err error) {
	report := func(f mailbox.Finding) error {
		finding(f)
		return ctx.Err()
	}
	ask := func(d mailbox.Driver, n mailbox.Name) (bool, error) {
		p, ok := d.(mailbox.Repairer)
		if !ok {
			return false, nil
		}
		r, err = p.PlanRepair(ctx, n, o.RepairOptions, report)
		return true, err
	}
	if o.Format == "" {
		err = s.anyFormat(ctx, "repair", name, ask)
		if errors.Is(err, mailbox.ErrFormat) || errors.Is(err, mailbox.ErrNotMailbox) {
			err = mailbox.Sayf(mailbox.ErrFormat, "Can't repair mailbox %s: nothing in it is known; if it was a mailbox, say of which format: --format mbx, or another", name)
		}
		return r, err
	}
	n, err := s.Env.Resolve(name)
	if err != nil {
		return nil, err
	}
	n.Format = o.Format
	for _, d := range s.Drivers {
		if d.Name() != o.Format {
			continue
		}
		ok, err := ask(d, n)
		if errors.Is(err, mailbox.ErrFormat) {
			err = mailbox.Sayf(mailbox.ErrFormat, "Can't repair mailbox %s: nothing in it is of a mailbox in %s format", name, o.Format)
		}
		if ok || err != nil {
			return r, err
		}
	}
	return nil, mailbox.Sayf(mailbox.ErrUnsupported, "Can't repair %s: no format %s that can be repaired", name, o.Format)
}

// anyFormat asks the format that a mailbox is in. One with a damaged beginning
// is a file in no format, or, for an mbx mailbox without its first block, of
// another: the format in which most of its messages are whole takes it.
func (s *Session) anyFormat(ctx context.Context, op, name string, ask func(mailbox.Driver, mailbox.Name) (able bool, err error)) error {
	n, d, err := s.find(name)
	if err != nil {
		return err
	}
	var first error
	if !formatless(d) {
		able, err := ask(d, n)
		if able && !unlike(err) {
			return err
		}
		first = err
	}
	if n.Format == "" {
		if other := s.likeliest(ctx, n, d); other != nil {
			_, err := ask(other, n)
			return err
		}
	}
	if able, err := ask(d, n); formatless(d) && able {
		return err
	}
	switch {
	case first != nil:
		return first
	case formatless(d):
		return fail(op, name, mailbox.ErrFormat)
	}
	return fail(op, name, mailbox.ErrUnsupported)
}

// likeliest returns the format, none of them found, that can give back most of
// the messages of n; the first of those that are level, nil for none. One that
// cannot be asked is returned at once: it says why.
func (s *Session) likeliest(ctx context.Context, n mailbox.Name, found mailbox.Driver) (best mailbox.Driver) {
	most := -1
	for _, d := range s.Drivers {
		p, ok := d.(mailbox.Repairer)
		if !ok || formatless(d) || d == found {
			continue
		}
		r, err := p.PlanRepair(ctx, n, mailbox.RepairOptions{}, func(mailbox.Finding) error { return ctx.Err() })
		if unlike(err) || errors.Is(err, mailbox.ErrUnsupported) {
			continue
		}
		if err != nil {
			return d
		}
		intact := int(r.Account().Intact)
		if err := r.Close(); err != nil {
			return d
		}
		if intact > most {
			best, most = d, intact
		}
	}
	return best
}
