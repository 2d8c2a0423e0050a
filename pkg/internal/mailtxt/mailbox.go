package mailtxt

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"os"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/msgtext"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A box is one open mailbox. As long as it is open it holds the shared lock on
// the file: nobody moves messages.
type box struct {
	flocked.Session
	d *Driver

	validity uint32 // UIDVALIDITY: when the session began
	uidLast  uint32 // highest UID given in it
	index    []record

	recent, unseen uint32

	win    *winread.Window
	text   msgtext.Text
	opened *record      // that text is of
	seen   maphash.Hash // of what was read since Witness
}

var _ mailbox.Witness = (*box)(nil)

// bg is for calls that have no context of their caller.
var bg = context.Background()

const windowSize = 1 << 20

// Open opens n.
func (d *Driver) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	path, err := d.Place(n)
	if err != nil {
		return nil, err
	}
	b := d.newBox(n, path)
	b.ReadOnly = m == mailbox.ReadOnly
	if err := b.open(ctx); err != nil {
		return nil, d.fail("open", n, err)
	}
	return b, nil
}

func (d *Driver) newBox(n mailbox.Name, path string) *box {
	s := flocked.Session{Files: d.files(), Name: n, Path: path, Spool: d.spool}
	return &box{d: d, Session: s, validity: validity(d.env.Now())}
}

// open opens the file and reads it for the first time.
func (b *box) open(ctx context.Context) error {
	if err := b.openFile(ctx); err != nil {
		return err
	}
	b.win = winread.New(b.F, windowSize, 0)
	held, err := b.lock(ctx)
	if err == nil {
		err = errors.Join(b.firstLook(ctx), held.Release())
	}
	if err != nil {
		return errors.Join(err, b.F.Close())
	}
	b.First = b.End
	if len(b.index) == 0 {
		b.d.env.Notify(mailbox.Info, "Mailbox is empty")
	}
	return nil
}

func (b *box) firstLook(ctx context.Context) error {
	if err := b.d.check(b.F, b.Name); err != nil {
		return err
	}
	return b.catchUp(ctx)
}

// openFile opens the file and takes the shared lock on it.
func (b *box) openFile(ctx context.Context) error {
	open := func(flag int) error {
		f, held, err := b.Files.OpenLocked(ctx, b.Path, flag, lock.Shared)
		if err != nil {
			return err
		}
		b.F = f
		return held.Release()
	}
	if b.ReadOnly {
		return open(os.O_RDONLY)
	}
	err := open(os.O_RDWR)
	if !flocked.MayNotWrite(err) {
		return err
	}
	b.d.env.Notify(mailbox.Warn, "Can't get write access to mailbox, access is readonly")
	b.ReadOnly = true
	return open(os.O_RDONLY)
}

// lock takes the temp lock: shared to read, exclusive to write, and to finish
// a change that was interrupted, which is done.
func (b *box) lock(ctx context.Context) (lock.Held, error) {
	if b.ReadOnly {
		held, err := b.Files.TempLock(ctx, b.F, lock.Shared)
		if err != nil {
			return nil, err
		}
		pending, err := journal.Pending(b.F.Name(), b.Files.Journal())
		if err == nil && !pending {
			return held, nil
		}
		if err := errors.Join(err, held.Release()); err != nil {
			return nil, err
		}
	}
	held, err := b.Files.TempLock(ctx, b.F, lock.Exclusive)
	if err != nil {
		return nil, err
	}
	did, err := b.Files.FinishChange(b.F)
	if err != nil {
		return nil, errors.Join(err, held.Release())
	}
	b.Sweep = b.Sweep || did
	return held, nil
}

// catchUp reads what is new, and moves new mail in from the spool. The temp
// lock is held.
func (b *box) catchUp(ctx context.Context) error {
	if err := b.parse(); err != nil {
		return err
	}
	if b.Sweep {
		if err := b.readFlags(); err != nil {
			return err
		}
	}
	if !b.SnarfDue() {
		return nil
	}
	b.snarf(ctx)
	if _, err := b.Files.FinishChange(b.F); err != nil {
		return err
	}
	return b.parse()
}

// Status tells what is known.
func (b *box) Status() mailbox.Status {
	return mailbox.Status{
		Driver: b.d.Name(), Path: b.Path,
		Messages: uint32(len(b.index)), Recent: b.recent, Unseen: b.unseen,
		UIDValidity: b.validity, UIDNext: b.uidLast + 1,
		Keywords: b.d.names(), ReadOnly: b.ReadOnly,
	}
}

// count counts for Status again.
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

// Messages yields the messages of s from the index. For a size that is not on
// disk as it is told, the text is read, once.
func (b *box) Messages(s mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		for seq := range b.within(s) {
			r := &b.index[seq-1]
			if err := b.measure(r); err != nil {
				yield(mailbox.Message{}, err)
				return
			}
			if !yield(b.message(seq), nil) {
				return
			}
		}
	}
}

// within yields the sequence numbers of s that there are.
func (b *box) within(s mailbox.Set) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for seq := range s.Seqs(uint32(len(b.index))) {
			if seq > 0 && seq <= uint32(len(b.index)) && !yield(seq) {
				return
			}
		}
	}
}

func (b *box) message(seq uint32) mailbox.Message {
	r := &b.index[seq-1]
	m := mailbox.Message{Seq: seq, UID: r.uid, Date: r.date, Size: r.crlf}
	m.Flags.System = sysbits.Flags(r.flags)
	m.Flags.Keywords = uint64(r.keywords & b.d.named())
	if r.recent {
		m.Flags.System |= mailbox.Recent
	}
	return m
}

// Ping looks for what others did.
func (b *box) Ping() (bool, error) {
	changed, err := b.ping(bg)
	return changed, b.Fail("ping", err)
}

func (b *box) ping(ctx context.Context) (bool, error) {
	if news, err := b.News(len(b.index) == 0); !news || err != nil {
		return false, err
	}
	held, err := b.lock(ctx)
	if err != nil {
		return false, err
	}
	before := b.summary()
	err = b.catchUp(ctx)
	return b.summary() != before, errors.Join(err, held.Release())
}

// seed makes digests comparable within this process.
var seed = maphash.MakeSeed()

// summary is a digest of all that Messages and Status tell.
func (b *box) summary() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for i := range b.index {
		r := &b.index[i]
		maphash.WriteComparable(&h, uint64(r.uid)<<32|uint64(r.keywords))
		maphash.WriteComparable(&h, r.flags)
	}
	return h.Sum64()
}

// Close gives the locks up.
func (b *box) Close() error {
	return b.Fail("close", b.Session.Close())
}

// Witness begins to digest what is read.
func (b *box) Witness() {
	b.seen.SetSeed(seed)
	b.seen.Reset()
	b.win.Witness(&b.seen)
}

// Witnessed returns the digest of what was read.
func (b *box) Witnessed() (mailbox.Proof, error) {
	err := b.win.Testify()
	return mailbox.Proof{Size: b.End, Digest: b.seen.Sum64()}, b.Fail("read", err)
}

// Prove digests the octets that were there when the mailbox was opened.
func (b *box) Prove() (mailbox.Proof, error) {
	return b.Session.Prove(seed)
}
