package mh

import (
	"slices"
	"strings"

	"mailutil/pkg/internal/numbered"
)

// A mender makes the sequences anew.
type mender struct {
	d    *Driver
	p    *numbered.Mending
	seqs []sequence
	lost bool // a whole line, of who knows which sequence
}

// mend plans new sequences where those that there are, are damaged.
func (d *Driver) mend(p *numbered.Mending) {
	m := mender{d: d, p: p}
	seqs, flaws := parseSequences(p.Octets)
	damaged := len(flaws) > 0
	for _, q := range seqs {
		damaged = !m.keep(q) || damaged
	}
	for _, f := range flaws {
		switch {
		case !f.line:
			p.Lose(int64(f.off), int64(f.end), "no range of messages")
		case !m.salvage(f):
			m.lost = true
			p.Lose(int64(f.off), int64(f.end), "no sequence")
		}
	}
	if !damaged {
		return
	}
	m.trim()
	m.unseen()
	p.Text = printSequences(m.seqs)
	if p.Text == nil {
		p.Text = []byte{}
	}
	p.Step("write-sequences", -1, int64(len(p.Octets)), 0, "write the sequences anew: %d of them", len(m.seqs))
}

// keep takes a sequence over; false where something is wrong with it.
func (m *mender) keep(q sequence) bool {
	if q.raw != "" {
		return true // it was seen to
	}
	sound := true
	if garbled(q.name) {
		sound = false
		name := m.known(q.name)
		if name == "" {
			m.lost = true
			m.p.Step("drop-sequence", -1, 0, 0, "leave the sequence %.60q out: it has no name that can be read", q.name)
			return false
		}
		m.p.Step("name-sequence", -1, 0, 0, "call the sequence %.60q %s", q.name, name)
		q.name = name
	}
	q.odd = ""
	old := find(m.seqs, q.name)
	if old == nil {
		m.seqs = append(m.seqs, q)
		return sound
	}
	switch q.name {
	case seqCurrent:
	case seqDeleted: // nothing is taken for deleted that only one calls so
		old.spans = common(old.spans, &q)
	default:
		old.spans = tidy(append(old.spans, q.spans...))
	}
	m.p.Step("join-sequences", -1, 0, 0, "make one sequence of the two that are called %s", q.name)
	return false
}

// common are the messages of spans that are in q as well.
func common(spans []span, q *sequence) []span {
	var both sequence
	for _, r := range spans {
		for _, o := range q.spans {
			if lo, hi := max(r.lo, o.lo), min(r.hi, o.hi); lo <= hi {
				both.spans = append(both.spans, span{lo, hi})
			}
		}
	}
	return both.spans
}

// garbled reports whether a name has octets that none has.
func garbled(name string) bool { return strings.ContainsFunc(name, isControl) }

func isControl(c rune) bool { return c < ' ' || c == 0x7F }

// known returns the one name of a sequence that has a meaning here and that a
// name may have been whose control characters were something else, "" where
// there is none, or more than one.
func (m *mender) known(name string) (is string) {
	for _, k := range m.meant() {
		if len(k) != len(name) || find(m.seqs, k) != nil || !alike(name, k) {
			continue
		}
		if is != "" {
			return ""
		}
		is = k
	}
	return is
}

// meant are the names of sequences that mean something to us.
func (m *mender) meant() []string {
	names := []string{m.d.unseen(), seqCurrent, seqKnown, seqRecent}
	for _, f := range flagSequences {
		names = append(names, f.name)
	}
	return names
}

// alike reports whether a differs from b, of its length, in control characters
// only, and not in most.
func alike(a, b string) bool {
	same := 0
	for i := range len(b) {
		switch {
		case a[i] == b[i]:
			same++
		case !isControl(rune(a[i])):
			return false
		}
	}
	return 2*same >= len(b)
}

// salvage takes a line for the sequence that it seems to have been.
func (m *mender) salvage(f flaw) bool {
	line := strings.TrimRight(string(m.p.Octets[f.off:f.end]), "\r\n")
	for _, name := range m.meant() {
		n := len(name)
		if len(line) <= n || !alike(line[:n], name) || line[n] != ':' && !isControl(rune(line[n])) || find(m.seqs, name) != nil {
			continue
		}
		q := sequence{name: name}
		if flaws := q.numbers(line[n+1:], 0, nil); len(flaws) > 0 || len(q.spans) == 0 {
			continue
		}
		q.spans = tidy(q.spans)
		m.seqs = append(m.seqs, q)
		m.p.Step("name-sequence", int64(f.off), int64(f.end-f.off), 0, "take %.60q for the sequence %s", line, name)
		return true
	}
	return false
}

// trim takes numbers of messages out that are not there: a message to come may
// get them.
func (m *mender) trim() {
	for i := range m.seqs {
		q := &m.seqs[i]
		if q.name == seqCurrent {
			continue
		}
		there := sequence{}
		for _, n := range m.p.List.Numbers {
			if q.has(n) {
				there.add(n)
			}
		}
		q.spans = there.spans
	}
	m.seqs = slices.DeleteFunc(m.seqs, func(q sequence) bool { return len(q.spans) == 0 && !m.d.mayBeKeyword(q.name) })
}

// unseen sees to it that messages are not all seen because the line is lost that
// says which ones are not: then their access times count, as where there are no
// sequences.
func (m *mender) unseen() {
	if !m.lost || find(m.seqs, m.d.unseen()) != nil {
		return
	}
	q := sequence{name: m.d.unseen()}
	for _, n := range m.p.List.Numbers {
		fi, err := m.d.FS.Stat(m.p.Dir.File(n))
		if err == nil && !wasRead(fi) {
			q.add(n)
		}
	}
	m.p.Account.Flags = uint32(len(m.p.List.Numbers))
	m.p.Step("guess-flags", -1, 0, 0, "tell by the times of the messages which ones are seen: the line that says so may be lost")
	if len(q.spans) > 0 {
		m.seqs = append(m.seqs, q)
	}
}
