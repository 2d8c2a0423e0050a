package mx

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"strconv"

	"mailutil/pkg/internal/mend"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/mailbox"
)

// A mender makes an index anew: of what can be read of it, and of the files.
type mender struct {
	p  *numbered.Mending
	ix index
	at map[uint32]salvaged // records that can be read in part, by UID
	to index               // as it is to be
}

// A salvaged is what is left of a record that is damaged.
type salvaged struct {
	record
	hasUID, hasKeywords, hasFlags bool
}

// mend plans a new index where the old one is damaged.
func (d *Driver) mend(p *numbered.Mending) {
	ix, flaws := parse(p.Octets)
	p.Account.UIDValidity = ix.validity
	if p.Has && len(p.Octets) == 0 && len(p.List.Numbers) == 0 {
		return // just created
	}
	if p.Has && len(flaws) == 0 && ix.validity != 0 && ix.last >= p.List.Highest() {
		return
	}
	pr := parser{b: p.Octets, heads: true}
	pr.run()
	m := mender{p: p, ix: pr.ix, at: map[uint32]salvaged{}}
	m.choose(pr.raw)
	m.keywords(&pr)
	m.head(max(uint32(d.env.Now().Unix()), 1))
	for _, f := range pr.flaws {
		if f.kind != "order" && f.kind != "twice" && f.kind != "keywords" {
			m.salvage(f)
			p.Lose(int64(f.off), int64(f.end), "no part of an index")
		}
	}
	m.records()
	p.Text = m.to.print()
	p.Step("write-index", -1, int64(len(p.Octets)), 0, "write the index anew: %d records", len(m.to.records))
}

// choose chooses between two records of a message. One that is out of order may
// be of another message, and only its UID damaged: of the one that lacks a
// record where it stands. Else it may be the rest of an older index that was
// longer: then the first counts, but nothing is taken for Deleted that only one
// of them calls so.
func (m *mender) choose(raw []record) {
	all := make([]mend.UID, len(raw))
	for i, r := range raw {
		all[i].Now = r.uid
	}
	mend.Distrust(all)
	in := map[uint32]int{} // records in order, by UID
	for i, r := range raw {
		if k, ok := m.ix.find(r.uid); ok && !all[i].Lost {
			m.ix.records[k] = r
			in[r.uid] = i
		}
	}
	before, after := around(all)
	for i, r := range raw {
		k, ok := m.ix.find(r.uid)
		if !ok || !all[i].Lost || m.ix.records[k] == r || m.move(r, before[i], after[i]) {
			continue
		}
		if first, ok := in[r.uid]; ok && m.move(m.ix.records[k], before[first], r.uid) {
			m.ix.records[k] = r
			continue
		}
		m.ix.records[k].flags &^= bitDeleted &^ r.flags
		if seq := m.seq(r.uid); seq > 0 {
			m.p.Account.Flags++
			m.p.Step("guess-flags", -1, 0, seq, "give it the flags of the first of its two records")
		}
	}
}

// move takes a record for that of the only message between before and after that
// lacks one; false where there is no such message.
func (m *mender) move(r record, before, after uint32) bool {
	stray := []salvaged{{record: r, hasKeywords: true, hasFlags: true}}
	if m.place(stray, before, after); stray[0].hasUID {
		m.at[stray[0].uid] = stray[0]
	}
	return stray[0].hasUID
}

// around are the UIDs of the records that are in order before and behind each.
func around(all []mend.UID) (before, after []uint32) {
	before, after = make([]uint32, len(all)), make([]uint32, len(all))
	last, next := uint32(0), uint32(numbered.MaxNumber)
	for i, u := range all {
		before[i] = last
		if !u.Lost {
			last = u.Now
		}
	}
	for i, u := range slices.Backward(all) {
		if !u.Lost {
			next = u.Now
		}
		after[i] = next
	}
	return before, after
}

// seq is the number of the message uid, 0 for none.
func (m *mender) seq(uid uint32) uint32 {
	i, ok := slices.BinarySearch(m.p.List.Numbers, uid)
	if !ok {
		return 0
	}
	return uint32(i) + 1
}

