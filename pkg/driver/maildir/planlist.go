package maildir

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"mailutil/pkg/internal/mend"
)

// A listed is a line of a list of UIDs, as far as it can be read.
type listed struct {
	off, end int    // in the list
	read     uint32 // the UID that it has, 0 for none
	uid      uint32 // that counts
	exts     string
	msg      int  // message it is about, -1 for one that is not there, or cannot be told
	sound    bool // as it should be
	twice    bool // its message has another line
	stray    bool // its UID is out of order
}

// A salvage reads a list of UIDs that is damaged.
type salvage struct {
	ix     *index
	find   func(base string) int
	bases  []string       // of all messages, sorted
	taken  []bool         // messages that have a line
	at     map[string]int // where the line of a message is that can be read whole
	header header
	whole  bool // the first line can be read
	lines  []listed
}

// salvageList reads all that can be read of a list, of that version unless it
// says another one. It may know messages by the bases that they are to have.
func salvageList(p *planner, b []byte, version int) *salvage {
	ix, planned := p.ix, map[string]int{}
	for i := range p.to {
		if base := baseOf(p.file(i)); p.newBase(i) && p.first(base) < 0 {
			planned[base] = i
		}
	}
	find := func(base string) int {
		if i, ok := planned[base]; ok {
			return i
		}
		return p.first(base)
	}
	s := &salvage{ix: ix, find: find, taken: make([]bool, len(ix.all)), header: header{version: version}}
	for i := range ix.all {
		s.bases = append(s.bases, string(ix.base(&ix.all[i])))
	}
	for base := range planned {
		s.bases = append(s.bases, base)
	}
	slices.Sort(s.bases)
	s.findWhole(b)
	for at := 0; at < len(b); {
		end := lineEnd(b, at)
		if at == 0 && s.first(string(b[:end])) {
			at = end
			continue
		}
		s.lines = append(s.lines, s.line(b, at, end)...)
		at = end
	}
	for i := range s.lines { // once it is known which messages have lines
		if l := &s.lines[i]; l.msg < 0 && !l.sound {
			l.msg = s.guess(b[l.off:l.end])
		}
	}
	s.order()
	return s
}

// lineEnd is where the line at an offset ends.
func lineEnd(b []byte, at int) int {
	if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(b)
}

// findWhole looks for the lines that can be read whole: what is left of another
// one of the same message does not count.
func (s *salvage) findWhole(b []byte) {
	s.at = map[string]int{}
	for at, end := 0, 0; at < len(b); at = end {
		end = lineEnd(b, at)
		r, ok := parseRecord(bytes.TrimSuffix(b[at:end], []byte("\n")), s.header.version)
		if _, has := s.at[string(r.base)]; ok && b[end-1] == '\n' && !has && s.knows(string(r.base)) {
			s.at[string(r.base)] = at
		}
	}
}

// first reads the first line, and takes what it can of one that is damaged.
// false says that it seems to be another.
func (s *salvage) first(line string) bool {
	h, err := parseHeader(strings.TrimSuffix(line, "\n"))
	if err == nil && strings.HasSuffix(line, "\n") {
		s.header, s.whole = h, true
		return true
	}
	if r, ok := parseRecord([]byte(strings.TrimSuffix(line, "\n")), s.header.version); ok && s.find(string(r.base)) >= 0 {
		return false
	}
	fields := strings.FieldsFunc(line, func(c rune) bool { return c <= ' ' || c >= 0x7F })
	for i, f := range fields {
		n, err := parseUID(f[1:])
		switch {
		case f[0] == 'V' && err == nil:
			s.header.validity = n
		case f[0] == 'N' && err == nil:
			s.header.next = n
		case f[0] == 'G' && len(f) == 1+2*guidOctets:
			s.header.rest = f
		case i == 1 && fields[0] == "1" && s.header.validity == 0: // Courier's
			s.header.validity, _ = parseUID(f)
		}
	}
	return true
}

