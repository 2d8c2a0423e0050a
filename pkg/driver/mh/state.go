package mh

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"

	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/mailbox"
)

// A state is the mailbox as it is on disk, while its sequences are locked.
type state struct {
	*numbered.State
	d       *Driver
	seqs    []sequence
	text    []byte // of the file
	settled bool   // the sequences say of each message whether it is seen
}

var _ numbered.Kept = (*state)(nil)

// Load reads the directory and the sequences.
func (s *state) Load() (err error) {
	if s.List, err = s.Dir.List(); err != nil {
		return err
	}
	s.Last = s.List.Highest()
	if s.text, err = s.ReadFile(); err != nil {
		return err
	}
	s.seqs, _ = parseSequences(s.text)
	s.setKeywords()
	s.settled = find(s.seqs, seqKnown) != nil
	in := s.membership()
	s.Msgs = make([]numbered.Message, 0, len(s.List.Numbers))
	for _, n := range s.List.Numbers {
		fi, err := s.d.FS.Stat(s.Dir.File(n))
		if errors.Is(err, fs.ErrNotExist) { // the original has expunged it just now
			continue
		}
		if err != nil {
			return err
		}
		s.Msgs = append(s.Msgs, s.message(n, fi, &in))
	}
	return nil
}

// setKeywords finds the keywords.
func (s *state) setKeywords() {
	s.Keywords = nil
	for i := range s.seqs {
		name := s.seqs[i].name
		if s.d.mayBeKeyword(name) && s.Keyword(name) == 0 && len(s.Keywords) < maxKeywords {
			s.Keywords = append(s.Keywords, name)
		}
	}
}

// maxKeywords is how many sequences can be keywords.
const maxKeywords = mailbox.MaxKeywords

// Create returns the bit of a keyword, which it gets where it can be one.
func (s *state) Create(name string) (uint64, bool) {
	if s.Keyword(name) == 0 && !s.d.mayBeKeyword(name) {
		return 0, false
	}
	return s.AddKeyword(name, maxKeywords)
}

// flagSequences are the sequences whose messages bear a flag.
var flagSequences = [...]struct {
	name string
	flag mailbox.SystemFlags
}{
	{seqFlagged, mailbox.Flagged},
	{seqReplied, mailbox.Answered},
	{seqDeleted, mailbox.Deleted},
	{seqDraft, mailbox.Draft},
}

// A membership is the sequences that say something of messages, looked up.
type membership struct {
	unseen, known, recent *sequence
	flags                 [len(flagSequences)]*sequence
	keywords              []*sequence
}

func (s *state) membership() (in membership) {
	in.unseen, in.known, in.recent = find(s.seqs, s.d.unseen()), find(s.seqs, seqKnown), find(s.seqs, seqRecent)
	for i, f := range flagSequences {
		in.flags[i] = find(s.seqs, f.name)
	}
	for _, k := range s.Keywords {
		in.keywords = append(in.keywords, find(s.seqs, k))
	}
	return in
}

// message is what is known of message n from its file and the sequences.
func (s *state) message(n uint32, fi fs.FileInfo, in *membership) numbered.Message {
	m := numbered.Message{Number: n}
	m.Stat(fi)
	for i, q := range in.flags {
		if q.has(n) {
			m.System |= flagSequences[i].flag
		}
	}
	for i, q := range in.keywords {
		if q.has(n) {
			m.Keywords |= 1 << i
		}
	}
	read := wasRead(fi)
	unseen, recent := in.unseen.has(n), in.recent.has(n)
	switch {
	case len(s.text) == 0:
		unseen = !read
	case s.settled && !in.known.has(n):
		unseen, recent = unseen || !read, true
	}
	if !unseen {
		m.System |= mailbox.Seen
	}
	if recent {
		m.System |= mailbox.Recent
	}
	return m
}

// wasRead is the original's sign that a message was read; it counts where no
// program that knows sequences has seen it.
func wasRead(fi fs.FileInfo) bool { return numbered.Accessed(fi).Unix() > fi.ModTime().Unix() }

