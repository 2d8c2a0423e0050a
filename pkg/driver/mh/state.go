package mh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A message is what is known of one.
type message struct {
	uid      uint32
	system   mailbox.SystemFlags
	keywords uint64
	size     int64 // octets on disk
	crlf     int64 // octets with CRLF line ends, 0 where nobody has counted
	mtime    int64 // nanoseconds
	ino      uint64
}

// same reports whether two messages of one number are the same file: numbers
// come again.
func (m *message) same(o *message) bool {
	return m.uid == o.uid && m.ino == o.ino && m.mtime == o.mtime && m.size == o.size
}

// A state is the mailbox as it is on disk, while its sequences are locked.
type state struct {
	d        *Driver
	dir      numbered.Dir
	f        fsx.File // the sequences, nil where there are none
	list     numbered.Listing
	seqs     []sequence
	text     []byte // of the file
	msgs     []message
	keywords []string // bit n is keywords[n]
	settled  bool     // the sequences say of each message whether it is seen
}

var _ numbered.Keeper = (*state)(nil)

// locked calls do with the sequences of the mailbox at path locked, for writing
// or for reading, and everything that a crash left seen to. Who only reads locks
// nothing where there are no sequences.
func (d *Driver) locked(ctx context.Context, path string, write bool, do func(s *state) error) error {
	for {
		again, err := d.lockedOnce(ctx, path, write, do)
		if err != nil || !again {
			return err
		}
	}
}

func (d *Driver) lockedOnce(ctx context.Context, path string, write bool, do func(s *state) error) (again bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s := &state{d: d, dir: d.dir(path)}
	name := filepath.Join(path, sequencesName)
	if s.f, err = d.openSequences(name, write); err != nil {
		return false, err
	}
	release := func() error { return nil }
	if s.f != nil {
		defer func() { err = errors.Join(err, s.f.Close()) }()
		mode := lock.Shared
		if write {
			mode = lock.Exclusive
		}
		held, err := lock.Fcntl(d.files().Locks()).Lock(ctx, s.f.OS(), mode)
		if err != nil {
			return false, err
		}
		release = held.Release
		defer func() { err = errors.Join(err, release()) }()
		if !isAt(d.FS, s.f, name) { // nmh removes it, mutt replaces it
			return true, nil
		}
	}
	pending, err := s.pending(name)
	if err != nil {
		return false, err
	}
	if pending && !write {
		return true, errors.Join(release(), d.finish(ctx, path)) // our lock would be in our own way
	}
	if pending {
		if err := s.finish(); err != nil {
			return false, err
		}
	}
	if err := s.load(); err != nil {
		return false, err
	}
	return false, do(s)
}

// openSequences opens the file; for writing it is made where it is missing.
func (d *Driver) openSequences(name string, write bool) (fsx.File, error) {
	if write {
		f, err := d.FS.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, d.env.Config.MailboxMode)
		if node.Gone(err) {
			err = mailbox.ErrNotExist
		}
		return f, err
	}
	fi, err := d.FS.Stat(name)
	if node.Gone(err) {
		return nil, nil
	}
	if err == nil && !fi.Mode().IsRegular() { // a fifo would make us wait
		err = &fs.PathError{Op: "open", Path: name, Err: mailbox.ErrFormat}
	}
	if err != nil {
		return nil, err
	}
	f, err := d.files().Open(name, os.O_RDONLY)
	if node.Gone(err) {
		return nil, nil
	}
	return f, err
}

// isAt reports whether f is the file of that name.
func isAt(fsys fsx.FS, f fsx.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := fsys.Stat(name)
	return err == nil && os.SameFile(a, b)
}

// finish finishes an interrupted change for somebody who only reads.
func (d *Driver) finish(ctx context.Context, path string) error {
	err := d.locked(ctx, path, true, func(*state) error { return nil })
	if flocked.MayNotWrite(err) {
		return fmt.Errorf("%w: its owner must open it: %w", journal.ErrUnfinished, err)
	}
	return err
}

// pending reports whether a change was interrupted.
func (s *state) pending(name string) (bool, error) {
	sequences, err := journal.Pending(name, s.d.journal())
	if err != nil || sequences {
		return sequences, err
	}
	return s.dir.Pending()
}

// finish finishes what was interrupted.
func (s *state) finish() error {
	did, err := journal.Recover(s.f, s.d.journal())
	if err != nil {
		return err
	}
	more, err := s.dir.Finish(s)
	for _, text := range []string{did, more} {
		if text != "" {
			s.d.env.Notify(mailbox.Warn, text)
		}
	}
	return err
}

// load reads the directory and the sequences.
func (s *state) load() (err error) {
	if s.list, err = s.dir.List(); err != nil {
		return err
	}
	s.text = nil
	if s.f != nil {
		if s.text, err = readAll(s.f); err != nil {
			return err
		}
	}
	s.seqs, _ = parseSequences(s.text)
	s.name()
	s.settled = find(s.seqs, seqKnown) != nil
	in := s.membership()
	s.msgs = make([]message, 0, len(s.list.Numbers))
	for _, n := range s.list.Numbers {
		fi, err := s.d.FS.Stat(s.dir.File(n))
		if errors.Is(err, fs.ErrNotExist) { // the original has expunged it just now
			continue
		}
		if err != nil {
			return err
		}
		s.msgs = append(s.msgs, s.message(n, fi, &in))
	}
	return nil
}

func readAll(f fsx.File) ([]byte, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, fi.Size())
	n, err := f.ReadAt(b, 0)
	if n < len(b) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b, nil
}