// head plans UIDVALIDITY and the last UID.
func (m *mender) head(now uint32) {
	a := &m.p.Account
	m.to.validity, m.to.last = m.ix.validity, m.ix.highest(&m.p.List)
	if m.to.validity == 0 {
		m.to.validity, a.Raised = now, true
		m.p.Step("new-uidvalidity", -1, 0, 0, "give the mailbox the UIDVALIDITY %d: that which it had is lost", now)
	}
	a.UIDValidity = m.to.validity
	if m.to.last != m.ix.last {
		m.p.Step("raise-uidlast", -1, 0, 0, "make %d the highest UID ever given, instead of %d", m.to.last, m.ix.last)
	}
}

// keywords plans the names of keywords, for bits that have none too. A damaged
// name must not give its bit to the next one: where it cannot be told how many
// are lost, all behind have no name any more.
func (m *mender) keywords(pr *parser) {
	names, lost := m.ix.keywords, 0
	at, sure := len(names), true // the first that is behind damage
	for _, f := range pr.flaws {
		if f.kind == "keywords" {
			m.p.Account.Keywords++ // without a name, or room
		}
		if f.kind != "garbage" && f.kind != "nuls" || f.keywords < 0 || f.end <= validityLen+lastLen {
			continue
		}
		junk := pr.b[f.off:f.end]
		n := bytes.Count(junk, []byte("\n"))
		sure = sure && !bytes.ContainsFunc(junk, func(c rune) bool { return c < ' ' && c != '\n' })
		if n > 0 || !sure {
			at = min(at, f.keywords)
			lost += n
		}
	}
	used := bits.Len32(m.used())
	if more := used - len(names); more > lost {
		lost = more
	} else if !sure && at < len(names) {
		names = names[:at]
		lost = max(used-at, 0)
	}
	m.to.keywords = append(slices.Clip(names[:at]), m.madeUp(at, lost)...)
	m.to.keywords = append(m.to.keywords, names[at:]...)
	m.to.keywords = m.to.keywords[:min(len(m.to.keywords), maxKeywords)]
	m.to.keywords = append(m.to.keywords, m.madeUp(len(m.to.keywords), used-len(m.to.keywords))...)
}

// used are the bits of keywords that some message bears.
func (m *mender) used() (all uint32) {
	for _, r := range m.ix.records {
		all |= r.keywords
	}
	return all & (1<<maxKeywords - 1)
}

// madeUp makes n names up, for the bits from at on.
func (m *mender) madeUp(at, n int) (names []string) {
	for i := range max(n, 0) {
		name := fmt.Sprintf("Unnamed-%d", at+i)
		names = append(names, name)
		m.p.Account.Keywords++
		m.p.Step("name-keyword", -1, 0, 0, "call keyword %d %s: its name is lost", at+i, name)
	}
	return names
}

// salvage reads records that are damaged, as far as they can be read.
func (m *mender) salvage(f flaw) {
	if f.kind == "nuls" {
		return
	}
	before := m.uidBefore(f.off)
	var pieces []salvaged
	for _, b := range cut(m.p.Octets[f.off:f.end]) {
		pieces = append(pieces, read(b))
	}
	after := uint32(numbered.MaxNumber)
	if wholeRecord(m.p.Octets[f.end:]) {
		after = read(m.p.Octets[f.end : f.end+recordLen]).uid
	}
	m.place(pieces, before, after)
	for _, s := range pieces {
		if _, has := m.at[s.uid]; s.hasUID && !has {
			m.at[s.uid] = s
		}
	}
}

// uidBefore is the UID of the record that ends at off, 0 for none.
func (m *mender) uidBefore(off int) uint32 {
	if at := off - recordLen; at >= 0 && wholeRecord(m.p.Octets[at:]) {
		return read(m.p.Octets[at:off]).uid
	}
	return 0
}

