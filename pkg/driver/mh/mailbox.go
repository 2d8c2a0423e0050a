package mh

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/numbered"
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
	next     uint32

	known          [2]numbered.Stamp // of the directory and the sequences, when they were read
	recent, unseen uint32
	texts          numbered.Texts
}

var _ mailbox.Prover = (*box)(nil)

// Open opens n.
func (d *Driver) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	path, err := d.mailboxPath(n)
	if err != nil {
		return nil, d.fail("open", n, err)
	}
	b := &box{d: d, ctx: ctx, name: n, path: path, readOnly: m == mailbox.ReadOnly, validity: max(uint32(d.env.Now().Unix()), 1)}
	b.texts = numbered.Texts{Dir: d.dir(path), CRLF: true, Same: b.isSame}
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

// look reads directory and sequences, and, for writing, notes in the sequences
// that the messages have been seen to be there.
func (b *box) look() error {
	return b.d.locked(b.ctx, b.path, !b.readOnly, func(s *state) error {
		now := b.d.env.Now()
		b.known[0] = numbered.StampOf(b.d.FS, b.path, now)
		msgs := slices.Clone(s.msgs)
		if !b.readOnly {
			for i := range s.msgs {
				s.msgs[i].system &^= mailbox.Recent
			}
			if err := s.save(); err != nil {
				return err
			}
			if err := s.dir.Tidy(&s.list, now); err != nil {
				return err
			}
		}
		b.known[1] = numbered.StampOf(b.d.FS, filepath.Join(b.path, sequencesName), now)
		b.take(msgs, s)
		return nil
	})
}

// take makes msgs what the session knows. Both lists ascend.
func (b *box) take(msgs []message, s *state) {
	old := b.index
	for i := range msgs {
		m := &msgs[i]
		for len(old) > 0 && old[0].uid < m.uid {
			old = old[1:]
		}
		if len(old) > 0 && old[0].same(m) {
			m.crlf = old[0].crlf
			m.system |= old[0].system & mailbox.Recent
		}
	}
	b.index, b.keywords = msgs, s.keywords
	b.next = max(b.next, s.list.Highest()+1)
	b.count()
}

// count counts for Status.
func (b *box) count() {
	b.recent, b.unseen = 0, 0
	for i := range b.index {
		if b.index[i].system&mailbox.Recent != 0 {
			b.recent++
		}
		if b.index[i].system&mailbox.Seen == 0 {
			b.unseen++
		}
	}
}

// Status tells what is known.
func (b *box) Status() mailbox.Status {
	return mailbox.Status{
		Driver: b.d.Name(), Path: b.path,
		Messages: uint32(len(b.index)), Recent: b.recent, Unseen: b.unseen,
		UIDValidity: b.validity, UIDNext: b.next, Keywords: b.keywords, ReadOnly: b.readOnly,
	}
}

// Messages yields the messages of s. For a size that is not on disk as it is
// told, the text is read, once.
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

func (b *box) message(seq uint32) (m mailbox.Message, err error) {
	if b.closed {
		return m, os.ErrClosed
	}
	r := &b.index[seq-1]
	if r.crlf == 0 && r.size > 0 {
		if r.crlf, err = b.texts.Measure(r.uid); err != nil {
			return m, err
		}
	}
	return mailbox.Message{
		Seq: seq, UID: r.uid, Size: r.crlf, Flags: mailbox.Flags{System: r.system, Keywords: r.keywords},
		Date: mailbox.DateOf(time.Unix(0, r.mtime).UTC()),
	}, nil
}

// isSame reports whether a file is the message that the session knows.
func (b *box) isSame(n uint32, fi fs.FileInfo) bool {
	i, ok := slices.BinarySearchFunc(b.index, n, func(m message, n uint32) int { return int(int64(m.uid) - int64(n)) })
	return ok && b.index[i].same(&message{uid: n, size: fi.Size(), mtime: fi.ModTime().UnixNano(), ino: inode(fi)})
}

// Open streams message seq.
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

// Ping looks for what others did, where directory or sequences have changed.
func (b *box) Ping() (bool, error) {
	if b.closed {
		return false, b.d.fail("ping", b.name, os.ErrClosed)
	}
	now := b.d.env.Now()
	same := true
	for i, path := range []string{b.path, filepath.Join(b.path, sequencesName)} {
		same = same && b.known[i].Unchanged(numbered.StampOf(b.d.FS, path, now))
	}
	if same {
		return false, nil
	}
	index, keywords := b.index, b.keywords
	err := b.look()
	changed := !slices.Equal(keywords, b.keywords) || !slices.EqualFunc(index, b.index, func(x, y message) bool {
		return x.same(&y) && x.system == y.system && x.keywords == y.keywords
	})
	return changed, b.d.fail("ping", b.name, err)
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
