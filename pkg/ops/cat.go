package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/mailbox"
)

// CatOptions say how messages are written.
type CatOptions struct {
	Headers bool // the header block only, at most mailbox.MaxHeader of it
	CRLF    bool // line ends as on the wire, the text octet for octet; else LF
}

// WriteText writes the message that v has yielded last to w. With LF line ends
// a CR LF becomes LF, but a CR before a CR LF stays with both, as in files of
// the unix format.
func (v *View) WriteText(w io.Writer, m mailbox.Message, o CatOptions) error {
	lf := &v.lf
	*lf = lfWriter{to: w, buf: lf.buf}
	if !o.CRLF {
		w = lf
	}
	if o.Headers {
		head, err := v.header(m)
		if err != nil {
			return err
		}
		_, err = w.Write(head)
		return errors.Join(err, lf.end())
	}
	text, err := v.reopen(m)
	if err != nil {
		return inMessage(m, err)
	}
	n, err := text.WriteTo(w)
	switch {
	case err != nil:
		return inMessage(m, err)
	case n != m.Size:
		return inMessage(m, fmt.Errorf("%d octets, not %d as the mailbox says", n, m.Size))
	}
	return lf.end()
}

// An lfWriter takes CR LF to LF.
type lfWriter struct {
	to  io.Writer
	lf  mbox.LFAppender
	buf []byte
}

func (w *lfWriter) Write(p []byte) (int, error) {
	w.buf = w.lf.Append(w.buf[:0], p)
	if _, err := w.to.Write(w.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}

// end writes what is held back at the end of the text.
func (w *lfWriter) end() error {
	w.buf = w.lf.Flush(w.buf[:0])
	_, err := w.to.Write(w.buf)
	return err
}

// Cat writes all messages of v, one behind the other, and returns how many.
func (v *View) Cat(ctx context.Context, w io.Writer, o CatOptions) (n uint32, err error) {
	for m, err := range v.Messages(ctx) {
		if err == nil {
			err = v.WriteText(w, m, o)
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// CatMbox writes all messages of v as an mbox stream: From_ lines with envelope
// sender and internal date, flags and keywords in status headers, lines that
// look like From_ lines quoted. Altered says what that has changed.
func (v *View) CatMbox(ctx context.Context, w io.Writer) (n uint32, a mailbox.Altered, err error) {
	f := mbox.NewFormatter(v.env, w)
	for m, err := range v.Messages(ctx) {
		if err != nil {
			return n, a, err
		}
		it := mailbox.Item{Message: m}
		if e, ok := v.mb.(mailbox.Enveloper); ok {
			if it.Sender, err = e.Sender(m.Seq); err != nil {
				return n, a, inMessage(m, err)
			}
		}
		if it.Text, err = v.reopen(m); err != nil {
			return n, a, inMessage(m, err)
		}
		one, err := f.Message(it, v.state(m, n == 0))
		if err != nil {
			return n, a, inMessage(m, err)
		}
		a = a.Plus(one)
		n++
	}
	return n, a, nil
}

// state is the status block of m in an mbox stream. The names of the keywords
// go with the first message; UIDs are left out: they are those of the mailbox.
func (v *View) state(m mailbox.Message, first bool) mbox.State {
	st := mbox.State{Table: v.status.Keywords, Flags: m.Flags, Old: m.Flags.System&mailbox.Recent == 0}
	if first && len(st.Table) > 0 {
		st.Base, st.Validity = true, max(v.status.UIDValidity, 1)
	}
	return st
}

// CatFile writes the message that v has yielded last to a new file in dir,
// NUMBER-UID.eml, and returns its path. A file that exists is fs.ErrExist and
// stays as it is; the file appears when it is whole.
func (v *View) CatFile(dir string, m mailbox.Message, o CatOptions) (path string, err error) {
	path = filepath.Join(dir, fmt.Sprintf("%d-%d.eml", m.Seq, m.UID))
	f, err := fsx.CreateNew(fsx.OS{}, path, emlMode, emlDirMode)
	if err != nil {
		return path, err
	}
	defer func() { err = errors.Join(err, f.Abort()) }() // a no-op after Publish
	if err := v.WriteText(io.NewOffsetWriter(f, 0), m, o); err != nil {
		return path, err
	}
	return path, f.Publish()
}

// Modes of what CatFile makes.
const (
	emlMode    fs.FileMode = 0o600
	emlDirMode fs.FileMode = 0o700
)
