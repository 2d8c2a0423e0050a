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
	if last == 0 || s.Ix.Validity == 0 {
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
	eol := bytes.IndexByte(head, '\n') + 1
	return from + int64(start), isField(head) || isField(head[eol:]), nil
}
