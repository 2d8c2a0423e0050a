package mh

import (
	"bytes"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"mailutil/pkg/internal/numbered"
	"mailutil/pkg/mailbox"
)

// The sequences that are flags. Those of nmh and others come first; unseen may
// have another name in the profile.
const (
	seqUnseen  = "unseen"
	seqFlagged = "flagged"
	seqReplied = "replied"
	seqDeleted = "deleted"
	seqDraft   = "draft"
	seqCurrent = "cur" // nmh: the message that one looks at; left alone

	// Ours: the messages of which the other sequences tell whether they are
	// seen, and those that no session for writing has seen yet.
	seqKnown  = "mailutilknown"
	seqRecent = "mailutilrecent"
)

// A span is the messages lo to hi.
type span struct{ lo, hi uint32 }

// A sequence is one line of the file.
type sequence struct {
	name  string
	spans []span // ascending, apart
	odd   string // what stands on the line that is no number; kept
	raw   string // a line that is no sequence; kept
}

// A flaw is something in the file that cannot be read.
type flaw struct {
	off, end int
	line     bool // all of a line
	text     string
}

// parseSequences reads a sequences file: "NAME: 1-3 5", where a line that begins
// with a blank goes on with the one before (nmh, mh-sequence(5)).
func parseSequences(b []byte) (seqs []sequence, flaws []flaw) {
	for off := 0; off < len(b); {
		line := b[off:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		at := off
		off += len(line)
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			continue
		}
		name, list, ok := strings.Cut(text, ":")
		switch {
		case (text[0] == ' ' || text[0] == '\t') && len(seqs) > 0 && seqs[len(seqs)-1].raw == "":
			flaws = seqs[len(seqs)-1].numbers(text, at, flaws)
		case !ok || strings.ContainsAny(name, " \t") || name == "":
			flaws = append(flaws, flaw{at, off, true, fmt.Sprintf("the line is no sequence: %.60q", text)})
			seqs = append(seqs, sequence{raw: text})
		default:
			seqs = append(seqs, sequence{name: name})
			flaws = seqs[len(seqs)-1].numbers(list, at+len(name)+1, flaws)
		}
	}
	for i := range seqs {
		seqs[i].spans = tidy(seqs[i].spans)
	}
	return seqs, flaws
}

// numbers adds a list of numbers and ranges, which begins at an offset.
func (s *sequence) numbers(list string, at int, flaws []flaw) []flaw {
	rest := list
	for _, word := range strings.Fields(list) {
		at += strings.Index(rest, word)
		off := at
		at, rest = at+len(word), rest[strings.Index(rest, word)+len(word):]
		lo, hi, isRange := strings.Cut(word, "-")
		a, err := strconv.ParseUint(lo, 10, 31)
		b := a
		if err == nil && isRange {
			b, err = strconv.ParseUint(hi, 10, 31)
		}
		if err != nil || a == 0 || b < a {
			flaws = append(flaws, flaw{off, at, false, fmt.Sprintf("sequence %.60s: %.60q is no range of messages", s.name, word)})
			s.odd += " " + word
			continue
		}
		s.spans = append(s.spans, span{uint32(a), uint32(b)})
	}
	return flaws
}

// tidy puts spans in order and joins those that touch.
func tidy(spans []span) []span {
	sort.Slice(spans, func(i, k int) bool { return spans[i].lo < spans[k].lo })
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && s.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, s.hi)
			continue
		}
		out = append(out, s)
	}
	return out
}

// has reports whether a message is in it; in nil there is none.
func (s *sequence) has(n uint32) bool {
	if s == nil {
		return false
	}
	i := sort.Search(len(s.spans), func(i int) bool { return s.spans[i].hi >= n })
	return i < len(s.spans) && s.spans[i].lo <= n
}

// add adds a message above all others.
func (s *sequence) add(n uint32) {
	if k := len(s.spans); k > 0 && s.spans[k-1].hi+1 == n {
		s.spans[k-1].hi = n
		return
	}
	s.spans = append(s.spans, span{n, n})
}

// print appends the line.
func (s *sequence) print(b []byte) []byte {
	if s.raw != "" {
		return append(append(b, s.raw...), '\n')
	}
	b = append(append(b, s.name...), ':')
	for _, r := range s.spans {
		b = append(b, ' ')
		b = strconv.AppendUint(b, uint64(r.lo), 10)
		if r.hi > r.lo {
			b = append(b, '-')
			b = strconv.AppendUint(b, uint64(r.hi), 10)
		}
	}
	b = append(b, s.odd...)
	return append(b, '\n')
}

// printSequences makes the file.
func printSequences(seqs []sequence) (b []byte) {
	for i := range seqs {
		b = seqs[i].print(b)
	}
	return b
}

// find returns the sequence of that very name, nil for none.
func find(seqs []sequence, name string) *sequence {
	for i := range seqs {
		if seqs[i].name == name && name != "" {
			return &seqs[i]
		}
	}
	return nil
}

// mayBeKeyword reports whether a keyword can be a sequence: not one that means
// something else, and not one that the file cannot hold.
func (d *Driver) mayBeKeyword(name string) bool {
	if !mailbox.ValidKeyword(name) || strings.Contains(name, ":") || numbered.AllDigits(name) {
		return false
	}
	for _, taken := range []string{d.unseen(), seqUnseen, seqFlagged, seqReplied, seqDeleted, seqDraft, seqCurrent, seqKnown, seqRecent} {
		if strings.EqualFold(name, taken) {
			return false
		}
	}
	return true
}
