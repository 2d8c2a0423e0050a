package mix

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// A planner makes a plan for a mailbox: of what is left of the three files and
// of what stands in the data files, each of which says most of what the others
// say.
type planner struct {
	i *inspection
	d *Driver
	o mailbox.RepairOptions

	had    metaLeft
	index  indexed
	status flagged
	files  []*planFile // by number
	pieces []piece     // of all files, in their order
	bad    int         // of them whose line is not as it should be

	meta  meta // as it is to be
	msgs  []planned
	steps []placed
	lost  []mend.Lost
	acc   mailbox.RepairAccount

	undeleted int // messages that were removed, and are shown again
}

// A planFile is a data file and what becomes of it.
type planFile struct {
	number      uint32
	f           *inspected
	first, last int    // its pieces are [first, last)
	msgs        []int  // of the result that are in it
	anew        bool   // what stays of it is written to a new file
	to          uint32 // whose number this is
}

// A planned is a message of the result; file, pos, lead and status are those
// that it gets.
type planned struct {
	message
	piece  int
	digest uint64 // of its text, if that was read
	read   bool
	given  bool // its UID is another than in the mailbox
}

// A placed is a step with the file that it is about.
type placed struct {
	mailbox.Step
	rank int
}

// The ranks of files in the list of steps; data files are behind them.
const (
	rankMeta = iota
	rankIndex
	rankStatus
	rankData
)

// step adds to what is done.
func (p *planner) step(rank int, action, name string, off, octets int64, seq int, format string, args ...any) {
	p.steps = append(p.steps, placed{mailbox.Step{
		Action: action, Off: off, Octets: octets, Seq: uint32(seq), Text: name + ": " + fmt.Sprintf(format, args...),
	}, rank})
}

// about adds a step about a piece, whose message is number seq of the result.
func (p *planner) about(k, seq int, action, format string, args ...any) {
	c := &p.pieces[k]
	rank := rankData + slices.IndexFunc(p.files, func(f *planFile) bool { return f.number == c.file })
	p.step(rank, action, dataName(c.file), c.off, c.end-c.off, seq, format, args...)
}

// run makes the plan.
func (p *planner) run() error {
	for _, do := range []func() error{p.evidence, p.walk} {
		if err := do(); err != nil {
			return err
		}
	}
	p.match()
	p.identify()
	p.copies()
	p.distrust()
	p.choose()
	for _, do := range []func() error{p.dates, p.place} {
		if err := do(); err != nil {
			return err
		}
	}
	p.flags()
	p.metadata()
	p.account()
	slices.SortStableFunc(p.steps, func(a, b placed) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Off, b.Off)) })
	return p.i.err
}

// evidence reads what is left of the three files.
func (p *planner) evidence() (err error) {
	var numbers []uint32
	for _, name := range p.i.names {
		if n, ok := dataNumber(name); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		f, err := p.i.open(dataName(n))
		if err != nil {
			return err
		}
		p.files = append(p.files, &planFile{number: n, f: f})
	}
	if p.i.has(metaName) {
		f, err := p.i.open(metaName)
		if err != nil {
			return err
		}
		b, err := f.all()
		if err != nil {
			return err
		}
		p.had = salvageMeta(b, numbers)
	}
	if p.i.has(indexName) {
		f, err := p.i.open(indexName)
		if err == nil {
			p.index, err = readIndex(f, f.fi.Size())
		}
		if err != nil {
			return err
		}
	}
	if p.i.has(statusName) {
		f, err := p.i.open(statusName)
		if err == nil {
			p.status, err = readStatus(f, f.fi.Size())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// walk goes through all data files.
func (p *planner) walk() error {
	for _, f := range p.files {
		w := &walker{file: f.number, r: f.f, size: f.f.fi.Size(), index: &p.index, places: p.index.in(f.number), status: &p.status}
		f.first = len(p.pieces)
		for {
			c, ok, err := w.step()
			if err != nil {
				return err
			}
			if !ok || p.i.stopped() {
				break
			}
			if !c.junk {
				c.junk, err = isBlank(w.r, c.text, c.end)
			}
			if err != nil {
				return err
			}
			if c.junk || !c.plain {
				p.bad++
			}
			p.pieces = append(p.pieces, c)
		}
		f.last = len(p.pieces)
	}
	return nil
}

// isBlank reports whether a text is not there: it has no octets, or all are NUL.
func isBlank(r io.ReaderAt, off, end int64) (bool, error) {
	buf := make([]byte, 512)
	for off < end {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), end-off)], off)
		if n == 0 {
			return false, err
		}
		for _, c := range buf[:n] {
			if c != 0 {
				return false, nil
			}
		}
		off += int64(n)
	}
	return true, nil
}

