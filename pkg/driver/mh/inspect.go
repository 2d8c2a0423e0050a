package mh

import (
	"context"
	"slices"

	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/mailbox"
)

// mender is what repair needs besides the format.
func (d *Driver) mender() *numbered.Mender {
	return &numbered.Mender{Format: d.format(), Suspect: d.suspect, Examine: d.examine, Mend: d.mend}
}

// Inspect looks at the sequences, in which the offsets are, and at every message.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	return d.mender().Inspect(ctx, n, report)
}

// PlanRepair looks at the same, and plans what is to be done.
func (d *Driver) PlanRepair(ctx context.Context, n mailbox.Name, o mailbox.RepairOptions, report func(mailbox.Finding) error) (mailbox.Repair, error) {
	return d.mender().PlanRepair(ctx, n, o, report)
}

// suspect returns where n is. Who says that it is of this format may mean any
// directory of messages.
func (d *Driver) suspect(n mailbox.Name) (string, error) {
	path, err := d.mailboxPath(n)
	if err == nil || n.Format != d.Name() || path == "" {
		return path, err
	}
	l, lerr := d.dir(path).List()
	if lerr != nil || len(l.Numbers) == 0 {
		return "", node.WhyNot(d.FS, path)
	}
	return path, nil
}

// examine looks at the file of sequences.
func (d *Driver) examine(s *numbered.Survey) {
	seqs, flaws := parseSequences(s.Octets)
	for _, f := range flaws {
		s.Damage("mh.sequence-line", int64(f.off), 0, "%s", f.text)
	}
	for n := range seqs {
		q := &seqs[n]
		if slices.ContainsFunc(seqs[:n], func(o sequence) bool { return o.name == q.name && q.name != "" }) {
			s.Damage("mh.sequence-twice", inspect.Beside, 0, "the sequence %.60s is there twice, of which readers take one", q.name)
		}
		if garbled(q.name) {
			s.Damage("mh.sequence-name", inspect.Beside, 0, "%.60q is no name of a sequence", q.name)
		}
		gone := 0
		for _, r := range q.spans {
			if _, ok := slices.BinarySearch(s.List.Numbers, r.lo); r.lo == r.hi && !ok {
				gone++
			}
		}
		if gone > 0 && q.name != seqCurrent {
			s.Doubt("mh.sequence-gone", inspect.Beside, 0, "the sequence %.60s has %d numbers of messages that are not there", q.name, gone)
		}
	}
}
