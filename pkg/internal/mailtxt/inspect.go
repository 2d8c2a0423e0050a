package mailtxt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

var _ mailbox.Checker = (*Driver)(nil)

// Inspect looks at every octet of n. A file that has lost its beginning is known
// by records that follow each other behind it.
func (d *Driver) Inspect(ctx context.Context, n mailbox.Name, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	look, err := d.looking(n, report)
	if err != nil {
		return mailbox.Inspection{}, d.fail("check", n, err)
	}
	in, err := inspect.Run(ctx, look, func(f *inspect.File) error {
		return (&inspection{File: f, d: d, told: n.Format == d.Name()}).run()
	})
	return in, d.fail("check", n, err)
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

// An inspection looks at one file.
type inspection struct {
	*inspect.File
	d       *Driver
	told    bool // that the file is of the format need not be seen
	pending bool // an interrupted change has to be finished
	seq     uint32
	take    func(p *piece) error // gets each piece, may be nil
}

// run looks at what is beside the file, and at all records.
func (i *inspection) run() error {
	w := &walker{s: i.d.scanner(i, 0, i.Size)}
	if ok, err := i.recognise(w); !ok || err != nil {
		if err == nil {
			err = mailbox.ErrFormat
		}
		return err
	}
	i.pending = i.Sides(i.d.env, i.d.files().Journal(), i.d.Name(), 0)
	for !i.Stopped() {
		p, ok, err := w.step()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := i.piece(&p); err != nil {
			return err
		}
		if i.take != nil {
			if err := i.take(&p); err != nil {
				return err
			}
		}
	}
	if i.told && i.seq == 0 && i.Err == nil {
		return mailbox.ErrFormat
	}
	return i.Err
}

// recognise reports whether the file is of the format, or was.
func (i *inspection) recognise(w *walker) (bool, error) {
	b, err := w.read(0, maxLine)
	if err != nil {
		return false, err
	}
	if foreign(b) && !i.told {
		return false, nil
	}
	if i.d.format.moreCRs(b) {
		i.damage("line-ends", 0, 0, "lines end in CR CR LF: the file was converted as text")
		return true, nil
	}
	if i.told {
		return i.Size > 0, nil
	}
	return i.fits(w, b)
}

// fits reports whether the file, which begins with b, is of this format and not
// of the one that differs from it in the line ends only.
func (i *inspection) fits(w *walker, b []byte) (bool, error) {
	first, err := i.begins(w, b)
	if err != nil {
		return false, err
	}
	s := *w.s
	s.format = i.d.format.other()
	other := &walker{s: &s}
	otherFirst, err := i.begins(other, b)
	if err != nil {
		return false, err
	}
	if !first && !otherFirst {
		return i.chained(w)
	}
	own, err := w.weight(known)
	if err != nil {
		return false, err
	}
	n, err := other.weight(known)
	return own > n || own == n && first, err
}

// known is how much of a file is looked at to know its format.
const known = 1 << 20

// begins reports whether b, with which the file begins, is an internal line in
// the format of w, or was.
func (i *inspection) begins(w *walker, b []byte) (bool, error) {
	if i.Size == 0 {
		return false, nil
	}
	_, ok, err := w.lineAt(0)
	f := w.s.format
	return ok || f.owns(b) || flocked.WasLine(b) && f.tailed(b), err
}

// tailed reports whether the first line of b ends as an internal line does, or
// nearly so.
func (f *Format) tailed(b []byte) bool {
	eol := bytes.Index(b, []byte(f.EOL))
	if eol < minLine {
		return false
	}
	tail := b[eol-tailLen : eol]
	return tail[0] == ';' && allDigits(tail[1+keywordsLen/2:]) || allDigits(tail[1:])
}

// sector is what disks write at once.
const sector = 512

// chained reports whether records follow each other near the beginning of the
// file: so many, or up to its end, are no text.
func (i *inspection) chained(w *walker) (bool, error) {
	const enough = 3
	linked := 0 // records that others follow, so far
	b, err := w.read(0, sector)
	wiped := len(b) == sector && len(bytes.Trim(b, "\x00\xFF")) == 0
	if err != nil {
		return false, err
	}
	for from := int64(0); from < min(i.Size, known); {
		at, err := w.find(from, min(i.Size, known))
		if err != nil || at < 0 {
			return false, err
		}
		off, n := at, 0
		for ; n < enough && off < i.Size; n++ {
			l, ok, err := w.lineAt(off)
			if err != nil {
				return false, err
			}
			if !ok {
				break
			}
			off += int64(l.length) + l.size
		}
		if linked += max(n-1, 0); n == enough || linked >= enough || off == i.Size {
			return true, nil
		}
		if wiped {
			if ok, err := w.begins(off); ok || err != nil {
				return ok, err
			}
		}
		from = at + 1
	}
	return false, nil
}

// moreCRs reports whether b begins with an internal line that ends in one CR
// more than it should.
func (f *Format) moreCRs(b []byte) bool {
	eol := bytes.Index(b, []byte("\r\r\n"))
	return f.EOL == "\r\n" && eol > 0 && lineEndingAt(b, eol) == 0
}

// foreign reports whether b begins as another format does, or with the line of
// an mbx file.
func foreign(b []byte) bool {
	for _, begin := range []string{"\x01\x01\x01\x01\n", "*mbx*"} {
		if bytes.HasPrefix(b, []byte(begin)) {
			return true
		}
	}
	eol := bytes.IndexAny(b, "\r\n")
	return eol > minLine && b[eol-9] == '-' && bytes.IndexByte(b[:eol-9], ';') > flocked.DateLen
}

func (i *inspection) damage(code string, off int64, seq uint32, format string, args ...any) {
	i.Damage(i.d.Name()+"."+code, off, seq, format, args...)
}

// piece reports what is wrong with a piece.
func (i *inspection) piece(p *piece) error {
	switch {
	case p.copied:
		i.damage("copies", p.off, 0, "%s stand there that are there once more: a removal was interrupted, or they were written twice", octetsOf(p.end-p.off))
		return nil
	case p.junk && p.end == i.Size:
		i.damage("junk-tail", p.off, 0, "%s stand behind the last message that are no message", octetsOf(p.end-p.off))
		return nil
	case p.junk:
		i.damage("gap", p.off, 0, "%s stand between messages that are no message", octetsOf(p.end-p.off))
		return nil
	case p.text == p.end:
		i.damage("torn-tail", p.off, 0, "internal line has no text: adding a message was interrupted")
		return nil
	}
	i.seq++
	i.In.Messages++
	if p.bad {
		i.damage("line", p.off, i.seq, "internal line is damaged: readers stop here")
	}
	switch {
	case p.claim == 0 || p.claim == p.end:
	case p.end == i.Size && p.claim > p.end:
		i.damage("torn-tail", p.off, i.seq, "size is %d octets, but the file ends after %d of them", p.claim-p.text, p.end-p.text)
	case p.claim > p.end:
		i.damage("size-long", p.off, i.seq, "size is %d octets, %d too many: it swallows the internal line of the next message", p.claim-p.text, p.claim-p.end)
	default:
		i.damage("size-short", p.off, i.seq, "size is %d octets, %d too few: readers look for the next message within this one", p.claim-p.text, p.end-p.claim)
	}
	return i.text(p)
}

// text looks at the text of a message.
func (i *inspection) text(p *piece) error {
	b := make([]byte, min(p.end-p.text, 256))
	if _, err := i.ReadAt(b, p.text); err != nil && err != io.EOF {
		return err
	}
	if !mend.BeginsText(b) {
		i.Doubt(i.d.Name()+".text-start", p.text, i.seq, "text does not begin with a header field: %.20q", b)
	}
	return nil
}

// octetsOf says how many.
func octetsOf(n int64) string {
	if n == 1 {
		return "1 octet"
	}
	return fmt.Sprintf("%d octets", n)
}