// alive reports whether a message that the index does not list is part of the
// mailbox all the same: it is unless the index, or where that is damaged the
// status, proves that it was removed.
func (p *planner) alive(k int, f *planFile) bool {
	c := &p.pieces[k]
	x, s := &p.index, &p.status
	if c.foreign { // in a file that the index does not know it may be of another mailbox
		return c.fits() && (len(x.in(c.file)) == 0 || len(x.holes) > 0)
	}
	current := s.there && (x.seq == 0 || s.seq == 0 || s.seq >= x.seq)
	// An index that was written after mail came last lists all that is there.
	latest := x.ends && x.seq != 0 && p.had.seq != 0 && x.seq >= p.had.seq
	if c.uid == 0 {
		low, high := p.bounds(f, k)
		return !x.there || x.holes.meet(low, high) || high > x.highest && !latest
	}
	given := c.uid <= p.had.uidLast || x.highest > p.had.uidLast // which is wrong then
	proven := x.there && !x.holes.has(c.uid) && (c.uid < x.highest || latest && given)
	if proven {
		return current && p.known(c.uid)
	}
	return !(current && c.uid < s.last && !s.holes.has(c.uid) && !p.known(c.uid))
}

// choose decides which pieces are messages of the result, in which order, and
// numbers them.
func (p *planner) choose() {
	var list []int
	for _, f := range p.files {
		for k := f.first; k < f.last; k++ {
			c := &p.pieces[k]
			switch {
			case c.junk || c.copy:
				continue
			case c.rec >= 0, p.alive(k, f):
			case p.o.Undelete && c.uid > 0 && c.fits():
				p.undeleted++
				c.undead = true
			default:
				continue
			}
			list = append(list, k)
		}
	}
	p.number(p.fitting(p.ordered(list)))
	p.explainList()
}

// number gives the messages their UIDs; those of late get new ones, behind all
// others.
func (p *planner) number(list, late []int) {
	all := make([]mend.UID, len(list))
	for n, k := range list {
		all[n] = mend.UID{Now: p.pieces[k].uid, Lost: p.pieces[k].uid == 0}
	}
	last, changed := mend.Number(all, p.lastUID())
	if uint64(last)+uint64(len(late)) >= math.MaxUint32 { // start over
		for n := range all {
			all[n].Then = uint32(n) + 1
		}
		last, changed = uint32(len(all)), true
	}
	for n, k := range list {
		p.msgs = append(p.msgs, planned{message: message{uid: all[n].Then}, piece: k, given: all[n].Then != p.pieces[k].uid})
	}
	for _, k := range late {
		last++
		p.msgs = append(p.msgs, planned{message: message{uid: last}, piece: k, given: true})
	}
	p.meta.uidLast = last
	p.acc.Raised = changed
}

// explainList says which messages are listed anew, and which no more.
func (p *planner) explainList() {
	if len(p.index.all) == 0 && len(p.msgs) > 0 {
		p.step(rankIndex, "list", indexName, beside, 0, 0, "list %s that are there, all of which it has lost", counted(len(p.msgs), "message", "messages"))
	}
	for n := range p.msgs {
		m := &p.msgs[n]
		c := &p.pieces[m.piece]
		if m.given {
			p.acc.UIDs++
			p.about(m.piece, n+1, "write-uid", "give it the UID %d", m.uid)
		}
		switch {
		case c.undead:
			p.about(m.piece, n+1, "undelete", "show the message again, which was removed")
		case c.rec < 0 && len(p.index.all) > 0:
			p.about(m.piece, n+1, "list", "list the message of UID %d, which the index has lost", m.uid)
		}
	}
	for n := range p.index.all {
		r := &p.index.all[n]
		if _, ok := p.find(r.uid); r.piece < 0 && r.known.has(knowUID) && !ok {
			p.acc.Gone = true
			p.step(rankIndex, "drop", indexName, beside, 0, 0, "leave out UID %d, of which nothing is there any more", r.uid)
		}
	}
}

