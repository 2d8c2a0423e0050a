package mix

import (
	"bytes"
	"cmp"
	"io"
	"math"
	"slices"
	"strings"
)

// A listed is what the index says in one record, as far as it can be read.
type listed struct {
	message
	known known
	piece int // that has the message, -1 for none
}

// A hole is where records may be missing: behind that of UID after and before
// that of UID before.
type hole struct{ after, before uint32 }

// holes of a list of UIDs.
type holes []hole

// has reports whether a record of uid may be in a hole.
func (h holes) has(uid uint32) bool {
	for _, o := range h {
		if o.after < uid && uid < o.before {
			return true
		}
	}
	return false
}

// meet reports whether a record of a UID between two may be in a hole.
func (h holes) meet(low, high uint32) bool {
	for _, o := range h {
		if o.after < high && low < o.before {
			return true
		}
	}
	return false
}

// eachLine calls do for each line of r, without its end and without NULs; whole
// says that it had one and no NULs. Lines that are too long come in pieces.
func eachLine(r io.ReaderAt, size int64, do func(line []byte, whole bool)) error {
	in := io.NewSectionReader(r, 0, size)
	buf, n := make([]byte, lineBuffer), 0
	for {
		k, err := in.Read(buf[n:])
		n += k
		if err != nil && err != io.EOF {
			return err
		}
		at := 0
		for at < n {
			i := bytes.IndexByte(buf[at:n], '\n')
			if i < 0 && err != io.EOF && (at > 0 || n < len(buf)) {
				break
			}
			end, whole := at+i+1, i >= 0
			if !whole {
				end = n
			}
			line := bytes.TrimRight(buf[at:end], "\r\n")
			clean := bytes.ReplaceAll(line, []byte{0}, nil)
			do(clean, whole && len(clean) == len(line))
			at = end
		}
		n = copy(buf, buf[at:n])
		if err == io.EOF {
			return nil
		}
	}
}

// An indexed is what is left of the index.
type indexed struct {
	there bool // it says something
	seq   uint32
	all   []listed
	holes holes
	ends  bool // with a whole record
	bad   int  // lines that cannot be read

	highest uint32  // UID
	uids    []int32 // those of all whose UID is known, by UID
	places  []int32 // and those whose place is, by file and offset
}

// readIndex reads what is left of the index.
func readIndex(r io.ReaderAt, size int64) (x indexed, err error) {
	h := holeFinder{}
	first := true
	err = eachLine(r, size, func(line []byte, whole bool) {
		x.ends = whole
		if seq, ok := seqLine(line); ok && first {
			x.seq, x.there, first = seq, true, false
			return
		}
		for _, line := range records(line, indexFields) {
			l := listed{piece: -1}
			field := "none"
			if line[0] == ':' {
				l.message, field, _ = parseIndex(line)
				l.known = knowUID | knowDate | knowSize | knowPlace | knowHeader
				if !storable(l.date) {
					l.known &^= knowDate
				}
			}
			if field != "" {
				l.message, l.known = salvageIndex(line)
				x.bad++
			}
			if l.known == 0 && first {
				break // the sequence was there
			}
			x.there = true
			if l.uid == math.MaxUint32 {
				l.known &^= knowUID
			}
			if l.known.has(knowUID) {
				x.highest = max(x.highest, l.uid)
			}
			if l.known&(knowUID|knowPlace) != 0 {
				x.all = append(x.all, l)
			}
			h.see(l.uid, l.known.has(knowUID))
		}
		h.open = h.open || !whole
		first = false
	})
	x.holes = h.end(x.ends)
	x.sort()
	return x, err
}

// sort makes records to be found.
func (x *indexed) sort() {
	for n := range x.all {
		if x.all[n].known.has(knowUID) {
			x.uids = append(x.uids, int32(n))
		}
		if x.all[n].known.has(knowPlace) {
			x.places = append(x.places, int32(n))
		}
	}
	slices.SortStableFunc(x.uids, func(a, b int32) int { return cmp.Compare(x.all[a].uid, x.all[b].uid) })
	slices.SortStableFunc(x.places, func(a, b int32) int {
		return cmp.Or(cmp.Compare(x.all[a].file, x.all[b].file), cmp.Compare(x.all[a].pos, x.all[b].pos))
	})
}

// find returns the first record of a UID, -1 for none.
func (x *indexed) find(uid uint32) int {
	k, ok := slices.BinarySearchFunc(x.uids, uid, func(n int32, uid uint32) int { return cmp.Compare(x.all[n].uid, uid) })
	if !ok {
		return -1
	}
	return int(x.uids[k])
}

// of returns what the index says of a UID, nil where it says nothing.
func (x *indexed) of(uid uint32) *listed {
	n := x.find(uid)
	if n < 0 {
		return nil
	}
	return &x.all[n]
}

// in returns the records of a data file, by offset.
func (x *indexed) in(file uint32) []int32 {
	find := func(file uint64) int {
		k, _ := slices.BinarySearchFunc(x.places, file, func(n int32, file uint64) int { return cmp.Compare(uint64(x.all[n].file), file) })
		return k
	}
	return x.places[find(uint64(file)):find(uint64(file)+1)]
}

// A told is what the status says in one record, as far as it can be read.
type told struct {
	status
	known known
}

// A flagged is what is left of the status file.
type flagged struct {
	there bool // it says something
	seq   uint32
	all   []told   // by UID, each once
	lost  []told   // records whose UID cannot be read
	at    []uint32 // of each of them, the UID of the record before it
	holes holes
	last  uint32 // highest UID
}

