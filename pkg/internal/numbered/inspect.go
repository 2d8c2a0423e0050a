package numbered

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"

	"mailutil/pkg/internal/inspect"
)

// shown is how many names a finding tells.
const shown = 5

// Look reports what is wrong with the directory and its messages. prefix is
// that of the codes: "mx". CR LF on disk is right where crlf is set.
func (d Dir) Look(f *inspect.File, prefix string, l *Listing, crlf bool) {
	if l.Plan {
		f.Damage(prefix+".plan", inspect.Beside, 0,
			"a change of the mailbox was interrupted: open it for writing, which finishes the change, and check it again")
	}
	if len(l.Hidden) > 0 {
		f.Doubt(prefix+".leftover", inspect.Beside, 0,
			"%d hidden files are of deliveries that are under way or were killed; they go after 36 hours: %s", len(l.Hidden), some(l.Hidden))
	}
	for _, name := range l.Strays {
		f.Damage(prefix+".stray", inspect.Beside, 0, "the name %s is of digits but no message: its mail, if it has any, is seen by no reader", name)
	}
	for i, n := range l.Numbers {
		if f.Stopped() {
			return
		}
		d.lookAt(f, prefix, uint32(i)+1, n, crlf)
	}
}

func some(names []string) string {
	if len(names) > shown {
		return strings.Join(names[:shown], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

// lookAt reports what is wrong with one message.
func (d Dir) lookAt(f *inspect.File, prefix string, seq, n uint32, crlf bool) {
	f.In.Messages++
	file, fi, err := d.OpenQuiet(n)
	if errors.Is(err, fs.ErrNotExist) {
		return // expunged meanwhile
	}
	if err != nil {
		f.Damage(prefix+".unreadable", inspect.Beside, seq, "file %d cannot be opened: %v", n, err)
		return
	}
	defer file.Close() // read only
	f.In.Size += fi.Size()
	if fi.Size() == 0 {
		f.Doubt(prefix+".empty", inspect.Beside, seq, "file %d is empty: a delivery was killed, or the disk was full", n)
		return
	}
	var t tally
	if _, err := io.CopyBuffer(&t, io.NewSectionReader(file, 0, fi.Size()), make([]byte, 64<<10)); err != nil {
		f.Damage(prefix+".unreadable", inspect.Beside, seq, "file %d cannot be read: %v", n, err)
		return
	}
	if t.nuls > 0 {
		f.Doubt(prefix+".nuls", inspect.Beside, seq, "file %d has %d NULs: blocks that were never written, or mail that has them", n, t.nuls)
	}
	if crlf && t.lfs > 0 {
		f.Doubt(prefix+".bare-lf", inspect.Beside, seq, "file %d has %d lines that end in LF alone, which readers are not told otherwise", n, t.lfs)
	}
	if t.last != '\n' {
		f.Doubt(prefix+".no-newline", inspect.Beside, seq, "file %d does not end with a line end: it may have been cut", n)
	}
}

// A tally counts octets that are not usual in a message.
type tally struct {
	nuls, lfs int
	last      byte
}

func (t *tally) Write(p []byte) (int, error) {
	t.nuls += bytes.Count(p, []byte{0})
	pairs := bytes.Count(p, []byte("\r\n"))
	if t.last == '\r' && len(p) > 0 && p[0] == '\n' {
		pairs++
	}
	t.lfs += bytes.Count(p, []byte("\n")) - pairs
	if len(p) > 0 {
		t.last = p[len(p)-1]
	}
	return len(p), nil
}
