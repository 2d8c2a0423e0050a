package mix

import (
	"bytes"
	"fmt"
	"io"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/sysbits"
	"mailutil/pkg/mailbox"
)

// The lines of .mixindex and .mixstatus and the line in front of each message,
// as they are written; all fields have a fixed length.
const (
	indexLen  = 77 // ":" uid ":" date ":" size ":" file ":" pos ":" isiz ":" hsiz ":" CRLF
	statusLen = 35 // ":" uid ":" keywords ":" flags ":" modseq ":" CRLF
	tokenLen  = 45 // ":msg:" uid ":" date ":" size ":" CRLF
	dateLen   = 19 // YYYYMMDDhhmmss+hhmm

	token = ":msg:"
)

// The flags of a status record, as they are stored.
const (
	bitSeen     = sysbits.Seen
	bitDeleted  = sysbits.Deleted
	bitFlagged  = sysbits.Flagged
	bitAnswered = sysbits.Answered
	bitOld      = sysbits.Old
	bitDraft    = sysbits.Draft
)

// A message is what index and status say of it.
type message struct {
	pos      int64 // of the token line in the data file
	size     int64 // of the text
	header   int64 // of its header, with the empty line
	uid      uint32
	file     uint32 // number of the data file
	lead     uint32 // length of the token line
	keywords uint32
	modseq   uint32 // sequence of the status at the last change
	status   uint32 // number of its record in the status file, from 1; 0 for none
	date     mailbox.Date
	flags    uint16
	recent   bool // in this session
}

// text is the offset of the text.
func (m *message) text() int64 { return m.pos + int64(m.lead) }

// end is the offset behind the text.
func (m *message) end() int64 { return m.text() + m.size }

// parseIndex reads a record of the index, without its line end. For a bad one
// it returns the name of the bad field, and from there on.
func parseIndex(line []byte) (m message, field string, rest []byte) {
	b := line[1:]
	number := func(name string, most uint64) (v uint64) {
		if field != "" {
			return 0
		}
		v, tail, ok := takeHex(b)
		if !ok || v > most || len(tail) == 0 || tail[0] != ':' {
			field = name
			return 0
		}
		b = tail[1:]
		return v
	}
	const most32, most63 = 1<<32 - 1, 1<<63 - 1
	if m.uid = uint32(number("UID", most32)); m.uid == 0 && field == "" {
		field, b = "UID", line[1:]
	}
	if field == "" {
		var ok bool
		if m.date, ok = parseDate(b); !ok || len(b) <= dateLen || b[dateLen] != ':' {
			return m, "internaldate", b
		}
		b = b[dateLen+1:]
	}
	m.size = int64(number("size", most63))
	m.file = uint32(number("file#", most32))
	m.pos = int64(number("message position", most63))
	m.lead = uint32(number("header position", most32))
	v, tail, ok := takeHex(b)
	switch {
	case field != "":
	case !ok || v > most63:
		field = "header size"
	case len(tail) == 0 || tail[0] != ':':
		field, b = "expansion", tail
	case m.end() < m.pos || m.text() < m.pos:
		field = "size"
	}
	m.header = min(int64(v), m.size)
	return m, field, b
}

// appendIndex appends the record of m.
func appendIndex(b []byte, m *message) []byte {
	b = append(b, ':')
	b = append(appendHex(b, uint64(m.uid), 8), ':')
	b = append(appendDate(b, m.date), ':')
	for _, v := range []uint64{uint64(m.size), uint64(m.file), uint64(m.pos), uint64(m.lead), uint64(m.header)} {
		b = append(appendHex(b, v, max(8, hexLen(v))), ':')
	}
	return append(b, crlf...)
}

// hexLen is how many hex digits v needs: messages and files may be larger than
// 4 GiB.
func hexLen(v uint64) (n int) {
	for ; v > 0; v >>= 4 {
		n++
	}
	return n
}

// parseDate reads the date that b begins with.
func parseDate(b []byte) (d mailbox.Date, ok bool) {
	if len(b) < dateLen || b[14] != '+' && b[14] != '-' {
		return d, false
	}
	for i := range dateLen {
		if i != 14 && !isDigit(b[i]) {
			return d, false
		}
	}
	two := func(i int) int { return int(b[i]-'0')*10 + int(b[i+1]-'0') }
	d = mailbox.Date{
		Year: uint16(two(0)*100 + two(2)), Month: uint8(two(4)), Day: uint8(two(6)),
		Hour: uint8(two(8)), Minute: uint8(two(10)), Second: uint8(two(12)),
		Zone: int16(two(15)*60 + two(17)),
	}
	if b[14] == '-' {
		d.MinusZero = d.Zone == 0
		d.Zone = -d.Zone
	}
	return d, true
}

