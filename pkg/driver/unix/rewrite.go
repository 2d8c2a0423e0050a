package unix

import (
	"bytes"
	"errors"

	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// A rewriter writes the file as the index says, by journal. Octets that stay
// where they are are not written.
type rewriter struct {
	b    *box
	j    *journal.Journal
	w    *winread.Window // small: it sees headers only
	pos  int64           // offset in the new file
	at   bool            // the journal stands at pos
	buf  []byte
	next index
}

// rewrite makes the file what the index says, without the messages in drop.
// The exclusive lock is held and the index is up to date. It changes the
// mailbox in the shape "in place, by journal"; after an error the index is as
// before, or the box is broken.
func (b *box) rewrite(drop mailbox.Set) error {
	j, err := journal.New(b.f, b.d.journal())
	if err != nil {
		return err
	}
	r := &rewriter{b: b, j: j, w: winread.New(b.f, 32<<10, b.ix.end)}
	r.next = b.ix
	r.next.msgs = make([]message, 0, len(b.ix.msgs))
	err = r.all(drop)
	end := r.pos
	if err == nil && b.tail != nil {
		_, err = b.tail.WriteTo(r)
	}
	if err == nil {
		err = j.Commit(r.pos)
	}
	if err != nil {
		return errors.Join(err, j.Abort())
	}
	b.tail = nil
	r.next.end, r.next.dirty, r.next.late, r.next.made = end, false, false, false
	b.ix = r.next
	b.w.Reset(end)
	if err := b.written(); err != nil {
		b.broken = b.d.fail("write", b.name.Text, err)
	}
	return b.broken
}

func (r *rewriter) all(drop mailbox.Set) error {
	ix := &r.b.ix
	kept := 0
	for i := range ix.msgs {
		if !drop.Contains(uint32(i + 1)) {
			kept++
		}
	}
	if ix.pseudo || kept == 0 {
		if err := r.pseudo(); err != nil {
			return err
		}
	}
	for i := range ix.msgs {
		if drop.Contains(uint32(i + 1)) {
			continue
		}
		end := ix.end
		if i+1 < len(ix.msgs) {
			end = ix.msgs[i+1].from
		}
		if err := r.message(ix.msgs[i], end); err != nil {
			return err
		}
	}
	return nil
}

// pseudo writes the pseudo-message.
func (r *rewriter) pseudo() error {
	n := &r.next
	r.buf = appendPseudo(r.buf[:0], r.b.d.env, false, n.validity, n.last, n.keywords)
	n.pseudo, n.internal = true, message{end: int64(len(r.buf))}
	return r.write(r.buf)
}

// message writes one message of the old file, in which the next one begins at
// end.
func (r *rewriter) message(m message, end int64) error {
	st := r.state(m)
	status := append(st.append(nil), '\n')
	headerLen := int64(m.visible) + int64(len(status))
	exact := m.body-m.from-int64(m.header) == headerLen // what is in the file has the right length
	stays := r.pos == m.from && exact
	if stays && m.bits&(bitChanged|bitUIDless) == 0 {
		return r.skip(m, end)
	}
	if exact && m.bits&(bitCR|bitOpen) == 0 {
		same, err := r.canonical(m, status)
		if err != nil {
			return err
		}
		if same {
			return r.copyAll(m)
		}
	}
	return r.emit(m, status)
}

// state is the status block of the next message that is written.
func (r *rewriter) state(m message) state {
	n := &r.next
	return state{
		base: !n.pseudo && len(n.msgs) == 0, validity: n.validity, last: n.last, table: n.keywords,
		flags: mailbox.Flags{System: m.system, Keywords: uint64(m.keywords)},
		old:   !r.b.silent || m.system&mailbox.Recent == 0, uid: m.uid,
	}
}

// canonical reports whether the From_ line has no CR and the header, which has
// none either by its length, ends in that status block.
func (r *rewriter) canonical(m message, status []byte) (bool, error) {
	tail := make([]byte, len(status))
	if err := r.read(tail, m.body-int64(len(status))); err != nil {
		return false, err
	}
	if !bytes.Equal(tail, status) {
		return false, nil
	}
	lf := make([]byte, 2)
	err := r.read(lf, m.from+int64(m.header)-2)
	return lf[0] != '\r', err
}

func (r *rewriter) read(p []byte, off int64) error {
	n, err := r.b.f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	return err
}

// skip leaves a message where it is. In the old file the next one begins at
// end.
func (r *rewriter) skip(m message, end int64) error {
	r.move(m.end)
	if end == m.end+1 {
		r.next.msgs = append(r.next.msgs, m)
		r.move(end) // the empty line is there
		return nil
	}
	return r.end(m)
}

// end ends a message with an empty line. One whose last line had no end gets
// that only, as from the original; but not where that would make a message of
// the line.
func (r *rewriter) end(m message) error {
	if m.bits&bitTornFrom != 0 {
		r.next.msgs = append(r.next.msgs, m)
		return nil
	}
	err := r.write([]byte{'\n'})
	if m.bits&bitOpen != 0 {
		m.bits &^= bitOpen
		m.size += 2
		m.end = r.pos
	}
	r.next.msgs = append(r.next.msgs, m)
	return err
}

// copyAll writes a message that has only moved.
func (r *rewriter) copyAll(m message) error {
	by := r.pos - m.from
	if err := r.copy(m.from, m.end-m.from); err != nil {
		return err
	}
	m.from, m.body, m.end = m.from+by, m.body+by, m.end+by
	return r.end(m)
}

// emit writes a message with a new header. Where that is as long as the old
// one, and nothing else is to be mended, the body stays where it is.
func (r *rewriter) emit(old message, status []byte) (err error) {
	m := old
	m.bits &^= bitChanged | bitUIDless | bitCR
	m.from = r.pos
	if m.header, err = r.fromLine(old); err != nil {
		return err
	}
	if err := r.header(old, &m); err != nil {
		return err
	}
	if err := r.write(status); err != nil {
		return err
	}
	m.body = r.pos
	if old.bits&bitCR != 0 {
		err = r.convert(old, &m)
	} else {
		err = r.copy(old.body, old.end-old.body)
	}
	m.end = r.pos
	return errors.Join(err, r.end(m))
}

// fromLine writes the From_ line and returns its length.
func (r *rewriter) fromLine(m message) (uint32, error) {
	end := make([]byte, 2)
	if err := r.read(end, m.from+int64(m.header)-2); err != nil {
		return 0, err
	}
	if end[0] != '\r' {
		return m.header, r.copy(m.from, int64(m.header))
	}
	return m.header - 1, errors.Join(r.copy(m.from, int64(m.header)-2), r.write([]byte{'\n'}))
}

// header writes the visible header lines of old.
func (r *rewriter) header(old message, m *message) error {
	h := headerReader{w: r.w, off: old.from + int64(old.header), end: old.body}
	var lf lfAppender
	ended, open := false, false
	for {
		ln, blank, err := h.next()
		if err != nil {
			return err
		}
		if len(ln) == 0 {
			break
		}
		if ended = blank; blank {
			continue
		}
		open = ln[len(ln)-1] != '\n'
		r.buf = lf.append(r.buf[:0], ln)
		if err := r.write(r.buf); err != nil {
			return err
		}
	}
	if !ended {
		m.size += 2
	}
	if open {
		m.size += 2
		return r.write(append(lf.flush(nil), '\n'))
	}
	return nil
}

// convert writes the body of old with LF line ends.
func (r *rewriter) convert(old message, m *message) error {
	var lf lfAppender
	for off := old.body; off < old.end; {
		b, err := r.w.From(off)
		if err != nil {
			return err
		}
		b = b[:min(int64(len(b)), old.end-off)]
		off += int64(len(b))
		r.buf = lf.append(r.buf[:0], b)
		if bytes.Contains(r.buf, []byte("\r\n")) {
			m.bits |= bitCR
		}
		if err := r.write(r.buf); err != nil {
			return err
		}
	}
	return r.write(lf.flush(nil))
}

// Write writes new octets.
func (r *rewriter) Write(p []byte) (int, error) {
	if err := r.seek(); err != nil {
		return 0, err
	}
	n, err := r.j.Write(p)
	r.pos += int64(n)
	return n, err
}

func (r *rewriter) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := r.Write(p)
	return err
}

// copy writes octets of the old file.
func (r *rewriter) copy(off, n int64) error {
	if off == r.pos {
		r.move(off + n)
		return nil
	}
	if err := r.seek(); err != nil {
		return err
	}
	r.pos += n
	return r.j.Copy(off, n)
}

// move goes on at another offset; what lies between stays.
func (r *rewriter) move(pos int64) { r.pos, r.at = pos, r.at && pos == r.pos }

func (r *rewriter) seek() error {
	if r.at {
		return nil
	}
	r.at = true
	return r.j.At(r.pos)
}
