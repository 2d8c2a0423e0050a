package mix

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/mailbox"
)

// next is a sequence above all three of the mailbox.
func (h *hold) next(s *state) uint32 { return h.d.later(s.meta.seq, s.indexSeq, s.statusSeq) }

// writeMeta makes m the metadata, durably. Where only numbers change it is a
// patch, of which each digit is old or new after a power cut; all of them go
// up. Else, when keywords are created, it is a replace. Nobody else may read
// the metadata: the index is locked exclusively.
func (h *hold) writeMeta(m meta) error {
	fi, err := h.f.Stat()
	if err != nil {
		return err
	}
	now, old := m.print(), make([]byte, min(fi.Size(), maxMeta))
	if n, err := h.f.ReadAt(old, 0); n < len(old) {
		return err
	}
	if len(now) != len(old) || !bytes.Equal(keys(now), keys(old)) {
		return h.replace(h.f, func(j *journal.Journal) error {
			_, err := j.Write(now)
			return err
		})
	}
	if _, err := h.f.WriteAt(now, 0); err != nil {
		return err
	}
	return h.f.Sync()
}

// keys is metadata without the digits of its numbers.
func keys(b []byte) []byte {
	b = bytes.Clone(b)
	for i, key := range []byte("SVLN") {
		if at := i * seqLen; len(b) >= at+seqLen && b[at] == key && allHex(b[at+1:at+9]) {
			copy(b[at+1:], "        ")
		}
	}
	return b
}

// writeSeq patches the sequence of an index or a status file that has one. It
// goes up, whichever of its digits a power cut leaves. It is not durable yet.
func writeSeq(f fsx.File, seq uint32) error {
	_, err := f.WriteAt(appendSeq(nil, seq)[:seqLen-2], 0)
	return err
}

// repairLast raises UIDLAST where the index has a higher one.
func (b *box) repairLast(p *pair, s *state) error {
	m, err := readMeta(b.f)
	if err != nil || m.uidLast >= s.meta.uidLast {
		return err
	}
	last := s.meta
	last.seq = b.next(s)
	if err := b.changeMeta(p, s, last); err != nil {
		return err
	}
	s.meta = last
	return nil
}

// markOld notes that a session has seen the messages: they are not recent for
// others. Messages without a record stay recent until there is one.
func (b *box) markOld(p *pair, s *state) error {
	var changed []int
	for i := range s.msgs {
		if m := &s.msgs[i]; m.flags&bitOld == 0 && m.status > 0 {
			m.flags |= bitOld
			changed = append(changed, i)
		}
	}
	if len(changed) == 0 || !s.status.plain {
		return nil
	}
	return b.writeStatus(p, s, b.next(s), changed)
}

// writeStatus makes the flags of the messages changed durable. It is a patch of
// their records, of which each digit is old or new after a power cut, and of
// the sequence; where the file is not as it should be, a replace.
func (b *box) writeStatus(p *pair, s *state, seq uint32, changed []int) error {
	plain := s.status.plain && s.statusSize >= seqLen && !s.outlived()
	for _, i := range changed {
		plain = plain && s.msgs[i].status > 0
	}
	if !plain {
		return b.replaceStatus(p, s, seq)
	}
	if err := writeSeq(p.status, seq); err != nil {
		return err
	}
	for len(changed) > 0 { // neighbours in one go
		run, n := []byte(nil), 0
		first := s.msgs[changed[0]].status
		for ; n < len(changed) && s.msgs[changed[n]].status == first+uint32(n); n++ {
			run = appendStatus(run, s.msgs[changed[n]].record())
		}
		if _, err := p.status.WriteAt(run, seqLen+statusLen*int64(first-1)); err != nil {
			return err
		}
		changed = changed[n:]
	}
	s.statusSeq = seq
	return p.status.Sync()
}

// record is the status record of m.
func (m *message) record() status {
	return status{uid: m.uid, keywords: m.keywords, flags: m.flags, modseq: m.modseq}
}

// outlived reports whether the status has records of messages that were removed:
// the index was written after it.
func (s *state) outlived() bool { return len(s.unlisted) > 0 && s.statusSeq < s.indexSeq }

