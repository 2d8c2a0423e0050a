package mix

import (
	"cmp"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	"time"

	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// dates gives all messages their dates. Where line and index have different ones
// it is that of which more is right elsewhere, or that is nearer to what the
// message says.
func (p *planner) dates() error {
	prev := mailbox.Date{Year: 1970, Month: 1, Day: 1}
	for n := range p.msgs {
		m := &p.msgs[n]
		c := &p.pieces[m.piece]
		listed := c.rec >= 0 && p.index.all[c.rec].known.has(knowDate)
		switch inLine := c.known.has(knowDate); {
		case listed && inLine && p.index.all[c.rec].date != c.line.date && p.index.bad == p.bad:
			near, err := p.arrival(c)
			if err != nil {
				return err
			}
			if m.date = p.index.all[c.rec].date; !near.IsZero() && apart(c.line.date, near) < apart(m.date, near) {
				m.date = c.line.date
			}
		case listed && (!inLine || p.index.bad <= p.bad):
			m.date = p.index.all[c.rec].date
		case inLine:
			m.date = c.line.date
		default:
			if err := p.guessDate(n, prev); err != nil {
				return err
			}
		}
		prev = m.date
	}
	return nil
}

// apart is how far two dates are from each other.
func apart(a, b mailbox.Date) time.Duration { return a.Time().Sub(b.Time()).Abs() }

// arrival is when the message of a piece says that it came, zero where it does
// not say.
func (p *planner) arrival(c *piece) (mailbox.Date, error) {
	b := make([]byte, min(c.end-c.text, 64<<10))
	if _, err := p.fileOf(c.file).f.ReadAt(b, c.text); err != nil && err != io.EOF {
		return mailbox.Date{}, err
	}
	return mend.Arrival(b, func(s string) (mailbox.Date, error) {
		d, err := mailbox.ParseDate(s, p.d.env.Now().Location())
		if err != nil || !storable(d) {
			return mailbox.Date{}, mailbox.ErrFormat
		}
		return d, nil
	}), nil
}

// guessDate finds a date for message n: what is left of it, completed from when
// the message says that it came.
func (p *planner) guessDate(n int, prev mailbox.Date) error {
	m := &p.msgs[n]
	c := &p.pieces[m.piece]
	near, err := p.arrival(c)
	if err != nil {
		return err
	}
	if near.IsZero() {
		near = prev
	}
	line := make([]byte, max(0, min(c.text-c.off, lineMost)))
	if _, err := p.fileOf(c.file).f.ReadAt(line, c.off); err != nil && err != io.EOF {
		return err
	}
	m.date = near
	if i := lineLen(tokenFields); len(line) >= i {
		if d, ok := complete(fieldsOf(line[:i], tokenFields)[2], near); ok {
			m.date = d
		}
	}
	p.acc.Dates++
	p.about(m.piece, n+1, "guess-date", "give it the date %s", strings.TrimLeft(m.date.String(), " "))
	return nil
}

// fileOf returns the data file of a number, nil where it is not there.
func (p *planner) fileOf(number uint32) *planFile {
	k, ok := slices.BinarySearchFunc(p.files, number, func(f *planFile, n uint32) int { return cmp.Compare(f.number, n) })
	if !ok {
		return nil
	}
	return p.files[k]
}

// place decides which data files are written anew, and where all messages will
// be.
func (p *planner) place() error {
	for n := range p.msgs {
		f := p.fileOf(p.pieces[p.msgs[n].piece].file)
		f.msgs = append(f.msgs, n)
		if err := p.measure(&p.msgs[n], f); err != nil {
			return err
		}
	}
	used := map[uint32]bool{}
	for _, f := range p.files {
		used[f.number] = true
	}
	newest := p.newest()
	for _, f := range p.files {
		f.to = f.number
		if f.anew = !p.stays(f); !f.anew {
			continue
		}
		f.to = p.free(used, f.number, f.number == newest)
		used[f.to] = true
		if f.number == newest {
			p.meta.newFile = f.to
		}
		at := int64(0)
		for _, n := range f.msgs {
			m := &p.msgs[n]
			m.file, m.pos, m.lead = f.to, at, 0
			m.lead = uint32(len(appendToken(nil, &m.message)))
			at = m.end()
		}
		p.explain(f)
	}
	return nil
}

// newest is the number of the data file that takes new mail.
func (p *planner) newest() uint32 {
	highest := uint32(0)
	for _, f := range p.files {
		highest = max(highest, f.number)
	}
	if !p.had.fileKnown || uint64(p.had.newFile) > uint64(p.d.later(highest, p.had.seq))+maxGap {
		p.had.newFile = highest
	}
	p.meta.newFile = p.had.newFile
	return p.meta.newFile
}

// free returns a number that no data file has, as freeNumber does.
func (p *planner) free(used map[uint32]bool, like uint32, newest bool) uint32 {
	n, up := like, newest || like == 0
	if newest {
		n = p.d.later(like) - 1
	}
	for {
		if up {
			n++
		} else {
			n--
		}
		if n != 0 && !used[n] {
			return n
		}
	}
}

// textSeed is that of the digests of texts.
var textSeed = maphash.MakeSeed()

// measure finds out the size of the text of m, of its header, and its digest. A
// text that stays where it is and that the inspection has read as the index has
// it is not read again.
func (p *planner) measure(m *planned, f *planFile) error {
	if p.i.stopped() {
		return p.i.err
	}
	c := &p.pieces[m.piece]
	m.file, m.pos, m.lead = c.file, c.off, uint32(c.text-c.off)
	if r := p.inspected(c); r != nil {
		m.size, m.header = r.size, r.header
		return nil
	}
	var sum maphash.Hash
	sum.SetSeed(textSeed)
	end := headerEnd{to: &sum}
	if err := c.write(&end, f.f); err != nil {
		return err
	}
	m.size, m.header, m.digest, m.read = end.n, end.size(), sum.Sum64(), true
	return nil
}

// inspected returns the record of the index for a piece that is as it says, nil
// where there is none.
func (p *planner) inspected(c *piece) *listed {
	if c.rec < 0 || !c.plain || !c.leads {
		return nil
	}
	r := &p.index.all[c.rec]
	if !r.known.has(knowUID|knowSize|knowPlace|knowHeader) || r.file != c.file || r.pos != c.off || r.text() != c.text || r.end() != c.end {
		return nil
	}
	at := byUID{msgs: p.i.s.msgs}
	m := at.find(r.uid)
	if m == nil || m.file != r.file || m.pos != r.pos || m.size != r.size || m.header != r.header || p.i.wrongHeader[[2]int64{int64(m.file), m.pos}] {
		return nil
	}
	return r
}

// stays reports whether a data file can stay as it is: what is listed of it is
// as it should be, and all else is whole messages that were removed.
func (p *planner) stays(f *planFile) bool {
	if f.f.fi.Mode().Perm()&0o400 == 0 {
		return false
	}
	at := int64(0)
	for _, n := range f.msgs {
		m := &p.msgs[n]
		c := &p.pieces[m.piece]
		if m.pos < at || !c.plain || c.line.uid != m.uid || c.line.date != m.date || c.line.size != m.size || c.end-c.text != m.size {
			return false
		}
		at = m.end()
	}
	for k := f.first; k < f.last; k++ {
		c := &p.pieces[k]
		if c.junk || !c.plain || c.end-c.text != c.line.size || c.line.uid > p.meta.uidLast {
			return false
		}
		if n, ok := p.find(c.line.uid); ok && (p.msgs[n].size != c.line.size || p.msgs[n].date != c.line.date) {
			return false // no copy, for readers
		}
	}
	return true
}

// explain says what is done about a data file that is written anew.
func (p *planner) explain(f *planFile) {
	rank := rankData + slices.Index(p.files, f)
	p.step(rank, "write-data", dataName(f.number), 0, f.f.fi.Size(), 0, "write its %s to %s", counted(len(f.msgs), "message", "messages"), dataName(f.to))
	ends, kept := 0, map[int]bool{}
	for _, n := range f.msgs {
		kept[p.msgs[n].piece] = true
		if p.pieces[p.msgs[n].piece].lineEnd {
			ends++
		}
	}
	if ends > 0 && ends == len(f.msgs) {
		p.step(rank, "line-ends", dataName(f.number), 0, f.f.fi.Size(), 0, "end all lines in CR LF again, which makes all sizes right")
	}
	for _, n := range f.msgs {
		p.explainMessage(n, ends < len(f.msgs))
	}
	for k := f.first; k < f.last; k++ {
		if !kept[k] {
			p.setAside(k)
		}
	}
}

// explainMessage says what is done about message n.
func (p *planner) explainMessage(n int, lineEnds bool) {
	m := &p.msgs[n]
	c := &p.pieces[m.piece]
	switch {
	case c.lineEnd && lineEnds:
		p.about(m.piece, n+1, "line-ends", "end its lines in CR LF again, which makes its size right")
	case c.without > 0:
		p.about(m.piece, n+1, "set-aside", "leave %d octets of its text out that are there twice, which makes its size right", c.without)
		p.lose(c.file, c.cut, c.cut+c.without, "they are there twice", false)
	case c.size > 0 && !c.fits():
		p.about(m.piece, n+1, "write-size", "write its size anew: %d octets, up to the next message, instead of %d", m.size, c.size)
	case c.size == 0:
		p.about(m.piece, n+1, "measure", "write its size: %d octets, up to the next message", m.size)
	case !c.plain && !c.lineEnd:
		p.about(m.piece, n+1, "write-line", "write the line in front of it anew")
	}
}

// setAside leaves octets out of a data file that is written anew.
func (p *planner) setAside(k int) {
	c := &p.pieces[k]
	switch {
	case c.junk:
		b := make([]byte, min(c.end-c.off, 64<<10))
		p.fileOf(c.file).f.ReadAt(b, c.off) // only looked at
		why, salvage := whyJunk(b)
		p.lose(c.file, c.off, c.end, why, salvage)
		p.about(k, 0, "set-aside", "set %s aside: %s", counted64(c.end-c.off), why)
	case c.copy && c.fits():
		p.about(k, 0, "leave-out", "leave a copy of the message of UID %d out", c.uid)
	case c.uid > 0 && c.fits() && !c.foreign:
		p.about(k, 0, "leave-out", "leave the message of UID %d out, which was removed", c.uid)
	default:
		p.lose(c.file, c.off, c.end, "what is left of a message", !c.copy)
		p.about(k, 0, "set-aside", "set %s aside: what is left of a message", counted64(c.end-c.off))
	}
}

// lose notes octets of a data file that have no place in the result.
func (p *planner) lose(file uint32, off, end int64, why string, salvage bool) {
	p.lost = append(p.lost, mend.Lost{Off: off, End: end, Why: why, Salvage: salvage, Of: dataName(file)})
	p.acc.SetAside += end - off
}

// whyJunk says why octets are left out, and whether people may want to see them.
func whyJunk(b []byte) (why string, salvage bool) {
	rest := strings.Trim(string(b), "\x00\r\n")
	switch {
	case rest == "" && strings.IndexByte(string(b), 0) < 0:
		return "line ends between messages", false
	case rest == "":
		return "NULs, which were never written", false
	}
	return "they belong to no message", len(rest) > 8 && isText([]byte(rest))
}
