package mix

import (
	"cmp"
	"errors"
	"fmt"
	"sort"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
)

// A state is what the files of a mailbox say at one time.
type state struct {
	meta      meta
	indexSeq  uint32
	statusSeq uint32
	msgs      []message

	indexEnd   int64 // octets of the index up to the end of its last record
	indexSize  int64 // of the file
	indexPlain bool  // every record is as we write it
	statusEnd  int64
	statusSize int64
	status     layout
	unlisted   []status // records for messages that the index does not list

	backwards bool // positions in a data file do not ascend
	short     map[uint32]bool
}

// A layout says how the records of a status file stand there.
type layout struct {
	count int  // records
	plain bool // every record is as we write it, in the order of UIDs
}

// A scanner reads the files of a mailbox.
type scanner struct {
	dir    string
	fsys   fsx.FS
	warn   func(string)
	repair bool // the caller can write, and will put right what he can
	sizes  map[uint32]int64
}

// scan reads the index and the status of a mailbox. The caller holds locks on
// both.
func (c *scanner) scan(m meta, index, status fsx.File) (*state, error) {
	s := &state{meta: m}
	if err := c.index(s, index); err != nil {
		return nil, err
	}
	if err := c.fit(s); err != nil {
		return nil, err
	}
	return s, c.status(s, status)
}

func (c *scanner) index(s *state, f fsx.File) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	s.indexSize = fi.Size()
	l := newLines(f, s.indexSize, indexName, "index", c.warn)
	seq, ok, err := l.readSeq()
	if err != nil {
		return err
	}
	if !ok {
		return corrupt(indexName, 0, "Error in mix index file sequence record")
	}
	s.indexSeq, s.indexPlain = seq, true
	if l.empty {
		return nil
	}
	s.indexEnd = l.next
	s.indexPlain = l.whole && l.next == seqLen
	s.msgs = make([]message, 0, max(0, (s.indexSize-seqLen)/indexLen))
	for {
		ok, err := l.read()
		if !ok || err != nil {
			return err
		}
		if l.text[0] != ':' {
			return corrupt(indexName, l.off, "Unknown record in mix index file: %.500s", l.text)
		}
		m, field, rest := parseIndex(l.text)
		if field != "" {
			return corrupt(indexName, l.off, "Error in %s in mix index file: %.500s", field, rest)
		}
		s.msgs = append(s.msgs, m)
		s.indexPlain = s.indexPlain && l.whole && l.next-l.off == indexLen && l.off == seqLen+indexLen*int64(len(s.msgs)-1)
		s.indexEnd = l.next
	}
}

// fit looks whether what the index says fits to UIDLAST and to the data files.
func (c *scanner) fit(s *state) error {
	last := map[uint32]int{} // message in each data file that was seen last
	file, behind := uint32(0), -1
	c.sizes, s.short = map[uint32]int64{}, map[uint32]bool{}
	for i := range s.msgs {
		m := &s.msgs[i]
		if m.uid > s.meta.uidLast {
			text := fmt.Sprintf("mix index invalid UID (%08x < %08x)", m.uid, s.meta.uidLast)
			if !c.repair {
				return corrupt(indexName, seqLen+indexLen*int64(i), "%s", text)
			}
			c.warn(text + ", repaired")
			s.meta.uidLast = m.uid
		}
		if behind < 0 || file != m.file { // mostly they stand one behind the other
			if behind >= 0 {
				last[file] = behind
			}
			k, known := last[m.file]
			if !known {
				if err := c.measure(m.file); err != nil {
					return err
				}
				k = -1
			}
			file, behind = m.file, k
		}
		if behind >= 0 {
			c.cut(s, behind, m.pos)
		}
		behind = i
	}
	if behind >= 0 {
		last[file] = behind
	}
	for file, k := range last {
		c.cut(s, k, c.sizes[file])
	}
	return nil
}

// measure finds out how large a data file is.
func (c *scanner) measure(file uint32) error {
	path := c.dir + "/" + dataName(file)
	fi, err := c.fsys.Stat(path)
	if node.Gone(err) {
		return corrupt(dataName(file), 0, "Missing mix data file: %.500s", path)
	}
	if err == nil {
		c.sizes[file] = fi.Size()
	}
	return err
}

