package flocked

import (
	"fmt"
	"io"

	"mailutil/pkg/internal/crlf"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/spool"
	"mailutil/pkg/mailbox"
)

// A Recorder turns items into records, an internal line with a text behind it:
// the same octets go to a new mailbox and to the end of an old one.
type Recorder struct {
	To   io.Writer
	Dir  string // for texts of which the size has to be found out
	LF   bool   // lines of texts end in LF on disk, not in CRLF
	Most int64  // octets that a text may have

	// Line appends to b the internal line of it, of which the text has size
	// octets on disk, as far as the format can hold what it says.
	Line func(b []byte, it mailbox.Item, size int64) ([]byte, mailbox.Altered, error)

	Count  int   // records written
	Broken error // why nothing may be added any more

	line []byte
	buf  []byte
	lf   []byte // converted text
}

// Add writes one record. After an error nothing more can be added, but for a
// message that is refused: it has written nothing.
func (r *Recorder) Add(it mailbox.Item) (a mailbox.Altered, err error) {
	if r.Broken != nil {
		return a, r.Broken
	}
	if r.buf == nil {
		r.buf = make([]byte, 64<<10)
	}
	if it.Size >= 0 && !r.LF {
		return r.write(it, it.Size, func(w io.Writer) error { return r.copy(w, it.Text) })
	}
	text := spool.Spool{Dir: r.Dir}
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
func (r *Recorder) spool(to io.Writer, it mailbox.Item) (bare int, err error) {
	if !r.LF {
		return 0, r.copy(to, it.Text)
	}
	lf := crlf.Writer{To: to, Buf: r.lf}
	if it.Size < 0 {
		err = r.copy(&lf, it.Text)
	} else {
		err = Exactly(&lf, it.Size, func(w io.Writer) error { return r.copy(w, it.Text) })
	}
	if err == nil {
		err = lf.End()
	}
	r.lf = lf.Buf
	return lf.Bare, err
}

func (r *Recorder) copy(to io.Writer, text io.Reader) error {
	_, err := fsx.Copy(to, text, r.buf)
	return err
}

// write writes a record whose text has size octets on disk.
func (r *Recorder) write(it mailbox.Item, size int64, text func(io.Writer) error) (a mailbox.Altered, err error) {
	switch {
	case size == 0: // no reader of the formats would take it
		return a, mailbox.Sayf(mailbox.ErrUnsupported, "Append of zero-length message")
	case size > r.Most:
		return a, fmt.Errorf("%w: a message of %d octets", mailbox.ErrUnsupported, size)
	}
	if r.line, a, err = r.Line(r.line[:0], it, size); err == nil {
		_, err = r.To.Write(r.line)
	}
	if err == nil {
		err = Exactly(r.To, size, text)
	}
	if err != nil {
		return a, r.fail(err)
	}
	r.Count++
	return a, nil
}

func (r *Recorder) fail(err error) error {
	r.Broken = fmt.Errorf("an earlier message failed: %w", err)
	return err
}

// Date returns the date that the internal line of it gets, that of now where it
// has none, or one that the formats cannot hold.
func (o Files) Date(it mailbox.Item) (d mailbox.Date, now bool, a mailbox.Altered) {
	if it.Date.IsZero() {
		return mailbox.DateOf(o.Env.Now()), true, a
	}
	if !Storable(it.Date) {
		a.Dates = 1
		return mailbox.DateOf(o.Env.Now()), true, a
	}
	return it.Date, false, a
}
