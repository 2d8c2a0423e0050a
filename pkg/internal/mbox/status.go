package mbox

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"mailutil/pkg/mailbox"
)

// The fields that hold the state of a message and of the mailbox. Readers of
// mail never see them.
type field int

const (
	notOurs field = iota
	fieldStatus
	fieldXStatus
	fieldXKeywords
	fieldXUID
	fieldXIMAP
	fieldXIMAPbase
)

var fieldNames = [...]string{
	fieldStatus: "Status", fieldXStatus: "X-Status", fieldXKeywords: "X-Keywords",
	fieldXUID: "X-UID", fieldXIMAP: "X-IMAP", fieldXIMAPbase: "X-IMAPbase",
}

// hiddenField says which of our fields a header line is. Any spelling is ours,
// but only an exact one is believed: the name must have this case and be
// followed by the colon at once. value is what follows the colon.
func hiddenField(ln []byte) (f field, exact bool, value []byte) {
	if len(ln) < 5 || ln[0]|0x20 != 's' && ln[0]|0x20 != 'x' {
		return notOurs, false, nil
	}
	n := 0
	for n < len(ln) && n <= len("X-IMAPbase") && ln[n] > ' ' && ln[n] != ':' && ln[n] != 0x7F {
		n++
	}
	for f := fieldStatus; f <= fieldXIMAPbase; f++ {
		name := fieldNames[f]
		if len(name) == n && strings.EqualFold(name, string(ln[:n])) {
			exact = n < len(ln) && ln[n] == ':' && name == string(ln[:n])
			if exact {
				value = ln[n+1:]
			}
			return f, exact, value
		}
	}
	return notOurs, false, nil
}

// parseStatus reads the letters of Status and X-Status, in either.
func parseStatus(value []byte) (sys mailbox.SystemFlags, old bool) {
	for _, c := range value {
		switch c {
		case 'R':
			sys |= mailbox.Seen
		case 'O':
			old = true
		case 'D':
			sys |= mailbox.Deleted
		case 'F':
			sys |= mailbox.Flagged
		case 'A':
			sys |= mailbox.Answered
		case 'T':
			sys |= mailbox.Draft
		}
	}
	return sys, old
}

// MaxKeywords is how many keywords a mailbox can have, maxKeywordLen how many
// octets each.
const (
	MaxKeywords   = 30
	maxKeywordLen = 50
)

// KeywordIndex finds a keyword in any case; -1 for none.
func KeywordIndex(table []string, name string) int {
	for i, k := range table {
		if strings.EqualFold(k, name) {
			return i
		}
	}
	return -1
}

// parseKeywords reads the words of X-Keywords that the mailbox knows.
func parseKeywords(value []byte, table []string) (bits uint64) {
	for word := range bytes.FieldsFuncSeq(value, isWordEnd) {
		if i := KeywordIndex(table, string(word)); i >= 0 {
			bits |= 1 << i
		}
	}
	return bits
}

func isWordEnd(r rune) bool { return r == ' ' || r == '\n' || r == '\r' }

// parseBase reads "UIDVALIDITY UIDLAST [KEYWORD]...". It is all or nothing.
func parseBase(value []byte) (validity, last uint32, keywords []string, ok bool) {
	validity, rest, ok := parseNumber(bytes.TrimLeft(value, " "))
	if !ok || validity == 0 || len(rest) == 0 || rest[0] != ' ' {
		return 0, 0, nil, false
	}
	last, rest, ok = parseNumber(bytes.TrimLeft(rest, " "))
	if !ok {
		return 0, 0, nil, false
	}
	for word := range bytes.FieldsFuncSeq(rest, isWordEnd) {
		if len(keywords) == MaxKeywords {
			break
		}
		if len(word) <= maxKeywordLen {
			keywords = append(keywords, string(word))
		}
	}
	return validity, last, keywords, true
}

// parseNumber reads a decimal number of 32 bits.
func parseNumber(b []byte) (n uint32, rest []byte, ok bool) {
	var v uint64
	i := 0
	for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
		if v = v*10 + uint64(b[i]-'0'); v > math.MaxUint32 {
			return 0, nil, false
		}
	}
	return uint32(v), b[i:], i > 0
}

