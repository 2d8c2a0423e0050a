package numbered

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/mailbox"
)

// A box is one open mailbox. It holds no lock between calls.
type box struct {
	f        *Format
	ctx      context.Context // of Open: later calls wait for locks within it
	name     mailbox.Name
	path     string
	readOnly bool
	closed   bool

	index    []Message
	keywords []string
	validity uint32
	next     uint32

	known          [2]Stamp // of the directory and the state file, when they were read
	recent, unseen uint32
	texts          Texts
}

var _ mailbox.Witness = (*box)(nil)

// Open opens n.
func (f *Format) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	b, err := f.newBox(ctx, n, m)
	if err == nil {
		err = b.begin()
	}
	if err != nil {
		return nil, f.Fail("open", n, err)
	}
	if len(b.index) == 0 {
		f.Env.Notify(mailbox.Info, "Mailbox is empty")
	}
	return b, nil
}

func (f *Format) newBox(ctx context.Context, n mailbox.Name, m mailbox.Mode) (*box, error) {
	path, err := f.Place(n)
	if err != nil {
		return nil, err
	}
	b := &box{f: f, ctx: ctx, name: n, path: path, readOnly: m == mailbox.ReadOnly}
	if f.Reuses {
		b.validity = max(uint32(f.Env.Now().Unix()), 1)
	}
	b.texts = Texts{Dir: Dir{FS: f.FS, Path: path}, CRLF: f.LF, At: b.number}
	if f.Reuses {
		b.texts.Same = b.isSame
	}
	return b, nil
}

// begin looks for the first time. Who may not write reads.
func (b *box) begin() error {
	err := b.look()
	if !b.readOnly && flocked.MayNotWrite(err) {
		b.f.Env.Notify(mailbox.Warn, "Can't get write access to mailbox, access is readonly")
		b.readOnly = true
		err = b.look()
	}
	return err
}

// look reads directory and state file, and, for writing, notes in the latter
// that the messages have been seen to be there.
func (b *box) look() error {
	return b.f.Locked(b.ctx, b.path, !b.readOnly, func(k Kept) error {
		s, now := k.Base(), b.f.Env.Now()
		b.known[0] = StampOf(b.f.FS, b.path, now)
		msgs := slices.Clone(s.Msgs)
		if !b.readOnly {
			for i := range s.Msgs {
				s.Msgs[i].System &^= mailbox.Recent
			}
			if err := k.Save(); err != nil {
				return err
			}
			if err := s.Dir.Tidy(&s.List, now); err != nil {
				return err
			}
		}
		b.known[1] = StampOf(b.f.FS, s.statePath(), now)
		b.take(msgs, s)
		return nil
	})
}

// take makes msgs what the session knows. Both lists ascend.
func (b *box) take(msgs []Message, s *State) {
	old := b.index
	for i := range msgs {
		m := &msgs[i]
		for len(old) > 0 && old[0].Number < m.Number {
			old = old[1:]
		}
		if len(old) > 0 && old[0].same(m) {
			was := old[0]
			was.System, was.Keywords = m.System|was.System&mailbox.Recent, m.Keywords
			*m = was
		}
	}
	b.texts.Forget()
	b.index, b.keywords = msgs, s.Keywords
	if b.f.Reuses {
		b.next = max(b.next, s.Last+1)
	} else {
		b.validity, b.next = s.Validity, s.Last+1
	}
	b.count()
}

// count counts for Status.
func (b *box) count() {
	b.recent, b.unseen = 0, 0
	for i := range b.index {
		if b.index[i].System&mailbox.Recent != 0 {
			b.recent++
		}
		if b.index[i].System&mailbox.Seen == 0 {
			b.unseen++
		}
	}
}

// Status tells what is known.
func (b *box) Status() mailbox.Status {
	return mailbox.Status{
		Driver: b.f.Format, Path: b.path,
		Messages: uint32(len(b.index)), Recent: b.recent, Unseen: b.unseen,
		UIDValidity: b.validity, UIDNext: b.next, Keywords: b.keywords, ReadOnly: b.readOnly,
	}
}

