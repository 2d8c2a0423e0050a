package mx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// A box is one open mailbox. It holds no lock between calls.
type box struct {
	d        *Driver
	ctx      context.Context // of Open: later calls wait for locks within it
	name     mailbox.Name
	path     string
	readOnly bool
	closed   bool

	index    []message
	keywords []string
	validity uint32
	last     uint32

	known          [2]numbered.Stamp // of the directory and the index, when they were read
	recent, unseen uint32
	texts          numbered.Texts
}

// A message is what a session knows of one. Size and date are found out when
// somebody asks.
type message struct {
	record
	recent  bool
	statted bool
	size    int64
	mtime   int64 // Unix seconds
}

var _ mailbox.Prover = (*box)(nil)

// Open opens n.
func (d *Driver) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	path, err := d.place(n)
	if err != nil {
		return nil, d.fail("open", n, err)
	}
	b := &box{d: d, ctx: ctx, name: n, path: path, readOnly: m == mailbox.ReadOnly}
	b.texts.Dir = d.dir(path)
	err = b.look()
	if !b.readOnly && flocked.MayNotWrite(err) {
		d.env.Notify(mailbox.Warn, "Can't get write access to mailbox, access is readonly")
		b.readOnly = true
		err = b.look()
	}
	if err != nil {
		return nil, d.fail("open", n, err)
	}
	if len(b.index) == 0 {
		d.env.Notify(mailbox.Info, "Mailbox is empty")
	}
	return b, nil
}

// look reads directory and index, and, for writing, notes in the index that the
// messages have been seen to be there.
func (b *box) look() error {
	return b.d.locked(b.ctx, b.path, !b.readOnly, func(s *state) error {
		now := b.d.env.Now()
		b.known[0] = numbered.StampOf(b.d.FS, b.path, now)
		ix := s.ix
		ix.records = slices.Clone(s.ix.records)
		if !b.readOnly {
			for i := range s.ix.records {
				s.ix.records[i].flags &^= bitNew
			}
			if err := s.save(); err != nil {
				return err
			}
			if err := s.dir.Tidy(&s.list, now); err != nil {
				return err
			}
		}
		b.known[1] = numbered.StampOf(b.d.FS, s.f.Name(), now)
		b.take(&ix)
		return nil
	})
}

// take makes ix what the session knows. Both lists ascend.
func (b *box) take(ix *index) {
	old := b.index
	b.index = make([]message, 0, len(ix.records))
	for _, r := range ix.records {
		for len(old) > 0 && old[0].uid < r.uid {
			old = old[1:]
		}
		m := message{record: r, recent: r.flags&bitNew != 0}
		if len(old) > 0 && old[0].uid == r.uid {
			m = old[0]
			m.record = r
			m.recent = m.recent || r.flags&bitNew != 0
		}
		m.flags &^= bitNew
		b.index = append(b.index, m)
	}
	b.keywords, b.validity, b.last = ix.keywords, ix.validity, ix.last
	b.count()
}

// count counts for Status.
func (b *box) count() {
	b.recent, b.unseen = 0, 0
	for i := range b.index {
		if b.index[i].recent {
			b.recent++
		}
		if b.index[i].flags&bitSeen == 0 {
			b.unseen++
		}
	}
}

// Status tells what is known.
func (b *box) Status() mailbox.Status {
	return mailbox.Status{
		Driver: b.d.Name(), Path: b.path,
		Messages: uint32(len(b.index)), Recent: b.recent, Unseen: b.unseen,
		UIDValidity: b.validity, UIDNext: b.last + 1, Keywords: b.keywords, ReadOnly: b.readOnly,
	}
}

// Messages yields the messages of s. Of each file the size and the time are
// asked for, once.
func (b *box) Messages(s mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		for seq := range s.Seqs(uint32(len(b.index))) {
			if seq == 0 {
				continue
			}
			m, err := b.message(seq)
			if err != nil {
				yield(mailbox.Message{}, b.d.fail("read", b.name, err))
				return
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

func (b *box) message(seq uint32) (mailbox.Message, error) {
	if b.closed {
		return mailbox.Message{}, os.ErrClosed
	}
	r := &b.index[seq-1]
	if !r.statted {
		fi, err := b.d.FS.Stat(b.texts.Dir.File(r.uid))
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: message %d was removed", mailbox.ErrChanged, r.uid)
		}
		if err != nil {
			return mailbox.Message{}, err
		}
		r.statted, r.size, r.mtime = true, fi.Size(), fi.ModTime().Unix()
	}
	m := mailbox.Message{Seq: seq, UID: r.uid, Size: r.size, Date: mailbox.DateOf(time.Unix(r.mtime, 0).UTC())}
	m.Flags.System = sysbits.Flags(r.flags)
	m.Flags.Keywords = uint64(r.keywords) & (1<<len(b.keywords) - 1)
	if r.recent {
		m.Flags.System |= mailbox.Recent
	}
	return m, nil
}

// Open streams message seq, octet for octet as its file has it.
func (b *box) Open(seq uint32) (mailbox.Content, error) {
	if seq == 0 || seq > uint32(len(b.index)) {
		return nil, b.d.fail("read", b.name, fmt.Errorf("no message %d", seq))
	}
	if b.closed {
		return nil, b.d.fail("read", b.name, os.ErrClosed)
	}
	c, err := b.texts.Open(b.index[seq-1].uid)
	return c, b.d.fail("read", b.name, err)
}

// Ping looks for what others did, where directory or index have changed.
func (b *box) Ping() (bool, error) {
	if b.closed {
		return false, b.d.fail("ping", b.name, os.ErrClosed)
	}
	now := b.d.env.Now()
	same := true
	for i, path := range []string{b.path, filepath.Join(b.path, indexName)} {
		same = same && b.known[i].Unchanged(numbered.StampOf(b.d.FS, path, now))
	}
	if same {
		return false, nil
	}
	before := b.snapshot()
	err := b.look()
	return !before.equal(b), b.d.fail("ping", b.name, err)
}

// A snapshot is what Messages and Status tell, sizes and dates aside.
type snapshot struct {
	index    []message
	keywords []string
	validity uint32
	last     uint32
}

func (b *box) snapshot() snapshot { return snapshot{b.index, b.keywords, b.validity, b.last} }

func (s snapshot) equal(b *box) bool {
	return s.validity == b.validity && s.last == b.last && slices.Equal(s.keywords, b.keywords) &&
		slices.EqualFunc(s.index, b.index, func(x, y message) bool { return x.record == y.record })
}

// Prove digests the messages that the session knows.
func (b *box) Prove() (mailbox.Proof, error) {
	if b.closed {
		return mailbox.Proof{}, b.d.fail("read", b.name, os.ErrClosed)
	}
	nums := make([]uint32, len(b.index))
	for i := range b.index {
		nums[i] = b.index[i].uid
	}
	p, err := b.texts.Prove(nums)
	return p, b.d.fail("read", b.name, err)
}

// Close ends the session; everything is durable already.
func (b *box) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	return b.d.fail("close", b.name, b.texts.Close())
}
