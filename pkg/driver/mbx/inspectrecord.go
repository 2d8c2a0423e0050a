package mbx

import (
	"bytes"
	"time"

	"mailutil/pkg/mailbox"
)

// message reports what is wrong with a message.
func (i *inspection) message(p *piece) error {
	expunged := p.fault == lineGood && p.line.flags&bitExpunged != 0
	seq := uint32(0)
	if !expunged && p.end > p.text {
		i.seq++
		i.In.Messages++
		seq = i.seq
	}
	if p.fault != lineGood {
		i.badLine(p, seq)
	} else if err := i.goodLine(p, seq, expunged); err != nil {
		return err
	}
	i.extent(p, seq)
	return i.text(p, seq)
}

// badLine says why readers stop at a line.
func (i *inspection) badLine(p *piece, seq uint32) {
	if p.wiped {
		i.wipedLine(p, seq)
		return
	}
	if p.text == p.end {
		i.Damage("mbx.torn-tail", p.off, 0, "file ends within an internal line: adding a message was interrupted")
		return
	}
	what := map[lineFault]struct{ code, text string }{
		noCRLF:   {"mbx.line-end", "internal line does not end in CR LF, or has a NUL"},
		noHeader: {"mbx.line-shape", "internal line lacks its comma or semicolon"},
		badFlags: {"mbx.flags", "flags of the internal line are not 12 hexadecimal digits"},
		badUID:   {"mbx.uid", "UID of the internal line is not a hyphen and 8 hexadecimal digits"},
		badSize:  {"mbx.size", "size in the internal line is no number above 0"},
	}[p.fault]
	i.Damage(what.code, p.off, seq, "%s: readers stop here", what.text)
}

// wipedLine says what stands where a line should be.
func (i *inspection) wipedLine(p *piece, seq uint32) {
	n := p.text - p.off
	if n == 0 {
		i.Damage("mbx.line-lost", p.off, seq, "internal line is not there: date, size, flags and UID are lost")
		return
	}
	b := make([]byte, min(n, maxLine))
	if _, err := i.ReadAt(b, p.off); err == nil && nuls(b) < len(b) {
		i.Damage("mbx.line-wiped", p.off, seq, "internal line is overwritten: %.20q", b)
		return
	}
	i.Damage("mbx.line-wiped", p.off, seq, "internal line is %d NULs: date, size, flags and UID are lost", n)
}

// goodLine looks at a line that readers accept.
func (i *inspection) goodLine(p *piece, seq uint32, expunged bool) error {
	b := make([]byte, p.line.length)
	if _, err := i.ReadAt(b, p.off); err != nil {
		return err
	}
	_, err := mailbox.ParseDate(string(p.line.date), time.UTC)
	switch {
	case err != nil && expunged:
		i.Doubt("mbx.date", p.off, 0, "date of a removed message cannot be read: %.40q", p.line.date)
	case err != nil:
		i.Damage("mbx.date", p.off, seq, "date cannot be read: %.40q: readers stop here", p.line.date)
	case !asWritten(b):
		i.Doubt("mbx.line-loose", p.off, seq, "internal line is not as any program writes it: %.64q", bytes.TrimSpace(b))
	}
	l := &p.line
	if l.flags&^bitsKnown != 0 {
		i.Doubt("mbx.flags-unknown", p.off, seq, "flags %04x have no meaning", l.flags&^bitsKnown)
	}
	if l.flags&bitOld != 0 && l.uid == 0 {
		i.Doubt("mbx.old-without-uid", p.off, seq, "message was seen by a session but has no UID")
	}
	if bits := l.keywords &^ i.block.named() &^ i.unnamed; bits != 0 && i.hasBlock && !i.foreign {
		i.unnamed |= bits
		i.Doubt("mbx.keyword-unnamed", p.off, seq, "keywords %08x have no name in the mailbox", bits)
	}
	i.checkUID(p, seq)
	if expunged {
		i.Doubt("mbx.expunged", p.off, 0, "removed message of %s still takes its space", octetsOf(p.end-p.off))
	}
	return nil
}

// asWritten reports whether a line is in the one form that is written.
func asWritten(b []byte) bool {
	size := b[min(dateLen+1, len(b)):]
	return lineEndingAt(b, len(b)) == 0 && size[0] != '0' && !bytes.ContainsAny(b[len(b)-semiBack:], "ABCDEF")
}

// uids is what UIDs so far were.
type uids struct {
	last    uint32 // highest
	missing bool   // a message without one was there since
	most    uint32 // highest above UIDLAST
	mostSeq uint32
}

// checkUID looks whether UIDs ascend.
func (i *inspection) checkUID(p *piece, seq uint32) {
	u, uid := &i.uids, p.line.uid
	switch {
	case uid == 0:
		u.missing = true
		return
	case uid == u.last:
		i.Damage("mbx.uid-twice", p.off, seq, "UID %d is that of a message before: readers give new UIDs", uid)
	case uid < u.last:
		i.Damage("mbx.uid-order", p.off, seq, "UID %d stands behind UID %d: readers give new UIDs", uid, u.last)
	case u.missing:
		i.Damage("mbx.uid-order", p.off, seq, "UID %d stands behind a message without UID: readers give new UIDs", uid)
	}
	u.last, u.missing = max(u.last, uid), false
	if i.hasBlock && !i.foreign && uid > i.block.uidLast && uid > u.most {
		u.most, u.mostSeq = uid, seq
	}
}

// uidLast reports that UIDLAST is too low.
func (i *inspection) uidLast() {
	if i.uids.most > 0 {
		i.Damage("mbx.uidlast-low", uidLastOff, 0, "UIDLAST is %d, but UID %d is there (message %d): readers give new UIDs",
			i.block.uidLast, i.uids.most, i.uids.mostSeq)
	}
}

// extent says what is wrong with the size of a message.
func (i *inspection) extent(p *piece, seq uint32) {
	switch {
	case p.claim == 0 || p.sized():
	case p.end == i.Size && p.end == p.text:
		i.Damage("mbx.torn-tail", p.off, 0, "file ends behind an internal line: adding a message of %d octets was interrupted", p.claim-p.text)
	case p.end == i.Size && p.claim > p.end:
		i.Damage("mbx.torn-tail", p.off, seq, "size is %d octets, but the file ends after %d of them", p.claim-p.text, p.end-p.text)
	case p.claim > p.end:
		i.Damage("mbx.size-long", p.off, seq, "size is %d octets, %d too many: it swallows the internal line of the next message",
			p.claim-p.text, p.claim-p.end)
	default:
		i.Damage("mbx.size-short", p.off, seq, "size is %d octets, %d too few: readers look for the next message within this one",
			p.claim-p.text, p.end-p.claim)
	}
}
