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
	"path/filepath"
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
		return r.plan(f)
	})
	if err != nil {
		return nil, d.fail("repair", n, errors.Join(err, r.Close()))
	}
	r.acc.Intact = r.acc.Messages - r.acc.Partial - r.acc.Ends
	return r, nil
}

// plan looks at the file and plans. One of which all lines got a CR more gets
// its line ends back first: the sizes of the messages prove that.
func (r *repair) plan(f *inspect.File) error {
	r.f, r.image = f, mend.NewImage(f, f.Size)
	r.size, r.keep = f.Size, r.image.Keep
	i := &inspection{File: f, d: r.d, told: r.name.Format == r.d.Name(), take: r.take}
	b := make([]byte, min(f.Size, maxLine))
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return err
	}
	if !r.d.format.moreCRs(b) {
		err := i.run()
		r.pending = i.pending
		return err
	}
	f.Damage(r.d.Name()+".line-ends", 0, 0, "lines end in CR CR LF: the file was converted as text")
	if r.pending = f.Sides(r.d.env, r.d.files().Journal(), r.d.Name(), 0); r.pending {
		return f.Err
	}
	return r.convert(f)
}

// convert plans with what the file is with other line ends.
func (r *repair) convert(f *inspect.File) error {
	s, err := r.makeScratch()
	if err != nil {
		return err
	}
	if err := mend.LineEnds(s, f, 0, f.Size); err != nil {
		return err
	}
	r.step("line-ends", 0, f.Size, "end all lines in CR LF again")
	r.f, r.size, r.converted = s, s.Size(), true
	r.image.Scratch(s)
	r.keep = r.image.KeepScratch
	in, err := inspect.Over(f.Context(), s, r.size, r.d.Name(), r.path, nil, func(g *inspect.File) error {
		return (&inspection{File: g, d: r.d, take: r.take}).run()
	})
	f.In.Messages = in.Messages
	return err
}

func (r *repair) makeScratch() (*mend.Scratch, error) {
	if r.scratch == nil {
		s, err := mend.NewScratch(filepath.Dir(r.path))
		if err != nil {
			return nil, err
		}
		r.scratch = s
	}
	return r.scratch, nil
}

// A repair is what is to be done about one file.
type repair struct {
	d      *Driver
	name   mailbox.Name
	path   string
	o      mailbox.RepairOptions
	in     mailbox.Inspection
	before fs.FileInfo

	pending bool        // an interrupted change has to be finished first
	f       io.ReaderAt // what is looked at: the file, or what it was converted to
	size    int64       // of f
	keep    func(off, n int64)
	image   *mend.Image
	scratch *mend.Scratch
	sums    []uint64 // of the texts
	prev    mailbox.Date
	steps   []mailbox.Step
	lost    []mend.Lost
	acc     mailbox.RepairAccount

	converted bool // f is the scratch file
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
			FS: r.d.FS, Journal: r.d.files().Journal(), File: f, Image: r.image, Lost: r.lost, KeepIn: r.o.KeepIn,
			Now: r.d.env.Now(), Verify: r.verify,
		}
		if r.converted {
			j.From = r.scratch
		}
		return j
	})
	return made, again, r.d.fail("repair", r.name, err)
}

func (r *repair) step(action string, off, n int64, format string, args ...any) {
	r.steps = append(r.steps, mailbox.Step{Action: action, Off: off, Octets: n, Seq: r.acc.Messages, Text: fmt.Sprintf(format, args...)})
}

// take plans what becomes of a piece.
func (r *repair) take(p *piece) error {
	if p.bad && p.text < p.end {
		sum, err := digest(section(r.f, p.text, p.end))
		if err != nil {
			return err
		}
		p.copied = slices.Contains(r.sums, sum)
	}
	if p.junk {
		if done, err := r.letters(p); done || err != nil {
			return err
		}
	}
	if p.junk || p.copied || p.text == p.end {
		return r.setAside(p)
	}
	r.acc.Messages++
	if !p.bad && p.claim == p.end {
		r.prev = p.line.date
		r.keep(p.off, p.end-p.off)
		return r.expect(section(r.f, p.text, p.end))
	}
	if done, err := r.exact(p); done || err != nil {
		return err
	}
	b, err := r.line(p, p.end-p.text)
	if err != nil {
		return err
	}
	r.image.Put(b)
	r.keep(p.text, p.end-p.text)
	return r.expect(section(r.f, p.text, p.end))
}

// expect remembers the text that a message of the result is to have.
func (r *repair) expect(parts ...*io.SectionReader) error {
	sum, err := digest(parts...)
	r.sums = append(r.sums, sum)
	return err
}

// exact finds the one text that has the size that the line says: line ends that
// were shortened, or octets that are there twice.
func (r *repair) exact(p *piece) (done bool, err error) {
	switch {
	case p.claim > p.end:
		return r.restoreLines(p)
	case p.claim > 0 && p.claim < p.end:
		return r.leaveOut(p)
	}
	return false, nil
}

