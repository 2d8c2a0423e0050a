package mix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/spool"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Append begins to add mail to n, which must exist unless o.New says that it
// must not. Mail for a mailbox that exists waits in a spool: while it arrives
// only the lock is held that keeps messages from being moved.
func (d *Driver) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, d.fail("append", n, err)
	}
	if o.New {
		t, err := d.appendNew(ctx, n, o)
		if err != nil {
			return nil, d.fail("append", n, err)
		}
		return t, nil
	}
	t := &delivery{ctx: ctx, n: n, d: d}
	if err := t.begin(o); err != nil {
		return nil, d.fail("append", n, errors.Join(err, t.release()))
	}
	return t, nil
}

// A delivery adds mail to a mailbox that exists. It is an append to the data
// file, to the status and to the index, in which the new records stand behind
// a NUL until all else is durable: for us and for the original the index ends
// there. Writing one octet then makes all of the delivery count.
type delivery struct {
	d     *Driver
	ctx   context.Context // of Append; Commit waits for locks within it
	n     mailbox.Name
	b     *files // nil when it is over
	spool spool.Spool
	rec   *recorder
}

func (t *delivery) begin(o mailbox.AppendOptions) error {
	dir, err := t.d.Place(t.n)
	if err != nil {
		return err
	}
	h, err := t.d.hold(t.ctx, dir, true)
	switch {
	case errors.Is(err, mailbox.ErrNotExist):
		return mailbox.Sayf(mailbox.ErrNotExist, "[TRYCREATE] Must create mailbox before append")
	case errors.Is(err, mailbox.ErrFormat), errors.Is(err, mailbox.ErrNotMailbox):
		return mailbox.Sayf(err, "Not a MIX-format mailbox: %.80s", t.n.Text)
	case err != nil:
		return err
	}
	b := newFiles(h, t.n)
	t.b = &b
	if h.readOnly {
		return mailbox.Sayf(mailbox.ErrReadOnly, "Can't open append mailbox")
	}
	err = t.b.locked(t.ctx, lock.Exclusive, lock.Exclusive, func(p *pair, s *state) error { return t.check(p, s) })
	if err != nil {
		return err
	}
	t.spool.Dir = h.dir
	t.rec = newRecorder(t.d, &t.spool, o, slices.Clone(t.b.meta.keywords), h.dir)
	return nil
}

// check looks whether mail may be added, and what the mailbox has.
func (t *delivery) check(p *pair, s *state) error {
	if err := t.b.rollBack(p, s, t.b.warn); err != nil {
		return err
	}
	t.b.meta = s.meta
	if all, err := t.listsAll(s); all || err != nil {
		return err
	}
	_, err := t.b.survey(s, nil, nil)
	return err
}