// place gives records whose UID cannot be read those of the messages between
// before and after that have none, where these are exactly as many.
func (m *mender) place(pieces []salvaged, before, after uint32) {
	var free []uint32
	from, _ := slices.BinarySearch(m.p.List.Numbers, before+1)
	for _, n := range m.p.List.Numbers[from:] {
		if n >= after {
			break
		}
		if _, has := m.ix.find(n); !has &&
			!slices.ContainsFunc(pieces, func(s salvaged) bool { return s.hasUID && s.uid == n }) {
			free = append(free, n)
		}
	}
	var nameless []*salvaged
	for i := range pieces {
		if !pieces[i].hasUID {
			nameless = append(nameless, &pieces[i])
		}
	}
	if len(free) != len(nameless) {
		return
	}
	for i, s := range nameless {
		s.uid, s.hasUID = free[i], true
	}
}

// cut cuts octets into what seem to be records.
func cut(b []byte) (pieces [][]byte) {
	for len(b) > 0 {
		n := bytes.IndexByte(b[1:], 'M') + 1
		if n == 0 {
			n = len(b)
		}
		if n > recordLen+recordLen/2 { // the M of the next one is damaged
			n = recordLen
		}
		pieces = append(pieces, b[:n])
		b = b[n:]
	}
	return pieces
}

// read reads a record by where its fields are, from its beginning or, where
// octets are lost or added, from its end.
func read(b []byte) (s salvaged) {
	field := func(from, to int, before, after byte) (uint32, bool) {
		if from < 1 || to > len(b) || b[from-1] != before && len(b) != recordLen || to < len(b) && b[to] != after && len(b) != recordLen {
			return 0, false
		}
		v, err := strconv.ParseUint(string(b[from:to]), 16, 32)
		return uint32(v), err == nil
	}
	s.uid, s.hasUID = field(1, flagsAt-1, 'M', ';')
	s.keywords, s.hasKeywords = field(flagsAt, flagsAt+8, ';', '.')
	at := len(b) - 4
	flags, ok := field(at, len(b), '.', 0)
	s.flags, s.hasFlags = uint16(flags), ok && (at == recordLen-4 || at >= recordLen-6)
	if !s.hasKeywords && len(b) != recordLen {
		s.keywords, s.hasKeywords = field(at-9, at-1, ';', '.')
	}
	return s
}

// records gives each message a record.
func (m *mender) records() {
	a, last := &m.p.Account, m.ix.last
	if n := len(m.ix.records); n > 0 {
		last = max(last, m.ix.records[n-1].uid)
	}
	var lost []uint32
	for _, uid := range m.p.List.Numbers {
		r, known := m.find(uid)
		if !known && (uid <= last || last == 0) {
			lost = append(lost, uid)
		} else if !known { // it came when nobody looked
			r.flags |= bitNew
		}
		m.to.records = append(m.to.records, r)
	}
	a.Flags += uint32(len(lost))
	if len(lost) == len(m.p.List.Numbers) && len(lost) > 1 {
		m.p.Step("lose-flags", -1, 0, 0, "the flags of all messages cannot be read: they have none")
		return
	}
	for _, uid := range lost {
		m.p.Step("lose-flags", -1, 0, m.seq(uid), "flags or keywords of it cannot be read: it has none of these")
	}
}

// find returns the record of a message, whole or what is left of it, and whether
// all of it is known.
func (m *mender) find(uid uint32) (record, bool) {
	if i, ok := m.ix.find(uid); ok {
		return m.ix.records[i], true
	}
	r, s := record{uid: uid}, m.at[uid]
	if s.hasKeywords {
		r.keywords = s.keywords
	}
	if s.hasFlags {
		r.flags = s.flags
	}
	return r, s.hasKeywords && s.hasFlags
}

// isHead reports whether b begins with a field that stands before the records,
// as it is written.
func isHead(b []byte) bool {
	if len(b) < validityLen {
		return false
	}
	switch b[0] {
	case 'V', 'L':
		for _, c := range b[1:validityLen] {
			if !isHex(c) {
				return false
			}
		}
		return len(b) == validityLen || bytes.IndexByte([]byte("VLKM"), b[validityLen]) >= 0
	case 'K':
		name, _, ok := bytes.Cut(b[1:], []byte("\n"))
		return ok && mailbox.ValidKeyword(string(name))
	}
	return false
}
