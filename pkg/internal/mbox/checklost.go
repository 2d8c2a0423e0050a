package mbox

import (
	"bytes"
	"io"
)

// An innerUID is an X-UID line in a body, as the original writes it behind the
// other status headers: a message whose From_ line is lost may be there.
type innerUID struct {
	off int64
	uid uint32
}

// statusTail is how a status block ends.
const statusTail = "\nX-UID: "

// addUIDs looks for X-UID lines.
func (k *bodyCheck) addUIDs(b []byte, new int, off int64) {
	for at := 0; len(k.uids) < maxGarbled; {
		i := bytes.Index(b[at:], []byte(statusTail))
		if i < 0 {
			return
		}
		at += i + len(statusTail)
		uid, _, ok := parseNumber(b[at:])
		if at > new && ok {
			k.uids = append(k.uids, innerUID{off + int64(at-len(statusTail)+1), uid})
		}
	}
}

// lost reports the messages in the body of the last message whose From_ lines
// are lost: their UIDs are between its own and next, that of the message behind
// it (0: there is none, or it has none).
func (c *Check) lost(s *Scanner, next uint32) error {
	inner, last := c.inner, c.last
	c.inner = nil
	if last == 0 && !(s.Ix.Pseudo && len(s.Ix.Msgs) == 0) || s.Ix.Validity == 0 {
		return nil
	}
	for _, in := range inner {
		if in.uid <= last || next != 0 && in.uid >= next || next == 0 && in.uid > s.Ix.Last {
			continue
		}
		at, ok, err := c.headOf(in.off)
		if err != nil {
			return err
		}
		if ok {
			last = in.uid
			c.damage("from-lost", at, uint32(len(s.Ix.Msgs)), "message with the UID %d begins within the text of this one: its From_ line is lost", in.uid)
		}
	}
	return nil
}

// headOf returns where the header begins that has a status block with the X-UID
// line at off.
func (c *Check) headOf(off int64) (at int64, ok bool, err error) {
	from := max(off-16<<10, 0)
	b := make([]byte, off-from)
	if _, err := c.ReadAt(b, from); err != nil && err != io.EOF {
		return 0, false, err
	}
	start := bytes.LastIndex(b, []byte("\n\n")) + 2
	if c.format == MMDF {
		start = max(start, bytes.LastIndex(b, []byte(Delimiter))+len(Delimiter))
	}
	head := b[start:]
	if start < 2 || !bytes.HasPrefix(head, []byte("Status: ")) && !bytes.Contains(head, []byte("\nStatus: ")) {
		return 0, false, nil
	}
	line := head[bytes.LastIndexByte(head[:max(len(head)-1, 0)], '\n')+1:]
	if !bytes.HasPrefix(line, []byte("X-Keywords:")) {
		return 0, false, nil
	}
	return from + int64(start), true, nil
}

// tornFrom reports whether what the file ends with, behind an empty line, is
// the beginning of a From_ line.
func (c *Check) tornFrom(m *Message, end int64) bool {
	b := make([]byte, min(end-m.Body, 256))
	if n, _ := c.ReadAt(b, end-int64(len(b))); n < len(b) {
		return false
	}
	i := bytes.LastIndex(b, []byte("\n\nFrom "))
	if i < 0 || bytes.IndexByte(b[i+2:], '\n') >= 0 {
		return false
	}
	words := bytes.Fields(b[i+2:])
	return len(words) < 2 || bytes.IndexByte(words[1], '@') > 0 || len(words) > 2 && len(words[2]) == 3
}

// badFrom reports whether the header of m, which has no From_ line, begins with
// a line that was one: it is no field, and the message was in a mailbox.
func (c *Check) badFrom(m *Message) (bool, error) {
	b := make([]byte, min(m.Body-m.From, 64<<10))
	if _, err := c.ReadAt(b, m.From); err != nil && err != io.EOF {
		return false, err
	}
	first := b[:bytes.IndexByte(b, '\n')+1]
	wiped := bytes.IndexByte(first, 0) >= 0 || bytes.IndexByte(first, 0xFF) >= 0
	return (nearFrom(first) || wiped) && bytes.Contains(b, []byte("\nX-UID: ")), nil
}