// listsAll reports whether the index lists the last message that came, and the
// data file for new mail ends with it.
func (t *delivery) listsAll(s *state) (bool, error) {
	if n := len(s.msgs); n == 0 && s.meta.uidLast > 0 || n > 0 && s.msgs[n-1].uid != s.meta.uidLast {
		return false, nil
	}
	fi, err := t.d.FS.Stat(filepath.Join(t.b.dir, dataName(s.meta.newFile)))
	if node.Gone(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	end := int64(0)
	if n := len(s.msgs); n > 0 && s.msgs[n-1].file == s.meta.newFile {
		end = s.msgs[n-1].end()
	}
	return fi.Size() == end, nil
}

// Add adds a message.
func (t *delivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	if t.b == nil {
		return mailbox.Altered{}, t.d.fail("append", t.n, os.ErrClosed)
	}
	alt, err := t.rec.add(it)
	return alt, t.d.fail("append", t.n, err)
}

// Commit makes the messages part of the mailbox, durably.
func (t *delivery) Commit() (mailbox.UIDs, error) {
	if t.b == nil {
		return mailbox.UIDs{}, t.d.fail("append", t.n, os.ErrClosed)
	}
	uids, err := t.commit()
	if err = errors.Join(err, t.release()); err != nil {
		return mailbox.UIDs{}, t.d.fail("append", t.n, err)
	}
	return uids, nil
}

func (t *delivery) commit() (uids mailbox.UIDs, err error) {
	if t.rec.broken != nil {
		return uids, t.rec.broken
	}
	if err := t.ctx.Err(); err != nil {
		return uids, err
	}
	if len(t.rec.items) == 0 && len(t.rec.names.keywords) == len(t.b.meta.keywords) {
		return uids, nil
	}
	err = t.b.locked(t.ctx, lock.Exclusive, lock.Exclusive, func(p *pair, s *state) error {
		if err := t.check(p, s); err != nil {
			return err
		}
		if err := t.b.rescue(s); err != nil {
			return err
		}
		if err := t.saveKeywords(p, s); err != nil || len(t.rec.items) == 0 {
			return err
		}
		w := &addition{t: t, p: p, s: s}
		err := w.run()
		uids = w.uids
		return err
	})
	return uids, err
}

// saveKeywords makes the keywords durable: a power cut after that leaves some
// that nothing bears. Others may have created keywords since Append.
func (t *delivery) saveKeywords(p *pair, s *state) error {
	m := s.meta
	actual := map[uint32]uint32{} // bits of the recorder's names
	for i, name := range t.rec.names.keywords {
		bit := m.bit(name)
		if bit == 0 {
			var err error
			if bit, err = m.create(name); err != nil {
				return fmt.Errorf("%w: another process created keywords at the same time: %w", mailbox.ErrTemporary, err)
			}
		}
		actual[1<<i] = bit
	}
	for i := range t.rec.items {
		a, bits := &t.rec.items[i], uint32(0)
		for bit := uint32(1); bit <= a.keywords && bit != 0; bit <<= 1 {
			if a.keywords&bit != 0 {
				bits |= actual[bit]
			}
		}
		a.keywords = bits
	}
	if len(m.keywords) == len(s.meta.keywords) {
		return nil
	}
	m.seq = t.b.next(s)
	if err := t.b.changeMeta(p, s, m); err != nil {
		return err
	}
	s.meta = m
	return nil
}

// Abort leaves the mailbox as it was.
func (t *delivery) Abort() error { return t.d.fail("append", t.n, t.release()) }

func (t *delivery) release() error {
	err := t.spool.Close()
	if t.b != nil {
		err = errors.Join(err, t.b.data.close(), t.b.f.Close())
	}
	t.b = nil
	return err
}

// An addition writes the messages of a delivery. Index and status are locked
// exclusively and were read.
type addition struct {
	t    *delivery
	p    *pair
	s    *state
	seq  uint32
	msgs []message
	uids mailbox.UIDs

	counted bool // or perhaps so

	files []*dataEnd // data files that are written to
}

// A dataEnd is a data file and where it ended.
type dataEnd struct {
	number uint32
	old    int64
	fresh  bool // it did not exist
	f      fsx.File
}

func (w *addition) run() error {
	if math.MaxUint32-w.s.meta.uidLast < uint32(len(w.t.rec.items)) {
		return fmt.Errorf("%w: no UIDs are left; copy the mailbox to a new one", mailbox.ErrUnsupported)
	}
	if err := w.tidy(); err != nil {
		return err
	}
	w.seq = w.t.b.next(w.s)
	if err := w.place(); err != nil {
		return errors.Join(err, w.undo())
	}
	for _, step := range []func() error{w.announce, w.texts, w.metadata, w.statuses, w.count} {
		if err := step(); err != nil {
			return errors.Join(err, w.undo())
		}
	}
	return w.closeFiles()
}

// tidy makes index and status end with a whole record.
func (w *addition) tidy() error {
	b, s := w.t.b, w.s
	index := s.indexSize > 0 && !s.indexPlain
	status := s.statusSize > 0 && (!s.status.plain || s.outlived() || index && len(s.unlisted) > 0)
	if index {
		if err := b.replaceIndex(w.p, s.msgs, b.next(s)); err != nil {
			return err
		}
	}
	if status {
		if err := b.replaceStatus(w.p, s, b.next(s)); err != nil {
			return err
		}
	}
	if index || status {
		b.state = nil
		if err := b.load(w.p); err != nil {
			return err
		}
		b.state.meta.keywords = s.meta.keywords
		w.s = b.state
	}
	return nil
}

// place gives the messages their UIDs and their places.
func (w *addition) place() error {
	uid := w.s.meta.uidLast
	w.uids = mailbox.UIDs{Validity: w.s.meta.validity, First: uid + 1}
	end, err := w.firstFile()
	if err != nil {
		return err
	}
	pos := end.old
	for i := range w.t.rec.items {
		a := &w.t.rec.items[i]
		uid++
		if pos > 0 && pos+tokenLen+a.size > hugeFile && i > 0 {
			if end, err = w.roll(end.number); err != nil {
				return err
			}
			pos = 0
		}
		m := a.message(uid, end.number, pos, w.seq)
		w.msgs = append(w.msgs, m)
		pos = m.end()
	}
	w.uids.Last = uid
	return nil
}

// firstFile opens the data file that takes new mail. It is left alone when it
// is full, or ends within a message.
func (w *addition) firstFile() (*dataEnd, error) {
	n := w.s.meta.newFile
	path := filepath.Join(w.t.b.dir, dataName(n))
	f, err := w.t.d.FS.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		like, err := w.p.index.Stat()
		if err != nil {
			return nil, err
		}
		f, err := w.t.b.create(dataName(n), like)
		if err != nil {
			return nil, err
		}
		return w.use(&dataEnd{number: n, fresh: true, f: f}), nil
	}
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if size := fi.Size(); size > 0 && (w.s.short[n] || size+tokenLen+w.t.rec.items[0].size > fullFile) {
		if w.s.short[n] {
			w.t.b.warn(fmt.Sprintf("short mix message file %08x, rolling", n))
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		return w.roll(n)
	}
	return w.use(&dataEnd{number: n, old: fi.Size(), f: f}), nil
}

func (w *addition) use(e *dataEnd) *dataEnd {
	w.files = append(w.files, e)
	return e
}

// roll makes the next data file.
func (w *addition) roll(n uint32) (*dataEnd, error) {
	like, err := w.t.d.FS.Stat(filepath.Join(w.t.b.dir, dataName(n)))
	if err != nil {
		return nil, err
	}
	var f fsx.File
	n, err = w.t.b.freeNumber(n, true, func(name string) (err error) {
		f, err = w.t.b.create(name, like)
		return err
	})
	if err != nil {
		return nil, err
	}
	return w.use(&dataEnd{number: n, fresh: true, f: f}), nil
}

// announce writes the new records behind a NUL: from now on whoever finds them
// knows what an interrupted append has written elsewhere.
func (w *addition) announce() error {
	s, f := w.s, w.p.index
	for _, e := range w.files {
		if e.fresh {
			if err := w.t.d.FS.SyncDir(w.t.b.dir); err != nil {
				return err
			}
			break
		}
	}
	var b []byte
	at := s.indexEnd
	if at == 0 {
		b = appendSeq(nil, w.seq)
	}
	for i := range w.msgs {
		b = appendIndex(b, &w.msgs[i])
	}
	b[0] = 0
	if s.indexSize > at {
		if err := f.Truncate(at); err != nil {
			return err
		}
	}
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	if at > 0 {
		if err := writeSeq(f, w.seq); err != nil {
			return err
		}
	}
	return f.Sync()
}

// texts writes the messages, and makes them durable.
func (w *addition) texts() error {
	var out *fsx.Writer
	var to uint32
	weave := weaver{}
	next := func(m *message) error {
		if out != nil && to == m.file {
			return nil
		}
		if out != nil {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		for _, e := range w.files {
			if e.number == m.file {
				out, to = fsx.NewWriter(io.NewOffsetWriter(e.f, e.old)), m.file
			}
		}
		weave.to = out
		return nil
	}
	weave.msgs, weave.next = w.msgs, next
	_, err := w.t.spool.WriteTo(&weave)
	if err == nil {
		err = weave.end()
	}
	if err == nil {
		err = out.Flush()
	} else if out != nil {
		out.Stop()
	}
	var files []fsx.File
	for _, e := range w.files {
		files = append(files, e.f)
	}
	if err != nil {
		return err
	}
	return fsx.SyncAll(files)
}

// A weaver puts a token line in front of each of the texts that are written to
// it one behind the other.
type weaver struct {
	to   io.Writer
	msgs []message // that are to come
	next func(m *message) error
	left int64 // octets of the current text
	line []byte
}

// Write takes octets of texts.
func (w *weaver) Write(p []byte) (int, error) {
	for done := 0; ; {
		if w.left == 0 {
			if done == len(p) {
				return done, nil
			}
			if len(w.msgs) == 0 {
				return done, errors.New("more text than was added")
			}
			m := &w.msgs[0]
			if err := w.next(m); err != nil {
				return done, err
			}
			w.line = appendToken(w.line[:0], m)
			if _, err := w.to.Write(w.line); err != nil {
				return done, err
			}
			w.left, w.msgs = m.size, w.msgs[1:]
		}
		n, err := w.to.Write(p[done : done+int(min(w.left, int64(len(p)-done)))])
		done += n
		w.left -= int64(n)
		if err != nil || done == len(p) {
			return done, err
		}
	}
}

// end is an error where text is missing.
func (w *weaver) end() error {
	if w.left > 0 || len(w.msgs) > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// metadata counts the UIDs, before the index bears them.
func (w *addition) metadata() error {
	m := w.s.meta
	m.seq = w.t.d.later(w.seq)
	m.uidLast = w.uids.Last
	m.newFile = w.msgs[len(w.msgs)-1].file
	return w.t.b.writeMeta(m)
}

// statuses writes the flags.
func (w *addition) statuses() error {
	s, f := w.s, w.p.status
	var b []byte
	at := s.statusEnd
	if at == 0 {
		b = appendSeq(nil, w.seq)
	}
	for i := range w.msgs {
		b = appendStatus(b, w.msgs[i].record())
	}
	if s.statusSize > at {
		if err := f.Truncate(at); err != nil {
			return err
		}
	}
	if at == 0 { // the sequence must not be torn
		b[0] = 0
	}
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	if at > 0 {
		if err := writeSeq(f, w.seq); err != nil {
			return err
		}
		return f.Sync()
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte{'S'}, 0); err != nil {
		return err
	}
	return f.Sync()
}

// count makes the messages count, all at once: it is one octet.
func (w *addition) count() error {
	w.counted = true
	first := []byte{':'}
	if w.s.indexEnd == 0 {
		first = []byte{'S'}
	}
	if _, err := w.p.index.WriteAt(first, w.s.indexEnd); err != nil {
		return err
	}
	if err := w.p.index.Sync(); err != nil {
		return err
	}
	w.t.b.state = nil
	return nil
}

// undo takes back what was written, the announcement last. What it cannot take
// back whoever opens the mailbox next does.
func (w *addition) undo() error {
	s, index := w.s, w.p.index
	w.t.b.state = nil
	if w.counted {
		if _, err := index.WriteAt([]byte{0}, s.indexEnd); err != nil {
			return errors.Join(err, w.closeFiles())
		}
	}
	var err error
	if sizeOf(w.p.status) > s.statusEnd {
		err = errors.Join(w.p.status.Truncate(s.statusEnd), w.p.status.Sync())
	}
	for _, e := range w.files {
		if e.fresh {
			err = errors.Join(err, w.t.d.FS.Remove(filepath.Join(w.t.b.dir, dataName(e.number))))
		} else {
			err = errors.Join(err, e.f.Truncate(e.old), e.f.Sync())
		}
	}
	if err == nil && sizeOf(index) > s.indexEnd {
		if s.indexEnd > 0 { // no mail came, though UIDLAST may have gone up
			err = writeSeq(index, w.t.d.later(w.seq))
		}
		err = errors.Join(err, index.Truncate(s.indexEnd), index.Sync())
	}
	return errors.Join(err, w.closeFiles())
}

// sizeOf is the size of an open file, 0 where that is not to be had.
func sizeOf(f fsx.File) int64 {
	fi, err := f.Stat()
	if err != nil {
		return 0
	}
	return fi.Size()
}

func (w *addition) closeFiles() error {
	var err error
	for _, e := range w.files {
		err = errors.Join(err, e.f.Close())
	}
	w.files = nil
	return err
}
