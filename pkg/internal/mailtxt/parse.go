package mailtxt

import (
	"context"
	"io"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/mailbox"
)

// parse reads the records behind b.end and gives them UIDs. A read-write
// session then writes that the messages are not recent any more. After an
// error the index is as it was and nothing has been written. The caller holds
// the temp lock.
func (b *box) parse() error {
	fi, err := b.f.Stat()
	if err != nil {
		return err
	}
	if fi.Size() < b.end {
		return flocked.Shrank(b.end, fi.Size())
	}
	index, err := b.scan(fi.Size())
	if err != nil {
		return err
	}
	grew := fi.Size() > b.end
	b.index, b.end = index, fi.Size()
	if n := len(index); n > 0 {
		b.uidLast = max(b.uidLast, index[n-1].uid)
	}
	b.win.Reset(b.end)
	b.count()
	b.changed = fi.ModTime()
	if b.readOnly {
		return nil
	}
	return b.save(grew)
}

// scan returns the index with the records of [b.end, size) as well.
func (b *box) scan(size int64) ([]record, error) {
	s := b.d.scanner(b.f, b.end, size)
	index, uid := b.index, b.uidLast
	for {
		r, ok, err := s.next()
		if err != nil || !ok {
			return index, err
		}
		uid++
		r.uid = uid
		r.recent = r.flags&bitOld == 0
		r.unsaved = r.recent
		index = append(index, r)
	}
}

// scanner reads the records of r from offset pos to size.
func (d *Driver) scanner(r io.ReaderAt, pos, size int64) *scanner {
	return &scanner{format: &d.format, local: d.env.Now().Location(), r: r, pos: pos, size: size}
}

// save is a patch: it writes that messages have been seen by a session. A power
// cut leaves some of them recent.
func (b *box) save(grew bool) error {
	n := 0
	for i := range b.index {
		r := &b.index[i]
		if !r.unsaved {
			continue
		}
		n++
		r.flags |= bitOld
		if err := b.patch(r); err != nil {
			return err
		}
		r.unsaved = false
	}
	if n > 0 {
		if err := b.f.Sync(); err != nil {
			return err
		}
		return b.told(b.d.files().Touch(b.f, b.path, b.changed))
	}
	if grew {
		return b.told(b.d.files().Read(b.f, b.path))
	}
	return nil
}

// patch writes the flags of r: 12 octets, which lie in one sector or two.
func (b *box) patch(r *record) error {
	var buf [flagsLen]byte
	_, err := b.f.WriteAt(appendFlags(buf[:0], r.keywords, r.flags), b.d.format.patch(r))
	return err
}

// told takes a modification time that is ours.
func (b *box) told(written time.Time, err error) error {
	if err == nil {
		b.changed = written
	}
	return err
}

// readFlags reads the flags of all messages again.
func (b *box) readFlags() error {
	for i := range b.index {
		if err := b.readFlagsOf(&b.index[i], uint32(i)+1); err != nil {
			return err
		}
	}
	b.sweep = false
	b.count()
	return nil
}

// readFlagsOf reads the flags of message seq again.
func (b *box) readFlagsOf(r *record, seq uint32) (err error) {
	var buf [1 + flagsLen]byte
	off := b.d.format.patch(r) - 1
	if n, err := b.f.ReadAt(buf[:], off); n < len(buf) {
		if fi, statErr := b.f.Stat(); statErr == nil && fi.Size() < b.end {
			return mailbox.Sayf(mailbox.ErrChanged, "Mailbox shrank from %d to %d in flag read!", b.end, fi.Size())
		}
		return err
	}
	keywords, flags, ok := parseFlags(buf[1:])
	if !ok || buf[0] != ';' {
		return flocked.Damage(off, "Invalid flags for message %d (%d %d): %s", seq, r.off, r.length, cString(buf[:]))
	}
	r.keywords, r.flags = keywords, flags
	return nil
}

// snarfPause is how long an open INBOX leaves the spool alone.
const snarfPause = 60 * time.Second

// snarfDue reports whether it is time to look for new mail in the spool.
func (b *box) snarfDue() bool {
	return !b.readOnly && b.name.Inbox && b.d.spool != nil &&
		(b.snarfed.IsZero() || b.d.env.Now().Sub(b.snarfed) >= snarfPause)
}

// snarf moves new mail from the spool to INBOX. The caller holds the temp lock
// and has parsed the file to its end.
func (b *box) snarf(ctx context.Context) {
	b.snarfed = b.d.env.Now()
	b.d.files().Snarf(ctx, b.d.spool, b.path, b.f, func(to io.Writer) *flocked.Recorder {
		return b.d.recorder(to, mailbox.AppendOptions{}, b.path)
	})
}
