package mailtxt

import (
	"io"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/mailbox"
)

// A piece is what a walk makes of some octets of a file that may be damaged.
// The pieces of a file cover it without gaps or overlaps.
type piece struct {
	off, end int64
	junk     bool // they belong to no message
	copied   bool // they are there once more before them, or behind them

	// Of a message:
	text  int64 // where its text begins
	claim int64 // where the size says that it ends, 0 where there is none
	bad   bool  // readers stop at the line
	line  line
}

// A walker goes through the records of a file as a reader does, but goes on
// behind damage with the next octets that can be a record.
type walker struct {
	s    *scanner
	buf  []byte
	seen map[uint64]int64 // digests of lines, and where they were first

	copyOff, copyEnd int64 // the records there were before

	came    time.Time // when the message before came
	suspect bool      // the piece before is damaged: records behind it may be copies
}

// step returns the next piece; ok is false at the end.
func (w *walker) step() (p piece, ok bool, err error) {
	s := w.s
	if s.pos >= s.size {
		return p, false, nil
	}
	p.off = s.pos
	l, good, err := w.recordAt(s.pos)
	if err != nil {
		return p, false, err
	}
	if good && s.pos == 0 { // readers know the file by it
		b, err := w.read(0, maxLine)
		if err != nil {
			return p, false, err
		}
		good = s.format.owns(b)
	}
	if good {
		err = w.record(&p, l)
	} else {
		err = w.damaged(&p)
	}
	w.suspect = p.junk || p.bad || p.copied || p.claim != p.end
	s.pos = p.end
	return p, err == nil, err
}

// record takes a readable record.
func (w *walker) record(p *piece, l line) error {
	if w.copyOff <= p.off && p.off < w.copyEnd {
		end, err := w.lastEnd(p.off, w.copyEnd)
		if p.copied, p.end = true, end; end > p.off || err != nil {
			return err
		}
		p.copied = false
	}
	p.line, p.text = l, p.off+int64(l.length)
	p.claim = p.text + l.size
	w.came = l.date.Time()
	if done, err := w.copyAgain(p); done || err != nil {
		return err
	}
	ok, err := w.begins(p.claim)
	if err != nil {
		return err
	}
	if !ok {
		done, err := w.copies(p, p.text)
		if done || err != nil {
			return err
		}
		if ok, err = w.again(p); p.copied || err != nil {
			return err
		}
	}
	if err := w.remember(p.off, l); err != nil {
		return err
	}
	if p.end = p.claim; ok {
		return nil
	}
	p.end, err = w.extent(p)
	return err
}

// read returns n octets at off, fewer at the end of the file. They are valid
// until the next call.
func (w *walker) read(off, n int64) ([]byte, error) {
	if off < 0 || off >= w.s.size {
		return nil, nil
	}
	n = min(n, w.s.size-off)
	if int64(len(w.buf)) < n {
		w.buf = make([]byte, n)
	}
	got, err := w.s.r.ReadAt(w.buf[:n], off)
	if int64(got) < n {
		if err == nil || err == io.EOF {
			err = mailbox.ErrChanged
		}
		return nil, err
	}
	return w.buf[:n], nil
}

// lineAt reads the line at off as a reader does; ok is false where there is
// none.
func (w *walker) lineAt(off int64) (l line, ok bool, err error) {
	b, err := w.read(off, maxLine)
	if err != nil || len(b) == 0 {
		return l, false, err
	}
	at := *w.s
	at.pos = off
	l, err = at.parse(b)
	return l, err == nil, nil
}

// recordAt is lineAt where the line is not only the end of another one.
func (w *walker) recordAt(off int64) (l line, ok bool, err error) {
	l, ok, err = w.lineAt(off)
	if err != nil || !ok || l.comma == flocked.DateLen {
		return l, ok, err
	}
	from := max(off-flocked.DateLen, 0)
	b, err := w.read(from, int64(l.length)+off-from)
	if err != nil {
		return l, false, err
	}
	start := w.s.format.lineEndingAt(b, len(b))
	return l, start < 0 || from+int64(start) == off, nil
}

// begins reports whether a record begins at off, if a damaged one, or the file
// ends there.
func (w *walker) begins(off int64) (bool, error) {
	if off == w.s.size {
		return true, nil
	}
	if _, ok, err := w.recordAt(off); ok || err != nil {
		return ok, err
	}
	b, err := w.read(off, maxLine)
	if flocked.WasLine(b) {
		start, err := w.find(off, min(off+maxLine, w.s.size))
		return start < 0, err
	}
	return false, err
}
