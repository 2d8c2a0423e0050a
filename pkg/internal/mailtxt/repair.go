package mailtxt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strconv"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/internal/mend"
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
	r.in, err = inspect.Run(ctx, look, func(f *inspect.File) (err error) {
		if r.before, err = f.Stat(); err != nil {
			return err
		}
		r.f, r.image = f, mend.NewImage(f, f.Size)
		i := &inspection{File: f, d: d, take: r.take}
		err = i.run()
		r.pending = i.pending
		return err
	})
	if err != nil {
		return nil, d.fail("repair", n, err)
	}
	r.acc.Intact = r.acc.Messages - r.acc.Partial - r.acc.Ends
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
	f       io.ReaderAt
	image   *mend.Image
	sums    []uint64 // of the texts
	prev    mailbox.Date
	steps   []mailbox.Step
	lost    []mend.Lost
	acc     mailbox.RepairAccount
}

func (r *repair) Inspection() mailbox.Inspection { return r.in }

func (r *repair) Needed() bool { return r.pending || !r.image.Same() }

// Steps yields what is to be done.
func (r *repair) Steps() iter.Seq[mailbox.Step] {
	if r.pending {
		return slices.Values([]mailbox.Step{{Action: "finish", Off: -1, Text: "finish the change that was interrupted, and look again"}})
	}
	return slices.Values(r.steps)
}

func (r *repair) Account() mailbox.RepairAccount { return r.acc }

func (r *repair) Close() error { return nil }

// CarryOut repairs the file.
func (r *repair) CarryOut(ctx context.Context) (made mailbox.RepairFiles, again bool, err error) {
	made, again, err = mend.Alone(ctx, r.d.files(), r.path, r.before, r.pending, func(f fsx.File) *mend.Job {
		return &mend.Job{
			FS: r.d.FS, Journal: r.d.files().Journal(), File: f, Image: r.image, Lost: r.lost, KeepIn: r.o.KeepIn,
			Now: r.d.env.Now(), Verify: r.verify,
		}
	})
	return made, again, r.d.fail("repair", r.name, err)
}

func (r *repair) step(action string, off, n int64, format string, args ...any) {
	r.steps = append(r.steps, mailbox.Step{Action: action, Off: off, Octets: n, Seq: r.acc.Messages, Text: fmt.Sprintf(format, args...)})
}

// take plans what becomes of a piece.
func (r *repair) take(p *piece) error {
	if p.junk || p.text == p.end {
		return r.setAside(p)
	}
	r.acc.Messages++
	sum, err := digest(r.f, p.text, p.end)
	if err != nil {
		return err
	}
	r.sums = append(r.sums, sum)
	if !p.bad && p.claim == p.end {
		r.prev = p.line.date
		r.image.Keep(p.off, p.end-p.off)
		return nil
	}
	b, err := r.line(p)
	if err != nil {
		return err
	}
	r.image.Put(b)
	r.image.Keep(p.text, p.end-p.text)
	return nil
}

// setAside leaves octets out.
func (r *repair) setAside(p *piece) error {
	b := make([]byte, min(p.end-p.off, 64<<10))
	if _, err := r.f.ReadAt(b, p.off); err != nil && err != io.EOF {
		return err
	}
	rest := bytes.Trim(b, "\x00\r\n")
	r.lost = append(r.lost, mend.Lost{Off: p.off, End: p.end, Why: "they belong to no message", Salvage: len(rest) > 8 && isText(rest)})
	r.acc.SetAside += p.end - p.off
	r.steps = append(r.steps, mailbox.Step{Action: "set-aside", Off: p.off, Octets: p.end - p.off, Text: "set " + octetsOf(p.end-p.off) + " aside: they belong to no message"})
	return nil
}

