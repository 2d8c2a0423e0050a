package mix

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"mailutil/pkg/internal/msgtext"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// A box is one open mailbox.
type box struct {
	files

	view []message // messages as the session shows them
	hole bool      // data files have octets that nobody needs

	recent, unseen uint32
	taken          time.Time // when the spool was looked at last

	text   msgtext.Text
	opened message // that text is of
	seq    uint32  // its number
	wit    *witness
}

// bg is for calls that have no context of their caller.
var bg = context.Background()

// Open opens n. A mailbox whose index does not list messages that are there is
// not opened for writing.
func (d *Driver) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	b, err := d.openBox(ctx, n, m)
	if err != nil {
		return nil, d.fail("open", n, err)
	}
	return b, nil
}

func (d *Driver) openBox(ctx context.Context, n mailbox.Name, m mailbox.Mode) (*box, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir, err := d.Place(n)
	if err != nil {
		return nil, err
	}
	h, err := d.hold(ctx, dir, m == mailbox.ReadWrite)
	if err != nil {
		return nil, err
	}
	if m == mailbox.ReadWrite && h.readOnly {
		d.warn("Can't get write access to mailbox, access is readonly")
	}
	b := &box{files: newFiles(h, n)}
	b.takeIn(ctx)
	if err := b.look(ctx); err != nil {
		return nil, errors.Join(err, h.f.Close())
	}
	if len(b.view) == 0 {
		d.info("Mailbox is empty")
	}
	return b, nil
}

// spoolPause is how long an open INBOX leaves the spool alone.
const spoolPause = 60 * time.Second

// takeIn moves new mail from the spool to an INBOX that is open for writing,
// before anything of it is locked.
func (b *box) takeIn(ctx context.Context) {
	now := b.d.env.Now()
	if b.hold == nil || b.readOnly || !b.name.Inbox || b.d.spool == nil || b.held != nil || now.Sub(b.taken) < spoolPause {
		return
	}
	b.taken = now
	b.d.files().TakeIn(ctx, b.d.spool, b.dir, func() (mailbox.Delivery, error) {
		return b.d.Append(ctx, b.name, mailbox.AppendOptions{})
	})
}

// look brings the session up to date, and does what is due: UIDLAST is put
// right, messages are not recent any more for others, space is reclaimed.
func (b *box) look(ctx context.Context) error {
	mode := lock.Exclusive
	if b.readOnly {
		mode = lock.Shared
	}
	return b.locked(ctx, mode, mode, func(p *pair, s *state) error {
		if b.readOnly {
			b.sync(s)
			return b.doubtful(s)
		}
		if err := b.rollBack(p, s, b.warn); err != nil {
			return err
		}
		u, err := b.survey(s, nil, nil)
		if err != nil {
			return err
		}
		if err := b.repairLast(p, s); err != nil {
			return err
		}
		b.sync(s)
		if err := b.markOld(p, s); err != nil {
			return err
		}
		return b.reclaim(ctx, p, s, u)
	})
}

// sync shows the session what the files have.
func (b *box) sync(s *state) {
	old := byUID{msgs: b.view}
	view := slices.Clone(s.msgs)
	for i := range view {
		m := &view[i]
		m.recent = m.flags&bitOld == 0
		if was := old.find(m.uid); was != nil && s.meta.validity == b.meta.validity {
			m.recent = was.recent
		}
	}
	b.view, b.meta = view, s.meta
	b.count()
}

// count counts for Status again.
func (b *box) count() {
	b.recent, b.unseen = 0, 0
	for i := range b.view {
		if b.view[i].recent {
			b.recent++
		}
		if b.view[i].flags&bitSeen == 0 {
			b.unseen++
		}
	}
}

// Status tells what is known.
func (b *box) Status() mailbox.Status {
	return mailbox.Status{
		Driver: "mix", Path: b.dir,
		Messages: uint32(len(b.view)), Recent: b.recent, Unseen: b.unseen,
		UIDValidity: b.meta.validity, UIDNext: b.meta.uidLast + 1,
		Keywords: b.meta.keywords, ReadOnly: b.readOnly,
	}
}

// Messages yields the messages of set from the index.
func (b *box) Messages(set mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		named := b.meta.named()
		for seq := range b.seqs(set) {
			m := &b.view[seq-1]
			out := mailbox.Message{Seq: seq, UID: m.uid, Date: m.date, Size: m.size}
			out.Flags.System = sysbits.Flags(m.flags)
			out.Flags.Keywords = uint64(m.keywords & named)
			if m.recent {
				out.Flags.System |= mailbox.Recent
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// seqs yields the members of set that there are.
func (b *box) seqs(set mailbox.Set) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for seq := range set.Seqs(uint32(len(b.view))) {
			if seq > 0 && !yield(seq) {
				return
			}
		}
	}
}

// Ping looks for what others did.
func (b *box) Ping() (bool, error) {
	was, meta := b.view, b.meta
	b.takeIn(bg)
	if err := b.look(bg); err != nil {
		return false, b.d.fail("ping", b.name, err)
	}
	return !slices.EqualFunc(was, b.view, looksSame) || meta.validity != b.meta.validity ||
		meta.uidLast != b.meta.uidLast || strings.Join(meta.keywords, " ") != strings.Join(b.meta.keywords, " "), nil
}

// looksSame reports whether two messages look the same in Messages.
func looksSame(m, n message) bool {
	return m.uid == n.uid && m.size == n.size && m.date == n.date && m.recent == n.recent &&
		m.keywords == n.keywords && sysbits.Flags(m.flags) == sysbits.Flags(n.flags)
}

// Close reclaims space, as far as nobody else has the mailbox open, and gives
// the locks up.
func (b *box) Close() error {
	if b.hold == nil {
		return nil
	}
	d, err := b.d, error(nil)
	if b.hole && !b.readOnly {
		b.view = nil // nothing of it is read any more
		err = b.look(bg)
	}
	err = errors.Join(err, b.data.close(), b.f.Close())
	b.hold = nil
	return d.fail("close", b.name, err)
}