// line reads one line, or two whose line end is lost.
func (s *salvage) line(b []byte, at, end int) []listed {
	text := b[at:end]
	whole := bytes.HasSuffix(text, []byte("\n"))
	text = bytes.TrimSuffix(text, []byte("\n"))
	version := s.header.version
	r, ok := parseRecord(text, version)
	l := listed{off: at, end: end, read: r.uid, uid: r.uid, exts: string(r.exts), msg: -1, sound: ok && whole}
	if ok {
		if l.msg = s.take(string(r.base), at); l.msg >= 0 || whole && !s.knows(string(r.base)) && !joined(text) {
			return []listed{l}
		}
		if l.twice = l.sound && s.knows(string(r.base)); l.twice {
			return []listed{l}
		}
	}
	for i := range text { // a name that is known, wherever it stands
		base := s.longest(text[i:])
		if base == "" {
			continue
		}
		msg := s.take(base, at)
		if msg < 0 {
			continue
		}
		uid := uidBefore(text[:i])
		first := listed{off: at, end: at + i + len(base), read: uid, uid: uid, msg: msg}
		rest := at + i + len(base)
		if rest < end && (b[rest] < '0' || b[rest] > '9') {
			rest++ // what was the line end
		}
		if rest >= end {
			first.end = end
			return []listed{first}
		}
		return append([]listed{first}, s.line(b, rest, end)...)
	}
	l.sound = false
	return []listed{l}
}

// uidBefore reads the UID in what stands before a name, 0 where it cannot be read:
// "17 :", which may have lost an octet or have another.
func uidBefore(b []byte) uint32 {
	num, _, ok := bytes.Cut(b, []byte(" "))
	if uid, err := parseUID(string(num)); ok && err == nil {
		return uid
	}
	n, rest := digits(b)
	if len(rest) == 0 || len(rest) > len(" :")+1 || bytes.ContainsAny(rest, "0123456789") || n > math.MaxUint32 {
		return 0
	}
	return uint32(n)
}

// knows reports whether a message has that base.
func (s *salvage) knows(base string) bool { return s.find(base) >= 0 }

// take finds the message of a base in the line at an offset; -1 where there is
// none, or it has another line.
func (s *salvage) take(base string, at int) int {
	i := s.find(base)
	if whole, has := s.at[base]; i < 0 || s.taken[i] || has && whole != at {
		return -1
	}
	s.taken[i] = true
	return i
}

// longest is the longest base of a message that b begins with, "" for none.
func (s *salvage) longest(b []byte) string {
	i, exact := slices.BinarySearchFunc(s.bases, b, func(base string, b []byte) int { return strings.Compare(base, string(b)) })
	if exact {
		return s.bases[i]
	}
	for i--; i >= 0 && s.bases[i] != "" && s.bases[i][0] == b[0]; i-- {
		if bytes.HasPrefix(b, []byte(s.bases[i])) {
			return s.bases[i]
		}
		if !sharesStart(s.bases[i], b) {
			break
		}
	}
	return ""
}

// sharesStart reports whether two names may still have one behind them that is
// the beginning of b: those of one second do.
func sharesStart(base string, b []byte) bool {
	n := min(len(base), len(b), 6)
	return base[:n] == string(b[:n])
}

// guess finds the one message without a line that a line is about whose name is
// torn, or has octets that no name has; -1 where there is none, or more.
func (s *salvage) guess(line []byte) int {
	torn := !bytes.HasSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\n"))
	_, name, ok := bytes.Cut(line, []byte(" :"))
	if _, rest, one := bytes.Cut(line, []byte(" ")); !ok && one && s.header.version != listVersion {
		name, ok = rest, true
	}
	if !ok || len(name) == 0 || !torn && !garbled(name) {
		return -1
	}
	is := -1
	for i := range s.ix.all {
		base := s.ix.base(&s.ix.all[i])
		if s.taken[i] || !mayBe(name, base, torn) {
			continue
		}
		if is >= 0 {
			return -1
		}
		is = i
	}
	if is >= 0 {
		s.taken[is] = true
	}
	return is
}

// leastStart is how much of a name must be there.
const leastStart = 8

// mayBe reports whether name is base but for octets that no name has, or, where
// it is torn, its beginning.
func mayBe(name, base []byte, torn bool) bool {
	if len(name) > len(base) || len(name) < len(base) && (!torn || len(name) < leastStart) {
		return false
	}
	same := 0
	for i, c := range name {
		switch {
		case c == base[i]:
			same++
		case c >= ' ' && c < 0x7F:
			return false
		}
	}
	return 2*same >= len(name)
}

