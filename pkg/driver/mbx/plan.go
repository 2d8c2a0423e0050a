package mbx

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"mailutil/pkg/internal/inspect"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// A planner makes a plan of the pieces of a walk.
type planner struct {
	r    *repair
	file *inspect.File // as it is
	from io.ReaderAt   // what is walked: the file, or what was converted
	i    *inspection   // of from

	converted bool // from is the scratch file
	head      []byte
	start     int64 // where the records began
	block     block
	known     bool   // the numbers of block are those of the file
	badTable  bool   // the names of keywords are not
	used      uint32 // keyword bits
	foreign   []uint32
	isForeign bool

	msgs  []planned
	fixes map[int]fix // of messages whose line or text is not as it was
	prev  mailbox.Date
	top   uint32 // highest UID so far

	steps []mailbox.Step
	lost  []mend.Lost
	image *mend.Image
	acc   mailbox.RepairAccount
}

// A planned is a message of the result.
type planned struct {
	off, text, end int64 // where it is now
	digest         uint64
	uid, keywords  uint32
	flags          uint16
	bits           uint8
}

// The bits of a planned message.
const (
	planLine     = 1 << iota // its line is written anew
	planNoUID                // its UID could not be read, or cannot be
	planForeign              // it is of another file that was joined to this one
	planNumbered             // its UID is another than in the file
	planTold                 // its UID was read from a damaged line
	planCut                  // its text is not all of [text, end): see its fix
)

// A fix is what a message gets.
type fix struct {
	date string // of its line, "" as it was

	// The text is [text, cut) and [cut+without, end), or, where made is not 0,
	// made octets of the scratch file at scratch.
	cut, without  int64
	scratch, made int64
}

// begin takes what the file begins with. done says that all is planned.
func (p *planner) begin(i *inspection, head []byte, start int64) (done bool, err error) {
	p.i, p.head, p.start = i, head, start
	p.fixes = map[int]fix{}
	switch {
	case bytes.HasPrefix(head, []byte("*mbx*\n")), bytes.HasPrefix(head, []byte("*mbx*\r\r\n")):
		if p.converted {
			return false, mailbox.ErrCorrupt
		}
		return true, p.convert()
	case start < 0: // the file is shorter than its block
		p.acc.Gone = true
		p.step("write-block", 0, int64(len(head)), 0, "write the first %d octets anew: an empty mailbox", blockSize)
	}
	if i.shifted > 0 && start >= 0 {
		p.setAside(&piece{off: 0, end: i.shifted}, false, "they stand before the file block")
	}
	p.readBlock()
	return false, nil
}

// convert gives the file its line ends back and plans with what comes of it:
// the sizes of the messages prove it.
func (p *planner) convert() error {
	s, err := p.makeScratch()
	if err != nil {
		return err
	}
	if err := mend.LineEnds(s, p.file, 0, p.file.Size); err != nil {
		return err
	}
	size := s.Size()
	p.converted, p.from = true, s
	p.step("line-ends", 0, p.file.Size, 0, "end all lines in CR LF again")
	in, err := inspect.Over(p.file.Context(), s, size, p.r.d.Name(), p.r.path, nil, func(f *inspect.File) error {
		return (&inspection{File: f, d: p.r.d, plan: p}).run()
	})
	p.file.In.Messages = in.Messages
	return err
}

func (p *planner) makeScratch() (*mend.Scratch, error) {
	if p.r.scratch == nil {
		s, err := mend.NewScratch(filepath.Dir(p.r.path))
		if err != nil {
			return nil, err
		}
		p.r.scratch = s
	}
	return p.r.scratch, nil
}

