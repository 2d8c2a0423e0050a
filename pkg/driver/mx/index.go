package mx

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strconv"

	"mailutil/pkg/internal/sysbits"
)

// The fields of an index, in the order in which the original writes them. It
// reads them in any.
const (
	validityLen = len("V00000000")
	lastLen     = len("L00000000")
	recordLen   = len("M00000001;00000000.0000")
	flagsAt     = len("M00000001;") // of keywords and flags in a record
)

// maxKeywords is how many keywords an index holds.
const maxKeywords = 30

// The flags of a record.
const (
	bitSeen     = sysbits.Seen
	bitDeleted  = sysbits.Deleted
	bitFlagged  = sysbits.Flagged
	bitAnswered = sysbits.Answered
	bitOld      = sysbits.Old // in other formats of the original; not written here
	bitDraft    = sysbits.Draft
	bitNew      = 0x4000 // ours: no session has had the mailbox open for writing since; the original drops it when it has
)

// systemBitsKnown are the bits of system flags.
const systemBitsKnown uint16 = bitSeen | bitDeleted | bitFlagged | bitAnswered | bitDraft

// A record is what the index says of a message.
type record struct {
	uid      uint32
	keywords uint32
	flags    uint16
}

// An index is what an index file says.
type index struct {
	validity, last uint32
	keywords       []string // bit n is keywords[n]; no empty ones
	records        []record // ascending

	plain bool // the file is octet for octet what print makes of this
}

// A flaw is something in an index that cannot be read.
type flaw struct {
	off  int    // where it begins
	end  int    // where reading goes on
	kind string // last word of the code of a finding
	text string

	keywords int // how many were read before; -1 behind the first record
}

// A parser reads an index. The original stops at the first flaw, and writes
// back what it has read so far; we go on at the next whole record.
type parser struct {
	b     []byte
	at    int
	ix    index
	flaws []flaw

	heads bool     // flaws end at what looks like a field before the records, too
	raw   []record // all, in the order of the file
}

// parse reads an index file.
func parse(b []byte) (index, []flaw) {
	p := parser{b: b}
	p.run()
	return p.ix, p.flaws
}

func (p *parser) run() {
	for p.at < len(p.b) {
		start := p.at
		if !p.field() {
			p.flaw(start)
		}
	}
	p.order()
	p.ix.plain = len(p.flaws) == 0 && bytes.Equal(p.b, p.ix.print())
}

// field reads one field; false where there is none.
func (p *parser) field() bool {
	kind := p.b[p.at]
	p.at++
	switch kind {
	case 'V', 'L':
		n, ok := p.hex()
		if kind == 'V' && ok {
			p.ix.validity = n
		} else if ok {
			p.ix.last = n
		}
		return ok
	case 'K':
		return p.keyword()
	case 'M':
		return p.record()
	}
	return false
}

