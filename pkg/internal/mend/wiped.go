package mend

import (
	"bytes"
	"io"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/mailbox"
)

// A Layout says how long the internal lines of a format are, and how they end.
type Layout struct {
	EOL    string
	Least  int    // octets of a line
	Most   int    // octets of a line
	Octets string // that what is left of a line may have

	// Begin returns where a line as it is written begins that ends at b[:end], -1
	// for none.
	Begin func(b []byte, end int) int
}

const (
	searchWindow = 64 << 10
	headLook     = 2 << 10 // how much of a header is looked at
)

// Search shows look the octets [from, to) of r, which has size octets, window by
// window, with the octet before them and what is behind a line that begins there,
// until it returns an offset; to where it never does.
func (l Layout) Search(r io.ReaderAt, from, to, size int64, look func(b []byte, off int64) (at int64, err error)) (int64, error) {
	win := make([]byte, searchWindow)
	for off := max(from-1, 0); off < to; {
		n, err := r.ReadAt(win[:min(int64(len(win)), size-off)], off)
		if n == 0 {
			if err == io.EOF {
				err = mailbox.ErrChanged
			}
			return to, err
		}
		at, err := look(win[:n], off)
		if at >= 0 || err != nil {
			return at, err
		}
		if off+int64(n) >= min(to, size) {
			break
		}
		off += int64(max(n-2*l.Most-headLook, 1))
	}
	return to, nil
}

// Unveiled returns where in [from, to) a line begins that was wiped with octets
// before it, in b, the octets of r at off: behind them, or behind what is left of
// it, mail begins. -1 for none. Where a header begins at from and does not end
// before them, what is behind them is the rest of that.
func (l Layout) Unveiled(r io.ReaderAt, b []byte, off, from, to int64) (int64, error) {
	for skip := max(from-off, 0); skip < int64(len(b)); {
		run, mail, ok := mbox.Unveiled(b[skip:], l.EOL, l.Most, mbox.IsLineRest)
		if !ok || off+skip+int64(mail) >= to {
			return -1, nil
		}
		ended, err := l.headerEnds(r, from, off+skip+int64(run))
		if err != nil {
			return -1, err
		}
		if ended {
			return off + skip + int64(max(run, mail-l.Least)), nil
		}
		skip += int64(mail)
	}
	return -1, nil
}

// UpToLine returns b up to the first line in it, which may have the look of the second
// line of a header field.
func (l Layout) UpToLine(b []byte) []byte {
	for end := 1; end < len(b); end++ {
		if b[end-1] != '\n' {
			continue
		}
		if start := l.Begin(b, end); start >= 0 {
			return b[:start]
		}
	}
	return b
}

// headerEnds reports whether no header begins at from, or one that ends before to.
func (l Layout) headerEnds(r io.ReaderAt, from, to int64) (bool, error) {
	head := make([]byte, l.Most)
	n, err := r.ReadAt(head, from)
	if err != nil && err != io.EOF {
		return false, err
	}
	if !BeginsText(head[:n]) {
		return true, nil
	}
	return flocked.HeaderEnds(r, from, to)
}

// BeginsText reports whether b begins with a header field or an empty line, as the
// text of a message does.
func BeginsText(b []byte) bool {
	return StartsHeader(b) || len(b) > 0 && b[0] == '\n' || len(b) > 1 && b[0] == '\r' && b[1] == '\n'
}

// Hollow reports whether of a message only a part of its line is left: in its text,
// [text, end) of r, are octets of that, and behind them such as were wiped.
func (l Layout) Hollow(r io.ReaderAt, text, end int64) (bool, error) {
	if text == end {
		return false, nil
	}
	buf := make([]byte, 4096)
	for off := text; off < end; {
		b := buf[:min(end-off, int64(len(buf)))]
		if n, err := r.ReadAt(b, off); n < len(b) {
			if err == io.EOF {
				err = mailbox.ErrChanged
			}
			return false, err
		}
		first := off == text
		off += int64(len(b))
		if first {
			rest := bytes.TrimLeft(b, l.Octets)
			if len(b)-len(rest) > l.Most || len(rest) < l.Least {
				return false, nil
			}
			b = rest
		}
		if len(bytes.Trim(b, "\x00\xFF")) > 0 {
			return false, nil
		}
	}
	return true, nil
}

// IsText reports whether most of b is text.
func IsText(b []byte) bool {
	odd := 0
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' && c != '\f' && c != '\b' && c != 0x1B || c == 0x7F || c == 0xFF {
			odd++
		}
	}
	return odd < 2 || odd*32 <= len(b)
}
