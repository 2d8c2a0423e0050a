package mx

import (
	"context"
	"path/filepath"
	"strings"

	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Inspect looks at the index and at every message. Offsets are those in the
// index.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	in, err := d.inspect(ctx, n, report)
	return in, d.fail("check", n, err)
}

func (d *Driver) inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	path, err := d.place(n)
	if err != nil {
		return mailbox.Inspection{}, err
	}
	has := false
	if path != "" {
		has, err = d.hasIndex(path)
	}
	if err != nil || !has {
		if err == nil {
			err = node.WhyNot(d.FS, path)
		}
		return mailbox.Inspection{}, err
	}
	look := inspect.Look{
		FS: d.FS, Driver: d.Name(), Path: filepath.Join(path, indexName), Lock: lock.Flock(d.files().Locks()), Report: report,
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
	b := make([]byte, i.Size)
	if _, err := i.ReadAt(b, 0); err != nil && i.Size > 0 {
		return err
	}
	l, err := i.dir.List()
	if err != nil {
		return err
	}
	pending, err := journal.Pending(i.Name(), i.d.journal())
	if err != nil {
		return err
	}
	if pending {
		i.Damage("mx.journal", inspect.Beside, 0,
			"a change of the index was interrupted: open the mailbox for writing, which finishes the change, and check it again")
	}
	ix, flaws := parse(b)
	if len(b) == 0 && len(l.Numbers) > 0 {
		i.Damage("mx.index-empty", 0, 0, "the index is empty, but there are messages: their flags and UIDVALIDITY are lost")
	}
	for _, f := range flaws {
		i.Damage("mx.index-"+f.kind, int64(f.off), 0, "%s", f.text)
	}
	if len(b) > 0 {
		i.head(&ix, &l)
	}
	i.records(&ix, &l)
	i.dir.Look(i.File, "mx", &l, true)
	return i.Err
}

// head looks at UIDVALIDITY, the last UID and the keywords.
func (i *inspection) head(ix *index, l *numbered.Listing) {
	if ix.validity == 0 {
		i.Damage("mx.uidvalidity", 0, 0, "the index has no UIDVALIDITY: the next session makes a new one up")
	}
	if ix.last < l.Highest() {
		i.Damage("mx.uidlast-low", 0, 0, "the last UID of the index is %d, but there is a message %d: the original cannot append", ix.last, l.Highest())
	}
	for n, k := range ix.keywords {
		if !mailbox.ValidKeyword(k) {
			i.Doubt("mx.keyword", inspect.Beside, 0, "keyword %d of the index, %.60q, cannot be one", n, k)
		}
		for _, other := range ix.keywords[:n] {
			if strings.EqualFold(k, other) {
				i.Doubt("mx.keyword-twice", inspect.Beside, 0, "the index has the keyword %.60q twice", k)
			}
		}
	}
}

// records compares the index with the files. That a record has no file is usual
// after an expunge, that a file has no record after a delivery by hand.
func (i *inspection) records(ix *index, l *numbered.Listing) {
	known := systemBitsKnown | bitOld | bitNew
	gone := 0
	rest := l.Numbers
	for _, r := range ix.records {
		for len(rest) > 0 && rest[0] < r.uid {
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0] != r.uid {
			gone++
			continue
		}
		seq := uint32(len(l.Numbers) - len(rest) + 1)
		if r.keywords&^ix.named() != 0 {
			i.Doubt("mx.keyword-unnamed", inspect.Beside, seq, "message %d has keywords %08x, of which %08x have no name", r.uid, r.keywords, r.keywords&^ix.named())
		}
		if r.flags&^known != 0 {
			i.Doubt("mx.flags-unknown", inspect.Beside, seq, "message %d has flags %04x, which mean nothing", r.uid, r.flags&^known)
		}
	}
	if gone > 0 {
		i.Doubt("mx.record-gone", inspect.Beside, 0, "%d records are of messages that are not there", gone)
	}
	without := 0
	for _, n := range l.Numbers {
		if _, ok := ix.find(n); !ok {
			without++
		}
	}
	if without > 0 && i.Size > 0 {
		i.Doubt("mx.record-missing", inspect.Beside, 0, "%d messages have no record: they are new, or their flags are lost", without)
	}
}
