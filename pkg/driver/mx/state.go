package mx

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// A state is the mailbox as it is on disk, while its index is locked.
type state struct {
	*numbered.State
	d     *Driver
	ix    index // as it is to be, after gather
	was   index // as it is on disk
	flaws []flaw
}

var _ numbered.Kept = (*state)(nil)

// Placed has nothing to do: the index named the messages before.
func (s *state) Placed([]byte, uint32, uint32, uint32) error { return nil }

// Removed has nothing to do: records of messages that are no more mean nothing,
// and go when the index is written next.
func (s *state) Removed([]uint32) error { return nil }

// Load reads the directory and the index, and gives each message a record.
func (s *state) Load() (err error) {
	if s.List, err = s.Dir.List(); err != nil {
		return err
	}
	fi, err := s.File.Stat()
	if err != nil {
		return err
	}
	b, err := s.ReadFile()
	if err != nil {
		return err
	}
	s.was, s.flaws = parse(b)
	s.ix = s.was
	s.ix.records = s.merge()
	s.Keywords, s.Validity = s.was.keywords, s.was.validity
	s.Last = s.was.highest(&s.List)
	if s.Validity == 0 { // never opened for writing
		s.Validity = max(uint32(fi.ModTime().Unix()), 1)
	}
	s.Msgs = make([]numbered.Message, len(s.ix.records))
	for i := range s.ix.records {
		s.Msgs[i] = s.ix.records[i].message()
	}
	return nil
}

// highest is the highest UID that was ever given, as far as index and files
// tell: a delivery that was interrupted gave some away that have records only.
func (ix *index) highest(l *numbered.Listing) uint32 {
	last := max(ix.last, l.Highest())
	if n := len(ix.records); n > 0 {
		last = max(last, min(ix.records[n-1].uid, numbered.MaxNumber))
	}
	return last
}

// merge returns the records of the messages that are there. One that has none
// is new.
func (s *state) merge() []record {
	out := make([]record, 0, len(s.List.Numbers))
	old := s.was.records
	for _, n := range s.List.Numbers {
		for len(old) > 0 && old[0].uid < n {
			old = old[1:]
		}
		r := record{uid: n, flags: bitNew}
		if len(old) > 0 && old[0].uid == n {
			r = old[0]
		}
		out = append(out, r)
	}
	return out
}

// message is what a record says.
func (r *record) message() numbered.Message {
	m := numbered.Message{Number: r.uid, System: sysbits.Flags(r.flags), Keywords: uint64(r.keywords)}
	if r.flags&bitNew != 0 {
		m.System |= mailbox.Recent
	}
	return m
}

// set makes a record say what is known of its message. Flags that mean nothing
// stay.
func (r *record) set(m *numbered.Message) {
	r.flags = r.flags&^(systemBitsKnown|bitNew) | sysbits.Bits[uint16](m.System&^mailbox.Recent)
	if m.System&mailbox.Recent != 0 {
		r.flags |= bitNew
	}
	r.keywords = uint32(m.Keywords)
}

// gather makes the index anew from the messages. Both lists ascend.
func (s *state) gather() {
	s.ix.validity, s.ix.last, s.ix.keywords = s.Validity, s.Last, s.Keywords
	old := s.ix.records
	records := make([]record, len(s.Msgs))
	for i := range s.Msgs {
		m := &s.Msgs[i]
		for len(old) > 0 && old[0].uid < m.Number {
			old = old[1:]
		}
		r := &records[i]
		if len(old) > 0 && old[0].uid == m.Number {
			*r = old[0]
		}
		r.uid = m.Number
		r.set(m)
	}
	s.ix.records = records
}

// Create returns the bit of a keyword, which it gets where there is room.
func (s *state) Create(name string) (uint64, bool) {
	if s.Keyword(name) == 0 && !mailbox.ValidKeyword(name) {
		return 0, false
	}
	return s.AddKeyword(name, maxKeywords)
}

