package mboxfile

import (
	"bytes"
	"errors"

	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// A rewriter writes the file as the index says, by journal. Octets that stay
// where they are are not written.
type rewriter struct {
	b    *indexed
	j    *journal.Journal
	w    *winread.Window // small: it sees headers only
	pos  int64           // offset in the new file
	at   bool            // the journal stands at pos
	buf  []byte
	next mbox.Index
}

// rewrite makes the file what the index says, without the messages in drop.
// The exclusive lock is held and the index is up to date. It changes the
// mailbox in the shape "in place, by journal"; after an error the index is as
// before, or the file is broken.
func (b *indexed) rewrite(drop mailbox.Set) error {
	j, err := journal.New(b.f, b.d.journal())
	if err != nil {
		return err
	}
	r := &rewriter{b: b, j: j, w: winread.New(b.f, 32<<10, b.ix.End)}
	r.next = b.ix
	r.next.Msgs = make([]mbox.Message, 0, len(b.ix.Msgs))
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
	r.next.End, r.next.Dirty, r.next.Late, r.next.Made = end, false, false, false
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
	for i := range ix.Msgs {
		if !drop.Contains(uint32(i + 1)) {
			kept++
		}
	}
	if ix.Pseudo || kept == 0 {
		if err := r.pseudo(); err != nil {
			return err
		}
	}
	for i := range ix.Msgs {
		if drop.Contains(uint32(i + 1)) {
			continue
		}
		end := ix.End
		if i+1 < len(ix.Msgs) {
			end = ix.Msgs[i+1].From - int64(len(r.b.d.format.Lead()))
		}
		if err := r.message(ix.Msgs[i], end); err != nil {
			return err
		}
	}
	return nil
}

// pseudo writes the pseudo-message.
func (r *rewriter) pseudo() error {
	n := &r.next
	r.buf = r.b.d.format.AppendPseudo(r.buf[:0], r.b.d.env, false, n.Validity, n.Last, n.Keywords)
	n.Pseudo, n.Internal = true, mbox.Message{End: int64(len(r.buf))}
	return r.write(r.buf)
}

// message writes one message of the old file, in which what belongs to the next
// one begins at end.
func (r *rewriter) message(m mbox.Message, end int64) error {
	if err := r.lead(m); err != nil {
		return err
	}
	st := r.state(m)
	status := append(st.Append(nil), '\n')
	headerLen := int64(m.Visible) + int64(len(status))
	exact := m.Body-m.From-int64(m.Header) == headerLen // what is in the file has the right length
	stays := r.pos == m.From && exact
	if stays && m.Bits&(mbox.BitChanged|mbox.BitUIDless) == 0 {
		return r.skip(m, end)
	}
	if exact && m.Bits&(mbox.BitCR|mbox.BitOpen) == 0 {
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

// lead writes what stands before a message. Where the message is to stay it is
// there: no message begins without.
func (r *rewriter) lead(m mbox.Message) error {
	lead := r.b.d.format.Lead()
	if r.pos+int64(len(lead)) == m.From {
		r.move(m.From)
		return nil
	}
	return r.write([]byte(lead))
}

// state is the status block of the next message that is written.
func (r *rewriter) state(m mbox.Message) mbox.State {
	n := &r.next
	return mbox.State{
		Base: !n.Pseudo && len(n.Msgs) == 0, Validity: n.Validity, Last: n.Last, Table: n.Keywords,
		Flags: mailbox.Flags{System: m.System, Keywords: uint64(m.Keywords)},
		Old:   !r.b.silent || m.System&mailbox.Recent == 0, UID: m.UID,
	}
}

// canonical reports whether the From_ line has no CR and the header, which has
// none either by its length, ends in that status block.
func (r *rewriter) canonical(m mbox.Message, status []byte) (bool, error) {
	tail := make([]byte, len(status))
	if err := r.read(tail, m.Body-int64(len(status))); err != nil {
		return false, err
	}
	if !bytes.Equal(tail, status) {
		return false, nil
	}
	lf := make([]byte, 2)
	err := r.read(lf, m.From+int64(m.Header)-2)
	return lf[0] != '\r', err
}

func (r *rewriter) read(p []byte, off int64) error {
	n, err := r.b.f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	return err
}

// skip leaves a message where it is. In the old file what belongs to the next
// one begins at end.
func (r *rewriter) skip(m mbox.Message, end int64) error {
	r.move(m.End)
	if end == m.End+int64(len(r.b.d.format.Tail())) {
		r.next.Msgs = append(r.next.Msgs, m)
		r.move(end) // the empty line is there, or the delimiter
		return nil
	}
	return r.end(m)
}

// end ends a message with what stands behind it; but not where a line end would
// make a message of the last line.
func (r *rewriter) end(m mbox.Message) error {
	if m.Bits&mbox.BitTornFrom != 0 {
		r.next.Msgs = append(r.next.Msgs, m)
		return nil
	}
	tail := r.b.d.format.Tail()
	if m.Bits&mbox.BitOpen != 0 {
		tail = r.b.d.format.OpenTail()
		m.Bits &^= mbox.BitOpen
		m.Size += 2
		m.End = r.pos + 1
	}
	err := r.write([]byte(tail))
	r.next.Msgs = append(r.next.Msgs, m)
	return err
}

// copyAll writes a message that has only moved.
func (r *rewriter) copyAll(m mbox.Message) error {
	by := r.pos - m.From
	if err := r.copy(m.From, m.End-m.From); err != nil {
		return err
	}
	m.From, m.Body, m.End = m.From+by, m.Body+by, m.End+by
	return r.end(m)
}

// emit writes a message with a new header. Where that is as long as the old
// one, and nothing else is to be mended, the body stays where it is.
func (r *rewriter) emit(old mbox.Message, status []byte) (err error) {
	m := old
	m.Bits &^= mbox.BitChanged | mbox.BitUIDless | mbox.BitCR
	m.From = r.pos
	if m.Header, err = r.fromLine(old); err != nil {
		return err
	}
	if err := r.header(old, &m); err != nil {
		return err
	}
	if err := r.write(status); err != nil {
		return err
	}
	m.Body = r.pos
	if old.Bits&mbox.BitCR != 0 {
		err = r.convert(old, &m)
	} else {
		err = r.copy(old.Body, old.End-old.Body)
	}
	m.End = r.pos
	return errors.Join(err, r.end(m))
}

// fromLine writes the From_ line and returns its length.
func (r *rewriter) fromLine(m mbox.Message) (uint32, error) {
	end := make([]byte, 2)
	if err := r.read(end, m.From+int64(m.Header)-2); err != nil {
		return 0, err
	}
	if end[0] != '\r' {
		return m.Header, r.copy(m.From, int64(m.Header))
	}
	return m.Header - 1, errors.Join(r.copy(m.From, int64(m.Header)-2), r.write([]byte{'\n'}))
}

// header writes the visible header lines of old.
func (r *rewriter) header(old mbox.Message, m *mbox.Message) error {
	h := mbox.HeaderReader{W: r.w, Off: old.From + int64(old.Header), End: old.Body}
	lf := r.appender()
	ended, open := false, false
	for {
		ln, blank, err := h.Next()
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
		r.buf = lf.Append(r.buf[:0], ln)
		if err := r.write(r.buf); err != nil {
			return err
		}
	}
	if !ended {
		m.Size += 2
	}
	if open {
		m.Size += 2
		return r.write(append(lf.Flush(nil), '\n'))
	}
	return nil
}

func (r *rewriter) appender() *mbox.LFAppender {
	return &mbox.LFAppender{MMDF: r.b.d.format == mbox.MMDF}
}

// convert writes the body of old with LF line ends.
func (r *rewriter) convert(old mbox.Message, m *mbox.Message) error {
	lf := r.appender()
	for off := old.Body; off < old.End; {
		b, err := r.w.From(off)
		if err != nil {
			return err
		}
		b = b[:min(int64(len(b)), old.End-off)]
		off += int64(len(b))
		r.buf = lf.Append(r.buf[:0], b)
		if bytes.Contains(r.buf, []byte("\r\n")) {
			m.Bits |= mbox.BitCR
		}
		if err := r.write(r.buf); err != nil {
			return err
		}
	}
	return r.write(lf.Flush(nil))
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
