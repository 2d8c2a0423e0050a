package damage

import (
	"bytes"
	"slices"

	"mailutil/pkg/internal/mbox"
)

// A Left is what is left of a message.
type Left struct {
	Text bool // all of its text, in order
	Line bool // all of what says what it is, right before it
	At   int  // where the text is now
}

// Left says what is left of message k. Where it is there more than once it is
// about the one that was not moved, or the first that has its line.
func (f *File) Left(k int) Left {
	m, l := f.Msgs[k], Left{}
	if f.InPlace(k) {
		return Left{true, f.lined(m.Text, k), m.Text}
	}
	for at, from := range f.From {
		if int(from) != m.Text || !f.run(at, m.Text, m.End) {
			continue
		}
		line := f.lined(at, k)
		if !l.Text || line {
			l = Left{true, line, at}
		}
		if line {
			break
		}
	}
	return l
}

// InPlace reports whether all octets of message k are where they were.
func (f *File) InPlace(k int) bool {
	m := f.Msgs[k]
	return f.run(m.Text, m.Text, m.End)
}

// lined reports whether the whole line of message k ends at.
func (f *File) lined(at, k int) bool {
	m := f.Msgs[k]
	n := m.Text - m.Line
	return at >= n && f.run(at-n, m.Line, m.Text)
}

// run reports whether the octets at are those that were [from, end).
func (f *File) run(at, from, end int) bool {
	if at+end-from > len(f.From) {
		return false
	}
	for i := range end - from {
		if int(f.From[at+i]) != from+i {
			return false
		}
	}
	return true
}

// Veiled reports whether nobody can see that message k begins at, in formats that
// have sizes: of its line less is left than flags, or mail does not begin there,
// and it stands neither behind the end of a message, nor behind octets that were
// wiped.
func (f *File) Veiled(k, at int) bool {
	const flags, wiped = 10, 16
	m := f.Msgs[k]
	n := 0
	for n < m.Text-m.Line && n < at && int(f.From[at-n-1]) == m.Text-1-n {
		n++
	}
	mail := mbox.IsMail(f.Octets[at:min(len(f.Octets), at+m.End-m.Text)])
	if n > 2*flags || n >= flags && mail {
		return false
	}
	if n == 0 && !mail && at > 0 && f.From[at-1] >= 0 { // what is there looks like any text
		return true
	}
	end := at - n
	lost := end
	for lost > 0 && end-lost < maxLine && f.From[lost-1] == -1 {
		lost--
	}
	if lost == 0 {
		return false
	}
	from := int(f.From[lost-1])
	if m.Line <= from && from < m.Text || slices.ContainsFunc(f.Msgs, func(o Message) bool { return from == o.End-1 }) {
		return false
	}
	return !mail || end < wiped || len(bytes.Trim(f.Octets[end-wiped:end], "\x00\xFF")) > 0
}

// Parts returns how many parts of message k are left that stand apart, each with
// octets of other messages, or none, before it.
func (f *File) Parts(k int) (n int) {
	m := f.Msgs[k]
	last, was := int32(-1), false // the last octet that was there, and that it was of k
	for _, from := range f.From {
		if from < 0 {
			continue
		}
		is := m.Line <= int(from) && int(from) < m.End
		if is && (!was || from <= last) {
			n++
		}
		last, was = from, is
	}
	return n
}

// begins reports whether a message begins at, with all of its line, or the file
// ends there.
func (f *File) begins(at int) bool {
	if at >= len(f.From) {
		return at == len(f.From)
	}
	for k, m := range f.Msgs {
		if int(f.From[at]) == m.Line && f.lined(at+m.Text-m.Line, k) {
			return true
		}
	}
	return false
}

// Within reports whether the text that is at now stands within another message,
// of which line and size are right: nothing is looked for there.
func (f *File) Within(at int) bool {
	for k, m := range f.Msgs {
		for text, from := range f.From {
			end := text + m.End - m.Text
			if int(from) == m.Text && text < at && at < end && f.lined(text, k) && f.begins(end) {
				return true
			}
		}
	}
	return false
}

// Named reports whether what stands before the first message is whole: there
// are the names of keywords.
func (f *File) Named() bool { return f.run(0, 0, f.Msgs[0].Line) }