// fitting divides pieces into those that have a UID, or of which it can be known
// because exactly as many are free where they are, and the others: these get new
// ones at the end. Then all others keep theirs, and UIDVALIDITY stays.
func (p *planner) fitting(list []int) (in, late []int) {
	low := uint32(0)
	for n := 0; n < len(list); n++ {
		if uid := p.pieces[list[n]].uid; uid > 0 {
			low = uid
			in = append(in, list[n])
			continue
		}
		var run []int
		end := n
		for ; end < len(list) && p.pieces[list[end]].uid == 0; end++ {
			if p.pieces[list[end]].foreign {
				late = append(late, list[end])
			} else {
				run = append(run, list[end])
			}
		}
		fits := end == len(list) || int64(p.pieces[list[end]].uid)-int64(low)-1 == int64(len(run))
		if fits || !p.had.validityKnown { // it changes anyway
			in = append(in, run...)
		} else {
			late = append(late, run...)
		}
		n = end - 1
	}
	return in, late
}

// find returns which message of the result has a UID.
func (p *planner) find(uid uint32) (n int, ok bool) {
	return slices.BinarySearchFunc(p.msgs, uid, func(m planned, uid uint32) int { return cmp.Compare(m.uid, uid) })
}

// lastUID is the highest UID that was ever given, as far as can be known.
func (p *planner) lastUID() uint32 {
	last := max(p.had.uidLast, p.status.last)
	for k := range p.pieces {
		if c := &p.pieces[k]; !c.misread && !c.junk {
			last = max(last, c.uid)
		}
	}
	for n := range p.index.all {
		r := &p.index.all[n]
		if r.piece < 0 && r.known.has(knowUID) && (!p.had.lastKnown || uint64(r.uid) <= uint64(p.had.uidLast)+maxGap) {
			last = max(last, r.uid)
		}
	}
	return last
}

// ordered sorts pieces by UID; those without one stay behind the piece that is
// before them in their file. Where the status knows as many UIDs that no piece
// has as are wanted there, they are these.
func (p *planner) ordered(list []int) (out []int) {
	behind, front := map[int][]int{}, map[uint32][]int{}
	last := map[uint32]int{}
	for _, k := range list {
		c := &p.pieces[k]
		if c.uid > 0 {
			last[c.file] = k
			out = append(out, k)
		} else if b, ok := last[c.file]; ok {
			behind[b] = append(behind[b], k)
		} else {
			front[c.file] = append(front[c.file], k)
		}
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(p.pieces[a].uid, p.pieces[b].uid) })
	sorted := out
	out = nil
	for _, k := range sorted {
		if f := p.pieces[k].file; len(front[f]) > 0 {
			out = append(out, front[f]...)
			delete(front, f)
		}
		out = append(append(out, k), behind[k]...)
	}
	for _, f := range p.files {
		out = append(out, front[f.number]...)
	}
	p.fromStatus(out)
	return out
}