// replaceIndex writes the index anew: the messages of msgs.
func (h *hold) replaceIndex(p *pair, msgs []message, seq uint32) error {
	return h.replace(p.index, func(j *journal.Journal) error {
		buf := appendSeq(nil, seq)
		for i := range msgs {
			buf = appendIndex(buf, &msgs[i])
			if len(buf) >= 32<<10 {
				if _, err := j.Write(buf); err != nil {
					return err
				}
				buf = buf[:0]
			}
		}
		_, err := j.Write(buf)
		return err
	})
}

// rollBack takes back an append that was interrupted before its records
// counted: they stand behind a NUL at the end of the index. What is on the way
// there is cut off: first its status, then its texts, the index last, so that a
// crash leaves something to find it by.
func (h *hold) rollBack(p *pair, s *state, warn func(string)) error {
	pending, err := h.unfinished(p, s)
	if err != nil || len(pending) == 0 {
		return err
	}
	if err := h.cutStatus(p, s, pending[0].uid); err != nil {
		return err
	}
	cut := map[uint32]bool{}
	for i := range pending {
		if m := &pending[i]; !cut[m.file] {
			cut[m.file] = true
			if err := h.cutData(m); err != nil {
				return err
			}
		}
	}
	if s.meta.seq > s.indexSeq { // UIDLAST went up, but no mail came
		if err := writeSeq(p.index, s.meta.seq); err != nil {
			return err
		}
		s.indexSeq = s.meta.seq
	}
	if err := errors.Join(p.index.Truncate(s.indexEnd), p.index.Sync()); err != nil {
		return err
	}
	s.indexSize = s.indexEnd
	warn(fmt.Sprintf("%s: an append of %d messages was interrupted, and none of them is there", h.dir, len(pending)))
	return nil
}

// unfinished returns the records behind a NUL at the end of the index.
func (h *hold) unfinished(p *pair, s *state) (out []message, err error) {
	n := s.indexSize - s.indexEnd
	if n < indexLen || n > 1<<30 {
		return nil, nil
	}
	tail := make([]byte, n)
	if k, err := p.index.ReadAt(tail, s.indexEnd); k < len(tail) {
		return nil, err
	}
	if tail[0] != 0 || !bytes.HasSuffix(tail, crlf) {
		return nil, nil
	}
	if s.indexEnd > 0 {
		tail[0] = ':'
	} else if line, rest, _ := bytes.Cut(tail, crlf); len(line) == seqLen-2 {
		tail = rest
	}
	for last := s.highest(); len(tail) > 0; {
		line, rest, _ := bytes.Cut(tail, crlf)
		if len(line) == 0 || line[0] != ':' {
			return nil, nil
		}
		m, field, _ := parseIndex(line)
		if field != "" || m.uid <= last {
			return nil, nil
		}
		last = m.uid
		out = append(out, m)
		tail = rest
	}
	return out, nil
}

// cutStatus removes the records of UIDs from first on, which are the last of
// the file.
func (h *hold) cutStatus(p *pair, s *state, first uint32) error {
	n := 0
	for _, r := range s.unlisted {
		if r.uid >= first {
			n++
		}
	}
	if n == 0 && s.statusSize == s.statusEnd || !s.status.plain {
		return nil
	}
	s.status.count -= n
	s.unlisted = s.unlisted[:len(s.unlisted)-n]
	if s.statusEnd > 0 {
		s.statusEnd = seqLen + statusLen*int64(s.status.count)
	}
	s.statusSize = s.statusEnd
	return errors.Join(p.status.Truncate(s.statusEnd), p.status.Sync())
}

// cutData removes what was written of m and of what follows it, unless it is
// something else.
func (h *hold) cutData(m *message) error {
	path := filepath.Join(h.dir, dataName(m.file))
	fi, err := h.d.FS.Stat(path)
	if err != nil || fi.Size() <= m.pos {
		return nil // not begun
	}
	f, err := h.d.FS.OpenFile(path, rdwr, 0)
	if err != nil {
		return err
	}
	is, ok, err := readToken(f, m.file, extent{m.pos, fi.Size()})
	if err == nil && ok && is.uid != m.uid {
		err = &mailbox.Error{Off: m.pos, Err: fmt.Errorf("%w: %s has a message that the index does not list: run mailutil repair",
			mailbox.ErrCorrupt, dataName(m.file))}
	}
	if err == nil {
		err = errors.Join(f.Truncate(m.pos), f.Sync())
	}
	return errors.Join(err, f.Close())
}