// Save makes the index on disk what the messages say: a patch of what has
// changed, an append of what is new, or, where that does not do, all of it.
func (s *state) Save() error {
	s.gather()
	if !s.was.plain || !slices.Equal(s.was.keywords, s.ix.keywords) || !s.extends() {
		return s.rewrite()
	}
	head := int64(len(s.ix.head()))
	end := head + int64(len(s.was.records))*int64(recordLen)
	var more []byte
	for i := range s.ix.records[len(s.was.records):] {
		more = s.ix.records[len(s.was.records)+i].append(more)
	}
	changed := len(more) > 0
	if _, err := s.File.WriteAt(more, end); err != nil {
		return errors.Join(err, s.File.Truncate(end))
	}
	for i := range s.was.records {
		if s.ix.records[i] == s.was.records[i] {
			continue
		}
		changed = true
		flags := s.ix.records[i].appendFlags(nil)
		if _, err := s.File.WriteAt(flags, head+int64(i)*int64(recordLen)+int64(flagsAt)); err != nil {
			return err
		}
	}
	if s.ix.validity != s.was.validity || s.ix.last != s.was.last {
		changed = true
		if _, err := s.File.WriteAt(s.ix.head()[:validityLen+lastLen], 0); err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	if err := s.File.Sync(); err != nil {
		return err
	}
	s.saved()
	return nil
}

// saved notes that the index is on disk.
func (s *state) saved() {
	s.was = s.ix
	s.was.records = slices.Clone(s.ix.records)
	s.was.plain = true
}

// extends reports whether the records on disk are the first of those that are to
// be there.
func (s *state) extends() bool {
	if len(s.was.records) > len(s.ix.records) {
		return false
	}
	for i := range s.was.records {
		if s.was.records[i].uid != s.ix.records[i].uid {
			return false
		}
	}
	return true
}

// rewrite writes the whole index.
func (s *state) rewrite() error {
	for _, f := range s.flaws {
		if f.kind != "order" && f.kind != "twice" {
			s.d.env.Notify(mailbox.Warn, fmt.Sprintf("%s: octet %d: %s", s.File.Name(), f.off, f.text))
		}
	}
	s.flaws = nil
	if err := s.Replace(s.ix.print()); err != nil {
		return err
	}
	s.saved()
	return nil
}

// Expunge removes messages for good. The highest UID ever given is made durable
// before, or it would be given again. The records go afterwards.
func (s *state) Expunge(doomed []uint32) error {
	if s.was.last != s.Last || s.was.validity != s.Validity {
		if err := s.Save(); err != nil {
			return err
		}
	}
	if _, err := s.Dir.Remove(doomed, s); err != nil {
		return err
	}
	s.Msgs = slices.DeleteFunc(s.Msgs, func(m numbered.Message) bool {
		_, gone := slices.BinarySearch(doomed, m.Number)
		return gone
	})
	if err := s.Save(); err != nil { // the records that stay mean nothing
		s.d.env.Notify(mailbox.Warn, fmt.Sprintf("messages of %s are removed, but not their records in the index: %v", s.Dir.Path, err))
	}
	return nil
}

// Take adds the messages of a delivery: their records first, by an append to the
// index, which mean nothing until the files are there.
func (s *state) Take(t *numbered.Delivery) (uids mailbox.UIDs, err error) {
	base := s.Last
	if uint64(base)+uint64(len(t.Items)) > numbered.MaxNumber {
		return uids, fmt.Errorf("%w: its UIDs are used up", mailbox.ErrUnsupported)
	}
	keywords, err := t.Keywords(s)
	if err != nil {
		return uids, err
	}
	for i, it := range t.Items {
		s.Last = base + it.N
		s.Msgs = append(s.Msgs, numbered.Message{Number: s.Last, System: it.System | mailbox.Recent, Keywords: keywords[i]})
	}
	if err := s.Save(); err != nil || len(t.Items) == 0 {
		return uids, err
	}
	if len(t.Items) == 1 {
		err = t.Stage.PlaceOne(base + 1)
	} else {
		err = t.Stage.Place(base, nil, s)
	}
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%w: another program made message %d without the lock", mailbox.ErrTemporary, base+1)
	}
	return mailbox.UIDs{Validity: s.Validity, First: base + 1, Last: s.Last}, err
}
