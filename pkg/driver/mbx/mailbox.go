package mbx

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"os"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/msgtext"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A box is one open mailbox. As long as it is open it holds the shared lock on
// the file: nobody moves messages.
type box struct {
	flocked.Session
	d *Driver

	block  block
	onDisk uint32 // UIDVALIDITY of the file, 0 until it was read
	index  []record
	news   bool // others changed what Ping has not told yet
	hole   bool // expunged records stand before others

	recent, unseen uint32

	win    window
	text   msgtext.Text
	opened int64 // where the text in the file begins that is open
}

var _ mailbox.Prover = (*box)(nil)

// bg is for calls that have no context of their caller.
var bg = context.Background()

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
	return &box{d: d, Session: flocked.Session{Files: d.files(), Name: n, Path: path, Spool: d.spool, End: blockSize}}
}

// open opens the file and reads it for the first time.
func (b *box) open(ctx context.Context) error {
	held, err := b.openFile(ctx)
	if err != nil {
		return err
	}
	err = b.catchUp(ctx)
	if err := errors.Join(err, held.Release()); err != nil {
		return errors.Join(err, b.F.Close())
	}
	b.First = b.End
	if len(b.index) == 0 {
		b.d.env.Notify(mailbox.Info, "Mailbox is empty")
	}
	return nil
}

// openFile opens the file and takes its locks; the temp lock is for the caller
// to release.
func (b *box) openFile(ctx context.Context) (held lock.Held, err error) {
	if !b.ReadOnly {
		b.F, held, err = b.d.openLocked(ctx, b.Path, os.O_RDWR)
		if err == nil || !flocked.MayNotWrite(err) {
			return held, err
		}
		b.d.env.Notify(mailbox.Warn, "Can't get write access to mailbox, access is readonly")
		b.ReadOnly = true
	}
	b.F, held, err = b.d.openLocked(ctx, b.Path, os.O_RDONLY)
	return held, err
}

// catchUp reads what is new, moves new mail in from the spool and reclaims
// space. The caller holds the temp lock.
func (b *box) catchUp(ctx context.Context) error {
	if err := b.finishChange(); err != nil {
		return err
	}
	if err := b.parse(); err != nil {
		return err
	}
	if b.Sweep {
		if err := b.readFlags(); err != nil {
			return err
		}
	}
	if b.SnarfDue() {
		b.snarf(ctx)
		if err := b.finishChange(); err != nil {
			return err
		}
		if err := b.parse(); err != nil {
			return err
		}
	}
	return b.reclaim()
}

// Status tells what is known.
func (b *box) Status() mailbox.Status {
	return mailbox.Status{
		Driver: b.d.Name(), Path: b.Path,
		Messages: uint32(len(b.index)), Recent: b.recent, Unseen: b.unseen,
		UIDValidity: b.block.validity, UIDNext: b.block.uidLast + 1,
		Keywords: b.block.names(), ReadOnly: b.ReadOnly,
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

// Messages yields the messages of s from the index.
func (b *box) Messages(s mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		named := b.block.named()
		for seq := range s.Seqs(uint32(len(b.index))) {
			if seq == 0 {
				continue
			}
			if !yield(b.message(seq, named), nil) {
				return
			}
		}
	}
}

func (b *box) message(seq, named uint32) mailbox.Message {
	r := &b.index[seq-1]
	m := mailbox.Message{Seq: seq, UID: r.uid, Date: r.date, Size: r.size}
	m.Flags.System = sysbits.Flags(r.flags)
	m.Flags.Keywords = uint64(r.keywords & named)
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
	held, err := b.d.tempLock(ctx, b.F)
	if err != nil {
		return false, err
	}
	before := b.summary()
	err = b.catchUp(ctx)
	changed := b.news || b.summary() != before
	b.news = false
	return changed, errors.Join(err, held.Release())
}

// summary is a digest of all that Messages and Status tell.
func (b *box) summary() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	put := func(v ...uint64) {
		for _, v := range v {
			maphash.WriteComparable(&h, v)
		}
	}
	put(uint64(b.block.validity), uint64(b.block.uidLast))
	for _, l := range b.block.lines {
		h.WriteString(l + "\n")
	}
	for i := range b.index {
		r := &b.index[i]
		put(uint64(r.uid)<<32|uint64(r.keywords), uint64(r.flags))
	}
	return h.Sum64()
}

// Close reclaims space that expunged records take, as far as nobody else has
// the mailbox open, and gives the locks up.
func (b *box) Close() error {
	if b.F == nil {
		return nil
	}
	return b.Fail("close", errors.Join(b.lastReclaim(), b.Session.Close()))
}

func (b *box) lastReclaim() error {
	if !b.hole || b.ReadOnly || b.Broken != nil {
		return nil
	}
	held, err := b.d.tempLock(bg, b.F)
	if err != nil {
		return err
	}
	return errors.Join(b.reclaim(), held.Release())
}

// seed makes digests comparable within this process.
var seed = maphash.MakeSeed()

// Prove digests the octets that were there when the mailbox was opened.
func (b *box) Prove() (mailbox.Proof, error) {
	return b.Session.Prove(seed)
}
