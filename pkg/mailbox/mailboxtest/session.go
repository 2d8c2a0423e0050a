package mailboxtest

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"mailutil/pkg/mailbox"
)

// A session is one open mailbox. What it shows changes in look and in its own
// calls only.
type session struct {
	d        *Memory
	name     mailbox.Name
	box      *box
	readOnly bool
	closed   bool
	view     []seen
	keywords []string
	next     uint32
}

// seen is a message as the session knows it.
type seen struct {
	*letter
	flags mailbox.Flags
}

var (
	_ mailbox.Mailbox   = (*session)(nil)
	_ mailbox.Enveloper = (*session)(nil)
)

var errClosed = errors.New("mailbox is closed")

// look takes in what others did and reports whether anything changed. d.mu is
// held.
func (s *session) look() bool {
	old := s.view
	s.view = nil
	for _, l := range s.box.letters {
		f := l.msg.Flags
		if i := slices.IndexFunc(old, func(o seen) bool { return o.letter == l }); i >= 0 {
			f.System |= old[i].flags.System & mailbox.Recent
		} else if !l.old {
			f.System |= mailbox.Recent
			l.old = l.old || !s.readOnly
		}
		s.view = append(s.view, seen{l, f})
	}
	changed := !slices.Equal(old, s.view) || len(s.keywords) != len(s.box.keywords)
	s.keywords = slices.Clone(s.box.keywords)
	s.next = s.box.next
	return changed
}

// Status counts what the session sees.
func (s *session) Status() mailbox.Status {
	st := mailbox.Status{
		Driver: s.d.format, Path: key(s.name), Messages: uint32(len(s.view)),
		UIDValidity: s.box.validity, UIDNext: s.next, Keywords: s.keywords, ReadOnly: s.readOnly,
	}
	for _, m := range s.view {
		if m.flags.System&mailbox.Recent != 0 {
			st.Recent++
		}
		if m.flags.System&mailbox.Seen == 0 {
			st.Unseen++
		}
	}
	return st
}

// Messages yields the messages in set.
func (s *session) Messages(set mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		if s.closed {
			yield(mailbox.Message{}, errClosed)
			return
		}
		for seq := range set.Seqs(uint32(len(s.view))) {
			v := s.view[seq-1]
			m := v.msg
			m.Seq, m.Flags = seq, v.flags
			if !yield(m, nil) {
				return
			}
		}
	}
}

// at returns message seq.
func (s *session) at(seq uint32) (seen, error) {
	if s.closed {
		return seen{}, errClosed
	}
	if seq < 1 || int64(seq) > int64(len(s.view)) {
		return seen{}, fmt.Errorf("no message %d", seq)
	}
	return s.view[seq-1], nil
}

// Open gives the text of a message.
func (s *session) Open(seq uint32) (mailbox.Content, error) {
	m, err := s.at(seq)
	if err != nil {
		return nil, err
	}
	return &content{strings.NewReader(m.text), m.text}, nil
}

// Sender returns the envelope sender of a message.
func (s *session) Sender(seq uint32) (string, error) {
	m, err := s.at(seq)
	if err != nil {
		return "", err
	}
	return m.sender, nil
}

type content struct {
	*strings.Reader
	text string
}

// Header returns the text up to the end of its first empty line.
func (c *content) Header() ([]byte, error) { return []byte(headerOf(c.text)), nil }

// headerOf returns the header block of a text with its closing empty line.
func headerOf(text string) string {
	end := len(text)
	if strings.HasPrefix(text, "\r\n") {
		end = 2
	} else if i := strings.Index(text, "\n\r\n"); i >= 0 {
		end = i + 3
	}
	return text[:min(end, mailbox.MaxHeader)]
}

// Store changes flags. Messages that another session has expunged are passed
// over.
func (s *session) Store(set mailbox.Set, op mailbox.FlagOp, f mailbox.FlagList) error {
	if err := s.writable("store"); err != nil {
		return err
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	flags := mailbox.Flags{System: f.System}
	before := len(s.box.keywords)
	for _, k := range f.Keywords {
		if op == mailbox.Remove && !slices.ContainsFunc(s.box.keywords, func(b string) bool { return strings.EqualFold(b, k) }) {
			continue
		}
		bit, ok := s.box.keyword(k)
		if !ok {
			s.box.keywords = s.box.keywords[:before]
			return s.d.fail("store", s.name, mailbox.ErrUnsupported)
		}
		flags.Keywords |= 1 << bit
	}
	for seq := range set.Seqs(uint32(len(s.view))) {
		v := &s.view[seq-1]
		if v.gone {
			continue
		}
		recent := v.flags.System & mailbox.Recent
		v.msg.Flags = v.msg.Flags.Apply(op, flags)
		v.flags = v.msg.Flags
		v.flags.System |= recent
	}
	s.keywords = slices.Clone(s.box.keywords)
	return nil
}

// writable returns an error on a session that may not write.
func (s *session) writable(op string) error {
	switch {
	case s.closed:
		return errClosed
	case s.readOnly:
		return s.d.fail(op, s.name, mailbox.ErrReadOnly)
	}
	return nil
}

// Expunge removes messages for good.
func (s *session) Expunge(set mailbox.Set) (int, error) {
	if err := s.writable("expunge"); err != nil {
		return 0, err
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	gone := 0
	var view []seen
	for i, v := range s.view {
		if !set.Contains(uint32(i + 1)) {
			view = append(view, v)
			continue
		}
		if !v.gone {
			v.gone = true
			gone++
		}
	}
	s.view = view
	s.box.letters = slices.DeleteFunc(s.box.letters, func(l *letter) bool { return l.gone })
	return gone, nil
}

// Ping looks for what other sessions did.
func (s *session) Ping() (bool, error) {
	if s.closed {
		return false, errClosed
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return s.look(), nil
}

// Close ends the session. Everything is durable already.
func (s *session) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.box.users--
	return nil
}

var _ io.WriterTo = (*content)(nil)
