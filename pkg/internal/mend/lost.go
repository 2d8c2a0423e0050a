package mend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/mailbox"
)

func owner(fi fs.FileInfo) (*syscall.Stat_t, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return st, ok
}

// Own gives a file that root made for a mailbox the owner of another file of it.
func Own(f *os.File, like fs.FileInfo) {
	if st, ok := owner(like); ok {
		f.Chown(int(st.Uid), int(st.Gid)) // only root may
	}
}

// A Lost is some octets of a file that have no place in its new content.
type Lost struct {
	Off, End int64
	Why      string
	Salvage  bool        // they may be part of a message: show them as one
	From     io.ReaderAt // what the offsets are about; nil: that of the Aside
	Of       string      // file of a mailbox that is a directory
}

// An Aside keeps what was lost of the mailbox at Name.
type Aside struct {
	FS   fsx.FS
	Name string
	Lost []Lost
	From io.ReaderAt // what their offsets are about
	Now  time.Time
}

// Write adds what was lost to NAME.lost, and as messages to NAME.salvage,
// durably. original is the name of the copy that was kept.
func (a *Aside) Write(made *mailbox.RepairFiles, original string) error {
	var salvage []Lost
	for _, l := range a.Lost {
		if l.Salvage {
			salvage = append(salvage, l)
		}
	}
	if len(a.Lost) > 0 {
		made.Lost = a.Name + ".lost"
		if err := a.write(made.Lost, a.Lost, func(w *fsx.Writer, l Lost) error { return a.raw(w, l, original) }); err != nil {
			return err
		}
	}
	if len(salvage) > 0 {
		made.Salvage = a.Name + ".salvage"
		return a.write(made.Salvage, salvage, func(w *fsx.Writer, l Lost) error { return a.message(w, l, original) })
	}
	return nil
}

// from is what the offsets of l are about.
func (a *Aside) from(l Lost) io.ReaderAt {
	if l.From != nil {
		return l.From
	}
	return a.From
}

// of is the file that the octets of l are of.
func (l *Lost) of(original string) string {
	if l.Of == "" {
		return original
	}
	return original + "/" + l.Of
}

// write adds to the end of the file at path.
func (a *Aside) write(path string, all []Lost, each func(*fsx.Writer, Lost) error) error {
	f, end, err := a.add(path, 0o600)
	if err != nil {
		return err
	}
	w := fsx.NewWriter(behind{f, end})
	for _, l := range all {
		if err = each(w, l); err != nil {
			break
		}
	}
	if err == nil {
		err = w.Flush()
	}
	w.Stop()
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return a.FS.SyncDir(filepath.Dir(path))
}

// behind writes to a file from an offset on.
type behind struct {
	f   fsx.File
	off int64
}

func (b behind) WriteAt(p []byte, off int64) (int, error) { return b.f.WriteAt(p, b.off+off) }

// raw writes the octets as they are, with a line before them that says where
// they were.
func (a *Aside) raw(w io.Writer, l Lost, original string) error {
	if _, err := fmt.Fprintf(w, "--- %d octets from offset %d of %s: %s\n", l.End-l.Off, l.Off, l.of(original), l.Why); err != nil {
		return err
	}
	if _, err := fsx.Copy(w, io.NewSectionReader(a.from(l), l.Off, l.End-l.Off), nil); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// message writes the octets as a message of a unix mailbox, with a header that
// says where they were, unless they have one.
func (a *Aside) message(w io.Writer, l Lost, original string) error {
	head := make([]byte, min(l.End-l.Off, 512))
	if _, err := a.from(l).ReadAt(head, l.Off); err != nil && err != io.EOF {
		return err
	}
	nuls := len(head) - len(bytes.TrimLeft(head, "\x00\r\n"))
	l.Off += int64(nuls)
	line := mbox.AppendFrom(nil, "MAILER-DAEMON", mailbox.DateOf(a.Now))
	if !StartsHeader(head[nuls:]) {
		line = fmt.Appendf(line, "From: Mail System Internal Data <MAILER-DAEMON>\nSubject: octets %d to %d of %s\n\n", l.Off, l.End, l.of(original))
	}
	if _, err := w.Write(line); err != nil {
		return err
	}
	q := quoter{to: w, bol: true}
	if _, err := fsx.Copy(&q, io.NewSectionReader(a.from(l), l.Off, l.End-l.Off), nil); err != nil {
		return err
	}
	return q.end()
}

// A quoter writes text as the body of a message of a unix mailbox: lines end in
// LF, lines that begin "From " get a ">", NULs go.
type quoter struct {
	to   io.Writer
	bol  bool
	kept []byte // the beginning of a line that may be "From "
	out  []byte
}

func (q *quoter) Write(p []byte) (int, error) {
	q.out = q.out[:0]
	for _, c := range p {
		q.add(c)
	}
	_, err := q.to.Write(q.out)
	return len(p), err
}

func (q *quoter) add(c byte) {
	const from = "From "
	if c == 0 || c == '\r' {
		return
	}
	if q.bol {
		if from[len(q.kept)] == c {
			if q.kept = append(q.kept, c); len(q.kept) == len(from) {
				q.out = append(q.out, '>')
				q.out, q.kept, q.bol = append(q.out, q.kept...), q.kept[:0], false
			}
			return
		}
		q.out, q.kept = append(q.out, q.kept...), q.kept[:0]
	}
	q.out = append(q.out, c)
	q.bol = c == '\n'
}

// end closes the message.
func (q *quoter) end() error {
	end := "\n"
	if !q.bol || len(q.kept) > 0 {
		end = string(q.kept) + "\n\n"
	}
	_, err := io.WriteString(q.to, end)
	return err
}

// StartsHeader reports whether b begins with a header field.
func StartsHeader(b []byte) bool {
	i := 0
	for i < len(b) && b[i] > ' ' && b[i] < 0x7F && b[i] != ':' {
		i++
	}
	return i > 0 && i < len(b) && b[i] == ':'
}

// add opens the file at path to add to its end.
func (a *Aside) add(path string, mode fs.FileMode) (fsx.File, int64, error) {
	f, err := a.FS.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, mode)
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, fi.Size(), nil
}

// StartsMail reports whether b begins with the header of mail.
func StartsMail(b []byte) bool { return mbox.IsMail(b) }
