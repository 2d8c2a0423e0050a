package pop3

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"mailutil/pkg/internal/sasl"
	"mailutil/pkg/internal/session"
	"mailutil/pkg/mailbox"
)

// The limits of what a client may do.
const (
	maxLine  = 1024
	idleTime = 10 * time.Minute
)

// A Server is the server's side of one connection. It shows INBOX.
type Server struct {
	session.Session
	// AskTime is how long a client that says nothing may keep the mailbox from
	// another program; 0 is 5 minutes.
	AskTime time.Duration

	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	ctx  context.Context
	late context.Context // for the mailbox, see session.Begin

	challenge string // of APOP
	name      string // given by USER
	tls       bool
	bye       bool

	mb    mailbox.Mailbox
	msgs  []message
	last  int
	holds atomic.Bool  // the lock of the mailbox
	said  atomic.Int64 // when the client said something last, in nanoseconds
}

// askTime is for how long a client must have said nothing before another
// program gets the mailbox, as in the original.
const askTime = 5 * time.Minute

// Holds reports whether the session has a mailbox that another program can ask
// for, with what the original calls the kiss of death, and nothing else to do.
// It may be called at any time.
func (s *Server) Holds() bool {
	idle := s.AskTime
	if idle == 0 {
		idle = askTime
	}
	return s.holds.Load() && time.Since(time.Unix(0, s.said.Load())) >= idle
}

// A message as it was when the session began: numbers stay the same.
type message struct {
	mailbox.Message
	doomed, read bool
}

// Serve speaks with a client until one of them ends it. Nothing is changed
// unless the client says QUIT.
func (s *Server) Serve(ctx context.Context, c net.Conn) error {
	s.ctx = ctx
	s.use(c)
	s.late = s.Begin(ctx)
	defer func() {
		if s.mb != nil {
			s.mb.Close()
		}
	}()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := s.hello(); err != nil {
		return err
	}
	for !s.bye {
		if err := s.flush(); err != nil {
			return s.hangup(err)
		}
		if err := s.next(); err != nil {
			return s.hangup(err)
		}
	}
	return s.flush()
}

func (s *Server) use(c net.Conn) {
	s.conn = c
	s.r, s.w = bufio.NewReaderSize(c, 16<<10), bufio.NewWriterSize(c, 64<<10)
}

func (s *Server) hello() error {
	if s.User != "" {
		if err := s.open(); err != nil {
			s.say("-ERR %v", err)
			return errors.Join(err, s.flush())
		}
		s.Log(fmt.Sprintf("Preauthenticated user=%s host=%s nmsgs=%d/%d", s.User, s.Client, len(s.msgs), len(s.msgs)))
		s.say("+OK POP3 %s mailutil server ready, user %s", s.Host, s.User)
		return nil
	}
	s.challenge = sasl.Challenge(s.Host)
	if s.Password == nil {
		s.challenge = ""
	}
	s.say("%s", strings.TrimRight("+OK POP3 mailutil server ready "+s.challenge, " "))
	return nil
}

// hangup says why a session ends that nobody has ended.
func (s *Server) hangup(err error) error {
	text, err := s.End(s.ctx, err, session.Words{Terminated: "Killed", LostLock: "Received Kiss of Death", Autologout: "Autologout; idle for too long"})
	if text != "" {
		s.conn.SetDeadline(time.Now().Add(time.Second))
		s.say("-ERR %s", text)
		s.w.Flush() // it is gone, or takes them
	}
	return err
}

// say writes one line. An error shows at the next flush.
func (s *Server) say(format string, args ...any) {
	line := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, fmt.Sprintf(format, args...))
	s.Trace("< ", []byte(line))
	s.w.WriteString(line + "\r\n")
}

func (s *Server) flush() error {
	if err := s.AwaitReader(s.conn); err != nil {
		return err
	}
	return s.w.Flush()
}

// readLine reads a line without its end. A longer one than POP3 has is the end
// of the session: that is nobody who means well.
func (s *Server) readLine() (string, error) {
	if err := s.AwaitCommand(s.conn, idleTime); err != nil {
		return "", err
	}
	line, err := s.r.ReadSlice('\n')
	if err == nil && len(line) > maxLine || errors.Is(err, bufio.ErrBufferFull) {
		s.say("-ERR Command line too long")
		return "", errors.Join(errors.New("command line too long"), s.flush())
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

// next reads a command and carries it out.
func (s *Server) next() error {
	line, err := s.readLine()
	if err != nil {
		return err
	}
	s.said.Store(time.Now().UnixNano())
	verb, args, _ := strings.Cut(line, " ")
	verb, args = strings.ToUpper(verb), strings.TrimSpace(args)
	s.traceCommand(verb, line)
	h, ok := handlers[verb]
	switch {
	case !ok:
		s.say("-ERR Unknown command")
		return nil
	case h.loggedIn && s.User == "":
		s.say("-ERR Command only after logging in")
		return nil
	case h.loggedOut && s.User != "":
		s.say("-ERR Command only before logging in")
		return nil
	}
	err = h.run(s, args)
	var refused refusal
	if errors.As(err, &refused) {
		s.say("-ERR %s", string(refused))
		return nil
	}
	return err
}

func (s *Server) traceCommand(verb, line string) {
	switch verb {
	case "PASS", "APOP":
		line = verb + " <suppressed>"
	case "AUTH":
		if words := strings.Fields(line); len(words) > 2 {
			line = strings.Join(words[:2], " ") + " <suppressed>"
		}
	}
	s.Trace("> ", []byte(line))
}

// A refusal is an -ERR.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

type handler struct {
	loggedOut, loggedIn bool
	run                 func(s *Server, args string) error
}

var handlers = map[string]handler{
	"CAPA": {run: (*Server).capa},
	"QUIT": {run: (*Server).quit},
	"NOOP": {run: func(s *Server, _ string) error { s.say("+OK"); return nil }},
	"STLS": {loggedOut: true, run: (*Server).stls},
	"USER": {loggedOut: true, run: (*Server).user},
	"PASS": {loggedOut: true, run: (*Server).pass},
	"APOP": {loggedOut: true, run: (*Server).apop},
	"AUTH": {run: (*Server).auth},
	"STAT": {loggedIn: true, run: (*Server).stat},
	"LIST": {loggedIn: true, run: (*Server).list},
	"UIDL": {loggedIn: true, run: (*Server).uidl},
	"RETR": {loggedIn: true, run: (*Server).retr},
	"TOP":  {loggedIn: true, run: (*Server).top},
	"DELE": {loggedIn: true, run: (*Server).dele},
	"RSET": {loggedIn: true, run: (*Server).rset},
	"LAST": {loggedIn: true, run: (*Server).lastRead},
}

// capa is RFC 2449.
func (s *Server) capa(string) error {
	s.say("+OK Capability list follows")
	for _, c := range []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "IMPLEMENTATION mailutil"} {
		s.say("%s", c)
	}
	if s.StartTLS != nil && s.User == "" {
		s.say("STLS")
	}
	if s.Password != nil {
		if s.plain() {
			s.say("USER")
			s.say("SASL CRAM-MD5 PLAIN LOGIN")
		} else {
			s.say("SASL CRAM-MD5")
		}
	}
	s.say(".")
	return nil
}
