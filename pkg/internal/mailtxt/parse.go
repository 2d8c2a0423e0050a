package mailtxt

import (
	"context"
	"io"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/mailbox"
)

// parse reads the records behind b.End and gives them UIDs. A read-write
// session then writes that the messages are not recent any more. After an
// error the index is as it was and nothing has been written. The caller holds
// the temp lock.
func (b *box) parse() error {
	fi, err := b.F.Stat()
	if err != nil {
		return err
	}
	if fi.Size() < b.End {
		return flocked.Shrank(b.End, fi.Size())
	}
	index, err := b.scan(fi.Size())
	if err != nil {
		return err
	}
	grew := fi.Size() > b.End
	b.index, b.End = index, fi.Size()
	if n := len(index); n > 0 {
		b.uidLast = max(b.uidLast, index[n-1].uid)
	}
	b.win.Reset(b.End)
	b.count()
	b.Changed = fi.ModTime()
	if b.ReadOnly {
		return nil
	}
	return b.save(grew)
}

// scan returns the index with the records of [b.End, size) as well.
func (b *box) scan(size int64) ([]record, error) {
	s := b.d.scanner(b.F, b.End, size)
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
	return newScanner(&d.format, d.env.Now().Location(), r, pos, size)
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
		if err := b.F.Sync(); err != nil {
			return err
		}
		return b.Touch()
	}
	if grew {
		return b.Read()
	}
	return nil
}

// patch writes the flags of r: 12 octets, which lie in one sector or two.
func (b *box) patch(r *record) error {
	var buf [flagsLen]byte
	_, err := b.F.WriteAt(appendFlags(buf[:0], r.keywords, r.flags), b.d.format.patch(r))
	return err
}

// readFlags reads the flags of all messages again.
func (b *box) readFlags() error {
	for i := range b.index {
		if err := b.readFlagsOf(&b.index[i], uint32(i)+1); err != nil {
			return err
		}
	}
	b.Sweep = false
	b.count()
	return nil
}

// readFlagsOf reads the flags of message seq again.
func (b *box) readFlagsOf(r *record, seq uint32) (err error) {
	var buf [1 + flagsLen]byte
	off := b.d.format.patch(r) - 1
	if n, err := b.F.ReadAt(buf[:], off); n < len(buf) {
		if fi, statErr := b.F.Stat(); statErr == nil && fi.Size() < b.End {
			return mailbox.Sayf(mailbox.ErrChanged, "Mailbox shrank from %d to %d in flag read!", b.End, fi.Size())
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

// snarf moves new mail from the spool to INBOX. The caller holds the temp lock
// and has parsed the file to its end.
func (b *box) snarf(ctx context.Context) {
	b.Snarf(ctx, func(to io.Writer) *flocked.Recorder {
		return b.d.recorder(to, mailbox.AppendOptions{}, b.Path)
	})
}
