package mix

import (
	"bytes"
	"hash/maphash"
	"io"
	"path/filepath"

	"mailutil/pkg/internal/node"
)

// messages looks at every message that the index lists.
func (i *inspection) messages() error {
	ends := map[uint32]int64{}
	absent := map[uint32]bool{}
	for k := range i.s.msgs {
		if i.stopped() {
			return nil
		}
		m := &i.s.msgs[k]
		name := dataName(m.file)
		if !i.has(name) {
			if !absent[m.file] {
				i.damage("data-missing", name, beside, k+1, "is missing: no reader opens the mailbox, and the messages in it are lost")
			}
			absent[m.file] = true
			continue
		}
		if m.pos < ends[m.file] {
			i.damage("overlap", name, m.pos, k+1, "begins within the message before it in the index")
		}
		ends[m.file] = max(ends[m.file], m.end())
		if err := i.message(m, k+1); err != nil {
			return err
		}
	}
	return nil
}

// message looks at one message.
func (i *inspection) message(m *message, seq int) error {
	name := dataName(m.file)
	size, err := i.sizeOf(m.file)
	if err != nil {
		return err
	}
	if m.end() > size {
		i.damage("data-short", name, size, seq, "ends %d octets before the end of the message", m.end()-size)
		m.size = max(0, size-m.text())
	}
	if m.pos >= size {
		return nil
	}
	f, err := i.open(name)
	if err != nil {
		return err
	}
	line := make([]byte, min(2*tokenLen, size-m.pos))
	if n, err := f.ReadAt(line, m.pos); n < len(line) {
		return err
	}
	t, length, ok := parseToken(line)
	switch {
	case !ok:
		i.damage("token", name, m.pos, seq, "no message begins here: %.50q", line)
	case t.uid != m.uid:
		i.damage("token-uid", name, m.pos, seq, "the message here has UID %d, the index says %d", t.uid, m.uid)
	case length != int(m.lead):
		i.damage("token-length", name, m.pos, seq, "the line in front of the text has %d octets, the index says %d", length, m.lead)
	case t.size != m.size && m.end() < size:
		i.damage("token-size", name, m.pos, seq, "the message here has %d octets, the index says %d", t.size, m.size)
	case t.date != m.date && storable(t.date) && !storable(m.date):
		i.damage("index-date", name, m.pos, seq, "the date of the message in the index cannot be, the one here can")
	case t.date != m.date:
		i.doubt("token-date", name, m.pos, seq, "the message has another date here than in the index")
	}
	return i.text(m, seq)
}