// readStatus reads what is left of the status.
func readStatus(r io.ReaderAt, size int64) (x flagged, err error) {
	h := holeFinder{}
	first, ends := true, false
	err = eachLine(r, size, func(line []byte, whole bool) {
		ends = whole
		if seq, ok := seqLine(line); ok && first {
			x.seq, x.there, first = seq, true, false
			return
		}
		for _, line := range records(line, statusFields) {
			s, ok := parseStatus(line)
			t := told{s, knowUID | knowKeywords | knowFlags | knowSeq}
			if !ok {
				t.status, t.known = salvageStatus(line)
			}
			if t.known == 0 && first {
				break
			}
			if t.known != 0 && !t.known.has(knowUID) {
				x.lost, x.at = append(x.lost, t), append(x.at, h.last)
			}
			if t.uid == math.MaxUint32 {
				t.known &^= knowUID
			}
			h.see(t.uid, t.known.has(knowUID))
			if !t.known.has(knowUID) {
				continue
			}
			x.there = true
			x.all = append(x.all, t)
		}
		h.open = h.open || !whole
		first = false
	})
	x.last = h.last
	x.holes = h.end(ends)
	// Of two of the same UID the one of which more can be read is believed, or
	// the first.
	slices.SortStableFunc(x.all, func(a, b told) int { return cmp.Or(cmp.Compare(a.uid, b.uid), cmp.Compare(b.known, a.known)) })
	x.all = slices.CompactFunc(x.all, func(a, b told) bool { return a.uid == b.uid })
	return x, err
}

// of returns what the status says of a UID.
func (x *flagged) of(uid uint32) (t told, ok bool) {
	k, ok := slices.BinarySearchFunc(x.all, uid, func(t told, uid uint32) int { return cmp.Compare(t.uid, uid) })
	if ok {
		t = x.all[k]
	}
	return t, ok
}

// seqLine reads the sequence that begins index and status.
func seqLine(line []byte) (seq uint32, ok bool) {
	if len(line) == 0 || line[0] != 'S' {
		return 0, false
	}
	v, ok := number(line[1:])
	return uint32(v), ok
}

// records divides a line in which there may be several records, or something
// before one: line ends were lost, or octets added.
func records(line []byte, widths []int) (out [][]byte) {
	n := lineLen(widths)
	like := func(b []byte) bool {
		for _, f := range fieldsOf(b, widths) {
			if f == nil || !shaped(f) {
				return false
			}
		}
		return true
	}
	for len(line) > n {
		switch {
		case like(line[:n]):
			out = append(out, line[:n])
			line = bytes.TrimLeft(line[n:], "\r")
			continue
		case like(line[len(line)-n:]):
			out = append(out, line[:len(line)-n])
			line = line[len(line)-n:]
		}
		break
	}
	if len(line) > 0 {
		out = append(out, line)
	}
	return out
}

// shaped reports whether a field is a number or a date.
func shaped(field []byte) bool {
	if len(field) == dateLen {
		_, ok := parseDate(field)
		return ok
	}
	return allHex(field)
}

// A holeFinder finds where records may be missing in a list of UIDs.
type holeFinder struct {
	last  uint32 // highest UID so far
	open  bool   // something behind it cannot be read
	holes holes
}

// see is told of the next record, and whether its UID can be read.
func (h *holeFinder) see(uid uint32, known bool) {
	switch {
	case !known:
		h.open = true
	case h.open:
		h.holes = append(h.holes, hole{h.last, uid})
		h.open = false
	}
	if known {
		h.last = max(h.last, uid)
	}
}

// end returns the holes of a list that ends well or not.
func (h *holeFinder) end(well bool) holes {
	if h.open || !well {
		h.holes = append(h.holes, hole{h.last, math.MaxUint32})
	}
	return h.holes
}

// A metaLeft is what is left of the metadata.
type metaLeft struct {
	meta
	validityKnown, lastKnown, fileKnown, namesKnown bool
}

// salvageMeta takes from metadata what can be read of it.
func salvageMeta(b []byte, files []uint32) (x metaLeft) {
	b = bytes.ReplaceAll(b, []byte{0}, nil)
	for line := range bytes.SplitSeq(b, []byte{'\n'}) {
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			continue
		}
		v, ok := number(line[1:])
		ok = ok && v < 1<<32
		switch line[0] {
		case 'S':
			if ok {
				x.seq = uint32(v)
			}
		case 'V':
			if !ok || v == 0 {
				v, ok = like(line[1:], files)
			}
			if ok && v != 0 {
				x.validity, x.validityKnown = uint32(v), true
			}
		case 'L':
			if ok && v < math.MaxUint32 {
				x.uidLast, x.lastKnown = uint32(v), true
			}
		case 'N':
			if !ok {
				v, ok = like(line[1:], files)
			}
			if ok {
				x.newFile, x.fileKnown = uint32(v), true
			}
		case 'K':
			x.keywords, x.namesKnown = salvageNames(string(line[1:]))
		}
	}
	return x
}

// like returns the number of the data file of which all digits but one are
// those of a damaged number: what a mailbox was created with is the number of
// its first file, too.
func like(digits []byte, files []uint32) (uint64, bool) {
	found, n := uint32(0), 0
	for _, f := range files {
		name, same := appendHex(nil, uint64(f), 8), 0
		for i := range min(len(digits), len(name)) {
			if digits[i] == name[i] {
				same++
			}
		}
		if len(digits) == len(name) && same == len(name)-1 {
			found, n = f, n+1
		}
	}
	return uint64(found), n == 1
}

// salvageNames reads names of keywords. One that cannot be keeps its place, with
// a made-up name.
func salvageNames(s string) (names []string, ok bool) {
	ok = true
	for _, name := range strings.Fields(s) {
		if len(names) == maxKeywords {
			return names, false
		}
		if len(name) > maxName {
			name, ok = "", false
		}
		names = append(names, name)
	}
	return names, ok
}
