package mix

import (
	"bytes"
	"strings"

	"mailutil/pkg/mailbox"
)

const (
	seqLen      = 11        // "S" 8HEX CRLF, which begins each of the three files
	maxMeta     = 1<<20 - 1 // octets of metadata that are read
	maxKeywords = 30        // slots
	maxName     = 50        // octets of a keyword
	badMeta     = "Error in mix metadata record"
)

var crlf = []byte("\r\n")

// A meta is what .mixmeta says.
type meta struct {
	seq      uint32   // goes up with every change
	validity uint32   // UIDVALIDITY; 0 where there is none
	uidLast  uint32   // highest UID ever given
	newFile  uint32   // number of the data file that takes new mail
	keywords []string // slot n is bit n
}

// parseMeta reads metadata. As in the original, what is behind a NUL does not
// count, and a key that is not known is passed over when nothing follows it.
func parseMeta(b []byte) (m meta, err error) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	line, rest, ended := bytes.Cut(b, crlf)
	seq, tail, ok := uint64(0), line, len(line) > 0 && line[0] == 'S'
	if ok {
		seq, tail, ok = takeHex(line[1:])
	}
	if !ok || !ended || len(tail) > 0 {
		return m, corrupt(metaName, 0, "Error in mix metadata file sequence record")
	}
	m.seq = uint32(seq)
	for len(rest) > 0 {
		at := int64(len(b) - len(rest))
		line, rest, ended = bytes.Cut(rest, crlf)
		text := m.parseLine(line)
		if text == "" && !ended {
			text = badMeta
		}
		if text != "" {
			return m, corrupt(metaName, at, "%s", text)
		}
	}
	return m, nil
}

// parseLine reads a line but the first. It returns what the original says of a
// bad one.
func (m *meta) parseLine(line []byte) (bad string) {
	if len(line) == 0 {
		return badMeta
	}
	if line[0] == 'K' {
		return m.parseKeywords(string(line[1:]))
	}
	var to *uint32
	switch line[0] {
	case 'V':
		to, bad = &m.validity, "Error in mix metadata file UIDVALIDITY record"
	case 'L':
		to, bad = &m.uidLast, "Error in mix metadata file UIDLAST record"
	case 'N':
		to, bad = &m.newFile, "Error in mix metadata file new msg record"
	default:
		if len(line) > 1 {
			return badMeta
		}
		return ""
	}
	v, tail, ok := takeHex(line[1:])
	if !ok || line[0] == 'V' && uint32(v) == 0 {
		return bad
	}
	if len(tail) > 0 {
		return badMeta
	}
	*to = uint32(v)
	return ""
}

// parseKeywords reads names with one blank between them.
func (m *meta) parseKeywords(s string) (bad string) {
	m.keywords = nil
	s = strings.TrimSuffix(s, " ")
	if s == "" {
		return ""
	}
	for _, name := range strings.Split(s, " ") {
		if name == "" || len(name) > maxName || len(m.keywords) == maxKeywords {
			return badMeta
		}
		m.keywords = append(m.keywords, name)
	}
	return ""
}

// print returns the octets of m.
func (m *meta) print() []byte {
	b := appendSeq(nil, m.seq)
	for _, f := range []struct {
		key byte
		v   uint32
	}{{'V', m.validity}, {'L', m.uidLast}, {'N', m.newFile}} {
		b = append(appendHex(append(b, f.key), uint64(f.v), 8), crlf...)
	}
	if len(m.keywords) > 0 {
		b = append(append(append(b, 'K'), strings.Join(m.keywords, " ")...), crlf...)
	}
	return b
}

// appendSeq appends the line that begins each of the three files.
func appendSeq(b []byte, seq uint32) []byte {
	return append(appendHex(append(b, 'S'), uint64(seq), 8), crlf...)
}

// bit returns the bit of the keyword name, 0 where there is none.
func (m *meta) bit(name string) uint32 {
	for i, k := range m.keywords {
		if strings.EqualFold(k, name) {
			return 1 << i
		}
	}
	return 0
}

// named is the set of bits that have a name.
func (m *meta) named() uint32 { return 1<<len(m.keywords) - 1 }

// create adds a keyword and returns its bit. The error is ErrUnsupported, in
// the words of the original, where name cannot be a keyword or no slot is free.
func (m *meta) create(name string) (uint32, error) {
	if !mailbox.ValidKeyword(name) {
		return 0, mailbox.Sayf(mailbox.ErrUnsupported, "Invalid flag: %.80s", name)
	}
	if len(m.keywords) == maxKeywords {
		return 0, mailbox.Sayf(mailbox.ErrUnsupported, "Unknown flag: %.80s", name)
	}
	m.keywords = append(m.keywords[:len(m.keywords):len(m.keywords)], name)
	return 1 << (len(m.keywords) - 1), nil
}
