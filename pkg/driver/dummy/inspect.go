package dummy

import (
	"context"
	"iter"

	"mailutil/pkg/mailbox"
)

var (
	_ mailbox.Checker  = (*Driver)(nil)
	_ mailbox.Repairer = (*Driver)(nil)
)

// Inspect finds nothing: there is nothing in an empty mailbox.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, _ func(mailbox.Finding) error) (mailbox.Inspection, error) {
	if _, err := d.check(ctx, "check", n); err != nil {
		return mailbox.Inspection{}, err
	}
	return mailbox.Inspection{Driver: d.Name(), Path: d.path(n)}, nil
}

// PlanRepair finds nothing to do.
func (d *Driver) PlanRepair(ctx context.Context, n mailbox.Name, _ mailbox.RepairOptions, report func(mailbox.Finding) error) (mailbox.Repair, error) {
	in, err := d.Inspect(ctx, n, report)
	if err != nil {
		return nil, err
	}
	return sound(in), nil
}

// sound is the repair of an empty mailbox: none.
type sound mailbox.Inspection

func (s sound) Inspection() mailbox.Inspection { return mailbox.Inspection(s) }
func (sound) Needed() bool                     { return false }
func (sound) Steps() iter.Seq[mailbox.Step]    { return func(func(mailbox.Step) bool) {} }
func (sound) Account() mailbox.RepairAccount   { return mailbox.RepairAccount{} }
func (sound) Close() error                     { return nil }

func (sound) CarryOut(context.Context) (mailbox.RepairFiles, bool, error) {
	return mailbox.RepairFiles{}, false, nil
}