// readBlock reads what is left of the file block.
func (p *planner) readBlock() {
	p.block = p.i.block
	p.known, p.badTable = p.i.hasBlock, p.i.badTable
	if p.known || p.start == 0 || len(p.head) < magicEnd {
		return
	}
	validity, last := p.head[validityOff:uidLastOff], p.head[uidLastOff:magicEnd-2]
	if allHex(validity) {
		p.block.validity = uint32(fromHex(validity))
	}
	if allHex(last) {
		p.block.uidLast, p.known = uint32(fromHex(last)), true
	}
	p.block.lines = parseKeywords(p.head[magicEnd:min(len(p.head), pidOff)])
	p.badTable = true // who knows
	for n, name := range p.block.lines {
		if !mailbox.ValidKeyword(name) {
			p.block.lines = p.block.lines[:n]
			break
		}
	}
}

// step adds to what is done.
func (p *planner) step(action string, off, octets int64, seq uint32, format string, args ...any) {
	p.steps = append(p.steps, mailbox.Step{Action: action, Off: off, Octets: octets, Seq: seq, Text: fmt.Sprintf(format, args...)})
}

// take plans what becomes of a piece.
func (p *planner) take(c *piece, digest uint64) error {
	switch c.kind {
	case isBlock:
		return p.join(c)
	case isCopies:
		p.setAside(c, false, "copies of messages that are there")
		return nil
	case isJunk:
		return p.junk(c)
	}
	if c.text == c.end {
		p.setAside(c, false, "an internal line without a text")
		return nil
	}
	return p.message(c, digest)
}

// setAside leaves octets out.
func (p *planner) setAside(c *piece, salvage bool, why string) {
	p.lost = append(p.lost, mend.Lost{Off: c.off, End: c.end, Why: why, Salvage: salvage})
	p.acc.SetAside += c.end - c.off
	p.step("set-aside", c.off, c.end-c.off, 0, "set %s aside: %s", octetsOf(c.end-c.off), why)
}

func (p *planner) junk(c *piece) error {
	if done, err := p.letters(c); done || err != nil {
		return err
	}
	b := make([]byte, min(c.end-c.off, 64<<10))
	if _, err := p.from.ReadAt(b, c.off); err != nil && err != io.EOF {
		return err
	}
	rest := bytes.Trim(b, "\x00\r\n")
	switch {
	case len(rest) == 0 && bytes.IndexByte(b, 0) < 0:
		p.setAside(c, false, "line ends between messages")
	case len(rest) == 0:
		p.setAside(c, false, "NULs, which were never written")
	default:
		p.setAside(c, len(rest) > 8 && mend.IsText(rest), "they belong to no message")
	}
	return nil
}

// join takes the block of a file that was joined to this one: its keywords get
// bits of ours.
func (p *planner) join(c *piece) error {
	b := make([]byte, blockSize)
	n, err := p.from.ReadAt(b, c.off)
	if err != nil && err != io.EOF {
		return err
	}
	if !p.known {
		p.adopt(b[:n])
		p.setAside(c, false, "the file block, which stands in the place of other octets")
		return nil
	}
	p.isForeign = true
	p.foreign = make([]uint32, maxKeywords)
	k, ok := parseBlock(b[:n])
	if !ok {
		k.lines = parseKeywords(b[magicEnd:n])
	}
	for bit, name := range k.names() {
		if p.foreign[bit] = p.block.bit(name); p.foreign[bit] == 0 && name != "" {
			p.foreign[bit], _ = p.block.create(name) // a full table has no room
		}
	}
	p.step("join", c.off, c.end-c.off, 0, "join the mailbox that begins here to the one before it: its messages get new UIDs")
	return nil
}

// adopt takes the file block from where it stands, as there is none at the
// beginning of the file.
func (p *planner) adopt(b []byte) {
	p.block.validity = uint32(fromHex(b[validityOff:uidLastOff]))
	p.block.uidLast, p.known = uint32(fromHex(b[uidLastOff:magicEnd-2])), true
	p.block.lines = parseKeywords(b[magicEnd:])
	p.badTable = true
}