// hex reads a number of 1 to 8 digits.
func (p *parser) hex() (uint32, bool) {
	n := 0
	for n < 8 && p.at+n < len(p.b) && isHex(p.b[p.at+n]) {
		n++
	}
	v, err := strconv.ParseUint(string(p.b[p.at:p.at+n]), 16, 32)
	p.at += n
	return uint32(v), err == nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// keyword reads a keyword, up to its LF.
func (p *parser) keyword() bool {
	i := bytes.IndexByte(p.b[p.at:], '\n')
	if i < 0 {
		return false
	}
	name := string(p.b[p.at : p.at+i])
	switch {
	case len(p.ix.keywords) == maxKeywords:
		p.flaws = append(p.flaws, flaw{off: p.at - 1, end: p.at + i + 1, kind: "keywords", text: fmt.Sprintf("there is no room for the keyword %.60q", name)})
	case name == "": // its bit must not go to the next
		p.flaws = append(p.flaws, flaw{off: p.at - 1, end: p.at + i + 1, kind: "keywords", text: "a keyword has no name"})
		p.ix.keywords = append(p.ix.keywords, fmt.Sprintf("Unnamed-%d", len(p.ix.keywords)))
	default:
		p.ix.keywords = append(p.ix.keywords, name)
	}
	p.at += i + 1
	return true
}

// record reads "uid;keywords.flags".
func (p *parser) record() bool {
	var r record
	var ok bool
	if r.uid, ok = p.hex(); !ok || !p.next(';') {
		return false
	}
	if r.keywords, ok = p.hex(); !ok || !p.next('.') {
		return false
	}
	n := 0
	for n < 4 && p.at+n < len(p.b) && isHex(p.b[p.at+n]) {
		n++
	}
	v, err := strconv.ParseUint(string(p.b[p.at:p.at+n]), 16, 16)
	p.at += n
	if err != nil || n < 4 && p.at == len(p.b) { // torn
		return false
	}
	r.flags = uint16(v)
	p.ix.records = append(p.ix.records, r)
	return true
}

func (p *parser) next(c byte) bool {
	if p.at == len(p.b) || p.b[p.at] != c {
		return false
	}
	p.at++
	return true
}

// flaw notes what cannot be read from start on, and goes to the next record.
func (p *parser) flaw(start int) {
	f := flaw{off: start, end: len(p.b), kind: "garbage", keywords: len(p.ix.keywords)}
	if len(p.ix.records) > 0 {
		f.keywords = -1
	}
	for i := start + 1; i < len(p.b); i++ {
		if wholeRecord(p.b[i:]) || p.heads && len(p.ix.records) == 0 && isHead(p.b[i:]) {
			f.end = i
			break
		}
	}
	junk := p.b[start:f.end]
	f.text = fmt.Sprintf("%d octets are no part of an index: %.40q", len(junk), junk)
	switch {
	case len(bytes.Trim(junk, "\x00")) == 0:
		f.kind, f.text = "nuls", fmt.Sprintf("%d NULs stand here: blocks that were never written", len(junk))
	case f.end == len(p.b) && junk[0] == 'M' && len(junk) < recordLen:
		f.kind, f.text = "torn", fmt.Sprintf("the last record is torn: %.40q", junk)
	}
	p.flaws = append(p.flaws, f)
	p.at = f.end
}

// wholeRecord reports whether b begins with a record as it is written.
func wholeRecord(b []byte) bool {
	if len(b) < recordLen || b[0] != 'M' {
		return false
	}
	for i, c := range b[:recordLen] {
		switch i {
		case 0:
		case flagsAt - 1:
			if c != ';' {
				return false
			}
		case flagsAt + 8:
			if c != '.' {
				return false
			}
		default:
			if !isHex(c) {
				return false
			}
		}
	}
	return true
}

// order puts the records in order; of two of one message the later counts.
func (p *parser) order() {
	rs := p.ix.records
	p.raw = slices.Clone(rs)
	if !sort.SliceIsSorted(rs, func(i, k int) bool { return rs[i].uid < rs[k].uid }) {
		at := make([]int, len(rs)) // those of one message stay in their order
		for i := range at {
			at[i] = i
		}
		sort.Slice(at, func(i, k int) bool {
			a, b := p.raw[at[i]].uid, p.raw[at[k]].uid
			return a < b || a == b && at[i] < at[k]
		})
		for i := range rs {
			rs[i] = p.raw[at[i]]
		}
		p.flaws = append(p.flaws, flaw{end: len(p.b), kind: "order", text: "the records are not in the order of their messages"})
	}
	kept := rs[:0]
	for _, r := range rs {
		if n := len(kept); n > 0 && kept[n-1].uid == r.uid {
			kept[n-1] = r
			p.flaws = append(p.flaws, flaw{end: len(p.b), kind: "twice", text: fmt.Sprintf("message %d has two records", r.uid)})
			continue
		}
		kept = append(kept, r)
	}
	p.ix.records = kept
}

// head makes what stands before the records.
func (ix *index) head() []byte {
	b := fmt.Appendf(nil, "V%08xL%08x", ix.validity, ix.last)
	for _, k := range ix.keywords {
		b = append(append(append(b, 'K'), k...), '\n')
	}
	return b
}

// print makes the file, as the original does.
func (ix *index) print() []byte {
	b := ix.head()
	for i := range ix.records {
		b = ix.records[i].append(b)
	}
	return b
}

const digits = "0123456789abcdef"

func appendHex(b []byte, v uint32, n int) []byte {
	for n--; n >= 0; n-- {
		b = append(b, digits[v>>(4*n)&15])
	}
	return b
}

// append appends the record as it is written.
func (r *record) append(b []byte) []byte {
	b = appendHex(append(b, 'M'), r.uid, 8)
	return r.appendFlags(append(b, ';'))
}

func (r *record) appendFlags(b []byte) []byte {
	b = appendHex(b, r.keywords, 8)
	return appendHex(append(b, '.'), uint32(r.flags), 4)
}

// find returns where the record of a message is, or would be.
func (ix *index) find(uid uint32) (int, bool) {
	return sort.Find(len(ix.records), func(i int) int { return cmp.Compare(uid, ix.records[i].uid) })
}

// named are the bits that have a name.
func (ix *index) named() uint32 { return 1<<len(ix.keywords) - 1 }