// appendDate appends a date.
func appendDate(b []byte, d mailbox.Date) []byte {
	zone, sign := int(d.Zone), byte('+')
	if zone < 0 || d.MinusZero {
		zone, sign = -zone, '-'
	}
	return fmt.Appendf(b, "%04d%02d%02d%02d%02d%02d%c%02d%02d",
		d.Year, d.Month, d.Day, d.Hour, d.Minute, d.Second, sign, zone/60, zone%60)
}

// storable reports whether the format can hold a date. The original keeps
// years in 7 bits.
func storable(d mailbox.Date) bool {
	return 1970 <= d.Year && d.Year <= 2097 && flocked.Storable(d)
}

// A status is a record of the status file.
type status struct {
	uid, keywords, modseq uint32
	flags                 uint16
}

// parseStatus reads a record of the status file, without its line end.
func parseStatus(line []byte) (s status, ok bool) {
	b := line
	var v [4]uint64
	for i := range v {
		if len(b) == 0 || b[0] != ':' {
			return s, false
		}
		if v[i], b, ok = takeHex(b[1:]); !ok {
			return s, false
		}
	}
	s = status{uid: uint32(v[0]), keywords: uint32(v[1]), flags: uint16(v[2]), modseq: uint32(v[3])}
	return s, v[0] != 0 && v[0] < 1<<32 && len(b) > 0 && b[0] == ':'
}

func appendStatus(b []byte, s status) []byte {
	b = append(appendHex(append(b, ':'), uint64(s.uid), 8), ':')
	b = append(appendHex(b, uint64(s.keywords), 8), ':')
	b = append(appendHex(b, uint64(s.flags), 4), ':')
	b = append(appendHex(b, uint64(s.modseq), 8), ':')
	return append(b, crlf...)
}

// parseToken reads the token line that b begins with. length is that of the
// line with its end.
func parseToken(b []byte) (m message, length int, ok bool) {
	line, _, ended := bytes.Cut(b, crlf)
	if !ended || !bytes.HasPrefix(line, []byte(token)) {
		return m, 0, false
	}
	length = len(line) + 2
	uid, line, ok := takeHex(line[len(token):])
	if !ok || uid == 0 || uid >= 1<<32 || len(line) < dateLen+2 || line[0] != ':' {
		return m, 0, false
	}
	m.uid, m.lead = uint32(uid), uint32(length)
	if m.date, ok = parseDate(line[1:]); !ok || line[dateLen+1] != ':' {
		return m, 0, false
	}
	size, line, ok := takeHex(line[dateLen+2:])
	m.size = int64(size)
	return m, length, ok && size < 1<<62 && len(line) > 0 && line[0] == ':'
}

func appendToken(b []byte, m *message) []byte {
	b = append(appendHex(append(b, token...), uint64(m.uid), 8), ':')
	b = append(appendDate(b, m.date), ':')
	b = append(appendHex(b, uint64(m.size), max(8, hexLen(uint64(m.size)))), ':')
	return append(b, crlf...)
}

// A headerEnd finds the end of a header as the original does: four octets CR
// LF CR LF, where an octet that does not fit begins the search anew behind it.
type headerEnd struct {
	to    io.Writer // where what was looked at goes; nil for nowhere
	n     int64     // octets seen
	state int
	at    int64 // length of the header, 0 as long as it has not ended
}

// Write looks at more octets.
func (h *headerEnd) Write(p []byte) (int, error) {
	h.look(p)
	h.n += int64(len(p))
	if h.to == nil {
		return len(p), nil
	}
	return h.to.Write(p)
}

func (h *headerEnd) look(p []byte) {
	if h.at > 0 {
		return
	}
	for i, c := range p {
		if c != "\r\n\r\n"[h.state] {
			h.state = 0
			continue
		}
		if h.state++; h.state == 4 {
			h.at = h.n + int64(i) + 1
			break
		}
	}
}

// size is the length of the header; without an end it is all.
func (h *headerEnd) size() int64 {
	if h.at > 0 {
		return h.at
	}
	return h.n
}
