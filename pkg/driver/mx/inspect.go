package mx

import (
	"context"
	"io"
	"strings"

	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/mailbox"
)

// mender is what repair needs besides the format.
func (d *Driver) mender() *numbered.Mender {
	return &numbered.Mender{Format: d.format(), Suspect: d.suspect, Examine: d.examine, Mend: d.mend}
}

// Inspect looks at the index, in which the offsets are, and at every message.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	return d.mender().Inspect(ctx, n, report)
}

// PlanRepair looks at the same, and plans what is to be done.
func (d *Driver) PlanRepair(ctx context.Context, n mailbox.Name, o mailbox.RepairOptions, report func(mailbox.Finding) error) (mailbox.Repair, error) {
	return d.mender().PlanRepair(ctx, n, o, report)
}

// suspect returns where n is: a directory with an index, or one that seems to
// have lost it.
func (d *Driver) suspect(n mailbox.Name) (string, error) {
	path, err := d.place(n)
	if err != nil || path == "" {
		return "", node.WhyNot(d.FS, path)
	}
	has, err := d.hasIndex(path)
	if has || err != nil {
		return path, err
	}
	l, err := d.dir(path).List()
	if err != nil {
		return "", node.WhyNot(d.FS, path)
	}
	if len(l.Numbers) == 0 || n.Format != d.Name() && !d.seemsOurs(path, &l) {
		err = mailbox.ErrNotMailbox
	}
	return path, err
}

// looked is how many messages are looked at to tell what format they are of.
const looked = 8

// seemsOurs reports whether the messages of a directory that has no index are
// such as we have: they begin with a header, and their lines end in CR LF, which
// in other formats of numbered files they do not.
func (d *Driver) seemsOurs(path string, l *numbered.Listing) bool {
	for i, n := range l.Numbers {
		if i == looked {
			break
		}
		f, _, err := d.dir(path).OpenQuiet(n)
		if err != nil {
			return false
		}
		ok := beginsAsOurs(f)
		if f.Close() != nil || !ok {
			return false
		}
	}
	return true
}

func beginsAsOurs(f io.ReaderAt) bool {
	b := make([]byte, 1024)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return false
	}
	line, _, ok := strings.Cut(string(b[:n]), "\n")
	return ok && strings.HasSuffix(line, "\r") && mend.StartsHeader(b)
}

// examine looks at the index.
func (d *Driver) examine(s *numbered.Survey) {
	if !s.Has {
		s.Damage("mx.index-missing", inspect.Beside, 0, "there is no %s: no reader knows the mailbox, and flags and UIDVALIDITY are lost", indexName)
		return
	}
	ix, flaws := parse(s.Octets)
	if len(s.Octets) == 0 && len(s.List.Numbers) > 0 {
		s.Damage("mx.index-empty", 0, 0, "the index is empty, but there are messages: their flags and UIDVALIDITY are lost")
	}
	for _, f := range flaws {
		s.Damage("mx.index-"+f.kind, int64(f.off), 0, "%s", f.text)
	}
	if len(s.Octets) > 0 {
		head(s, &ix)
	}
	records(s, &ix)
}

// head looks at UIDVALIDITY, the last UID and the keywords.
func head(s *numbered.Survey, ix *index) {
	if ix.validity == 0 {
		s.Damage("mx.uidvalidity", 0, 0, "the index has no UIDVALIDITY: the next session makes a new one up")
	}
	if ix.last < s.List.Highest() {
		s.Damage("mx.uidlast-low", 0, 0, "the last UID of the index is %d, but there is a message %d: the original cannot append", ix.last, s.List.Highest())
	}
	for n, k := range ix.keywords {
		if !mailbox.ValidKeyword(k) {
			s.Doubt("mx.keyword", inspect.Beside, 0, "keyword %d of the index, %.60q, cannot be one", n, k)
		}
		for _, other := range ix.keywords[:n] {
			if strings.EqualFold(k, other) {
				s.Doubt("mx.keyword-twice", inspect.Beside, 0, "the index has the keyword %.60q twice", k)
			}
		}
	}
}

// records compares the index with the files. That a record has no file is usual
// after an expunge, that a file has no record after a delivery by hand.
func records(s *numbered.Survey, ix *index) {
	known := systemBitsKnown | bitOld | bitNew
	gone := 0
	rest := s.List.Numbers
	for _, r := range ix.records {
		for len(rest) > 0 && rest[0] < r.uid {
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0] != r.uid {
			gone++
			continue
		}
		seq := uint32(len(s.List.Numbers) - len(rest) + 1)
		if r.keywords&^ix.named() != 0 {
			s.Doubt("mx.keyword-unnamed", inspect.Beside, seq, "message %d has keywords %08x, of which %08x have no name", r.uid, r.keywords, r.keywords&^ix.named())
		}
		if r.flags&^known != 0 {
			s.Doubt("mx.flags-unknown", inspect.Beside, seq, "message %d has flags %04x, which mean nothing", r.uid, r.flags&^known)
		}
	}
	if gone > 0 {
		s.Doubt("mx.record-gone", inspect.Beside, 0, "%d records are of messages that are not there", gone)
	}
	without := 0
	for _, n := range s.List.Numbers {
		if _, ok := ix.find(n); !ok {
			without++
		}
	}
	if without > 0 && len(s.Octets) > 0 {
		s.Doubt("mx.record-missing", inspect.Beside, 0, "%d messages have no record: they are new, or their flags are lost", without)
	}
}