// Save makes the sequences on disk what the messages say.
func (s *state) Save() error {
	s.gather()
	b := printSequences(s.seqs)
	if bytes.Equal(b, s.text) {
		return nil
	}
	if err := s.Replace(b); err != nil {
		return err
	}
	s.text, s.settled = b, true
	return nil
}

// drop removes the sequences of a name, but for what of it cannot be read.
func (s *state) drop(name string) {
	kept := s.seqs[:0]
	for _, q := range s.seqs {
		if q.name != name || q.odd != "" {
			kept = append(kept, q)
		}
	}
	s.seqs = kept
}

// gather makes the sequences anew from the messages. Those that are not ours to
// know stay as they are, those that became empty go, but for keywords.
func (s *state) gather() {
	members := func(name string, keep bool, is func(m *numbered.Message) bool) {
		q := sequence{name: name}
		for i := range s.Msgs {
			if is(&s.Msgs[i]) {
				q.add(s.Msgs[i].Number)
			}
		}
		old := find(s.seqs, name)
		switch {
		case old != nil:
			old.spans = q.spans
		case keep || len(q.spans) > 0:
			s.seqs = append(s.seqs, q)
		}
		if !keep && len(q.spans) == 0 {
			s.drop(name)
		}
	}
	members(s.d.unseen(), false, func(m *numbered.Message) bool { return m.System&mailbox.Seen == 0 })
	for _, f := range flagSequences {
		members(f.name, false, func(m *numbered.Message) bool { return m.System&f.flag != 0 })
	}
	for i, k := range s.Keywords {
		members(k, true, func(m *numbered.Message) bool { return m.Keywords&(1<<i) != 0 })
	}
	members(seqKnown, true, func(*numbered.Message) bool { return true })
	members(seqRecent, false, func(m *numbered.Message) bool { return m.System&mailbox.Recent != 0 })
}

// Expunge removes messages for good. Before that the sequences must tell mail to
// come from what is there.
func (s *state) Expunge(doomed []uint32) error {
	if !s.settled {
		if err := s.Save(); err != nil {
			return err
		}
	}
	_, err := s.Dir.Remove(doomed, s)
	return err
}

// Placed gives messages that have their numbers the flags that are noted for
// them.
func (s *state) Placed(note []byte, base, lo, hi uint32) error {
	if err := s.Load(); err != nil {
		return err
	}
	noted, _ := parseSequences(note)
	seen := find(noted, noteSeen)
	for i := range s.Msgs {
		m := &s.Msgs[i]
		if m.Number <= base || m.Number-base < lo || m.Number-base > hi {
			continue
		}
		n := m.Number - base
		m.System = mailbox.Recent
		if seen != nil && seen.has(n) {
			m.System |= mailbox.Seen
		}
		for _, f := range flagSequences {
			if q := find(noted, f.name); q != nil && q.has(n) {
				m.System |= f.flag
			}
		}
		for k := range noted {
			if bit := s.noteKeyword(&noted[k]); bit != 0 && noted[k].has(n) {
				m.Keywords |= bit
			}
		}
	}
	return s.Save()
}

// noteSeen is the sequence of a note that says which messages are seen. It is
// no name of a keyword.
const noteSeen = "."

// notedKeyword stands before the name of a keyword in a note.
const notedKeyword = "k."

func (s *state) noteKeyword(q *sequence) uint64 {
	name, ok := strings.CutPrefix(q.name, notedKeyword)
	if !ok {
		return 0
	}
	bit, _ := s.Create(name)
	return bit
}

// Removed forgets messages that are no more. What has their numbers meanwhile
// is another message.
func (s *state) Removed(nums []uint32) error {
	if err := s.Load(); err != nil {
		return err
	}
	for _, n := range nums {
		if m := s.Find(n); m != nil {
			m.System, m.Keywords = mailbox.Recent, 0
		}
	}
	return s.Save()
}
