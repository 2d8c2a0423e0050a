package mend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/mailbox"
)

func owner(fi fs.FileInfo) (*syscall.Stat_t, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return st, ok
}

// setAside adds what was lost to NAME.lost, and as messages to NAME.salvage,
// durably. original is the name of the copy that was kept.
func (j *Job) setAside(made *mailbox.RepairFiles, original string) error {
	var salvage []Lost
	for _, l := range j.Lost {
		if l.Salvage {
			salvage = append(salvage, l)
		}
	}
	if len(j.Lost) > 0 {
		made.Lost = j.File.Name() + ".lost"
		if err := j.write(made.Lost, j.Lost, func(w *fsx.Writer, l Lost) error { return j.raw(w, l, original) }); err != nil {
			return err
		}
	}
	if len(salvage) > 0 {
		made.Salvage = j.File.Name() + ".salvage"
		return j.write(made.Salvage, salvage, func(w *fsx.Writer, l Lost) error { return j.message(w, l, original) })
	}
	return nil
}

// from is what the offsets of l are about.
func (j *Job) from(l Lost) io.ReaderAt {
	switch {
	case l.From != nil:
		return l.From
	case j.From != nil:
		return j.From
	}
	return j.File
}

// write adds to the end of the file at path.
func (j *Job) write(path string, all []Lost, each func(*fsx.Writer, Lost) error) error {
	f, end, err := j.add(path, 0o600)
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
	return j.FS.SyncDir(filepath.Dir(path))
}

// behind writes to a file from an offset on.
type behind struct {
	f   fsx.File
	off int64
}

func (b behind) WriteAt(p []byte, off int64) (int, error) { return b.f.WriteAt(p, b.off+off) }

// raw writes the octets as they are, with a line before them that says where
// they were.
func (j *Job) raw(w io.Writer, l Lost, original string) error {
	if _, err := fmt.Fprintf(w, "--- %d octets from offset %d of %s: %s\n", l.End-l.Off, l.Off, original, l.Why); err != nil {
		return err
	}
	if _, err := io.Copy(w, onlyReader{io.NewSectionReader(j.from(l), l.Off, l.End-l.Off)}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// onlyReader hides WriteTo.
type onlyReader struct{ io.Reader }

// message writes the octets as a message of a unix mailbox, with a header that
// says where they were, unless they have one.
func (j *Job) message(w io.Writer, l Lost, original string) error {
	head := make([]byte, min(l.End-l.Off, 512))
	if _, err := j.from(l).ReadAt(head, l.Off); err != nil && err != io.EOF {
		return err
	}
	nuls := len(head) - len(bytes.TrimLeft(head, "\x00\r\n"))
	l.Off += int64(nuls)
	line := mbox.AppendFrom(nil, "MAILER-DAEMON", mailbox.DateOf(j.Now))
	if !StartsHeader(head[nuls:]) {
		line = fmt.Appendf(line, "From: Mail System Internal Data <MAILER-DAEMON>\nSubject: octets %d to %d of %s\n\n", l.Off, l.End, original)
	}
	if _, err := w.Write(line); err != nil {
		return err
	}
	q := quoter{to: w, bol: true}
	if _, err := io.Copy(&q, onlyReader{io.NewSectionReader(j.from(l), l.Off, l.End-l.Off)}); err != nil {
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

// StartsMail reports whether b begins with the header of mail.
func StartsMail(b []byte) bool { return mbox.IsMail(b) }
