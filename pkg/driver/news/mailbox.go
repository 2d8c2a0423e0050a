package news

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"time"

	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/mailbox"
)

// uidValidity is that of every group.
const uidValidity = 0xbeefface

// An article is what is known of one.
type article struct {
	uid    uint32
	seen   bool
	recent bool
	size   int64 // octets with CRLF line ends, 0 where nobody has counted
}

// A box is one open group.
type box struct {
	d      *Driver
	ctx    context.Context
	name   mailbox.Name
	group  string
	writes bool // Seen may be stored
	closed bool

	index []article
	next  uint32
	texts numbered.Texts
}

var _ mailbox.Mailbox = (*box)(nil)

// look reads the spool and the state.
func (b *box) look(first bool) error {
	l, err := b.texts.Dir.List()
	if err != nil {
		return err
	}
	s, err := b.d.readState(b.group)
	if err != nil {
		return err
	}
	if first && !s.known {
		b.d.env.Notify(mailbox.Info, fmt.Sprintf("No state for newsgroup %s found, reading as new", b.group))
	}
	if first && len(l.Numbers) == 0 {
		b.d.env.Notify(mailbox.Info, fmt.Sprintf("Newsgroup %s is empty", b.group))
	}
	end := s.end()
	index := make([]article, 0, len(l.Numbers))
	old := b.index
	for _, n := range l.Numbers {
		for len(old) > 0 && old[0].uid < n {
			old = old[1:]
		}
		a := article{uid: n, seen: s.has(n), recent: n > end}
		if len(old) > 0 && old[0].uid == n {
			a.size = old[0].size
			a.recent = a.recent || old[0].recent
		}
		index = append(index, a)
	}
	b.texts.Forget()
	b.index = index
	b.next = max(b.next, l.Highest()+1)
	return nil
}

// number is that of article i, 0 behind the last one.
func (b *box) number(i int) uint32 {
	if i >= len(b.index) {
		return 0
	}
	return b.index[i].uid
}

// Status tells what is known.
func (b *box) Status() mailbox.Status {
	st := mailbox.Status{
		Driver: b.d.Name(), Path: b.texts.Dir.Path, Messages: uint32(len(b.index)),
		UIDValidity: uidValidity, UIDNext: b.next, ReadOnly: true,
	}
	for i := range b.index {
		if b.index[i].recent {
			st.Recent++
		}
		if !b.index[i].seen {
			st.Unseen++
		}
	}
	return st
}

// Messages yields the articles of s. For the size the text is read, once: it is
// not on disk as it is told.
func (b *box) Messages(s mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		for seq := range s.Seqs(uint32(len(b.index))) {
			if seq == 0 {
				continue
			}
			m, err := b.message(seq)
			if err != nil {
				yield(m, b.d.fail("read", b.name, err))
				return
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

func (b *box) message(seq uint32) (m mailbox.Message, err error) {
	if b.closed {
		return m, os.ErrClosed
	}
	a := &b.index[seq-1]
	fi, err := b.d.FS.Stat(b.texts.Dir.File(a.uid))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: article %d has expired", mailbox.ErrChanged, a.uid)
	}
	if err == nil && a.size == 0 {
		a.size, err = b.texts.Measure(a.uid)
	}
	if err != nil {
		return m, err
	}
	m = mailbox.Message{Seq: seq, UID: a.uid, Size: a.size, Date: mailbox.DateOf(fi.ModTime().Truncate(time.Second).UTC())}
	if a.seen {
		m.Flags.System |= mailbox.Seen
	}
	if a.recent {
		m.Flags.System |= mailbox.Recent
	}
	return m, nil
}

// Open streams article seq.
func (b *box) Open(seq uint32) (mailbox.Content, error) {
	if seq == 0 || seq > uint32(len(b.index)) {
		return nil, b.d.fail("read", b.name, fmt.Errorf("no article %d", seq))
	}
	if b.closed {
		return nil, b.d.fail("read", b.name, os.ErrClosed)
	}
	c, err := b.texts.Open(b.index[seq-1].uid)
	return c, b.d.fail("read", b.name, err)
}

// Store changes Seen, in the state file, and no other flag.
func (b *box) Store(set mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	return b.d.fail("store", b.name, b.store(set, op, f))
}

func (b *box) store(set mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	switch {
	case b.closed:
		return os.ErrClosed
	case !b.writes:
		return mailbox.ErrReadOnly
	case op != mailbox.Remove && (f.System&^(mailbox.Seen|mailbox.Recent) != 0 || len(f.Keywords) > 0):
		return fmt.Errorf("%w: of articles only \\Seen is kept", mailbox.ErrUnsupported)
	}
	touched := map[uint32]bool{}
	for seq := range set.Seqs(uint32(len(b.index))) {
		if seq > 0 {
			touched[b.index[seq-1].uid] = true
		}
	}
	if len(touched) == 0 || op == mailbox.Add && f.System&mailbox.Seen == 0 {
		return nil
	}
	with := mailbox.Flags{System: f.System}
	seen := func(a article, old bool) bool {
		var was mailbox.Flags
		if old {
			was.System = mailbox.Seen
		}
		if touched[a.uid] {
			was = was.Apply(op, with)
		}
		return was.System&mailbox.Seen != 0
	}
	var now state
	err := b.d.changeState(b.ctx, b.group, func(s state) []byte {
		list := printList(b.uids(), func(n uint32) bool { return seen(article{uid: n}, s.has(n)) })
		now.spans, _ = parseList(list)
		return list
	})
	if err != nil {
		return err
	}
	for i := range b.index {
		b.index[i].seen = now.has(b.index[i].uid)
	}
	return nil
}

func (b *box) uids() []uint32 {
	out := make([]uint32, len(b.index))
	for i := range b.index {
		out[i] = b.index[i].uid
	}
	return out
}

// Expunge is refused: articles go when they expire.
func (b *box) Expunge(mailbox.Set) (int, error) {
	return 0, b.d.fail("expunge", b.name, mailbox.Sayf(mailbox.ErrReadOnly, "Expunge ignored on readonly mailbox"))
}

// Ping looks for articles that came or expired, and for what was read.
func (b *box) Ping() (bool, error) {
	if b.closed {
		return false, b.d.fail("ping", b.name, os.ErrClosed)
	}
	before := b.index
	err := b.look(false)
	same := slices.EqualFunc(before, b.index, func(x, y article) bool { return x.uid == y.uid && x.seen == y.seen })
	return !same, b.d.fail("ping", b.name, err)
}

// Close ends the session.
func (b *box) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	b.texts.Forget()
	return b.d.fail("close", b.name, b.texts.Close())
}
