package mbx

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

var _ mailbox.Repairer = (*Driver)(nil)

// PlanRepair looks at every octet of n and plans what is to be done.
func (d *Driver) PlanRepair(ctx context.Context, n mailbox.Name, o mailbox.RepairOptions, report func(mailbox.Finding) error) (mailbox.Repair, error) {
	look, err := d.looking(n, report)
	if err != nil {
		return nil, d.fail("repair", n, err)
	}
	r := &repair{d: d, name: n, path: look.Path, o: o}
	r.in, err = inspect.Run(ctx, look, func(f *inspect.File) error {
		if r.before, err = f.Stat(); err != nil {
			return err
		}
		return r.plan(f)
	})
	if err != nil {
		return nil, d.fail("repair", n, errors.Join(err, r.Close()))
	}
	return r, nil
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
	p       *planner
	scratch *mend.Scratch
}

// plan looks at the file and plans.
func (r *repair) plan(f *inspect.File) error {
	i := &inspection{File: f, d: r.d, told: r.name.Format == r.d.Name()}
	i.plan = &planner{r: r, file: f, from: f}
	r.p = i.plan
	if err := i.run(); err != nil {
		return err
	}
	if r.pending = i.pending; r.pending {
		return nil
	}
	if !f.In.Sound() || r.o.Undelete {
		return r.p.finish()
	}
	r.p.acc = mailbox.RepairAccount{Messages: f.In.Messages, Intact: f.In.Messages, UIDValidity: r.p.block.validity}
	return nil
}

func (r *repair) Inspection() mailbox.Inspection { return r.in }

func (r *repair) Needed() bool {
	return r.pending || r.p.image != nil && !r.p.image.Same()
}

// Steps yields what is to be done.
func (r *repair) Steps() iter.Seq[mailbox.Step] {
	if r.pending {
		return slices.Values([]mailbox.Step{{Action: "finish", Off: -1, Text: "finish the change that was interrupted, and look again"}})
	}
	return slices.Values(r.p.steps)
}

func (r *repair) Account() mailbox.RepairAccount { return r.p.acc }

// Close frees the scratch file.
func (r *repair) Close() error {
	if r.scratch == nil {
		return nil
	}
	err := r.scratch.Close()
	r.scratch = nil
	return err
}

// CarryOut repairs the file.
func (r *repair) CarryOut(ctx context.Context) (made mailbox.RepairFiles, again bool, err error) {
	made, again, err = mend.Alone(ctx, r.d.files(), r.path, r.before, r.pending, func(f fsx.File) *mend.Job {
		j := &mend.Job{
			FS: r.d.FS, Journal: r.d.journal(), File: f, Image: r.p.image, Lost: r.p.lost, KeepIn: r.o.KeepIn,
			Now: r.d.env.Now(), Verify: r.verify,
		}
		if r.p.converted {
			j.From = r.scratch
		}
		return j
	})
	return made, again, r.d.fail("repair", r.name, err)
}

// verify parses what the file is to be, as a reader does and as a deep check
// does, and compares all messages with what was planned.
func (r *repair) verify(ctx context.Context, to io.ReaderAt, size int64) error {
	if err := r.parses(to, size); err != nil {
		return err
	}
	var damage error
	report := func(f mailbox.Finding) error {
		if f.Severity == mailbox.Damage {
			damage = fmt.Errorf("%v", f)
			return damage
		}
		return nil
	}
	n := 0
	_, err := inspect.Over(ctx, to, size, r.d.Name(), r.path, report, func(f *inspect.File) error {
		i := &inspection{File: f, d: r.d}
		i.seen = func(p *piece, digest uint64) error {
			if n == len(r.p.msgs) || p.kind != isMessage || digest != r.p.msgs[n].digest {
				return fmt.Errorf("message %d at octet %d is not what was planned", n+1, p.off)
			}
			n++
			return nil
		}
		return i.run()
	})
	if err == nil && n != len(r.p.msgs) {
		err = fmt.Errorf("%d messages were found, %d planned", n, len(r.p.msgs))
	}
	return err
}

// parses reads the result with the reader's own parser, which must have nothing
// to say.
func (r *repair) parses(to io.ReaderAt, size int64) error {
	head := make([]byte, blockSize)
	if _, err := to.ReadAt(head, 0); err != nil && err != io.EOF {
		return err
	}
	k, ok := parseBlock(head)
	if !ok {
		return errors.New("no file block")
	}
	var warned error
	num := &numbering{uidLast: k.uidLast, validity: k.validity, warn: func(uid, seq uint32) {
		warned = errors.New(invalidUID(uid, seq))
	}}
	s := newScanner(to, blockSize, size)
	for n := 0; ; n++ {
		rec, ok, err := s.next()
		if err != nil || !ok {
			return errors.Join(err, warned)
		}
		if rec.flags&bitExpunged == 0 {
			if err := s.readDate(&rec, r.d.env.Now().Location()); err != nil {
				return err
			}
		}
		if n >= len(r.p.msgs) || rec.uid != r.p.msgs[n].uid {
			return fmt.Errorf("UID at octet %d is not what was planned", rec.off)
		}
		if err := num.number(&rec, uint32(n)+1); err != nil && err != errNoUIDs {
			return err
		}
	}
}

// digestOf is the digest of the octets of parts of files.
func digestOf(parts ...*io.SectionReader) (uint64, error) {
	var h maphash.Hash
	h.SetSeed(seed)
	buf := make([]byte, 256<<10)
	for _, p := range parts {
		if _, err := fsx.Copy(&h, p, buf); err != nil {
			return 0, err
		}
	}
	return h.Sum64(), nil
}

// looking says how n is looked at.
func (d *Driver) looking(n mailbox.Name, report func(mailbox.Finding) error) (inspect.Look, error) {
	path, err := d.Place(n)
	if err != nil {
		return inspect.Look{}, err
	}
	fi, err := d.FS.Stat(path)
	if err != nil {
		return inspect.Look{}, err
	}
	if !fi.Mode().IsRegular() {
		return inspect.Look{}, mailbox.ErrNotMailbox
	}
	// Side files are found by the file's own name, whatever links lead there.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return inspect.Look{}, err
	}
	return inspect.Look{FS: d.FS, Driver: d.Name(), Path: path, Lock: lock.Flock(d.files().Locks()), Report: report}, nil
}
