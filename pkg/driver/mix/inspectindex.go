package mix

import (
	"errors"

	"mailutil/pkg/mailbox"
)

// index looks at the records of the index, and goes on behind bad ones.
func (i *inspection) index() error {
	if i.absent(indexName, "index-missing", "where its messages are must be found out anew") {
		return nil
	}
	f, err := i.open(indexName)
	if err != nil {
		return err
	}
	i.s.indexSize = f.fi.Size()
	l := newLines(f, i.s.indexSize, indexName, "index", func(string) {})
	seq, ok, err := l.readSeq()
	if err != nil {
		return i.oversize(err, "index-record")
	}
	i.s.indexSeq = seq
	if !ok {
		i.damage("index-sequence", indexName, 0, 0, "does not begin with a sequence: no reader opens the mailbox: %.60q", l.text)
	}
	for !l.empty && !i.stopped() {
		ok, err := l.read()
		if err != nil {
			return i.oversize(err, "index-record")
		}
		if !ok {
			break
		}
		i.indexRecord(l)
		i.s.indexEnd = l.next
	}
	i.whole = true
	if l.off < i.s.indexSize && l.next > 0 && !l.whole && len(l.text) == 0 {
		i.doubt("index-unfinished", indexName, l.off, 0, "adding messages was interrupted: what is behind this does not count")
	}
	return nil
}

// oversize reports a line that no reader takes; other errors stay errors.
func (i *inspection) oversize(err error, code string) error {
	e, ok := errors.AsType[*mailbox.Error](err)
	if !ok {
		return err
	}
	i.damage(code, indexName, e.Off, 0, "a record is longer than %d octets: readers stop here", lineBuffer)
	return nil
}

// indexRecord looks at one record.
func (i *inspection) indexRecord(l *lines) {
	if l.text[0] != ':' {
		i.damage("index-record", indexName, l.off, 0, "a record does not begin with a colon: no reader opens the mailbox: %.60q", l.text)
		return
	}
	m, field, rest := parseIndex(l.text)
	seq := len(i.s.msgs) + 1
	if field != "" {
		code := "index-record"
		if !l.whole {
			code = "index-torn"
		}
		i.damage(code, indexName, l.off, seq, "%s cannot be read: no reader opens the mailbox: %.60q", field, rest)
		return
	}
	if string(appendIndex(nil, &m)) != string(l.text)+"\r\n" || !l.whole {
		i.doubt("index-loose", indexName, l.off, seq, "a record is not as any program writes it: %.90q", l.text)
	}
	if n := len(i.s.msgs); n > 0 && m.uid <= i.s.msgs[n-1].uid {
		if m.uid == i.s.msgs[n-1].uid {
			i.damage("uid-twice", indexName, l.off, seq, "UID %d is listed twice", m.uid)
		} else {
			i.damage("uid-order", indexName, l.off, seq, "UID %d stands behind UID %d", m.uid, i.s.msgs[n-1].uid)
		}
	}
	if i.hasMeta && m.uid > i.meta.uidLast {
		i.damage("uidlast-low", indexName, l.off, seq, "UID %d is above the last UID of the metadata, %d: readers refuse it, and UIDs may be given twice", m.uid, i.meta.uidLast)
	}
	i.s.msgs = append(i.s.msgs, m)
	i.in.Messages++
}

// statuses looks at the records of the status file.
func (i *inspection) statuses() error {
	if i.absent(statusName, "status-missing", "all flags and keywords are lost") {
		return nil
	}
	f, err := i.open(statusName)
	if err != nil {
		return err
	}
	l := newLines(f, f.fi.Size(), statusName, "status", func(string) {})
	seq, ok, err := l.readSeq()
	if err != nil {
		return i.oversize(err, "status-record")
	}
	i.s.statusSeq = seq
	if !ok {
		i.damage("status-sequence", statusName, 0, 0, "does not begin with a sequence: the original shows no flags, and loses them at the next change: %.60q", l.text)
	}
	seen := map[uint32]bool{}
	for !l.empty && !i.stopped() {
		ok, err := l.read()
		if err != nil {
			return i.oversize(err, "status-record")
		}
		if !ok {
			break
		}
		i.statusRecord(l, f.fi.Size(), seen)
	}
	if len(seen) == 0 && len(i.s.msgs) > 0 {
		i.damage("status-empty", statusName, 0, 0, "has no records: flags and keywords of all messages are lost")
		return nil
	}
	for k := range i.s.msgs {
		if m := &i.s.msgs[k]; !seen[m.uid] {
			i.damage("status-lacking", statusName, beside, k+1, "has no record of UID %d: its flags and keywords are lost", m.uid)
		}
	}
	return nil
}

// statusRecord looks at one record.
func (i *inspection) statusRecord(l *lines, size int64, seen map[uint32]bool) {
	r, ok := parseStatus(l.text)
	if !ok {
		code, what := "status-record", "a record cannot be read: the original loses the flags of all messages behind it"
		if !l.whole && l.next == size {
			code, what = "status-torn", "the last record is torn"
		}
		i.damage(code, statusName, l.off, 0, "%s: %.60q", what, l.text)
		return
	}
	at := byUID{msgs: i.s.msgs}
	seq := 0
	if at.find(r.uid) != nil {
		seq = at.next + 1
	} else {
		i.s.unlisted = append(i.s.unlisted, r)
		i.doubt("status-unlisted", statusName, l.off, 0, "has a record of UID %d, which the index does not list", r.uid)
	}
	if seen[r.uid] {
		i.doubt("status-twice", statusName, l.off, seq, "has two records of UID %d", r.uid)
	}
	seen[r.uid] = true
	const known = bitSeen | bitDeleted | bitFlagged | bitAnswered | bitOld | bitDraft
	if r.flags&^known != 0 {
		i.doubt("flags-unknown", statusName, l.off, seq, "flags %04x have no meaning", r.flags&^known)
	}
	if bits := r.keywords &^ i.meta.named() &^ i.unnamed; bits != 0 && i.hasMeta {
		i.unnamed |= bits
		i.doubt("keyword-unnamed", statusName, l.off, seq, "keywords %08x have no name in the mailbox", bits)
	}
}
