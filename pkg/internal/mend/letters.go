package mend

import (
	"bytes"
	"io"

	"mailutil/pkg/internal/crlf"
	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// A Letter is a message in mbox format between the records of another: a program
// that took the file for an mbox has added it.
type Letter struct {
	Off, End int64 // its octets
	Torn     bool  // they end within a line

	At, Size int64 // its text in the scratch file, with the line ends of the format
	Date     mailbox.Date
	Undated  bool // Date is now: that of its From_ line cannot be kept
	System   mailbox.SystemFlags
}

// TakenIn says what becomes of a Letter.
const TakenIn = "make it a message of this mailbox: a program wrote it there that took the file for an mbox"

// Letters reads the octets [off, end) of r as messages in mbox format, and gives
// scratch their texts, with CR LF line ends or, where lf is set, LF. There are none
// where a From_ line with a header behind it is not the first line. What is there
// besides is no mail: data that a program kept, messages without a text, line ends.
func Letters(r io.ReaderAt, off, end int64, lf bool, env *mailbox.Env, scratch func() (*Scratch, error)) (all []Letter, besides []Lost, err error) {
	s, err := lettersIn(r, off, end, env)
	if s == nil || err != nil {
		return nil, nil, err
	}
	to, err := scratch()
	if err != nil {
		return nil, nil, err
	}
	at := off // up to here it is known what the octets are
	aside := func(to int64) {
		if at < to {
			besides = append(besides, Lost{Off: at, End: to, Why: "no mail, among messages in mbox format"})
		}
	}
	var text mbox.Content
	for i, m := range s.Ix.Msgs {
		l := Letter{Off: off + m.From, End: end, At: to.Size(), Date: m.Date, System: m.System &^ mailbox.Recent}
		if i+1 < len(s.Ix.Msgs) {
			l.End = off + s.Ix.Msgs[i+1].From
		} else {
			l.Torn = m.Bits&mbox.BitOpen != 0
		}
		if l.Undated = !flocked.Storable(l.Date); l.Undated {
			l.Date = mailbox.DateOf(env.Now())
		}
		text.Reset(s.W, m)
		if err := copyText(to, &text, lf); err != nil {
			return nil, nil, err
		}
		if l.Size = to.Size() - l.At; l.Size > 0 {
			aside(l.Off)
			all, at = append(all, l), l.End
		}
	}
	if len(all) > 0 {
		aside(end)
	}
	return all, besides, nil
}

// lettersIn scans the octets [off, end) of r as an mbox, nil where they are none.
func lettersIn(r io.ReaderAt, off, end int64, env *mailbox.Env) (*mbox.Scanner, error) {
	head := make([]byte, min(end-off, 1024))
	if _, err := r.ReadAt(head, off); err != nil && err != io.EOF {
		return nil, err
	}
	first, rest, _ := bytes.Cut(bytes.TrimLeft(head, "\r\n"), []byte("\n"))
	if _, ok := mbox.ParseFrom(append(bytes.Clone(first), '\n')); !ok || !StartsHeader(rest) {
		return nil, nil
	}
	silent := *env
	silent.Notify = func(mailbox.Level, string) {} // the mailbox is another
	w := winread.New(io.NewSectionReader(r, off, end-off), 1<<20, end-off)
	s := &mbox.Scanner{Format: mbox.Unix, Env: &silent, W: w, Ix: &mbox.Index{}, ReadOnly: true}
	return s, s.Run()
}

func copyText(to io.Writer, text io.WriterTo, lf bool) error {
	if !lf {
		_, err := text.WriteTo(to)
		return err
	}
	w := crlf.Writer{To: to}
	if _, err := text.WriteTo(&w); err != nil {
		return err
	}
	return w.End()
}
