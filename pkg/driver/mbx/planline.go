package mbx

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// line makes the internal line of m.
func (p *planner) line(m *planned, f fix, size int64) ([]byte, error) {
	date := f.date
	if date == "" {
		b := make([]byte, min(maxLine, m.text-m.off))
		if _, err := p.from.ReadAt(b, m.off); err != nil && err != io.EOF {
			return nil, err
		}
		date = string(b[:max(bytes.IndexByte(b, ','), 0)])
		if d, err := p.parseDate(date); err == nil && !flocked.IsDate([]byte(date)) {
			date = d.String()
			p.keepLine(m.off, m.text)
		}
	}
	if len(date) > dateLen+3 {
		date = date[:dateLen]
	}
	b := append([]byte(date), ',')
	b = strconv.AppendInt(b, size, 10)
	b = append(b, ';')
	b = appendFlags(b, m.keywords, m.flags&bitsKnown, m.uid)
	return append(b, "\r\n"...), nil
}

func (p *planner) parseDate(s string) (mailbox.Date, error) {
	return mailbox.ParseDate(s, p.r.d.env.Now().Location())
}

// date reads the date of a line and remembers it.
func (p *planner) date(b []byte) (mailbox.Date, error) {
	d, err := p.parseDate(string(b))
	if err == nil {
		p.prev = d
	}
	return d, err
}

// salvageLine takes from a damaged line what can be read of it.
func (p *planner) salvageLine(c *piece, m *planned, f *fix, seq uint32) (err error) {
	m.bits |= planLine | planTold
	b := make([]byte, min(c.text-c.off, 2*maxLine))
	if _, err := p.from.ReadAt(b, c.text-int64(len(b))); err != nil && err != io.EOF {
		return err
	}
	var lost []string
	raw := b[:min(len(b), dateLen)]
	if _, err := p.date(raw); err == nil && flocked.IsDate(raw) {
		f.date = string(raw)
	} else if f.date, err = p.guessDate(raw, m, seq); err != nil {
		return err
	}
	s := salvage(b)
	if m.keywords, m.flags = s.keywords, s.flags; !s.flagged {
		p.acc.Flags++
		lost = append(lost, "flags")
	}
	if m.uid = s.uid; !s.numbered {
		m.bits |= planNoUID
		lost = append(lost, "UID")
	}
	text := "write its internal line anew"
	if len(lost) > 0 {
		text += ", whose " + strings.Join(lost, " and ") + " cannot be read"
	}
	if wiped(b) < len(b) {
		p.keepLine(m.text-int64(len(b)), m.text)
	}
	p.step("write-line", c.off, c.text-c.off, seq, "%s", text)
	return nil
}

// keepLine keeps an internal line as it was, of which the new one does not have all.
func (p *planner) keepLine(off, end int64) {
	p.lost = append(p.lost, mend.Lost{Off: off, End: end, Why: "what was an internal line"})
}

// A salvaged is what could be read of a damaged line.
type salvaged struct {
	keywords uint32
	flags    uint16
	uid      uint32
	flagged  bool // keywords and flags are sure
	numbered bool // uid is sure
}

const tailLen = semiBack - 2 // ";", keywords, flags, "-", uid

// tailFits returns how many octets of b have the shape of the tail of a line.
func tailFits(b []byte) (n int) {
	if len(b) != tailLen {
		return 0
	}
	for i, c := range b {
		switch i {
		case 0:
			if c == ';' {
				n++
			}
		case 13:
			if c == '-' {
				n++
			}
		default:
			if isHex(c) {
				n++
			}
		}
	}
	return n
}

// minTail is how many octets of a tail must fit to take it for one.
const minTail = 18

// salvage reads the tail of a line, which ends with b.
func salvage(b []byte) (s salvaged) {
	best, end := 0, -1
	for e := len(b); e > len(b)-4 && e >= tailLen; e-- {
		if n := tailFits(b[e-tailLen : e]); n > best {
			best, end = n, e
		}
	}
	if best < minTail {
		return shifted(bytes.TrimRight(b, "\r\n"))
	}
	t := b[end-tailLen : end]
	// A size is before the tail. Octets that were lost within it leave hex
	// digits in the wrong places: then the semicolon is in one of them.
	straight := bytes.IndexByte(t[1:], ';') < 0
	s.uid, s.numbered = uint32(fromHexOrZero(t[14:])), allHex(t[14:])
	s.keywords, s.flags = uint32(fromHexOrZero(t[1:9])), uint16(fromHexOrZero(t[9:13]))
	s.flagged = straight && allHex(t[1:13]) && s.flags&^bitsKnown == 0 && s.keywords>>maxKeywords == 0
	if other := shifted(bytes.TrimRight(b, "\r\n")); !s.numbered && other.numbered {
		s.uid, s.numbered = other.uid, true
	}
	if !s.flagged {
		s.flags &= bitsKnown &^ (bitDeleted | bitExpunged)
		s.keywords &= 1<<maxKeywords - 1
	}
	return s
}

