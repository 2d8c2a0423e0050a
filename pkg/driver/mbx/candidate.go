package mbx

import (
	"bytes"
	"errors"

	"mailutil/pkg/internal/mend"
)

// uidSlack is how far above UIDLAST a UID may be: a session that failed has
// given numbers without counting them.
const uidSlack = 1000

// begins reports whether a record, or another file, begins at off, or the file
// ends there.
func (w *walker) begins(off int64) (bool, error) {
	if off == w.s.size {
		return true, nil
	}
	l, ok, err := w.lineAt(off)
	if err != nil {
		return false, err
	}
	if ok {
		return w.isWhole(l, off)
	}
	b, err := w.read(off, magicEnd)
	return isBlockHead(b), err
}

// isWhole reports whether the line l at off is not only the end of one, or one
// with octets before it: readers take both.
func (w *walker) isWhole(l line, off int64) (bool, error) {
	if len(l.date) == dateLen {
		return true, nil
	}
	from := max(off-dateLen, 0)
	b, err := w.read(from, int64(l.length)+off-from)
	if err != nil {
		return false, err
	}
	start := lineEndingAt(b, len(b))
	return start < 0 || from+int64(start) == off, nil
}

// lineAt reads the line at off; ok is false where there is none.
func (w *walker) lineAt(off int64) (l line, ok bool, err error) {
	b, err := w.read(off, maxLine)
	if err != nil || len(b) == 0 {
		return l, false, err
	}
	l, fault := parseUsable(b)
	return l, fault == lineGood, nil
}

// links counts how many records follow each other from off on, without the
// first, up to most. To end with the file counts as most.
func (w *walker) links(off int64, most int) (int, error) {
	for n := -1; ; n++ {
		if n == most {
			return n, nil
		}
		l, ok, err := w.lineAt(off)
		if err != nil || !ok {
			return max(0, n), err
		}
		if off += int64(l.length) + l.size; off == w.s.size {
			return most, nil
		}
	}
}

// candidate returns the offset of the first record at from or
// behind it that can be what comes next, -1 for none.
func (w *walker) candidate(from int64) (int64, error) {
	if w.next >= from && from >= w.nextFrom && w.loose == w.nextLoose {
		if ok, err := w.plausible(w.next); ok || err != nil {
			return w.next, err
		}
	}
	if from >= w.none && w.last == w.noneL && !w.loose {
		return -1, nil
	}
	found, failed := int64(-1), error(nil)
	err := eachLine(w.s.r, from, w.s.size, func(off int64) bool {
		ok, err := w.plausible(off)
		if ok {
			found = off
		}
		failed = err
		return !ok && err == nil
	})
	w.next, w.nextFrom, w.nextLoose = found, from, w.loose
	if found < 0 && !w.loose {
		w.none, w.noneL = from, w.last
	}
	return found, errors.Join(err, failed)
}

// plausible reports whether the line at off can be that of the next message:
// its UID fits and a header follows, or more records.
func (w *walker) plausible(off int64) (bool, error) {
	l, ok, err := w.lineAt(off)
	if err != nil || !ok {
		return false, err
	}
	most := uint64(max(w.most, w.last)) + uidSlack
	if l.uid != 0 && (l.uid <= w.last || uint64(l.uid) > most) {
		return w.sure(off)
	}
	b, err := w.read(off+int64(l.length), 4*maxLine)
	if err != nil {
		return false, err
	}
	if mend.BeginsText(b) {
		return true, nil
	}
	n, err := w.links(off, 2)
	return n >= 2, err
}

// sure reports whether the line at off is that of a record, whatever its UID: it
// stands within a line of text, and a header follows, or records follow each
// other: three, or two where no text reaches. Mail that was forwarded as a file
// has neither, but for large ones. Records that lead to copies were to be removed:
// what a removal has moved before them is whole.
func (w *walker) sure(off int64) (bool, error) {
	l, ok, err := w.lineAt(off)
	if err != nil || !ok || len(l.date) != dateLen {
		return false, err
	}
	b, err := w.read(off-1, 1+int64(l.length)+headLook)
	if err != nil {
		return false, err
	}
	within := len(b) > 0 && off > w.start && b[0] != '\n' && startsMessage(b[1+l.length:])
	n := 0
	for ; n < manyLinks && off < w.s.size; n++ {
		b, err := w.read(off, maxLine)
		if err != nil {
			return false, err
		}
		l, fault := parseUsable(b)
		if fault != lineGood || n > 0 && !w.canBe(l, off) {
			break
		}
		if !w.torn && w.isCopy(l, b) {
			return false, nil
		}
		off += int64(l.length) + l.size
	}
	enough := 3
	if off == w.s.size || w.loose {
		enough = 2
	}
	return within || n >= enough, nil
}

// copies reports whether there are lines in [from, end) that were before it.
func (w *walker) copies(from, end int64) (found bool, err error) {
	var failed error
	err = eachLine(w.s.r, from, end, func(off int64) bool {
		b, err := w.read(off, maxLine)
		if err != nil {
			failed = err
			return false
		}
		l, fault := parseLine(b)
		found = fault == lineGood && w.isCopy(l, b)
		return !found
	})
	return found, errors.Join(err, failed)
}

// nuls counts the NULs that b begins with.
func nuls(b []byte) int { return len(b) - len(bytes.TrimLeft(b, "\x00")) }
