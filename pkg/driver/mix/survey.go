package mix

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sort"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// An extent is a piece of a data file.
type extent struct{ off, end int64 }

func (e extent) len() int64 { return e.end - e.off }

// A dataFile is a data file and whose its octets are.
type dataFile struct {
	number uint32
	size   int64
	listed []extent // of messages that the index lists, ascending
	keep   []extent // must stay: those of messages that stay, and what may be mail
	junk   []extent // no whole message
	weak   []extent // of messages that were expunged, as it seems
	dead   int64    // octets that nobody needs, junk included
}

// A survey is all data files of a mailbox.
type survey struct {
	files []*dataFile // by number
	dead  int64       // octets that nobody needs
}

// survey looks whose the octets of the data files are. Messages that gone says
// are to go; extra are messages that are to stay though the index does not
// list them any more. It is an error where messages are there that the index
// should list and does not: the index was damaged, and what it does not list
// must not be thrown away.
func (h *hold) survey(s *state, gone func(m *message) bool, extra []message) (*survey, error) {
	names, err := entries(h.dir)
	if err != nil {
		return nil, err
	}
	u, at := &survey{}, map[uint32]*dataFile{}
	for _, e := range names {
		n, ok := dataNumber(e.Name())
		if !ok {
			continue
		}
		fi, err := h.d.FS.Stat(filepath.Join(h.dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if !fi.Mode().IsRegular() {
			continue
		}
		at[n] = &dataFile{number: n, size: fi.Size()}
		u.files = append(u.files, at[n])
	}
	sort.Slice(u.files, func(i, k int) bool { return u.files[i].number < u.files[k].number })
	put := func(m *message, stays bool) {
		f := at[m.file]
		if f == nil {
			return
		}
		e := extent{m.pos, m.end()}
		if n := len(f.listed); n > 0 && e.off < f.listed[n-1].end {
			s.backwards = true
		}
		f.listed = append(f.listed, e)
		if stays {
			f.keep = append(f.keep, e)
		}
	}
	for i := range s.msgs {
		put(&s.msgs[i], gone == nil || !gone(&s.msgs[i]))
	}
	for i := range extra {
		f := at[extra[i].file]
		if f == nil {
			continue
		}
		e := extent{extra[i].pos, extra[i].end()}
		f.listed, f.keep = append(f.listed, e), append(f.keep, e)
	}
	if len(extra) > 0 {
		for _, f := range u.files {
			sort.Slice(f.listed, func(i, k int) bool { return f.listed[i].off < f.listed[k].off })
		}
	}
	return u, u.judge(h, s)
}

// judge looks at the octets that no message has.
func (u *survey) judge(h *hold, s *state) error {
	if s.backwards {
		return nil // whose octets are whose is not clear: all stay
	}
	j := newJudge(h, s)
	for _, f := range u.files {
		at := int64(0)
		for _, e := range append(slices.Clone(f.listed), extent{f.size, f.size}) {
			if e.off > at {
				if err := j.gap(f, extent{at, min(e.off, f.size)}); err != nil {
					return err
				}
			}
			at = max(at, e.end)
		}
		f.keep = merge(f.keep)
		f.dead = f.size
		for _, e := range f.keep {
			f.dead -= e.len()
		}
		if s.short[f.number] {
			f.dead = 0 // it ends within a message: all of it stays
		}
		u.dead += f.dead
	}
	return nil
}

// merge sorts extents and joins those that touch.
func merge(all []extent) (out []extent) {
	sort.Slice(all, func(i, k int) bool { return all[i].off < all[k].off })
	for _, e := range all {
		if n := len(out); n > 0 && e.off <= out[n-1].end {
			out[n-1].end = max(out[n-1].end, e.end)
			continue
		}
		out = append(out, e)
	}
	return out
}

// A judge decides about octets that the index does not list.
type judge struct {
	h       *hold
	s       *state
	highest uint32
	trusted bool // the index was written after mail came last
	status  map[uint32]bool
}

func newJudge(h *hold, s *state) *judge {
	j := &judge{h: h, s: s, highest: s.highest(), trusted: s.trusted()}
	if s.statusSeq >= s.indexSeq { // else it was not written after the index
		j.status = map[uint32]bool{}
		for _, r := range s.unlisted {
			j.status[r.uid] = true
		}
	}
	return j
}

// gap goes through the octets e of f, which the index does not list.
func (j *judge) gap(f *dataFile, e extent) error {
	r, err := fsx.OpenQuiet(j.h.d.FS, filepath.Join(j.h.dir, dataName(f.number)))
	if err != nil {
		return err
	}
	defer r.Close() // nothing was written
	for e.off < e.end {
		m, ok, err := readToken(r, f.number, e)
		if err != nil {
			return err
		}
		if !ok {
			return j.noMessage(r, f, e)
		}
		v, err := j.message(&m)
		if err != nil {
			return err
		}
		switch v {
		case stays:
			f.keep = append(f.keep, extent{e.off, m.end()})
		case weak:
			f.weak = append(f.weak, extent{e.off, m.end()})
		}
		e.off = m.end()
	}
	return nil
}

// readToken reads the message that stands at the start of e, as a whole.
func readToken(r io.ReaderAt, file uint32, e extent) (m message, ok bool, err error) {
	var buf [2 * tokenLen]byte
	n, err := r.ReadAt(buf[:min(int64(len(buf)), e.len())], e.off)
	if err != nil && err != io.EOF {
		return m, false, err
	}
	m, _, ok = parseToken(buf[:n])
	m.pos, m.file = e.off, file
	return m, ok && m.end() >= m.pos && m.end() <= e.end, nil
}

// A verdict is what becomes of a message that the index does not list.
type verdict int

const (
	dead  verdict = iota // it was expunged
	weak                 // so it seems: it is saved before that cannot be seen any more
	stays                // another file of the mailbox knows it
)

// message decides about a whole message that the index does not list. What was
// expunged while others had the mailbox open is such a one. It stands before
// messages that are listed, or the index was written after mail came last; when
// keywords were created after that, or an append was killed, nobody can tell.
// It never is one of which the status still knows, unless another session that
// had not looked wrote that.
func (j *judge) message(m *message) (verdict, error) {
	at := byUID{msgs: j.s.msgs}
	switch is := at.find(m.uid); {
	case is != nil && is.size == m.size && is.date == m.date:
		return dead, nil // a copy, left of moving messages
	case is != nil:
		return stays, nil
	case m.uid < j.highest && j.status[m.uid]:
		return stays, nil
	case m.uid < j.highest:
		return dead, nil
	case m.uid <= j.s.meta.uidLast && j.trusted && j.status[m.uid]:
		return stays, nil
	case m.uid <= j.s.meta.uidLast && j.trusted:
		return dead, nil
	case m.uid <= j.s.meta.uidLast && j.s.ends() && !j.status[m.uid]:
		return weak, nil
	}
	return stays, &mailbox.Error{Off: m.pos, Err: fmt.Errorf(
		"%w: %s has a message of UID %d that the index does not list: run mailutil repair before anything is written to the mailbox",
		mailbox.ErrCorrupt, dataName(m.file), m.uid)}
}

// ends reports whether the index ends with a record, as it should.
func (s *state) ends() bool { return s.indexSize > 0 && s.indexSize == s.indexEnd }

// trusted reports whether the index was written after mail came last, so that
// what it does not list was expunged.
func (s *state) trusted() bool { return s.ends() && s.indexSeq >= s.meta.seq }

// noMessage decides about octets that begin with no whole message: what a
// killed append of the original left, or damage.
func (j *judge) noMessage(r io.ReaderAt, f *dataFile, e extent) error {
	buf := make([]byte, windowSize)
	blank := true
	for off := e.off; off < e.end; {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), e.end-off)], off)
		if n == 0 {
			return err
		}
		blank = blank && len(bytes.Trim(buf[:n], "\x00")) == 0
		for i := 0; ; i++ {
			k := bytes.Index(buf[i:n], []byte(token))
			if k < 0 {
				break
			}
			i += k
			m, ok, err := readToken(r, f.number, extent{off + int64(i), e.end})
			if err != nil {
				return err
			}
			if ok {
				return &mailbox.Error{Off: m.pos, Err: fmt.Errorf(
					"%w: %s has a message of UID %d behind damage at octet %d: run mailutil repair before anything is written to the mailbox",
					mailbox.ErrCorrupt, dataName(m.file), m.uid, e.off)}
			}
		}
		next := off + int64(n)
		if next < e.end {
			next = max(off+1, next-int64(len(token))+1) // it may lie across
		}
		off = next
	}
	if !blank {
		f.junk = append(f.junk, e)
	}
	return nil
}

// doubtful tells a reader what would keep him from writing.
func (b *box) doubtful(s *state) error {
	if len(s.msgs) > 0 || s.meta.uidLast == 0 {
		return nil
	}
	_, err := b.survey(s, nil, nil)
	if err != nil {
		b.warn(b.d.fail("open", b.name, err).Error())
	}
	return nil
}
