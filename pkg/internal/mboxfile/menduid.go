package mboxfile

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strconv"
	"strings"

	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/mend"
	"mailutil/pkg/mailbox"
)

// A uidLine is where the X-UID of a message is.
type uidLine struct {
	off, n int64 // n is 0 where there is none, and off where it belongs
	imap   bool  // it is X-IMAP, which counts for UIDs in the pseudo-message only
}

// number gives the messages UIDs that ascend, and the mailbox its UIDVALIDITY.
// Messages that are there twice go.
func (m *mender) number() error {
	uids := make([]mend.UID, len(m.ix.Msgs))
	lines := make([]uidLine, len(m.ix.Msgs))
	heads := make([]uint64, len(m.ix.Msgs))
	base := uidLine{off: -1}
	for i := range m.ix.Msgs {
		var err error
		if heads[i], err = m.uidOf(i, &uids[i], &lines[i], &base); err != nil {
			return err
		}
	}
	if err := m.dropCopies(uids, heads); err != nil || m.copied {
		return err // and look again at what is left
	}
	if m.ix.Pseudo {
		if err := m.baseOf(&m.ix.Internal, &base); err != nil {
			return err
		}
	}
	if !m.ix.Pseudo && len(lines) > 0 && lines[0].n > 0 && lines[0].off < base.off { // it counts for nothing there
		m.edit(lines[0].off, lines[0].n, "")
		lines[0], uids[0] = uidLine{off: base.off + base.n}, mend.UID{Lost: true}
	}
	validity, last, keywords := m.readBase(base)
	last, changed := mend.Number(uids, last)
	if changed || validity == 0 {
		validity = max(uint32(m.r.d.env.Now().Unix()), validity+1)
		m.r.acc.Raised = true
	}
	more := m.merge(&keywords) || base.imap && !m.ix.Pseudo && !m.lacks
	m.writeBase(base, validity, last, keywords, more)
	for i, u := range uids {
		if u.Then == u.Now && !u.Lost || u.Then == 0 && lines[i].n == 0 {
			continue
		}
		if u.Then == 0 {
			m.edit(lines[i].off, lines[i].n, "")
			continue
		}
		m.r.acc.UIDs++
		m.step("write-uid", lines[i].off, lines[i].n, uint32(i)+1, "give it the UID %d", u.Then)
		m.edit(lines[i].off, lines[i].n, fmt.Sprintf("X-UID: %d\n", u.Then))
	}
	return nil
}

// headerOf reads the header of a message.
func (m *mender) headerOf(msg *mbox.Message) ([]byte, int64, error) {
	off := msg.From + int64(msg.Header)
	b := make([]byte, min(msg.Body-off, 4<<20))
	_, err := m.ReadAt(b, off)
	if err == io.EOF {
		err = nil
	}
	return b, off, err
}

// headSeed is of the digests of how messages begin.
var headSeed = maphash.MakeSeed()

// uidOf finds the X-UID of message i, and returns a digest of how it begins. All
// but the first X-UID in a header go.
func (m *mender) uidOf(i int, u *mend.UID, at *uidLine, base *uidLine) (head uint64, err error) {
	b, off, err := m.headerOf(&m.ix.Msgs[i])
	if err != nil {
		return 0, err
	}
	if i == 0 {
		findBase(b, off, base)
	} else {
		m.otherBase(b, off)
	}
	if head, err = m.headDigest(&m.ix.Msgs[i]); err != nil {
		return 0, err
	}
	for len(b) > 0 {
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 { // a delimiter stands behind it
			n = len(b)
		}
		if len(bytes.TrimRight(b[:n], "\r\n")) == 0 {
			break
		}
		if v, ok := bytes.CutPrefix(b[:n], []byte("X-UID:")); ok && at.n > 0 {
			m.keepUID(off, v)
			m.edit(off, int64(n), "")
		} else if ok {
			*at = uidLine{off: off, n: int64(n)}
			uid, err := strconv.ParseUint(string(bytes.TrimLeft(bytes.TrimRight(v, " \r\n"), " ")), 10, 32)
			u.Now, u.Lost = uint32(uid), err != nil || uid == 0 || uid == 1<<32-1
			m.keepUID(off, v)
		} else if v, ok := bytes.CutPrefix(b[:n], []byte("X-Keywords:")); ok && (m.noBase || m.lacks) {
			m.r.names = append(m.r.names, validKeywords(string(v), m.r.names)...)
		}
		b, off = b[n:], off+int64(n)
	}
	if at.n == 0 {
		at.off = off
	}
	return head, nil
}

