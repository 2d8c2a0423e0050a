package mbx

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"os"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/msgtext"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A box is one open mailbox. As long as it is open it holds the shared lock on
// the file: nobody moves messages.
type box struct {
	d        *Driver
	name     mailbox.Name
	path     string
	f        fsx.File
	readOnly bool
	held     lock.Held // of Hold, nil elsewhere: nobody else gets at the file

	block   block
	onDisk  uint32 // UIDVALIDITY of the file, 0 until it was read
	index   []record
	end     int64     // octets parsed
	first   int64     // the size when it was opened
	changed time.Time // mtime that we know
	sweep   bool      // others may have changed flags: read them again
	news    bool      // others changed what Ping has not told yet
	hole    bool      // expunged records stand before others
	snarfed time.Time // when the spool was looked at last

	recent, unseen uint32

	win    window
	text   msgtext.Text
	opened int64 // where the text in the file begins that is open
	broken error // a change was interrupted: offsets are not known
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
	b := &box{d: d, name: n, path: path, readOnly: m == mailbox.ReadOnly}
	if err := b.open(ctx); err != nil {
		return nil, d.fail("open", n, err)
	}
	return b, nil
}

// open opens the file and reads it for the first time.
func (b *box) open(ctx context.Context) error {
	held, err := b.openFile(ctx)
	if err != nil {
		return err
	}
	b.end = blockSize
	err = b.catchUp(ctx)
	if err := errors.Join(err, held.Release()); err != nil {
		return errors.Join(err, b.f.Close())
	}
	b.first = b.end
	if len(b.index) == 0 {
		b.d.env.Notify(mailbox.Info, "Mailbox is empty")
	}
	return nil
}

// openFile opens the file and takes its locks; the temp lock is for the caller
// to release.
func (b *box) openFile(ctx context.Context) (held lock.Held, err error) {
	if !b.readOnly {
		b.f, held, err = b.d.openLocked(ctx, b.path, os.O_RDWR)
		if err == nil || !flocked.MayNotWrite(err) {
			return held, err
		}
		b.d.env.Notify(mailbox.Warn, "Can't get write access to mailbox, access is readonly")
		b.readOnly = true
	}
	b.f, held, err = b.d.openLocked(ctx, b.path, os.O_RDONLY)
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
	if b.sweep {
		if err := b.readFlags(); err != nil {
			return err
		}
	}
	if b.snarfDue() {
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
		Driver: b.d.Name(), Path: b.path,
		Messages: uint32(len(b.index)), Recent: b.recent, Unseen: b.unseen,
		UIDValidity: b.block.validity, UIDNext: b.block.uidLast + 1,
		Keywords: b.block.names(), ReadOnly: b.readOnly,
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

// Ping looks for what others did. As in the original the file is read only
// when its size or its modification time changed, or it is empty, or new mail
// may be in the spool.
func (b *box) Ping() (bool, error) {
	changed, err := b.ping(bg)
	return changed, b.d.fail("ping", b.name, err)
}

func (b *box) ping(ctx context.Context) (bool, error) {
	if b.held != nil || b.broken != nil {
		return false, b.broken
	}
	fi, err := b.f.Stat()
	if err != nil {
		return false, err
	}
	if !fi.ModTime().Equal(b.changed) {
		b.sweep = true
	}
	if fi.Size() == b.end && !b.sweep && len(b.index) > 0 && !b.snarfDue() {
		return false, nil
	}
	held, err := b.d.tempLock(ctx, b.f)
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
	if b.f == nil {
		return nil
	}
	err := b.lastReclaim()
	if b.held != nil {
		err = errors.Join(err, b.held.Release())
	}
	err = errors.Join(err, b.f.Close())
	b.f = nil
	return b.d.fail("close", b.name, err)
}

func (b *box) lastReclaim() error {
	if !b.hole || b.readOnly || b.broken != nil {
		return nil
	}
	held, err := b.d.tempLock(bg, b.f)
	if err != nil {
		return err
	}
	return errors.Join(b.reclaim(), held.Release())
}

// seed makes digests comparable within this process.
var seed = maphash.MakeSeed()

// Prove digests the octets that were there when the mailbox was opened.
func (b *box) Prove() (mailbox.Proof, error) {
	proof, err := flocked.Prove(b.f, b.first, seed)
	return proof, b.d.fail("read", b.name, err)
}