// leaveOut leaves octets of a text out that are there twice, if that gives its size.
func (r *repair) leaveOut(p *piece) (done bool, err error) {
	cut, ok, err := mend.Twice(r.f, p.off, p.text, p.claim, p.end)
	if !ok || err != nil {
		return false, err
	}
	n := p.end - p.claim
	r.lost = append(r.lost, mend.Lost{Off: cut, End: cut + n, Why: "they are there twice"})
	r.acc.SetAside += n
	r.step("set-aside", cut, n, "leave %s of its text out that are there twice, which makes its size right", octetsOf(n))
	whole := *p
	whole.claim = p.end // nothing is wrong with it
	b, err := r.line(&whole, p.claim-p.text)
	if err != nil {
		return false, err
	}
	r.image.Put(b)
	r.keep(p.text, cut-p.text)
	r.keep(cut+n, p.end-cut-n)
	return true, r.expect(section(r.f, p.text, cut), section(r.f, cut+n, p.end))
}

// restoreLines writes CR LF for each LF of a text, if that gives the size that
// its line tells.
func (r *repair) restoreLines(p *piece) (done bool, err error) {
	missing := p.claim - p.end
	if r.converted || r.d.format.EOL != "\r\n" {
		return false, nil
	}
	n, err := mend.BareLFs(r.f, p.text, p.end, missing)
	if err != nil || n != missing {
		return false, err
	}
	s, err := r.makeScratch()
	if err != nil {
		return false, err
	}
	off := s.Size()
	if err := mend.LineEnds(s, r.f, p.text, p.end); err != nil {
		return false, err
	}
	r.step("line-ends", p.text, p.end-p.text, "end %d lines in CR LF again, which makes its size right", n)
	whole := *p
	whole.claim = p.end // nothing is wrong with it
	b, err := r.line(&whole, s.Size()-off)
	if err != nil {
		return false, err
	}
	r.image.Put(b)
	r.image.Scratch(s)
	r.image.KeepScratch(off, s.Size()-off)
	return true, r.expect(section(s, off, s.Size()))
}

// setAside leaves octets out.
func (r *repair) setAside(p *piece) error {
	b := make([]byte, min(p.end-p.off, 64<<10))
	if _, err := r.f.ReadAt(b, p.off); err != nil && err != io.EOF {
		return err
	}
	rest := bytes.Trim(b, "\x00\r\n")
	why := "they belong to no message"
	if p.copied {
		why = "they are there twice"
	}
	r.leave(mend.Lost{Off: p.off, End: p.end, Why: why, Salvage: !p.copied && len(rest) > 8 && mend.IsText(rest)})
	return nil
}

// leave leaves octets out of the result that are about no message of it.
func (r *repair) leave(l mend.Lost) {
	n := l.End - l.Off
	r.lost = append(r.lost, l)
	r.acc.SetAside += n
	r.steps = append(r.steps, mailbox.Step{Action: "set-aside", Off: l.Off, Octets: n, Text: "set " + octetsOf(n) + " aside: " + l.Why})
}

// line makes the internal line of a message anew, for a text of size octets.
func (r *repair) line(p *piece, size int64) ([]byte, error) {
	switch {
	case p.claim == p.end && !p.bad:
	case p.claim == 0 || p.claim == p.end:
		r.step("write-line", p.off, p.text-p.off, "write its internal line anew: %d octets", size)
	case p.claim > p.end && p.end == r.size:
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
	date, known, err := r.date(raw[:min(len(raw), flocked.DateLen)], p)
	if err != nil {
		return nil, err
	}
	if (p.bad || !known) && len(bytes.Trim(raw, "\x00\xFF")) > 0 {
		r.lost = append(r.lost, mend.Lost{Off: p.off, End: p.text, Why: "what was an internal line"})
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

// date returns the date of a line, or, where that is not known, a guess.
func (r *repair) date(raw []byte, p *piece) (date string, known bool, err error) {
	local := r.d.env.Now().Location()
	parse := func(s string) (mailbox.Date, error) { return mailbox.ParseDate(s, local) }
	if d, err := parse(string(raw)); err == nil && flocked.IsDate(raw) {
		r.prev = d
		return string(raw), true, nil
	}
	b := make([]byte, min(p.end-p.text, 64<<10))
	if _, err := r.f.ReadAt(b, p.text); err != nil && err != io.EOF {
		return "", false, err
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
	return d.String(), false, nil
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
		sum, err := digest(section(to, rec.text(), rec.end()))
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

// section is the octets [off, end) of r.
func section(r io.ReaderAt, off, end int64) *io.SectionReader {
	return io.NewSectionReader(r, off, end-off)
}

// digest is that of the octets of parts of files.
func digest(parts ...*io.SectionReader) (uint64, error) {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, p := range parts {
		if _, err := fsx.Copy(&h, p, nil); err != nil {
			return 0, err
		}
	}
	return h.Sum64(), nil
}