// keepUID keeps an X-UID line that goes, where its value v is no number: it may have
// been text.
func (m *mender) keepUID(off int64, v []byte) {
	if len(bytes.Trim(v, "0123456789 \r\n")) > 0 {
		m.r.lost = append(m.r.lost, mend.Lost{Off: off, End: off + int64(len("X-UID:")+len(v)), Why: "what was an X-UID", From: m.source()})
	}
}

// headDigest is that of how a message begins: its From_ line and a little behind it.
func (m *mender) headDigest(msg *mbox.Message) (uint64, error) {
	const little = 24
	b := make([]byte, min(int64(msg.Header)+little, m.Size-msg.From))
	if _, err := m.ReadAt(b, msg.From); err != nil && err != io.EOF {
		return 0, err
	}
	return maphash.Bytes(headSeed, b), nil
}

// validKeywords returns the names in a line that can be keywords and are not in
// known.
func validKeywords(line string, known []string) (names []string) {
	for _, word := range strings.Fields(line) {
		if mailbox.ValidKeyword(word) && !slices.Contains(known, word) {
			names = append(names, word)
		}
	}
	return names
}

// baseOf finds X-IMAP in the pseudo-message.
func (m *mender) baseOf(msg *mbox.Message, base *uidLine) error {
	b, off, err := m.headerOf(msg)
	if err == nil {
		findBase(b, off, base)
	}
	return err
}

// findBase finds X-IMAP or X-IMAPbase in a header.
func findBase(b []byte, off int64, base *uidLine) {
	for len(b) > 0 {
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			return
		}
		if bytes.HasPrefix(b, []byte("X-IMAP:")) || bytes.HasPrefix(b, []byte("X-IMAPbase:")) {
			*base = uidLine{off, int64(n), bytes.HasPrefix(b, []byte("X-IMAP:"))}
			return
		}
		b, off = b[n:], off+int64(n)
	}
}

// otherBase takes X-IMAPbase out of a header that is not the first, where a
// mailbox was joined to this one, and remembers its keywords.
func (m *mender) otherBase(b []byte, off int64) {
	other := uidLine{off: -1}
	findBase(b, off, &other)
	if other.off < 0 {
		return
	}
	_, _, names := m.readBase(other)
	m.r.names = append(m.r.names, names...)
	m.step("write-base", other.off, other.n, 0, "leave out the X-IMAPbase of another mailbox, whose keywords stay")
	m.edit(other.off, other.n, "")
}

// merge adds the keywords of mailboxes that were joined to this one, as far as
// there is room.
func (m *mender) merge(keywords *[]string) (more bool) {
	for _, name := range m.r.names {
		if !slices.Contains(*keywords, name) && len(*keywords) < mbox.MaxKeywords {
			*keywords, more = append(*keywords, name), true
		}
	}
	m.r.names = nil
	return more
}

// readBase reads what is left of the line.
func (m *mender) readBase(base uidLine) (validity, last uint32, keywords []string) {
	if base.off < 0 {
		return 0, 0, nil
	}
	b := make([]byte, base.n)
	m.ReadAt(b, base.off) // what cannot be read is not there
	_, value, _ := strings.Cut(string(b), ":")
	for n, word := range strings.Fields(value) {
		number, err := strconv.ParseUint(word, 10, 32)
		switch {
		case n == 0 && err == nil:
			validity = uint32(number)
		case n == 1 && err == nil:
			last = uint32(number)
		case n > 1 && mailbox.ValidKeyword(word) && len(keywords) < mbox.MaxKeywords:
			keywords = append(keywords, word)
		}
	}
	return validity, last, keywords
}

// writeBase writes the line that has UIDVALIDITY, where it changes.
func (m *mender) writeBase(base uidLine, validity, last uint32, keywords []string, more bool) {
	if !more && !m.noBase && !m.lacks && !m.r.acc.Raised && last <= m.ix.Last && base.off >= 0 {
		return
	}
	name, off, n := "X-IMAPbase", base.off, base.n
	if off < 0 && len(m.ix.Msgs) > 0 {
		off = m.ix.Msgs[0].From + int64(m.ix.Msgs[0].Header)
	}
	if m.ix.Pseudo || m.lacks {
		name = "X-IMAP"
	}
	text := fmt.Sprintf("%s: %010d %010d", name, validity, last)
	for _, k := range keywords {
		text += " " + k
	}
	m.step("write-base", off, n, 0, "write %s anew: UIDVALIDITY %d, last UID %d", name, validity, last)
	m.edit(off, n, text+"\n")
}