// shifted reads a tail that has lost or got octets.
func shifted(b []byte) (s salvaged) {
	if len(b) >= 9 && b[len(b)-9] == '-' && allHex(b[len(b)-8:]) {
		s.uid, s.numbered = uint32(fromHex(b[len(b)-8:])), true
	}
	semi := bytes.IndexByte(b, ';')
	if semi < dateLen || len(b) < semi+14 || b[semi+13] != '-' || !allHex(b[semi+1:semi+13]) {
		return s
	}
	s.keywords, s.flags = uint32(fromHex(b[semi+1:semi+9])), uint16(fromHex(b[semi+9:semi+13]))
	s.flagged = s.flags&^bitsKnown == 0
	return s
}

func fromHexOrZero(b []byte) uint64 {
	if !allHex(b) {
		return 0
	}
	return fromHex(b)
}

// guessDate finds a date for a message whose line has none that can be read:
// what is left of it, completed to be near to when the message says that it came.
func (p *planner) guessDate(raw []byte, m *planned, seq uint32) (string, error) {
	near, err := p.received(m)
	if err != nil {
		return "", err
	}
	if near.IsZero() {
		near = p.prev
	}
	if near.IsZero() {
		near = mailbox.Date{Year: 1970, Month: 1, Day: 1}
	}
	best, ok := p.complete(raw, near)
	if !ok {
		best = near
	}
	if !flocked.Storable(best) {
		best = mailbox.DateOf(best.Time())
	}
	if !flocked.Storable(best) {
		best = mailbox.Date{Year: 1970, Month: 1, Day: 1}
	}
	p.acc.Dates++
	p.step("guess-date", m.off, m.text-m.off, seq, "give it the date %s", strings.TrimLeft(best.String(), " "))
	return best.String(), nil
}

// complete tries what the one field of raw that cannot be read can have been,
// and takes what is next to near.
func (p *planner) complete(raw []byte, near mailbox.Date) (best mailbox.Date, ok bool) {
	if flocked.DateFits(raw) < dateLen-4 || len(raw) != dateLen {
		return best, false
	}
	now := near.String()
	distance := time.Duration(-1)
	try := func(s string) {
		if !flocked.IsDate([]byte(s)) {
			return
		}
		d, err := p.parseDate(s)
		if err != nil {
			return
		}
		if far := d.Time().Sub(near.Time()).Abs(); distance < 0 || far < distance {
			best, ok, distance = d, true, far
		}
	}
	for _, field := range [][2]int{{0, 2}, {3, 6}, {7, 11}, {12, 14}, {15, 17}, {18, 20}, {21, 26}} {
		try(string(raw[:field[0]]) + now[field[0]:field[1]] + string(raw[field[1]:]))
	}
	for n, c := range raw {
		if d := ' '; c > ' ' && c < 0x7F && n != 0 || d == 0 {
			continue
		}
		for _, c := range " 0123456789:-+" {
			try(string(raw[:n]) + string(c) + string(raw[n+1:]))
		}
	}
	for n := 0; n < 36; n += 3 {
		try(string(raw[:3]) + "JanFebMarAprMayJunJulAugSepOctNovDec"[n:n+3] + string(raw[6:]))
	}
	return best, ok
}

// received returns the date at which the message says that it came here, or
// was written.
func (p *planner) received(m *planned) (mailbox.Date, error) {
	b := make([]byte, min(m.end-m.text, 64<<10))
	if _, err := p.from.ReadAt(b, m.text); err != nil && err != io.EOF {
		return mailbox.Date{}, err
	}
	return mend.Arrival(b, p.parseDate), nil
}

// nameKeywords gives names to the keyword bits that have lost theirs.
func (p *planner) nameKeywords() {
	if !p.badTable && p.known && p.i.hasBlock {
		return
	}
	most := 0
	for bit := range maxKeywords {
		if p.used&(1<<bit) != 0 {
			most = bit + 1
		}
	}
	var names []string
	for len(p.block.lines) < most {
		name := fmt.Sprintf("kw%02d", len(p.block.lines)+1)
		p.block.lines = append(p.block.lines, name)
		names = append(names, name)
	}
	if p.acc.Keywords = len(names); len(names) > 0 {
		p.step("name-keywords", magicEnd, 0, 0, "name %s: %s", counted(len(names), "keyword", "keywords"), strings.Join(names, " "))
	}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
