package mboxfile

import (
	"mailutil/pkg/internal/mend"
)

// dropCopies leaves messages out that are there twice, as their UIDs show: a
// region of the file that stands once more behind itself, as an interrupted
// removal leaves it, a message that is the same to the octet, and a sector that
// stands in the place of another. The data of mailboxes that were joined to this
// one are no messages either.
func (m *mender) dropCopies(uids []mend.UID, heads []uint64) error {
	for _, seq := range m.pseudos {
		m.drop(m.ix.Msgs[seq-1].From, m.endOf(int(seq-1)), "the data of a mailbox that was joined to this one")
	}
	first := firsts{uids, map[uint32]int{}, map[uint64]int{}}
	var shared mend.Shared
	done := int64(0) // up to here all is decided
	for i := range uids {
		k, twice, sure := first.find(i, heads[i])
		if !twice || m.ix.Msgs[i].From < done {
			continue
		}
		from, again := m.ix.Msgs[k].From, m.ix.Msgs[i].From
		if err := shared.Grow(m.File, m.start, m.Size, from, again); err != nil {
			return err
		}
		switch {
		case m.sectors(&shared, uids, k, i):
		case shared.Adjoins():
			done = again + (shared.End - from)
			m.drop(from, again, "they are there once more right behind")
		case !sure:
		case shared.End >= m.ix.Msgs[k].End:
			m.drop(again, m.endOf(i), "a message that is there twice")
		case shared.End >= from+m.ix.Msgs[i].End-again && i+1 < len(uids):
			m.drop(from, m.endOf(k), "a message that is there twice, here with other octets behind it")
			first.forget(k, i)
		case shared.End < m.ix.Msgs[k].From+int64(m.ix.Msgs[k].Header) && m.sameText(k, i):
			m.drop(again, m.endOf(i), "a message that is there twice, whose From_ line was another")
		default:
			m.stale(&shared, uids, k, i)
		}
	}
	return nil
}

// sameText reports whether all but the From_ lines of messages k and i is the same.
func (m *mender) sameText(k, i int) bool {
	a, b := &m.ix.Msgs[k], &m.ix.Msgs[i]
	from, again := a.From+int64(a.Header), b.From+int64(b.Header)
	var shared mend.Shared
	if err := shared.Grow(m.File, from, m.Size, from, again); err != nil {
		m.Err = err
		return false
	}
	return a.End-from == b.End-again && shared.End >= a.End
}

// firsts are the first messages with a UID, and with a beginning.
type firsts struct {
	uids   []mend.UID
	byUID  map[uint32]int
	byHead map[uint64]int
}

// find returns the message before i with the same UID, or with the same
// beginning; that is sure where one of the two has lost its UID.
func (f *firsts) find(i int, head uint64) (k int, ok, sure bool) {
	uid := f.uids[i].Now
	if uid != 0 {
		if k, ok = f.byUID[uid]; !ok {
			f.byUID[uid] = i
		}
	}
	other, same := f.byHead[head]
	if !same {
		f.byHead[head] = i
	}
	if sure = ok; !ok && same {
		k, ok, sure = other, true, (uid == 0) != (f.uids[other].Now == 0)
	}
	return k, ok, sure
}

// forget puts message i in the place of message k, which is left out.
func (f *firsts) forget(k, i int) {
	if uid := f.uids[k].Now; uid != 0 {
		f.byUID[uid] = i
	}
}

// endOf is where the next message begins.
func (m *mender) endOf(i int) int64 {
	if i+1 < len(m.ix.Msgs) {
		return m.ix.Msgs[i+1].From
	}
	return m.Size
}

// drop sets octets aside that are there twice, or no mail.
func (m *mender) drop(off, end int64, why string) {
	m.setAside(off, end, false, why)
	m.edit(off, end-off, "")
	m.copied = true
}

// sector is what disks write at once.
const sector = 512

// sectors sets whole sectors aside that are there twice, apart: those of which the
// UIDs are not between those of their neighbours, where that can be told. What is
// around them may be the same by chance.
func (m *mender) sectors(shared *mend.Shared, uids []mend.UID, k, i int) bool {
	const chance = 128
	start, end := (shared.Off+sector-1)/sector*sector, shared.End/sector*sector
	if n := end - start; n < sector || n > maxSectors*sector || shared.By%sector != 0 || start-shared.Off > chance || shared.End-end > chance || shared.Adjoins() {
		return false
	}
	if inOrder(uids, k) || !inOrder(uids, i) {
		start, end = start+shared.By, end+shared.By
	}
	m.drop(start, end, "sectors that stand there instead of others")
	return true
}

// maxSectors are written to a wrong place at once.
const maxSectors = 256

// inOrder reports whether the UID of message i is between those of its neighbours.
// A message before it that has none was torn by what stands there.
func inOrder(uids []mend.UID, i int) bool {
	return uids[i].Now != 0 && (i == 0 || 0 < uids[i-1].Now && uids[i-1].Now < uids[i].Now) && (i+1 == len(uids) || uids[i+1].Now == 0 || uids[i+1].Now > uids[i].Now)
}

// stale sets a sector aside that holds the beginning of message k or i, and
// stands in the place of another one: that of the message whose UID is not
// between those of its neighbours.
func (m *mender) stale(shared *mend.Shared, uids []mend.UID, k, i int) {
	wrong := m.ix.Msgs[i].From
	off, end := shared.Off+shared.By, shared.End+shared.By
	if uids[k].Now == 0 || uids[i].Now != 0 && i > 0 && uids[i-1].Now < uids[i].Now && k > 0 && uids[k-1].Now > uids[k].Now {
		wrong = m.ix.Msgs[k].From
		off, end = shared.Off, shared.End
	}
	start := wrong / sector * sector
	if off > start || end < start+sector || end-off > 2*sector {
		return
	}
	m.drop(start, start+sector, "a sector that stands there instead of another one")
}