// message plans a message.
func (p *planner) message(c *piece, digest uint64) error {
	m := planned{off: c.off, text: c.text, end: c.end, digest: digest}
	var f fix
	seq := uint32(len(p.msgs)) + 1
	if c.fault == lineGood {
		m.uid, m.keywords, m.flags = c.line.uid, c.line.keywords, c.line.flags
		if _, err := p.date(c.line.date); err != nil && m.flags&bitExpunged == 0 {
			if f.date, err = p.guessDate(c.line.date, &m, seq); err != nil {
				return err
			}
			p.keepLine(m.off, m.text)
		}
	} else if err := p.salvageLine(c, &m, &f, seq); err != nil {
		return err
	}
	if p.isThere(&m) {
		p.setAside(c, false, "copies of messages that are there")
		return nil
	}
	if err := p.extent(c, &m, &f, seq); err != nil {
		return err
	}
	if p.isForeign {
		m.bits |= planForeign | planLine
		m.keywords = p.mapped(m.keywords)
	}
	if m.flags&bitExpunged != 0 && p.r.o.Undelete {
		m.flags &^= bitExpunged
		m.bits |= planLine
		p.step("undelete", m.off, m.end-m.off, seq, "show the message again, which was removed")
	}
	p.used |= m.keywords
	if f != (fix{}) {
		m.bits |= planLine
		p.fixes[len(p.msgs)] = f
	}
	p.msgs = append(p.msgs, m)
	return nil
}

// isThere reports whether a message is there with the UID and the text of m: it is
// a copy of that, of which the line was damaged.
func (p *planner) isThere(m *planned) bool {
	if m.uid == 0 || m.bits&planNoUID != 0 || p.isForeign {
		return false
	}
	if m.uid > p.top {
		p.top = m.uid
		return false
	}
	return slices.ContainsFunc(p.msgs, func(o planned) bool {
		return o.uid == m.uid && o.digest == m.digest && o.end-o.text == m.end-m.text
	})
}

// mapped returns the bits of ours for those of the other file.
func (p *planner) mapped(bits uint32) (out uint32) {
	for i, bit := range p.foreign {
		if bits&(1<<i) != 0 {
			out |= bit
		}
	}
	return out
}

// extent plans what becomes of a text whose size is not what its line says.
func (p *planner) extent(c *piece, m *planned, f *fix, seq uint32) error {
	if c.claim == 0 && c.said > 0 {
		said := *c // its line is damaged, but the size can be seen
		said.claim = c.said
		return p.extent(&said, m, f, seq)
	}
	if c.claim == 0 {
		if c.fault != lineGood && !c.wiped {
			p.step("measure", c.off, 0, seq, "write its size: %d octets, up to the next message", c.end-c.text)
		}
		if c.wiped && c.text-c.off > maxLine || c.end == p.i.Size && !p.closed(c) {
			p.acc.Partial++ // what was wiped was more than a line, or the end is torn
		} else {
			p.acc.Intact++
		}
		return nil
	}
	if c.sized() {
		p.acc.Intact++
		return nil
	}
	m.bits |= planLine
	if done, err := p.exact(c, m, f, seq); done || err != nil {
		p.acc.Intact++
		return err
	}
	size := c.end - c.text
	if c.end == p.i.Size && c.claim > c.end {
		p.acc.Partial++
		p.step("write-line", c.off, size, seq, "keep the %s that are there of its text, of %d", octetsOf(size), c.claim-c.text)
		return nil
	}
	p.acc.Ends++
	p.step("write-line", c.off, size, seq, "write its size anew: %d octets, up to the next message, instead of %d", size, c.claim-c.text)
	return nil
}

// closed reports whether a text ends with a line end.
func (p *planner) closed(c *piece) bool {
	var b [1]byte
	_, err := p.from.ReadAt(b[:], c.end-1)
	return err == nil && b[0] == '\n'
}