// fromStatus gives pieces the UIDs that only the status knows.
func (p *planner) fromStatus(list []int) {
	has := map[uint32]bool{}
	for _, k := range list {
		has[p.pieces[k].uid] = true
	}
	var free []uint32
	for n := range p.status.all {
		if uid := p.status.all[n].uid; !has[uid] {
			free = append(free, uid)
		}
	}
	low := uint32(0)
	for n := 0; n < len(list); n++ {
		if uid := p.pieces[list[n]].uid; uid > 0 {
			low = uid
			continue
		}
		end, high := n, uint32(math.MaxUint32)
		for end < len(list) && p.pieces[list[end]].uid == 0 {
			end++
		}
		if end < len(list) {
			high = p.pieces[list[end]].uid
		}
		a, _ := slices.BinarySearch(free, low+1)
		b, _ := slices.BinarySearch(free, high)
		if b-a == end-n {
			for i := range end - n {
				p.pieces[list[n+i]].uid = free[a+i]
			}
		}
		n = end - 1
	}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func counted64(n int64) string { return counted(int(n), "octet", "octets") }

// flags gives all messages their flags and keywords.
func (p *planner) flags() {
	s := &p.status
	p.meta.seq = p.d.later(p.had.seq, p.index.seq, s.seq)
	gaps := map[uint32][]int{} // messages without a record, by the UID of the record before
	before := uint32(0)
	for n := range p.msgs {
		m := &p.msgs[n]
		m.modseq = p.meta.seq
		uid := m.uid
		if was := p.pieces[m.piece].uid; m.given && was > 0 {
			uid = was
		} else if m.given {
			uid = 0
		}
		if t, ok := s.of(uid); ok {
			before = uid
			p.dress(n, t)
			continue
		}
		gaps[before] = append(gaps[before], n)
	}
	if !s.there && len(p.msgs) > 0 {
		p.step(rankStatus, "write-flags", statusName, beside, 0, 0, "the flags and keywords of all messages are lost")
	}
	for before, list := range gaps {
		var lost []told
		for k, t := range s.lost {
			if s.at[k] == before {
				lost = append(lost, t)
			}
		}
		for k, n := range list {
			if len(lost) == len(list) {
				p.dress(n, lost[k])
			} else {
				p.dress(n, told{})
			}
		}
	}
}

// dress gives message n what a record of the status says.
func (p *planner) dress(n int, t told) {
	m := &p.msgs[n]
	m.keywords, m.flags = t.keywords, t.flags
	if t.known.has(knowSeq) && t.modseq <= p.meta.seq && t.modseq > 0 {
		m.modseq = t.modseq
	}
	if t.known.has(knowKeywords | knowFlags) {
		return
	}
	p.acc.Flags++
	if p.status.there {
		p.step(rankStatus, "write-flags", statusName, beside, 0, n+1, "UID %d: its flags or keywords cannot be read", m.uid)
	}
}

// metadata decides what the metadata is to be.
func (p *planner) metadata() {
	p.meta.keywords = p.had.keywords
	p.nameKeywords()
	if p.meta.validity = p.had.validity; p.acc.Raised || !p.had.validityKnown {
		p.acc.Raised = true
		p.meta.validity = p.d.later(p.had.validity)
		p.step(rankMeta, "write-validity", metaName, beside, 0, 0, "make UIDVALIDITY %d", p.meta.validity)
	}
	if p.meta.uidLast != p.had.uidLast {
		p.step(rankMeta, "write-uidlast", metaName, beside, 0, 0, "make the last UID %d", p.meta.uidLast)
	}
	p.acc.UIDValidity = p.meta.validity
	p.step(rankMeta, "write-meta", metaName, 0, 0, 0, "write it anew")
	p.step(rankIndex, "write-index", indexName, 0, 0, 0, "write it anew: %s", counted(len(p.msgs), "message", "messages"))
	p.step(rankStatus, "write-status", statusName, 0, 0, 0, "write it anew")
}

// nameKeywords gives names to the keywords that have lost theirs.
func (p *planner) nameKeywords() {
	names := slices.Clone(p.had.keywords)
	made := 0
	if !p.i.hasMeta {
		used := uint32(0)
		for n := range p.msgs {
			used |= p.msgs[n].keywords
		}
		for bit := len(names); used>>bit != 0 && bit < maxKeywords; bit++ {
			names = append(names, "")
		}
	}
	for n, name := range names {
		if name == "" {
			names[n] = fmt.Sprintf("kw%02d", n+1)
			made++
		}
	}
	if p.meta.keywords = names; made > 0 {
		p.acc.Keywords = made
		p.step(rankMeta, "name-keywords", metaName, beside, 0, 0, "name %s: %s", counted(made, "keyword", "keywords"), strings.Join(names, " "))
	}
}

// account counts what becomes of messages.
func (p *planner) account() {
	p.acc.Messages = uint32(len(p.msgs))
	for n := range p.msgs {
		m := &p.msgs[n]
		c := &p.pieces[m.piece]
		atEnd := c.end == p.fileOf(c.file).f.fi.Size()
		switch {
		case c.fits(), c.size == 0 && !atEnd:
			p.acc.Intact++
		case atEnd:
			p.acc.Partial++
		default:
			p.acc.Ends++
		}
	}
}
