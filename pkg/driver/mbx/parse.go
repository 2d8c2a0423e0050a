package mbx

import (
	"slices"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// parse reads the records behind b.End and gives them UIDs. A read-write
// session then writes those, and that the messages are not recent any more.
// After an error the index is as it was and nothing has been written. The
// caller holds the temp lock.
func (b *box) parse() error {
	fi, err := b.F.Stat()
	if err != nil {
		return err
	}
	if fi.Size() < b.End && b.First > 0 {
		return flocked.Shrank(b.End, fi.Size())
	}
	if err := b.readBlock(); err != nil {
		return err
	}
	n := b.numbering(false)
	index, hole, err := b.scan(b.index, b.End, fi.Size(), n)
	if err == errNoUIDs {
		n = b.numbering(true)
		index, hole, err = b.scan(nil, blockSize, fi.Size(), n)
	}
	if err != nil {
		return err
	}
	grew := fi.Size() > b.End
	b.index, b.hole, b.End = index, b.hole || hole, fi.Size()
	b.block.validity, b.block.uidLast = n.validity, n.uidLast
	b.count()
	b.Changed = fi.ModTime()
	if b.ReadOnly {
		return nil
	}
	return b.save(n.rebuilt, grew)
}

// readBlock reads the file block again: others may have given UIDs, created
// keywords or changed flags.
func (b *box) readBlock() error {
	k, ok, err := readBlock(b.F)
	if err != nil {
		return err
	}
	if !ok {
		return mailbox.Sayf(mailbox.ErrFormat, "Not a MBX-format mailbox: %.80s", b.Name.Text)
	}
	known, validity := b.block, b.onDisk
	b.block, b.onDisk = k, k.validity
	if known.pid != 0 && !samePID(known.pid, k.pid) {
		b.Sweep = true
	}
	switch {
	case validity == 0: // for the first time
	case validity != k.validity: // others gave new numbers
		b.Sweep, b.news = true, true
		return b.refresh()
	case b.ReadOnly: // it knows numbers that no file holds
		b.block.validity, b.block.uidLast = known.validity, max(k.uidLast, known.uidLast)
	}
	return nil
}

// numbering goes on behind the last message of the index; all starts again at
// the first.
func (b *box) numbering(all bool) *numbering {
	k := &b.block
	n := &numbering{uidLast: k.uidLast, validity: k.validity, all: all, warn: b.warnUID}
	n.fresh = max(uint32(b.d.env.Now().Unix()), k.validity+1)
	if k.validity+1 == 0 {
		n.fresh = max(uint32(b.d.env.Now().Unix()), 1)
	}
	if all {
		n.uidLast, n.validity, n.rebuilt = 0, n.fresh, true
	} else if len(b.index) > 0 {
		n.last = b.index[len(b.index)-1].uid
	}
	return n
}

func (b *box) warnUID(uid, seq uint32) {
	b.d.env.Notify(mailbox.Warn, invalidUID(uid, seq))
}

// scan adds the visible records of [from, size) to index. hole says whether
// expunged ones stand before others.
func (b *box) scan(index []record, from, size int64, n *numbering) (_ []record, hole bool, err error) {
	s := newScanner(b.F, from, size)
	local := b.d.env.Now().Location()
	end := int64(blockSize)
	if len(index) > 0 {
		end = index[len(index)-1].end()
	}
	for {
		r, ok, err := s.next()
		if err != nil || !ok {
			return index, hole, err
		}
		if err := n.number(&r, uint32(len(index))+1); err != nil {
			return nil, false, err
		}
		if r.flags&bitExpunged != 0 {
			continue
		}
		if err := s.readDate(&r, local); err != nil {
			return nil, false, err
		}
		hole = hole || r.off != end
		end = r.end()
		index = append(index, r)
	}
}

// save is a patch: it writes the UIDs of messages that have none in the file,
// and that they have been seen. UIDLAST is made durable before the numbers
// that it must not be below. A power cut leaves some messages recent, without
// a number, or both.
func (b *box) save(rebuilt, grew bool) error {
	n := 0
	for i := range b.index {
		if b.index[i].unsaved {
			n++
		}
	}
	if n == 0 && !rebuilt && !grew {
		return nil
	}
	if n == 0 && !rebuilt {
		return b.Read()
	}
	b.block.hasPID = true
	if err := b.writeBlock(); err != nil {
		return err
	}
	if err := b.F.Sync(); err != nil {
		return err
	}
	for i := range b.index {
		r := &b.index[i]
		if !r.unsaved {
			continue
		}
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
	}
	return b.Touch()
}

// writeBlock is a patch of the 2048 octets at the start. They are 4 sectors: a
// power cut may leave old keywords with a new UIDLAST, or the reverse, or cut
// the name of a keyword that nothing bears yet.
func (b *box) writeBlock() error {
	b.onDisk = b.block.validity
	return writeBlock(b.F, &b.block)
}

func writeBlock(f fsx.File, k *block) error {
	p, err := k.print()
	if err != nil {
		return err
	}
	_, err = f.WriteAt(p, 0)
	return err
}

// patch writes flags and UID of r: 21 octets, which lie in one sector or two.
func (b *box) patch(r *record) error {
	var buf [flagsLen]byte
	_, err := b.F.WriteAt(appendFlags(buf[:0], r.keywords, r.flags, r.uid), r.patch())
	return err
}

// readFlags reads the flags of all messages again, and drops those that others
// expunged from the index.
func (b *box) readFlags() error {
	if err := b.refresh(); err != nil {
		return err
	}
	kept := slices.DeleteFunc(b.index, func(r record) bool { return r.flags&bitExpunged != 0 })
	b.hole = b.hole || len(kept) < len(b.index)
	b.index, b.Sweep = kept, false
	b.count()
	return nil
}

// refresh reads the flags of all messages again.
func (b *box) refresh() error {
	for i := range b.index {
		if err := b.readFlagsOf(&b.index[i], uint32(i)+1); err != nil {
			return err
		}
	}
	return nil
}

// readFlagsOf reads the flags of message seq again, and its UID: another
// session may have given it, or a new one. As long as the file has none ours
// holds.
func (b *box) readFlagsOf(r *record, seq uint32) error {
	var buf [semiBack - len("\r\n")]byte
	off := r.text() - semiBack
	if n, err := b.F.ReadAt(buf[:], off); n < len(buf) {
		if fi, statErr := b.F.Stat(); statErr == nil && fi.Size() < b.End {
			return mailbox.Sayf(mailbox.ErrChanged, "Mailbox shrank from %d to %d in flag read!", b.End, fi.Size())
		}
		return err
	}
	const dash = semiBack - dashBack
	if buf[0] != ';' || buf[dash] != '-' || !allHex(buf[1:dash]) || !allHex(buf[dash+1:]) {
		return flocked.Damage(off, "Invalid flags for message %d (%d %d): %.80s", seq, r.off, r.length, cString(buf[:dash+1]))
	}
	r.keywords = uint32(fromHex(buf[1:9]))
	r.flags = uint16(fromHex(buf[9:dash])) & bitsKnown
	if uid := uint32(fromHex(buf[dash+1:])); uid != 0 {
		r.uid = uid
	}
	return nil
}