// order takes the UIDs from lines that keep the others from ascending, unless
// they stand elsewhere only: the times in the names tell. Lines without a UID
// between two others get those that are free there, where these are as many.
func (s *salvage) order() {
	uids := make([]mend.UID, len(s.lines))
	for i, l := range s.lines { // those of messages that are gone say nothing against others
		uids[i] = mend.UID{Now: l.uid, Lost: l.uid == 0 || l.msg < 0}
	}
	mend.Distrust(uids)
	s.swap(uids)
	has := map[uint32]bool{} // UIDs
	for i, u := range uids {
		if !u.Lost {
			has[u.Now] = true
		} else if l := &s.lines[i]; l.msg >= 0 && l.uid != 0 {
			l.stray = true
		}
	}
	for i := range s.lines {
		l := &s.lines[i]
		switch {
		case !l.stray && (l.msg < 0 && l.sound && !l.twice):
			has[l.uid] = true
		case !l.stray:
		case !has[l.uid] && s.fits(i, uids):
			has[l.uid] = true
		default:
			l.uid = 0
		}
	}
	s.fill(has, uids)
}

// swap lets the second of two lines with one UID have it where only the first
// can have had another: exactly one is free before it, and none before the
// second.
func (s *salvage) swap(uids []mend.UID) {
	before := func(i int) (uid uint32) {
		for _, u := range uids[:i] {
			if !u.Lost {
				uid = u.Now
			}
		}
		return uid
	}
	for i := 1; i < len(s.lines); i++ {
		l, was := &s.lines[i], &s.lines[i-1]
		if l.msg < 0 || l.uid == 0 || !uids[i].Lost || uids[i-1].Lost || was.uid != l.uid {
			continue
		}
		if next := i + 1; was.uid-before(i-1) == 2 && (next == len(s.lines) || s.lines[next].uid == l.uid+1) {
			was.uid, uids[i-1].Lost, uids[i].Lost = 0, true, false
		}
	}
}

// fits reports whether the time in the name of line i is between those of the
// lines with the next lower and the next higher UID.
func (s *salvage) fits(i int, uids []mend.UID) bool {
	low, high := -1, -1
	for k, l := range s.lines {
		switch {
		case uids[k].Lost || l.msg < 0:
		case l.uid < s.lines[i].uid && (low < 0 || l.uid > s.lines[low].uid):
			low = k
		case l.uid > s.lines[i].uid && (high < 0 || l.uid < s.lines[high].uid):
			high = k
		}
	}
	older := func(a, b int) bool {
		as, au := named(s.ix.base(&s.ix.all[s.lines[a].msg]))
		bs, bu := named(s.ix.base(&s.ix.all[s.lines[b].msg]))
		return cmp.Or(cmp.Compare(as, bs), cmp.Compare(au, bu)) <= 0
	}
	return (low < 0 || older(low, i)) && (high < 0 || older(i, high))
}

// fill gives lines without a UID those that are free where they stand.
func (s *salvage) fill(has map[uint32]bool, uids []mend.UID) {
	before := uint32(0)
	var blank []*listed
	for i := range s.lines {
		l := &s.lines[i]
		if l.uid == 0 && !l.twice {
			blank = append(blank, l)
		}
		if uids[i].Lost { // it tells nothing of those around it
			continue
		}
		var free []uint32
		for u := before + 1; u < l.uid && len(free) <= len(blank); u++ {
			if !has[u] {
				free = append(free, u)
			}
		}
		for k := range blank {
			if len(free) == len(blank) {
				blank[k].uid = free[k]
			}
		}
		before, blank = l.uid, nil
	}
}

// next is above every UID that the list ever gave, as far as it tells.
func (s *salvage) next() uint32 {
	next := max(s.header.next, 1)
	for _, l := range s.lines {
		if l.uid >= next {
			next = l.uid + 1
		}
	}
	return next
}

// appendLine appends a line.
func appendLine(b []byte, uid uint32, exts, base string) []byte {
	b = strconv.AppendUint(b, uint64(uid), 10)
	if exts != "" {
		b = append(append(b, ' '), exts...)
	}
	return append(append(append(b, " :"...), base...), '\n')
}
