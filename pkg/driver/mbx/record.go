package mbx

import (
	"fmt"
	"io"
	"path/filepath"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/spool"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// A recorder turns items into records, as the same octets go to a new mailbox
// and to the end of an old one.
type recorder struct {
	d     *Driver
	out   io.Writer
	block *block // keywords are created here, in memory
	o     mailbox.AppendOptions
	dir   string // for spooled texts

	bits  []uint32 // of o.Keywords; 0 where not looked up, or not possible
	count int
	first uint32 // UIDs kept
	last  uint32
	line  []byte
	buf   []byte

	broken error // why nothing may be added any more
}

func newRecorder(d *Driver, out io.Writer, k *block, o mailbox.AppendOptions, path string) *recorder {
	r := &recorder{d: d, out: out, block: k, o: o, dir: filepath.Dir(path), bits: make([]uint32, len(o.Keywords)), buf: make([]byte, 64<<10)}
	for i := range o.Keywords {
		r.keyword(i)
	}
	return r
}

// keyword returns the bit of o.Keywords[i], creating it; 0 where that is not
// possible.
func (r *recorder) keyword(i int) uint32 {
	if r.bits[i] == 0 {
		name := r.o.Keywords[i]
		if r.bits[i] = r.block.bit(name); r.bits[i] == 0 {
			r.bits[i], _ = r.block.create(name) // told by Altered
		}
	}
	return r.bits[i]
}

// Add writes one record. After an error nothing more can be added, but for a
// message that is refused: it has written nothing.
func (r *recorder) Add(it mailbox.Item) (a mailbox.Altered, err error) {
	if r.broken != nil {
		return a, r.broken
	}
	write := func(w io.Writer) error {
		_, err := fsx.Copy(w, it.Text, r.buf)
		return err
	}
	if it.Size < 0 {
		text := spool.Spool{Dir: r.dir}
		defer text.Close() // nothing that is kept
		if it.Size, err = fsx.Copy(&text, it.Text, r.buf); err != nil {
			return a, r.fail(err)
		}
		write = func(w io.Writer) error {
			_, err := text.WriteTo(w)
			return err
		}
	}
	switch {
	case it.Size == 0: // no reader of the format would take it
		return a, mailbox.Sayf(mailbox.ErrUnsupported, "Append of zero-length message")
	case it.Size > maxSize:
		return a, fmt.Errorf("%w: a message of %d octets", mailbox.ErrUnsupported, it.Size)
	}
	if a, err = r.writeLine(it); err == nil {
		err = flocked.Exactly(r.out, it.Size, write)
	}
	if err != nil {
		return a, r.fail(err)
	}
	r.count++
	return a, nil
}

// Broken is why nothing may be added any more.
func (r *recorder) Broken() error { return r.broken }

func (r *recorder) fail(err error) error {
	r.broken = fmt.Errorf("an earlier message failed: %w", err)
	return err
}

// writeLine writes the internal line of it, as far as the format can hold what
// it says.
func (r *recorder) writeLine(it mailbox.Item) (a mailbox.Altered, err error) {
	uid, err := r.uid(it.UID)
	if err != nil {
		return a, err
	}
	date, now := it.Date, it.Date.IsZero()
	if !now && !flocked.Storable(date) {
		a.Dates, now = 1, true
	}
	if now {
		date = mailbox.DateOf(r.d.env.Now())
	}
	var keywords uint32
	for i := range min(len(r.bits), mailbox.MaxKeywords) {
		if it.Flags.Keywords&(1<<i) == 0 {
			continue
		}
		bit := r.keyword(i)
		keywords |= bit
		if bit == 0 {
			a.Keywords++
		}
	}
	r.line = appendLine(r.line[:0], date, now, it.Size, keywords, sysbits.Bits[uint16](it.Flags.System), uid)
	_, err = r.out.Write(r.line)
	return a, err
}

// uid returns the UID to write: none, unless the caller brings them.
func (r *recorder) uid(uid uint32) (uint32, error) {
	if !r.o.New || r.o.UIDValidity == 0 {
		return 0, nil
	}
	if uid <= r.last {
		return 0, fmt.Errorf("UID %d after UID %d", uid, r.last)
	}
	if r.first == 0 {
		r.first = uid
	}
	r.last = uid
	return uid, nil
}
