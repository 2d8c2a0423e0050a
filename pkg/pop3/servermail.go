package pop3

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"mailutil/pkg/internal/session"
	"mailutil/pkg/mailbox"
)

// open opens INBOX. Messages that bear Deleted are not shown, as in the
// original.
func (s *Server) open() error {
	mb, err := s.Tree.Open(s.late, "INBOX", mailbox.ReadWrite)
	if err != nil {
		return err
	}
	s.mb = mb
	s.holds.Store(session.Holds(mb.Status()))
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			return err
		}
		if m.Flags.System&mailbox.Deleted == 0 {
			s.msgs = append(s.msgs, message{Message: m})
		}
	}
	return nil
}

func (s *Server) stat(string) error {
	n, octets := 0, int64(0)
	for _, m := range s.msgs {
		if !m.doomed {
			n++
			octets += m.Size
		}
	}
	s.say("+OK %d %d", n, octets)
	return nil
}

// message finds a message by the number that a client gives.
func (s *Server) message(arg string) (*message, int, error) {
	n, err := strconv.ParseUint(arg, 10, 31)
	if err != nil || n < 1 || int(n) > len(s.msgs) || s.msgs[n-1].doomed {
		return nil, 0, refuse("No such message")
	}
	return &s.msgs[n-1], int(n), nil
}

// each answers LIST and UIDL: for one message, or for all.
func (s *Server) each(arg string, what func(m *message) string) error {
	if arg != "" {
		m, n, err := s.message(arg)
		if err == nil {
			s.say("+OK %d %s", n, what(m))
		}
		return err
	}
	s.say("+OK Listing follows")
	for i := range s.msgs {
		if !s.msgs[i].doomed {
			fmt.Fprintf(s.w, "%d %s\r\n", i+1, what(&s.msgs[i]))
		}
	}
	s.say(".")
	return nil
}

func (s *Server) list(arg string) error {
	return s.each(arg, func(m *message) string { return strconv.FormatInt(m.Size, 10) })
}

// uidl tells UIDVALIDITY and UID, as the original does: they stay the same.
func (s *Server) uidl(arg string) error {
	validity := s.mb.Status().UIDValidity
	return s.each(arg, func(m *message) string { return fmt.Sprintf("%08x%08x", validity, m.UID) })
}

func (s *Server) retr(arg string) error {
	m, n, err := s.message(arg)
	if err != nil {
		return err
	}
	text, err := s.mb.Open(m.Seq)
	if err != nil {
		return refuse("%v", err)
	}
	s.say("+OK %d octets", m.Size)
	if err := s.send(text, -1); err != nil {
		return err
	}
	m.read, s.last = true, max(s.last, n)
	return nil
}

func (s *Server) top(args string) error {
	number, lines, _ := strings.Cut(args, " ")
	m, _, err := s.message(number)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(lines), 10, 31)
	if err != nil {
		return refuse("Bad number of lines")
	}
	text, err := s.mb.Open(m.Seq)
	if err != nil {
		return refuse("%v", err)
	}
	s.say("+OK Top of message follows")
	return s.send(text, int(n))
}

// send sends a text with the dots that POP3 wants, up to lines of its body; all
// of it for -1. A last line without an end gets one.
func (s *Server) send(text io.Reader, lines int) error {
	r := bufio.NewReaderSize(text, 64<<10)
	start, body, ended := true, false, true
	for {
		piece, err := r.ReadSlice('\n')
		if start && body && lines >= 0 {
			if lines == 0 {
				break
			}
			lines--
		}
		if len(piece) > 0 {
			if err := s.AwaitReader(s.conn); err != nil {
				return err
			}
			if start && piece[0] == '.' {
				s.w.WriteByte('.')
			}
			if _, err := s.w.Write(piece); err != nil {
				return err
			}
			ended = piece[len(piece)-1] == '\n'
			body = body || start && len(bytes.TrimRight(piece, "\r\n")) == 0 && ended
			start = ended
		}
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err // in the middle of a text there is no other way to say so
		}
	}
	if !ended {
		s.w.WriteString("\r\n")
	}
	s.w.WriteString(".\r\n")
	s.Trace("< ", []byte("... ."))
	return nil
}

func (s *Server) dele(arg string) error {
	m, n, err := s.message(arg)
	if err != nil {
		return err
	}
	if s.mb.Status().ReadOnly {
		return refuse("This mailbox is read-only")
	}
	m.doomed = true
	s.last = max(s.last, n)
	s.say("+OK Message deleted")
	return nil
}

func (s *Server) rset(string) error {
	for i := range s.msgs {
		s.msgs[i].doomed = false
	}
	s.last = 0
	s.say("+OK Reset state")
	return nil
}

func (s *Server) lastRead(string) error {
	s.say("+OK %d", s.last)
	return nil
}

// quit does what was to be done: only here are messages deleted, all or none.
func (s *Server) quit(string) error {
	s.bye = true
	if s.mb == nil {
		s.say("+OK Sayonara")
		return nil
	}
	var doomed, read mailbox.Set
	gone, seen := 0, 0
	for _, m := range s.msgs {
		switch {
		case m.doomed:
			doomed.Add(m.Seq)
			gone++
		case m.read && m.Flags.System&mailbox.Seen == 0:
			read.Add(m.Seq)
			seen++
		}
	}
	mb := s.mb
	s.mb = nil
	var err error
	if !mb.Status().ReadOnly {
		if seen > 0 {
			err = mb.Store(read, mailbox.Add, mailbox.FlagList{System: mailbox.Seen})
		}
		if err == nil && gone > 0 {
			_, err = mb.Expunge(doomed)
		}
	}
	if err = errors.Join(err, mb.Close()); err != nil {
		return refuse("[SYS/TEMP] messages may not have been deleted: %v", err)
	}
	s.Log(fmt.Sprintf("Update user=%s host=%s nmsgs=%d ndele=%d nseen=%d", s.User, s.Client, len(s.msgs)-gone, gone, seen))
	s.say("+OK Sayonara")
	return nil
}