// exact finds the one text that has the size that the line says: line ends that
// were shortened, or octets that are there twice.
func (p *planner) exact(c *piece, m *planned, f *fix, seq uint32) (done bool, err error) {
	if c.claim > c.end {
		return p.restoreLines(c, m, f, seq)
	}
	cut, ok, err := mend.Twice(p.from, c.off, c.text, c.claim, c.end)
	if !ok || err != nil {
		return false, err
	}
	f.cut, f.without = cut, c.end-c.claim
	m.bits |= planCut
	p.lost = append(p.lost, mend.Lost{Off: cut, End: cut + f.without, Why: "they are there twice"})
	p.acc.SetAside += f.without
	p.step("set-aside", cut, f.without, seq, "leave %s of its text out that are there twice, which makes its size right", octetsOf(f.without))
	m.digest, err = digestOf(section(p.from, c.text, cut), section(p.from, cut+f.without, c.end))
	return true, err
}

func section(r io.ReaderAt, off, end int64) *io.SectionReader {
	return io.NewSectionReader(r, off, end-off)
}

// restoreLines writes CR LF for each LF, if that gives the size.
func (p *planner) restoreLines(c *piece, m *planned, f *fix, seq uint32) (bool, error) {
	missing := c.claim - c.end
	n, err := mend.BareLFs(p.from, c.text, c.end, missing)
	if err != nil || n != missing || p.converted {
		return false, err
	}
	s, err := p.makeScratch()
	if err != nil {
		return false, err
	}
	f.scratch = s.Size()
	if err := mend.LineEnds(s, p.from, c.text, c.end); err != nil {
		return false, err
	}
	f.made = s.Size() - f.scratch
	m.bits |= planCut
	p.step("line-ends", c.text, c.end-c.text, seq, "end %d lines in CR LF again, which makes its size right", n)
	m.digest, err = digestOf(section(s, f.scratch, f.scratch+f.made))
	return true, err
}

// finish numbers the messages and makes the image of the file.
func (p *planner) finish() error {
	p.number()
	p.nameKeywords()
	img := mend.NewImage(p.file, p.file.Size)
	if p.r.scratch != nil {
		img.Scratch(p.r.scratch)
	}
	keep := img.Keep
	if p.converted {
		keep = img.KeepScratch
	}
	if err := p.putBlock(img, keep); err != nil {
		return err
	}
	for k := range p.msgs {
		if err := p.put(img, keep, k); err != nil {
			return err
		}
	}
	slices.SortStableFunc(p.steps, func(a, b mailbox.Step) int {
		switch {
		case a.Off < b.Off:
			return -1
		case a.Off > b.Off:
			return 1
		}
		return 0
	})
	p.image = img
	return nil
}

// putBlock puts the file block.
func (p *planner) putBlock(img *mend.Image, keep func(off, n int64)) error {
	same := !p.badTable && p.start == blockSize && p.i.shifted == 0 && isMbx(p.head) && slices.Equal(p.block.lines, p.i.block.lines)
	if same && p.block.validity == p.i.block.validity && p.block.uidLast == p.i.block.uidLast {
		keep(0, blockSize)
		return nil
	}
	b, err := p.block.print()
	if err != nil {
		return err
	}
	if same {
		img.Put(b[:magicEnd])
		keep(magicEnd, blockSize-magicEnd)
		return nil
	}
	img.Put(b)
	if p.start >= 0 {
		p.step("write-block", 0, blockSize, 0, "write the first %d octets anew", blockSize)
	}
	return nil
}

// put puts a message.
func (p *planner) put(img *mend.Image, keep func(off, n int64), k int) error {
	m := &p.msgs[k]
	if m.bits == 0 {
		keep(m.off, m.end-m.off)
		return nil
	}
	f := p.fixes[k]
	size := m.end - m.text - f.without
	if f.made > 0 {
		size = f.made
	}
	line, err := p.line(m, f, size)
	if err != nil {
		return err
	}
	img.Put(line)
	switch {
	case f.made > 0:
		img.KeepScratch(f.scratch, f.made)
	case f.without > 0:
		keep(m.text, f.cut-m.text)
		keep(f.cut+f.without, m.end-f.cut-f.without)
	default:
		keep(m.text, m.end-m.text)
	}
	return nil
}
