package mh

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Inspect looks at the sequences and at every message. Offsets are those in the
// sequences.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	in, err := d.inspect(ctx, n, report)
	return in, d.fail("check", n, err)
}

func (d *Driver) inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	path, err := d.mailboxPath(n)
	if err != nil {
		return mailbox.Inspection{}, err
	}
	look := inspect.Look{FS: d.FS, Driver: d.Name(), Path: filepath.Join(path, sequencesName), Lock: lock.Fcntl(d.files().Locks()), Report: report}
	if fi, err := os.Lstat(look.Path); err != nil || !fi.Mode().IsRegular() {
		look.Path, look.Lock = path, lock.Chain() // nothing to lock
	}
	return inspect.Run(ctx, look, func(f *inspect.File) error {
		f.In.Path = path
		return (&inspection{File: f, d: d, dir: d.dir(path)}).run()
	})
}

// An inspection looks at one mailbox.
type inspection struct {
	*inspect.File
	d   *Driver
	dir numbered.Dir
}

func (i *inspection) run() error {
	l, err := i.dir.List()
	if err != nil {
		return err
	}
	name := filepath.Join(i.dir.Path, sequencesName)
	pending, err := journal.Pending(name, i.d.journal())
	if err != nil {
		return err
	}
	if pending {
		i.Damage("mh.journal", inspect.Beside, 0,
			"a change of the sequences was interrupted: open the mailbox for writing, which finishes the change, and check it again")
	}
	if i.Name() == name {
		if err := i.sequences(&l); err != nil {
			return err
		}
	} else {
		i.In.Size = 0 // of the directory
	}
	i.dir.Look(i.File, "mh", &l, false)
	return i.Err
}

// sequences looks at the file of sequences.
func (i *inspection) sequences(l *numbered.Listing) error {
	b := make([]byte, i.Size)
	if _, err := i.ReadAt(b, 0); err != nil && i.Size > 0 {
		return err
	}
	seqs, flaws := parseSequences(b)
	for _, f := range flaws {
		i.Damage("mh.sequence-line", int64(f.off), 0, "%s", f.text)
	}
	for n := range seqs {
		q := &seqs[n]
		if slices.ContainsFunc(seqs[:n], func(o sequence) bool { return o.name == q.name && q.name != "" }) {
			i.Damage("mh.sequence-twice", inspect.Beside, 0, "the sequence %.60s is there twice, of which readers take one", q.name)
		}
		gone := 0
		for _, r := range q.spans {
			if _, ok := slices.BinarySearch(l.Numbers, r.lo); r.lo == r.hi && !ok {
				gone++
			}
		}
		if gone > 0 && q.name != seqCurrent {
			i.Doubt("mh.sequence-gone", inspect.Beside, 0, "the sequence %.60s has %d numbers of messages that are not there", q.name, gone)
		}
	}
	return nil
}
