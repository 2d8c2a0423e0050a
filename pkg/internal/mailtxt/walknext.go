package mailtxt

import (
	"bytes"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/mend"
)

// next returns where the next record begins, if it has lost the beginning of its
// line, or the end of the file. One that came before the last one and does not lead
// on is text, unless there is no other.
func (w *walker) next(from int64) (int64, error) {
	first := w.s.size
	for at := from; at < w.s.size; {
		off, err := w.find(at, w.s.size)
		if err != nil {
			return 0, err
		}
		if off < 0 {
			break
		}
		l, good, err := w.lineAt(off)
		if err != nil {
			return 0, err
		}
		ok := !good || !l.date.Time().Before(w.came)
		if !ok {
			if ok, err = w.begins(off + int64(l.length) + l.size); err != nil {
				return 0, err
			}
		}
		if ok {
			return w.tail(from, off)
		}
		first = min(first, off)
		at = off + 1
	}
	return w.tail(from, first)
}

// tail returns where in [from, to) a line begins of which the beginning is lost,
// or which was wiped, to for none.
func (w *walker) tail(from, to int64) (int64, error) {
	return w.layout().Search(w.s.r, from, to, w.s.size, func(b []byte, off int64) (int64, error) {
		return w.tailIn(b, off, from, to)
	})
}

// layout is what internal lines are like.
func (w *walker) layout() mend.Layout {
	return mend.Layout{EOL: w.s.format.EOL, Least: minLine, Most: maxLine, Octets: "01234567;,\r\n", Begin: w.s.format.lineEndingAt}
}

// tailIn is tail for what is in b, which is at off; -1 for none.
func (w *walker) tailIn(b []byte, off, from, to int64) (int64, error) {
	eol := w.s.format.EOL
	wiped, err := w.layout().Unveiled(w.s.r, b, off, from, to)
	if err != nil {
		return -1, err
	}
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte(eol))
		if i < 0 || off+int64(at+i+len(eol)) >= to {
			return wiped, nil
		}
		at += i + len(eol)
		end := at - len(eol)
		start := end - tailLen
		switch {
		case at == len(b) || lineEndingAt(b, end) >= 0:
			continue
		case start > 0 && b[start] == ';' && allDigits(b[start+1:end]) && isDigit(b[start-1]) && mend.BeginsText(b[at:]):
			start = flocked.LineBegin(b[:start])
		case isFlags(b[:end]) && mend.StartsMail(b[at:]):
			start = len(bytes.TrimRight(b[:end], "01234567;"))
		default:
			continue
		}
		begin := min(max(off+int64(start), from), to)
		if wiped >= 0 {
			begin = min(begin, wiped)
		}
		return begin, nil
	}
}

// isFlags reports whether b ends in what is left of the flags of a line: octal
// digits, with zeros before them.
func isFlags(b []byte) bool {
	n := len(b) - len(bytes.TrimRight(b, "01234567"))
	return 7 <= n && n <= flagsLen && bytes.Contains(b[len(b)-n:], []byte("0000")) && (n == len(b) || b[len(b)-n-1] != '-')
}

// find returns the first offset in [from, to) at which octets look like a line
// as it is written, with a header behind it; -1 for none.
func (w *walker) find(from, to int64) (int64, error) {
	win := make([]byte, scanWindow)
	for off := from; off < to; {
		n, err := w.s.r.ReadAt(win[:min(int64(len(win)), w.s.size-off)], off)
		if n == 0 {
			return -1, err
		}
		b := win[:n]
		for at := 0; ; {
			i := bytes.IndexByte(b[at:], '\n')
			if i < 0 {
				break
			}
			at += i + 1
			start := w.s.format.lineEndingAt(b, at)
			if start >= 0 && off+int64(start) < to && (at == len(b) || mend.BeginsText(b[at:])) {
				return off + int64(start), nil
			}
		}
		if off+int64(n) >= w.s.size {
			break
		}
		off += int64(max(n-2*maxLine, 1))
	}
	return -1, nil
}

// weight says how much in the first octets of the file is of this format and of
// no other: lines as find finds them, and more those with a size that is right.
// An editor may have saved some in the other format, and their sizes are wrong.
func (w *walker) weight(octets int64) (n int, err error) {
	for from := int64(0); ; {
		at, err := w.find(from, min(octets, w.s.size))
		if at < 0 || err != nil {
			return n, err
		}
		l, _, err := w.lineAt(at)
		if err != nil {
			return n, err
		}
		n++
		text := at + int64(l.length)
		proven, err := w.begins(text + l.size)
		if err != nil {
			return n, err
		}
		if from = at + 1; proven {
			from = max(from, text+l.size)
			n += 2
		}
	}
}

// tailLen is the length of ";", keywords and flags.
const tailLen = 1 + flagsLen

// lineEndingAt returns where the line begins that ends, with its EOL, at
// b[:end], as it is written; -1 for none.
func (f *Format) lineEndingAt(b []byte, end int) int {
	if !bytes.HasSuffix(b[:end], []byte(f.EOL)) {
		return -1
	}
	return lineEndingAt(b, end-len(f.EOL))
}