// Messages yields the messages of s. Of each file the size and the time are
// asked for, once; for a size that is not on disk as it is told, the text is
// read, once.
func (b *box) Messages(s mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		for seq := range b.seqs(s) {
			m, err := b.message(seq)
			if err != nil {
				yield(mailbox.Message{}, b.fail("read", err))
				return
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// seqs are the numbers of a set that can be those of messages.
func (b *box) seqs(s mailbox.Set) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for seq := range s.Seqs(uint32(len(b.index))) {
			if seq > 0 && !yield(seq) {
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
	if err := b.stat(int(seq) - 1); err != nil {
		return m, err
	}
	switch {
	case !b.f.LF:
		r.crlf = r.size
	case r.crlf == 0 && r.size > 0:
		if r.crlf, err = b.texts.Measure(r.Number); err != nil {
			return m, err
		}
	}
	return mailbox.Message{
		Seq: seq, UID: r.Number, Size: r.crlf, Date: r.date(),
		Flags: mailbox.Flags{System: r.System, Keywords: r.Keywords & named(b.keywords)},
	}, nil
}

// stat makes known what the file of message i is.
func (b *box) stat(i int) error {
	r := &b.index[i]
	if r.statted {
		return nil
	}
	if f, ok := b.texts.peek(i); ok {
		r.statted, r.size, r.mtime, r.ino = true, int64(len(f.Text)), f.MTime.UnixNano(), f.Ino
		return nil
	}
	fi, err := b.f.FS.Stat(b.texts.Dir.File(r.Number))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: message %d was removed", mailbox.ErrChanged, r.Number)
	}
	if err == nil {
		r.Stat(fi)
	}
	return err
}

// isSame reports whether a file is the message that the session knows.
func (b *box) isSame(n uint32, fi fs.FileInfo) bool {
	m := Message{Number: n}
	m.Stat(fi)
	was := find(b.index, n)
	return was != nil && was.same(&m)
}

// Open streams message seq.
func (b *box) Open(seq uint32) (mailbox.Content, error) {
	if seq == 0 || seq > uint32(len(b.index)) {
		return nil, b.fail("read", fmt.Errorf("no message %d", seq))
	}
	if b.closed {
		return nil, b.fail("read", os.ErrClosed)
	}
	c, err := b.texts.Open(b.index[seq-1].Number)
	return c, b.fail("read", err)
}

// Ping looks for what others did, where directory or state file have changed.
func (b *box) Ping() (bool, error) {
	if b.closed {
		return false, b.fail("ping", os.ErrClosed)
	}
	now := b.f.Env.Now()
	same := true
	for i, path := range []string{b.path, b.path + "/" + b.f.StateFile} {
		same = same && b.known[i].Unchanged(StampOf(b.f.FS, path, now))
	}
	if same {
		return false, nil
	}
	was := box{index: b.index, keywords: b.keywords, validity: b.validity, next: b.next}
	err := b.look()
	return !was.tellsAs(b), b.fail("ping", err)
}

// tellsAs reports whether Messages and Status of two boxes tell the same.
func (b *box) tellsAs(o *box) bool {
	return b.validity == o.validity && b.next == o.next && slices.Equal(b.keywords, o.keywords) &&
		slices.EqualFunc(b.index, o.index, func(x, y Message) bool {
			return x.same(&y) && x.System == y.System && x.Keywords == y.Keywords
		})
}

// Prove digests the messages that the session knows.
func (b *box) Prove() (mailbox.Proof, error) {
	if b.closed {
		return mailbox.Proof{}, b.fail("read", os.ErrClosed)
	}
	p, err := b.texts.Prove(b.numbers())
	return p, b.fail("read", err)
}

// Witness begins to digest what is read.
func (b *box) Witness() { b.texts.Witness(b.numbers()) }

// Witnessed returns the digest of what was read.
func (b *box) Witnessed() (mailbox.Proof, error) {
	p, err := b.texts.Witnessed()
	return p, b.fail("read", err)
}

// number is that of message i, 0 behind the last one.
func (b *box) number(i int) uint32 {
	if i >= len(b.index) {
		return 0
	}
	return b.index[i].Number
}

// numbers are those of the messages.
func (b *box) numbers() []uint32 {
	nums := make([]uint32, len(b.index))
	for i := range b.index {
		nums[i] = b.index[i].Number
	}
	return nums
}

// Close ends the session; everything is durable already.
func (b *box) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	b.texts.Forget()
	return b.fail("close", b.texts.Close())
}

func (b *box) fail(op string, err error) error { return b.f.Fail(op, b.name, err) }

// A heldBox is a mailbox whose state file is locked.
type heldBox struct {
	*box
	s *State
}

// Hold opens n and keeps the state file locked for writing until Close: nobody
// who locks can deliver or change flags meanwhile.
func (f *Format) Hold(ctx context.Context, n mailbox.Name) (mailbox.Mailbox, error) {
	b, err := f.newBox(ctx, n, mailbox.ReadOnly)
	if err != nil {
		return nil, f.Fail("open", n, err)
	}
	k, err := f.Acquire(ctx, b.path, true)
	if err != nil {
		return nil, f.Fail("open", n, err)
	}
	s := k.Base()
	b.take(s.Msgs, s)
	return &heldBox{b, s}, nil
}

// Ping looks for nothing: nobody can do anything.
func (h *heldBox) Ping() (bool, error) { return false, nil }

// Close gives the lock up.
func (h *heldBox) Close() error { return errors.Join(h.box.Close(), h.s.Release()) }