// name finds the keywords.
func (s *state) name() {
	s.keywords = nil
	for i := range s.seqs {
		name := s.seqs[i].name
		if s.d.mayBeKeyword(name) && s.keyword(name) == 0 && len(s.keywords) < maxKeywords {
			s.keywords = append(s.keywords, name)
		}
	}
}

// maxKeywords is how many sequences can be keywords.
const maxKeywords = mailbox.MaxKeywords

// keyword returns the bit of a keyword, in any case, 0 where there is none.
func (s *state) keyword(name string) uint64 {
	i := slices.IndexFunc(s.keywords, func(k string) bool { return strings.EqualFold(k, name) })
	if i < 0 {
		return 0
	}
	return 1 << i
}

// create returns the bit of a keyword, which it gets where it can be one.
func (s *state) create(name string) (uint64, bool) {
	if bit := s.keyword(name); bit != 0 {
		return bit, true
	}
	if !s.d.mayBeKeyword(name) || len(s.keywords) == maxKeywords {
		return 0, false
	}
	s.keywords = append(slices.Clip(s.keywords), name)
	return 1 << (len(s.keywords) - 1), true
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
	for _, k := range s.keywords {
		in.keywords = append(in.keywords, find(s.seqs, k))
	}
	return in
}

// message is what is known of message n from its file and the sequences.
func (s *state) message(n uint32, fi fs.FileInfo, in *membership) message {
	m := message{uid: n, size: fi.Size(), mtime: fi.ModTime().UnixNano(), ino: inode(fi)}
	for i, q := range in.flags {
		if q.has(n) {
			m.system |= flagSequences[i].flag
		}
	}
	for i, q := range in.keywords {
		if q.has(n) {
			m.keywords |= 1 << i
		}
	}
	// The original's sign that a message was read, where no program that knows
	// sequences has seen it.
	read := numbered.Accessed(fi).Unix() > fi.ModTime().Unix()
	unseen, recent := in.unseen.has(n), in.recent.has(n)
	switch {
	case len(s.text) == 0:
		unseen = !read
	case s.settled && !in.known.has(n):
		unseen, recent = unseen || !read, true
	}
	if !unseen {
		m.system |= mailbox.Seen
	}
	if recent {
		m.system |= mailbox.Recent
	}
	return m
}

func inode(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}

// find returns message n, nil where it is not there.
func (s *state) find(n uint32) *message {
	i, ok := slices.BinarySearchFunc(s.msgs, n, func(m message, n uint32) int { return int(int64(m.uid) - int64(n)) })
	if !ok {
		return nil
	}
	return &s.msgs[i]
}

// save makes the sequences on disk what the messages say. It is a replace in
// place, by journal: nmh waits for the lock of this very file.
func (s *state) save() error {
	s.gather()
	b := printSequences(s.seqs)
	if bytes.Equal(b, s.text) {
		return nil
	}
	j, err := journal.New(s.f, s.d.journal())
	if err != nil {
		return err
	}
	err = j.At(0)
	if err == nil {
		_, err = j.Write(b)
	}
	if err == nil {
		err = j.Commit(int64(len(b)))
	}
	if err != nil {
		return errors.Join(err, j.Abort())
	}
	s.text, s.settled = b, true
	return nil
}

// gather makes the sequences anew from the messages. Those that are not ours to
// know stay as they are, those that became empty go, but for keywords.
func (s *state) gather() {
	members := func(name string, keep bool, is func(m *message) bool) {
		q := sequence{name: name}
		for i := range s.msgs {
			if is(&s.msgs[i]) {
				q.add(s.msgs[i].uid)
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
			s.seqs = slices.DeleteFunc(s.seqs, func(q sequence) bool { return q.name == name && q.odd == "" })
		}
	}
	members(s.d.unseen(), false, func(m *message) bool { return m.system&mailbox.Seen == 0 })
	for _, f := range flagSequences {
		members(f.name, false, func(m *message) bool { return m.system&f.flag != 0 })
	}
	for i, k := range s.keywords {
		members(k, true, func(m *message) bool { return m.keywords&(1<<i) != 0 })
	}
	members(seqKnown, true, func(*message) bool { return true })
	members(seqRecent, false, func(m *message) bool { return m.system&mailbox.Recent != 0 })
}

// settle sees to it that mail to come is told from what is there.
func (s *state) settle() error {
	if s.settled {
		return nil
	}
	return s.save()
}

// Placed gives messages that have their numbers the flags that are noted for
// them.
func (s *state) Placed(note []byte, base, lo, hi uint32) error {
	if err := s.load(); err != nil {
		return err
	}
	noted, _ := parseSequences(note)
	seen := find(noted, noteSeen)
	for i := range s.msgs {
		m := &s.msgs[i]
		if m.uid <= base || m.uid-base < lo || m.uid-base > hi {
			continue
		}
		n := m.uid - base
		m.system = mailbox.Recent
		if seen != nil && seen.has(n) {
			m.system |= mailbox.Seen
		}
		for _, f := range flagSequences {
			if q := find(noted, f.name); q != nil && q.has(n) {
				m.system |= f.flag
			}
		}
		for k := range noted {
			if bit := s.noteKeyword(&noted[k]); bit != 0 && noted[k].has(n) {
				m.keywords |= bit
			}
		}
	}
	return s.save()
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
	bit, _ := s.create(name)
	return bit
}

// Removed forgets messages that are no more. What has their numbers meanwhile
// is another message.
func (s *state) Removed(nums []uint32) error {
	if err := s.load(); err != nil {
		return err
	}
	for _, n := range nums {
		if m := s.find(n); m != nil {
			m.system, m.keywords = mailbox.Recent, 0
		}
	}
	return s.save()
}