// line makes the internal line of a message anew.
func (r *repair) line(p *piece) ([]byte, error) {
	size := p.end - p.text
	switch {
	case p.claim == 0 || p.claim == p.end:
		r.step("write-line", p.off, p.text-p.off, "write its internal line anew: %d octets", size)
	case p.claim > p.end && p.end == r.before.Size():
		r.acc.Partial++
		r.step("write-line", p.off, size, "keep the %s that are there of its text, of %d", octetsOf(size), p.claim-p.text)
	default:
		r.acc.Ends++
		r.step("write-line", p.off, size, "write its size anew: %d octets, up to the next message, instead of %d", size, p.claim-p.text)
	}
	raw := make([]byte, p.text-p.off)
	if _, err := r.f.ReadAt(raw, p.off); err != nil && err != io.EOF {
		return nil, err
	}
	date, err := r.date(raw[:min(len(raw), flocked.DateLen)], p)
	if err != nil {
		return nil, err
	}
	b := append([]byte(date), ',')
	b = strconv.AppendInt(b, size, 10)
	b = append(b, ';')
	b = append(b, r.flags(raw)...)
	return append(b, r.d.format.EOL...), nil
}

// flags returns the flags of a line as they are, or none.
func (r *repair) flags(raw []byte) string {
	t := bytes.TrimRight(raw, "\r\n")
	if len(t) > tailLen && t[len(t)-tailLen] == ';' {
		if _, _, ok := parseFlags(t[len(t)-flagsLen:]); ok {
			return string(t[len(t)-flagsLen:])
		}
	}
	r.acc.Flags++
	r.step("lose-flags", -1, 0, "its flags cannot be read: it has none")
	return "000000000000"
}

// date returns the date of a line, or a guess.
func (r *repair) date(raw []byte, p *piece) (string, error) {
	local := r.d.env.Now().Location()
	parse := func(s string) (mailbox.Date, error) { return mailbox.ParseDate(s, local) }
	if d, err := parse(string(raw)); err == nil && flocked.IsDate(raw) {
		r.prev = d
		return string(raw), nil
	}
	b := make([]byte, min(p.end-p.text, 64<<10))
	if _, err := r.f.ReadAt(b, p.text); err != nil && err != io.EOF {
		return "", err
	}
	d := mend.Arrival(b, parse)
	if !flocked.Storable(d) {
		d = r.prev
	}
	if !flocked.Storable(d) {
		d = mailbox.DateOf(r.d.env.Now())
	}
	r.acc.Dates++
	r.step("guess-date", p.off, flocked.DateLen, "give it the date %s", bytes.TrimLeft(d.Append(nil), " "))
	return d.String(), nil
}

// verify reads what the file is to be as a reader does, and compares all texts
// with what was planned; a deep check must find no damage.
func (r *repair) verify(ctx context.Context, to io.ReaderAt, size int64) error {
	s := r.d.scanner(to, 0, size)
	n := 0
	for ; ; n++ {
		rec, ok, err := s.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		sum, err := digest(to, rec.text(), rec.end())
		if err != nil {
			return err
		}
		if n >= len(r.sums) || sum != r.sums[n] {
			return fmt.Errorf("message %d is not what was planned", n+1)
		}
	}
	if n != len(r.sums) {
		return fmt.Errorf("%d messages were found, %d planned", n, len(r.sums))
	}
	if size == 0 {
		return nil
	}
	var damage error
	report := func(f mailbox.Finding) error {
		if f.Severity == mailbox.Damage {
			damage = fmt.Errorf("%v", f)
			return damage
		}
		return nil
	}
	_, err := inspect.Over(ctx, to, size, r.d.Name(), r.path, report, func(f *inspect.File) error {
		return (&inspection{File: f, d: r.d}).run()
	})
	return errors.Join(err, damage)
}

// digest is that of the octets [off, end) of r.
func digest(r io.ReaderAt, off, end int64) (uint64, error) {
	var h maphash.Hash
	h.SetSeed(seed)
	_, err := io.CopyBuffer(&h, struct{ io.Reader }{io.NewSectionReader(r, off, end-off)}, make([]byte, 64<<10))
	return h.Sum64(), err
}