// Grown reports whether octets of which nobody can say whose they are stand
// behind message k, whose text is at: formats that have no sizes take them for
// its text. NULs were never written, and a line that is damaged still says that
// a message ends before it.
func (f *File) Grown(k, at int) bool {
	m := f.Msgs[k]
	at += m.End - m.Text
	for at < len(f.From) && f.From[at] == -1 && f.Octets[at] == 0 {
		at++
	}
	for off := m.End; off < m.Next; off++ { // what stands between messages
		if at == len(f.From) { // an empty line at the end is taken for the missing one
			return bytes.HasSuffix(f.old[m.Text:m.End], []byte("\n\n"))
		}
		if int(f.From[at]) != off {
			return true
		}
		at++
	}
	if at == len(f.From) {
		return false
	}
	for n := 0; at < len(f.From) && f.From[at] == -1 && n < maxLine; n++ {
		at++
	}
	if at == len(f.From) {
		return true
	}
	next := slices.IndexFunc(f.Msgs, func(m Message) bool { return m.Line <= int(f.From[at]) && int(f.From[at]) <= m.Text })
	return next < 0 || !f.headed(at, next)
}

// headed reports whether what is left of the line of message k, which begins at,
// has the header of that behind it.
func (f *File) headed(at, k int) bool {
	m := f.Msgs[k]
	for n := range maxLine {
		if at+n < len(f.From) && int(f.From[at+n]) == m.Text {
			return true
		}
	}
	return false
}

// Open reports whether the text of message k, which is at, does not end with a
// line, and text of which nobody can say whose it is stands behind it, or behind the
// first octets of the next line: then it may as well be that the text has got octets
// and its size is too small.
func (f *File) Open(k, at int) bool {
	const month = len("15-Jul-") // less of the next line can as well be text
	m := f.Msgs[k]
	at += m.End - m.Text
	if f.old[m.End-1] == '\n' || f.begins(at) || f.run(at, m.End, m.End+month) {
		return false
	}
	for off := m.End; f.run(at, off, off+1); off++ {
		at++
	}
	for n := 0; at < len(f.From) && f.From[at] == -1 && n < maxLine; n++ {
		at++
	}
	return at == len(f.From) || !slices.ContainsFunc(f.Msgs, func(m Message) bool {
		from := int(f.From[at])
		return m.Line <= from && from < m.Text || from == m.Text && mbox.IsMail(f.Octets[at:])
	})
}

// Headless reports whether what stands before the text of message k, which is at
// and has lost its line, is neither the end of a message nor what is left of the
// line: formats that have no sizes cannot see that something begins there.
func (f *File) Headless(k, at int) bool {
	const year = len(" 2004 +0100\n")
	m := f.Msgs[k]
	n := 0
	for n < m.Text-m.Line && n < at && int(f.From[at-n-1]) == m.Text-1-n {
		n++
	}
	if 0 < n && n < year && n < at && f.Octets[at-n-1] != 0 && f.Octets[at-n-1] != 0xFF {
		return true // less of the line is left than can be told from the text before it
	}
	for at > 0 && f.From[at-1] == -1 {
		at--
	}
	if at == 0 {
		return false
	}
	before := int(f.From[at-1])
	return (before < m.Line || before >= m.Text) && !slices.ContainsFunc(f.Msgs, func(o Message) bool { return o.End <= before+1 && before < o.Next })
}

// maxLine is the length of a line that says what a message is.
const maxLine = 64

// Whole reports whether the file consists of whole messages, the first at from
// on: then nothing is wrong with it.
func (f *File) Whole(from int) bool {
	for at := from; at < len(f.From); {
		k := slices.IndexFunc(f.Msgs, func(m Message) bool { return int(f.From[at]) == m.Line })
		if k < 0 || !f.run(at, f.Msgs[k].Line, f.Msgs[k].End) {
			return false
		}
		at += f.Msgs[k].End - f.Msgs[k].Line
	}
	return true
}

// Restorable reports whether the lines of message k all ended in CR LF, so that
// they can again.
func (f *File) Restorable(k int) bool { return f.ends(k, "\r\n") }

// ends reports whether all lines of message k ended in eol, and there were no
// other CRs.
func (f *File) ends(k int, eol string) bool {
	text := f.old[f.Msgs[k].Text:f.Msgs[k].End]
	n := bytes.Count(text, []byte(eol))
	return n == bytes.Count(text, []byte("\n")) && bytes.Count(text, []byte("\r")) == n*(len(eol)-1)
}