// cut makes message k shorter where its octets would go on behind most: the
// file ends there, or another message begins.
func (c *scanner) cut(s *state, k int, most int64) {
	m := &s.msgs[k]
	if m.end() <= most {
		return
	}
	s.short[m.file] = true
	if most < m.pos {
		s.backwards = true
	}
	lack := m.end() - most
	c.warn(fmt.Sprintf("message %d (UID=%08x) truncated by %d byte(s) (%d < %d)", k+1, m.uid, lack, most, m.end()))
	m.size = max(0, m.size-lack)
	m.header = min(m.header, m.size)
}

func (c *scanner) status(s *state, f fsx.File) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	s.statusSize = fi.Size()
	l := newLines(f, s.statusSize, statusName, "status", c.warn)
	seq, ok, err := l.readSeq()
	if err != nil {
		return err
	}
	if !ok {
		text := fmt.Sprintf("Error in mix status sequence record, i=%x, seq=%x", seq, s.statusSeq)
		if c.repair { // a change would lose the flags of all messages
			return corrupt(statusName, 0, "%s", text)
		}
		c.warn(text)
	}
	s.statusSeq, s.status.plain = seq, true
	if l.empty {
		return nil
	}
	s.statusEnd, s.status.plain = l.next, l.whole && l.next == seqLen
	return c.records(s, l)
}

// records reads the records of the status file.
func (c *scanner) records(s *state, l *lines) error {
	at := byUID{msgs: s.msgs}
	for last := uint32(0); ; {
		ok, err := l.read()
		if !ok || err != nil {
			return err
		}
		r, ok := parseStatus(l.text)
		if !ok {
			c.warn(fmt.Sprintf("Error in mix status file message record: %.80s", l.text))
			if l.next == s.statusSize && !l.whole {
				return nil // a torn end, which the next append cuts off
			}
			s.status.plain = false
			continue // the original loses the flags of all that follow
		}
		s.status.count++
		s.status.plain = s.status.plain && r.uid > last && l.whole && l.next-l.off == statusLen &&
			l.off == seqLen+statusLen*int64(s.status.count-1)
		last, s.statusEnd = r.uid, l.next
		if m := at.find(r.uid); m != nil {
			m.keywords, m.flags, m.modseq, m.status = r.keywords, r.flags, r.modseq, uint32(s.status.count)
		} else {
			s.unlisted = append(s.unlisted, r)
		}
	}
}

// byUID finds messages by UID; in ascending order that costs nothing.
type byUID struct {
	msgs []message
	next int
}

// fewSteps is how far a search goes before it jumps.
const fewSteps = 8

// find returns the message of that UID, nil for none. Where a damaged index
// lists one twice it is the first.
func (b *byUID) find(uid uint32) *message {
	for range fewSteps {
		if b.next == len(b.msgs) || b.msgs[b.next].uid >= uid {
			break
		}
		b.next++
	}
	if b.next < len(b.msgs) && b.msgs[b.next].uid == uid {
		return &b.msgs[b.next]
	}
	i, ok := sort.Find(len(b.msgs), func(i int) int { return cmp.Compare(uid, b.msgs[i].uid) })
	if !ok {
		return nil
	}
	b.next = i
	return &b.msgs[i]
}

// highest is the highest UID that is listed.
func (s *state) highest() (uid uint32) {
	for i := range s.msgs {
		uid = max(uid, s.msgs[i].uid)
	}
	return uid
}

// readMeta reads the metadata.
func readMeta(f fsx.File) (meta, error) {
	fi, err := f.Stat()
	if err != nil {
		return meta{}, err
	}
	if fi.Size() > maxMeta {
		return meta{}, corrupt(metaName, maxMeta, "absurd mix metadata file size")
	}
	b := make([]byte, fi.Size())
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return meta{}, errors.Join(err, corrupt(metaName, int64(n), "Error reading mix metadata file"))
	}
	return parseMeta(b)
}
