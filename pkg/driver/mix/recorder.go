package mix

import (
	"errors"
	"fmt"
	"io"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/spool"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// An added is a message that was added and has no place yet.
type added struct {
	size, header int64
	uid          uint32 // 0 where it gets one at Commit
	keywords     uint32 // bits of the recorder's names
	flags        uint16
	date         mailbox.Date
}

// A recorder takes items in: their texts go to out, one behind the other, what
// is known of them stays in memory.
type recorder struct {
	d   *Driver
	out io.Writer
	o   mailbox.AppendOptions
	dir string // for texts of unknown size
	// before is called when the size of a text is known, before it is written.
	before func(a *added) error

	names meta     // keywords that there will be
	bits  []uint32 // of o.Keywords; 0 where that is not possible
	items []added
	last  uint32 // highest UID kept
	buf   []byte

	broken error // why nothing may be added any more
}

func newRecorder(d *Driver, out io.Writer, o mailbox.AppendOptions, keywords []string, dir string) *recorder {
	r := &recorder{d: d, out: out, o: o, dir: dir, names: meta{keywords: keywords}, buf: make([]byte, 64<<10)}
	for _, name := range o.Keywords {
		bit := r.names.bit(name)
		if bit == 0 {
			bit, _ = r.names.create(name) // told by Altered
		}
		r.bits = append(r.bits, bit)
	}
	return r
}

// add takes one message. After an error nothing more can be added, but for one
// that the format cannot hold.
func (r *recorder) add(it mailbox.Item) (alt mailbox.Altered, err error) {
	if r.broken != nil {
		return alt, r.broken
	}
	if alt, err = r.take(it); err != nil && !errors.Is(err, mailbox.ErrUnsupported) {
		r.broken = fmt.Errorf("an earlier message failed: %w", err)
	}
	return alt, err
}

func (r *recorder) take(it mailbox.Item) (alt mailbox.Altered, err error) {
	write := func(w io.Writer) error {
		_, err := fsx.Copy(w, it.Text, r.buf)
		return err
	}
	if it.Size < 0 {
		text := spool.Spool{Dir: r.dir}
		defer text.Close() // nothing that is kept
		if it.Size, err = fsx.Copy(&text, it.Text, r.buf); err != nil {
			return alt, err
		}
		write = func(w io.Writer) error {
			_, err := text.WriteTo(w)
			return err
		}
	}
	if it.Size == 0 { // no reader of the format would take it
		return alt, mailbox.Sayf(mailbox.ErrUnsupported, "Append of zero-length message")
	}
	a, alt, err := r.describe(it)
	if err != nil {
		return alt, err
	}
	if r.before != nil {
		if err := r.before(&a); err != nil {
			return alt, err
		}
	}
	end := headerEnd{to: r.out}
	if err := flocked.Exactly(&end, it.Size, write); err != nil {
		return alt, err
	}
	a.header = end.size()
	r.items = append(r.items, a)
	return alt, nil
}

// describe keeps what is known of an item, as far as the format can hold it.
func (r *recorder) describe(it mailbox.Item) (a added, alt mailbox.Altered, err error) {
	a = added{size: it.Size, date: it.Date, flags: sysbits.Bits[uint16](it.Flags.System)}
	if r.o.New && r.o.UIDValidity != 0 {
		if it.UID <= r.last {
			return a, alt, fmt.Errorf("UID %d after UID %d", it.UID, r.last)
		}
		a.uid, r.last = it.UID, it.UID
	}
	if !a.date.IsZero() && !storable(a.date) {
		a.date, alt.Dates = mailbox.Date{}, 1
	}
	if a.date.IsZero() {
		a.date = mailbox.DateOf(r.d.env.Now())
	}
	for i := range mailbox.MaxKeywords {
		if it.Flags.Keywords&(1<<i) == 0 {
			continue
		}
		if i >= len(r.bits) || r.bits[i] == 0 {
			alt.Keywords++
			continue
		}
		a.keywords |= r.bits[i]
	}
	return a, alt, nil
}

// fits are how large data files get: the original takes the next one for mail
// that would go beyond the first, we do in one delivery beyond the second.
const (
	fullFile = 1 << 20
	hugeFile = 16 << 20
)

// message makes the index record of a.
func (a *added) message(uid, file uint32, pos int64, modseq uint32) message {
	m := message{
		uid: uid, file: file, pos: pos, size: a.size, header: a.header, date: a.date,
		keywords: a.keywords, flags: a.flags, modseq: modseq,
	}
	m.lead = uint32(len(appendToken(nil, &m)))
	return m
}
