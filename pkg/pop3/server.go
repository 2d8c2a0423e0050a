package pop3

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
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

// plain reports whether a password may be sent.
func (s *Server) plain() bool { return s.Plain || s.tls }

func (s *Server) stls(string) error {
	if s.StartTLS == nil {
		return refuse("TLS is not possible here")
	}
	s.say("+OK Begin TLS now")
	if err := s.flush(); err != nil {
		return err
	}
	if s.r.Buffered() > 0 { // CVE-2011-0411
		return errors.New("text before the start of TLS")
	}
	conn, err := s.StartTLS()
	if err != nil {
		return err
	}
	s.use(conn)
	s.StartTLS, s.tls = nil, true
	return nil
}

func (s *Server) user(name string) error {
	if s.Password == nil || !s.plain() {
		return refuse("Unknown command")
	}
	if name == "" {
		return refuse("Missing username argument")
	}
	s.name = name
	s.say("+OK User name accepted, password please")
	return nil
}

func (s *Server) pass(password string) error {
	if s.name == "" {
		return refuse("USER first")
	}
	return s.logIn(s.name, "Login", func(p string) bool { return sasl.Same(p, password) })
}

// apop is RFC 1939, 7.
func (s *Server) apop(args string) error {
	user, digest, ok := strings.Cut(args, " ")
	if !ok || s.challenge == "" {
		return refuse("Bad APOP")
	}
	return s.logIn(user, "APOP", func(p string) bool {
		return p != "" && sasl.Same(sasl.APOPDigest([]byte(s.challenge), p), strings.ToLower(digest))
	})
}

// auth is RFC 5034.
func (s *Server) auth(args string) error {
	mech, initial, given := strings.Cut(args, " ")
	mech = strings.ToUpper(mech)
	switch {
	case mech == "EXTERNAL" && s.User != "": // as the original takes it in a tunnel
		s.say("+OK Mailbox open, %d messages", len(s.msgs))
		return nil
	case s.User != "":
		return refuse("Command only before logging in")
	case s.Password == nil:
		return refuse("Nobody can log in here")
	}
	how := sasl.Server{Host: s.Host, Plain: s.plain(), Ask: func(challenge string) ([]byte, error) {
		if given {
			given = false
			return decode(initial)
		}
		s.say("+ %s", base64.StdEncoding.EncodeToString([]byte(challenge)))
		if err := s.flush(); err != nil {
			return nil, err
		}
		line, err := s.readLine()
		if err != nil {
			return nil, err
		}
		s.Trace("> ", []byte("<suppressed>"))
		return decode(line)
	}}
	user, proof, err := how.Run(mech)
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) || errors.Is(err, io.EOF) {
			return err
		}
		return refuse("%v", err)
	}
	return s.logIn(user, "Auth", proof)
}

func decode(line string) ([]byte, error) {
	if line == "=" {
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		return nil, refuse("That is not base64")
	}
	return b, nil
}

func (s *Server) logIn(user, how string, proof func(string) bool) error {
	if !s.Admit(user, proof) {
		s.bye = s.Hopeless()
		return refuse("[AUTH] Bad login")
	}
	if err := s.open(); err != nil {
		s.User = ""
		return refuse("[SYS/TEMP] %v", err)
	}
	s.Log(fmt.Sprintf("%s user=%s host=%s nmsgs=%d/%d", how, user, s.Client, len(s.msgs), len(s.msgs)))
	s.say("+OK Mailbox open, %d messages", len(s.msgs))
	return nil
}

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
