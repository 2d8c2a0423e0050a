package mix

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"mailutil/pkg/internal/fsx"
)

// lineBuffer is the longest record that is read, that of the original.
const lineBuffer = 64 << 10

// lines reads the records of an index or a status file.
type lines struct {
	r    *bufio.Reader
	file string // its name
	kind string // as the original calls it
	warn func(string)

	off   int64  // where the record that was read last begins
	next  int64  // and the one behind it
	whole bool   // it ends in CRLF
	text  []byte // without its line end; valid until the next
	empty bool   // there is nothing in the file, or only what does not count yet
}

func newLines(f fsx.File, size int64, file, kind string, warn func(string)) *lines {
	return &lines{r: bufio.NewReaderSize(io.NewSectionReader(f, 0, size), lineBuffer), file: file, kind: kind, warn: warn}
}

// read reads the next record. ok is false at the end of the file, or at NULs,
// which are its end for the original; off then is where that is.
func (l *lines) read() (ok bool, err error) {
	for {
		b, err := l.r.ReadSlice('\n')
		l.off = l.next
		l.next += int64(len(b))
		if err == bufio.ErrBufferFull {
			return false, corrupt(l.file, l.off, "Oversize mix %s record: %.512s", l.kind, b)
		}
		if err != nil && err != io.EOF {
			return false, err
		}
		if len(b) == 0 {
			return false, nil
		}
		if nul := bytes.IndexByte(b, 0); nul >= 0 || b[len(b)-1] != '\n' {
			l.whole = false
			if nul >= 0 {
				b = b[:nul]
			}
			l.text = b
			l.warn(fmt.Sprintf("Truncated mix %s record: %.512s", l.kind, b))
			return len(b) > 0, nil
		}
		l.text, l.whole = bytes.CutSuffix(b[:len(b)-1], []byte("\r"))
		if len(l.text) > 0 {
			return true, nil
		}
		l.warn(fmt.Sprintf("Empty mix %s record", l.kind))
	}
}

// readSeq reads the sequence that begins the file. An empty file, or one that
// begins with a NUL, has 1.
func (l *lines) readSeq() (seq uint32, ok bool, err error) {
	some, err := l.read()
	if err != nil || !some {
		l.empty = true
		return 1, true, err
	}
	if l.text[0] != 'S' {
		return 0, false, nil
	}
	v, rest, ok := takeHex(l.text[1:])
	return uint32(v), ok && v != 0 && len(rest) == 0, nil
}
