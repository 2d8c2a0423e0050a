package mailtxt

import (
	"fmt"
	"io"
	"path/filepath"

	"mailutil/pkg/internal/crlf"
	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/spool"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// A recorder turns items into records, as the same octets go to a new mailbox
// and to the end of an old one.
type recorder struct {
	d    *Driver
	out  io.Writer
	dir  string   // for spooled texts
	bits []uint32 // of the keywords of the items; 0 where there is none

	count int
	line  []byte
	buf   []byte
	lf    []byte // converted text

	broken error // why nothing may be added any more
}

func newRecorder(d *Driver, out io.Writer, o mailbox.AppendOptions, path string) *recorder {
	r := &recorder{d: d, out: out, dir: filepath.Dir(path), buf: make([]byte, 64<<10)}
	for _, name := range o.Keywords {
		r.bits = append(r.bits, d.bit(name))
	}
	return r
}

// Add writes one record. After an error nothing more can be added, but for a
// message that is refused: it has written nothing.
func (r *recorder) Add(it mailbox.Item) (a mailbox.Altered, err error) {
	if r.broken != nil {
		return a, r.broken
	}
	if it.Size >= 0 && r.d.format.EOL == "\r\n" {
		return r.write(it, it.Size, func(w io.Writer) error {
			_, err := fsx.Copy(w, it.Text, r.buf)
			return err
		})
	}
	text := spool.Spool{Dir: r.dir}
	defer text.Close() // nothing that is kept
	bare, err := r.spool(&text, it)
	if err != nil {
		return a, r.fail(err)
	}
	a, err = r.write(it, text.Size(), func(w io.Writer) error {
		_, err := text.WriteTo(w)
		return err
	})
	a.LineEnds = bare
	return a, err
}

// spool keeps the text of it as it will be on disk, to learn its size. bare is
// how many line ends had no CR and will have one when they are read.
func (r *recorder) spool(to io.Writer, it mailbox.Item) (bare int, err error) {
	if r.d.format.EOL == "\r\n" {
		_, err = fsx.Copy(to, it.Text, r.buf)
		return 0, err
	}
	lf := crlf.Writer{To: to, Buf: r.lf}
	if it.Size < 0 {
		_, err = fsx.Copy(&lf, it.Text, r.buf)
	} else {
		err = flocked.Exactly(&lf, it.Size, func(w io.Writer) error {
			_, err := fsx.Copy(w, it.Text, r.buf)
			return err
		})
	}
	if err == nil {
		err = lf.End()
	}
	r.lf = lf.Buf
	return lf.Bare, err
}

// write writes a record whose text has size octets on disk.
func (r *recorder) write(it mailbox.Item, size int64, text func(io.Writer) error) (a mailbox.Altered, err error) {
	switch {
	case size == 0: // no reader of the format would take it
		return a, mailbox.Sayf(mailbox.ErrUnsupported, "Append of zero-length message")
	case size > maxSize:
		return a, fmt.Errorf("%w: a message of %d octets", mailbox.ErrUnsupported, size)
	}
	if a, err = r.writeLine(it, size); err == nil {
		err = flocked.Exactly(r.out, size, text)
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
func (r *recorder) writeLine(it mailbox.Item, size int64) (a mailbox.Altered, err error) {
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
		keywords |= r.bits[i]
		if r.bits[i] == 0 {
			a.Keywords++
		}
	}
	r.line = r.d.format.appendLine(r.line[:0], date, now, size, keywords, sysbits.Bits[uint8](it.Flags.System))
	_, err = r.out.Write(r.line)
	return a, err
}