// sizeOf is the size of a data file.
func (i *inspection) sizeOf(file uint32) (int64, error) {
	f, err := i.open(dataName(file))
	if node.Gone(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return f.fi.Size(), nil
}

// text looks at the octets of a message.
func (i *inspection) text(m *message, seq int) error {
	var end headerEnd
	nuls, bare, at := 0, 0, int64(0)
	last := byte(0)
	var sum maphash.Hash
	sum.SetSeed(textSeed)
	for at < m.size {
		p, err := i.data.at(m.file, m.text()+at, m.size-at)
		if err != nil {
			return err
		}
		end.Write(p)
		if i.digest != nil {
			sum.Write(p)
		}
		nuls += bytes.Count(p, []byte{0})
		bare += bytes.Count(p, []byte("\n")) - bytes.Count(p, crlf)
		if last == '\r' && p[0] == '\n' {
			bare--
		}
		last = p[len(p)-1]
		at += int64(len(p))
	}
	if i.digest != nil {
		if err := i.digest(seq, &sum); err != nil {
			return err
		}
	}
	name := dataName(m.file)
	if end.size() != m.header && m.size > 0 {
		i.wrongHeader[[2]int64{int64(m.file), m.pos}] = true
		i.damage("header-size", indexName, beside, seq, "says that the header has %d octets, it has %d", m.header, end.size())
	}
	if nuls > 0 && int64(nuls) == m.size {
		i.damage("text-wiped", name, m.text(), seq, "all of the text is NULs")
	} else if nuls > 0 {
		i.doubt("nuls", name, m.text(), seq, "the text has %d NULs", nuls)
	}
	if bare > 0 {
		i.doubt("bare-lf", name, m.text(), seq, "the text has %d line ends without CR", bare)
	}
	return nil
}

// rest looks at what is in the data files besides the messages of the index.
func (i *inspection) rest() error {
	listed := map[uint32][]extent{}
	for k := range i.s.msgs {
		m := &i.s.msgs[k]
		listed[m.file] = append(listed[m.file], extent{m.pos, m.end()})
	}
	i.s.meta = i.meta
	j := newJudge(&hold{d: i.d, dir: i.dir}, &i.s)
	for _, name := range i.names {
		n, ok := dataNumber(name)
		if !ok || i.stopped() {
			continue
		}
		f, err := i.open(name)
		if err != nil {
			return err
		}
		if mode := f.fi.Mode().Perm(); mode&0o400 == 0 {
			i.damage("data-mode", name, beside, 0, "has mode %04o: its owner cannot read it", mode)
		}
		at := int64(0)
		for _, e := range append(merge(listed[n]), extent{f.fi.Size(), f.fi.Size()}) {
			if e.off > at {
				if err := i.gap(j, n, f, extent{at, min(e.off, f.fi.Size())}); err != nil {
					return err
				}
			}
			at = max(at, e.end)
		}
	}
	return nil
}

// gap looks at octets that the index does not list.
func (i *inspection) gap(j *judge, file uint32, r io.ReaderAt, e extent) error {
	name := filepath.Base(dataName(file))
	for e.off < e.end && !i.stopped() {
		m, ok, err := readToken(r, file, e)
		if err != nil {
			return err
		}
		if !ok {
			next, err := nextToken(r, file, e)
			if err != nil {
				return err
			}
			i.damage("junk", name, e.off, 0, "%d octets are no message", next-e.off)
			e.off = next
			continue
		}
		at := byUID{msgs: i.s.msgs}
		v, err := j.message(&m)
		switch {
		case err != nil || v == weak || !i.hasMeta || !i.has(indexName):
			i.damage("unlisted", name, m.pos, 0, "a message of UID %d and %d octets is here that the index does not list", m.uid, m.size)
		case v == dead && at.find(m.uid) != nil:
			i.doubt("copy", name, m.pos, 0, "a copy of the message of UID %d is here", m.uid)
		case at.find(m.uid) != nil:
			i.damage("unlisted-other", name, m.pos, 0, "a message is here that the index does not list, with the UID %d of another one", m.uid)
		case v == stays:
			i.damage("unlisted-status", name, m.pos, 0, "a message of UID %d is here that the status knows and the index does not list", m.uid)
		default:
			i.doubt("expunged", name, m.pos, 0, "removed message of UID %d still takes %d octets", m.uid, m.end()-m.pos)
		}
		e.off = m.end()
	}
	return nil
}

// nextToken returns where the next whole message begins in e behind its start,
// or the end of e.
func nextToken(r io.ReaderAt, file uint32, e extent) (int64, error) {
	buf := make([]byte, 64<<10)
	for off := e.off + 1; off < e.end; {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), e.end-off)], off)
		if n == 0 {
			return e.end, err
		}
		for i := 0; ; i++ {
			k := bytes.Index(buf[i:n], []byte(token))
			if k < 0 {
				break
			}
			i += k
			_, ok, err := readToken(r, file, extent{off + int64(i), e.end})
			if ok || err != nil {
				return off + int64(i), err
			}
		}
		next := off + int64(n)
		if next < e.end {
			next = max(off+1, next-int64(len(token))+1)
		}
		off = next
	}
	return e.end, nil
}