// The status block is filled up to these lengths, so that most changes fit.
const (
	padding     = 50
	paddingBase = 80 // with X-IMAPbase
)

// A State is what the status block of a message says.
type State struct {
	Base     bool // X-IMAPbase goes first: validity, last and all keywords
	Validity uint32
	Last     uint32
	Table    []string
	Flags    mailbox.Flags
	Old      bool   // O: no longer recent
	UID      uint32 // 0: no X-UID line
}

// Append appends the status block.
func (s State) Append(b []byte) []byte {
	start, fill := len(b), padding
	if s.Base {
		fill = paddingBase
		b = append(b, "X-IMAPbase: "...)
		b = strconv.AppendUint(b, uint64(s.Validity), 10)
		b = append(b, ' ')
		b = strconv.AppendUint(b, uint64(s.Last), 10)
		b = appendWords(b, s.Table, math.MaxUint64)
		b = append(b, '\n')
	}
	letter := func(on bool, c byte) {
		if on {
			b = append(b, c)
		}
	}
	sys := s.Flags.System
	b = append(b, "Status: "...)
	letter(sys&mailbox.Seen != 0, 'R')
	letter(s.Old, 'O')
	b = append(b, "\nX-Status: "...)
	letter(sys&mailbox.Deleted != 0, 'D')
	letter(sys&mailbox.Flagged != 0, 'F')
	letter(sys&mailbox.Answered != 0, 'A')
	letter(sys&mailbox.Draft != 0, 'T')
	b = append(b, "\nX-Keywords:"...)
	b = appendWords(b, s.Table, s.Flags.Keywords)
	for len(b)-start < fill {
		b = append(b, ' ')
	}
	b = append(b, '\n')
	if s.UID != 0 {
		b = append(b, "X-UID: "...)
		b = strconv.AppendUint(b, uint64(s.UID), 10)
		b = append(b, '\n')
	}
	return b
}

func appendWords(b []byte, table []string, bits uint64) []byte {
	for i, k := range table {
		if bits&(1<<i) != 0 {
			b = append(b, ' ')
			b = append(b, k...)
		}
	}
	return b
}

const pseudoSubject = "DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA"

const pseudoFrom = "Mail System Internal Data"

// pseudoText is the body of the pseudo-message.
const pseudoText = `
This text is part of the internal format of your mail folder, and is not
a real message.  It is created automatically by the mail system software.
If deleted, important folder data will be lost, and it will be re-created
with the data reset to initial values.
`

// AppendPseudo appends the pseudo-message as it is written at the time now on
// this host. A mailbox that was just created has no Message-ID in it.
func (f Format) AppendPseudo(b []byte, env *mailbox.Env, created bool, validity, last uint32, keywords []string) []byte {
	now := env.Now()
	b = append(b, f.Lead()+"From MAILER-DAEMON "...)
	b = appendCtime(b, mailbox.DateOf(now))
	b = append(b, "\nDate: "...)
	b = now.AppendFormat(b, f.pseudoDate(created))
	b = append(b, "\nFrom: "+pseudoFrom+" <MAILER-DAEMON@"...)
	b = append(b, env.Host...)
	b = append(b, ">\nSubject: "+pseudoSubject+"\n"...)
	if !created {
		b = append(b, "Message-ID: <"...)
		b = strconv.AppendInt(b, now.Unix(), 10)
		b = append(b, '@')
		b = append(b, env.Host...)
		b = append(b, ">\n"...)
	}
	b = append(b, "X-IMAP: "...)
	b = appendNum(b, int(validity), 10, '0')
	b = append(b, ' ')
	b = appendNum(b, int(last), 10, '0')
	b = appendWords(b, keywords, math.MaxUint64)
	b = append(b, "\nStatus: RO\n"...)
	b = append(b, pseudoText...)
	return append(b, f.Tail()...)
}

// pseudoDate is how the original writes the date of the pseudo-message, in Go's
// words for it.
func (f Format) pseudoDate(created bool) string {
	if f == MMDF && created {
		return "Mon, 2 Jan 2006 15:04:05 -0700 (MST)"
	}
	return "02 Jan 2006 15:04:05 -0700"
}
