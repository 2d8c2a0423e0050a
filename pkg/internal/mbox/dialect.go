package mbox

import (
	"bytes"
	"fmt"
	"strings"

	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// A Dialect says how an mbox of the format Unix keeps lines of text apart from
// From_ lines. Names and rules are those of Rahul Dhesi's and Jonathan de Boyne
// Pollard's descriptions of mbox, which the manual of qmail has taken over.
type Dialect int

// AsOriginal quotes when it writes, by Config.FromHeaderOnly, and takes nothing
// off when it reads. MboxO has one ">" before "From ", MboxRD one more before
// any number of them. MboxCL is MboxO with a Content-Length, which MboxCL2
// trusts alone: it quotes nothing.
const (
	AsOriginal Dialect = iota
	MboxO
	MboxRD
	MboxCL
	MboxCL2
	Auto // the one that Guess finds; as AsOriginal in writing
)

// Dialects are the names of the dialects, in their order.
var Dialects = [...]string{"", "o", "rd", "cl", "cl2", "auto"}

// String returns the name as people write it, with "mbox" before it.
func (d Dialect) String() string { return "mbox" + Dialects[d] }

// counted reports whether messages tell how long their bodies are.
func (d Dialect) counted() bool { return d == MboxCL || d == MboxCL2 }

// unquotes reports whether ">" are taken off when messages are read.
func (d Dialect) unquotes() bool { return d == MboxO || d == MboxRD || d == MboxCL }

var fromWord = []byte("From ")

// isQuoted reports whether a line of a body has a ">" that is taken off.
func (d Dialect) isQuoted(ln []byte) bool {
	if ln[0] != '>' {
		return false
	}
	if d == MboxRD {
		return bytes.HasPrefix(bytes.TrimLeft(ln, ">"), fromWord)
	}
	return d.unquotes() && bytes.HasPrefix(ln[1:], fromWord)
}

// wants reports whether a line of a text gets a ">" when it is written, and
// whether it will not be read as it was.
func (d Dialect) wants(ln []byte, c mailbox.Config) (quote, altered bool) {
	switch d {
	case MboxCL2:
		return false, false
	case MboxRD:
		return bytes.HasPrefix(bytes.TrimLeft(ln, ">"), fromWord), false
	case MboxO, MboxCL:
		return bytes.HasPrefix(ln, fromWord), bytes.HasPrefix(ln, []byte(">From "))
	}
	if !bytes.HasPrefix(ln, fromWord) {
		return false, false
	}
	_, isFrom := ParseFrom(ln)
	quote = isFrom || !c.FromHeaderOnly
	return quote, quote
}

const lengthName = "content-length:"

// isLength reports whether a header line is a Content-Length.
func isLength(ln []byte) bool {
	return len(ln) > len(lengthName) && ln[0]|0x20 == 'c' && strings.EqualFold(string(ln[:len(lengthName)]), lengthName)
}

// A claim is what the header of a message says of the length of its body.
type claim struct {
	octets int64 // of the body, -1 for none
	size   int64 // of the lines that say so, as part of Message.Size
	disk   int64 // the same as part of Message.Visible
}

// takeLength takes note of a Content-Length.
func (s *Scanner) takeLength(ln []byte) {
	n, rest, ok := parseNumber(bytes.TrimSpace(ln[len(lengthName):]))
	if s.claimed.octets = -1; ok && len(rest) == 0 {
		s.claimed.octets = int64(n)
	}
}

// countedBody passes over the body of a message that tells its length; false
// where there is none, or it does not lead to the next message.
func (s *Scanner) countedBody(m *Message) (bool, error) {
	if s.claimed.octets < 0 {
		return false, nil
	}
	end := s.Off + s.claimed.octets
	next, err := s.separator(end)
	if err != nil {
		return false, err
	}
	if next < 0 {
		s.Env.Notify(mailbox.Warn, fmt.Sprintf("Message %d: no message follows where its Content-Length of %d ends, looking for From lines", s.number(), s.claimed.octets))
		return false, nil
	}
	m.Size -= s.claimed.size
	m.Visible -= uint32(s.claimed.disk)
	m.Bits |= BitCounted
	var t bodyTally
	for s.Off < end {
		b, err := s.W.Line(s.Off)
		if err != nil {
			return false, err
		}
		b = b[:min(int64(len(b)), end-s.Off)]
		if (t.ended || s.Off == m.Body) && s.Dialect.isQuoted(b) {
			m.Size--
			m.Bits |= BitQuoted
		}
		t.add(b)
		s.Off += int64(len(b))
	}
	if err := s.closeDelimited(m, t, end > m.Body && !t.ended); err != nil {
		return false, err
	}
	s.Off = next
	return true, nil
}

// separator finds where the next message begins when a body ends at off; -1
// where it does not end there.
func (s *Scanner) separator(off int64) (next int64, err error) {
	for blanks := 0; ; blanks++ {
		var ln []byte
		if off < s.W.End() {
			if ln, err = s.W.Line(off); err != nil {
				return -1, err
			}
		}
		switch {
		case off > s.W.End(): // of a stream that may be known only now
			return -1, nil
		case len(ln) == 0:
			return off, nil
		case IsBlank(ln) && blanks < 2:
			off += int64(len(ln))
		default:
			_, ok := ParseFrom(ln)
			if !ok {
				return -1, nil
			}
			return off, nil
		}
	}
}

// Guess tells the dialect of an mbox by its first octets, and why. Without
// evidence it is AsOriginal. more says that there are octets behind them.
func Guess(env *mailbox.Env, octets []byte, more bool) (d Dialect, why string) {
	var lone, several int
	for ln := range bytes.Lines(octets) {
		rest := bytes.TrimLeft(ln, ">")
		if quotes := len(ln) - len(rest); quotes == 0 || !bytes.HasPrefix(rest, fromWord) {
			continue
		} else if quotes == 1 {
			lone++
		} else {
			several++
		}
	}
	counted := countsAll(env, octets, more)
	switch {
	case counted && lone+several > 0:
		return MboxCL, "every message has a Content-Length that leads to the next one, and lines begin with >From"
	case counted:
		return MboxCL2, "every message has a Content-Length that leads to the next one, and no line begins with >From"
	case several > 0:
		return MboxRD, fmt.Sprintf("lines begin with >>From: %d", several)
	case lone > 0:
		return MboxO, fmt.Sprintf("lines begin with >From and none with >>From: %d", lone)
	}
	return AsOriginal, "nothing tells a dialect"
}

// countsAll reports whether each message tells where the next one begins. The
// last one may be cut off.
func countsAll(env *mailbox.Env, octets []byte, more bool) bool {
	silent := *env
	silent.Notify = func(mailbox.Level, string) {}
	var ix Index
	size := int64(len(octets))
	s := Scanner{Env: &silent, W: winread.New(bytes.NewReader(octets), len(octets), size), Ix: &ix, ReadOnly: true, Dialect: MboxCL}
	if err := s.Run(); err != nil {
		return false
	}
	if more && len(ix.Msgs) > 0 {
		ix.Msgs = ix.Msgs[:len(ix.Msgs)-1]
	}
	for _, m := range ix.Msgs {
		if m.Bits&BitCounted == 0 {
			return false
		}
	}
	return len(ix.Msgs) > 0
}
