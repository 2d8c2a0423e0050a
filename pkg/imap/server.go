package imap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"mailutil/pkg/internal/session"
	"mailutil/pkg/mailbox"
)

// The limits of what a client may do, those of the original.
const (
	maxCommandLine   = 64 << 10
	maxTag           = 50
	maxSmallLiteral  = 10000
	maxAppendLiteral = 1 << 40
	idleTime         = 30 * time.Minute
)

// maxTraced is how much of a line of ours people want to see.
const maxTraced = 1000

// A Server is the server's side of one connection. It is our own, for the
// library's (imapserver of go-imap) writes header blocks that it cannot parse as
// nothing and lone LFs as line ends: here sections are cut from the text as it
// stands, and every size that is told is that of what is sent.
type Server struct {
	session.Session
	// Poll is how often an IDLE looks for what is new.
	Poll time.Duration
	// Alerts are files whose lines users are to see; NoLogin is one that keeps
	// them out while it exists. "" for none.
	Alerts    []string
	NoLogin   string
	AlertTime time.Duration // how often they are looked at; 0 is a minute

	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	ctx  context.Context
	late context.Context // for mailboxes, see session.Begin

	tls    bool
	box    *served // nil: none is selected
	bye    bool
	alerts alerts
	holds  atomic.Bool // see Holds
}

// Serve speaks with a client until one of them ends it.
func (s *Server) Serve(ctx context.Context, c net.Conn) error {
	s.ctx = ctx
	s.use(c)
	s.late = s.Begin(ctx)
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	defer s.closeBox()
	s.greet()
	for !s.bye {
		if s.alert(); s.bye {
			break
		}
		if err := s.flush(); err != nil {
			return s.hangup(err)
		}
		if err := s.next(); err != nil {
			return s.hangup(err)
		}
	}
	s.Say("Logout")
	return s.flush()
}

// Holds reports whether the session has a mailbox that another program can ask
// for, with what the original calls the kiss of death. It may be called at any
// time.
func (s *Server) Holds() bool { return s.holds.Load() }

// greet says who we are, RFC 3501, 7.1.5, or that nobody is let in.
func (s *Server) greet() {
	switch {
	case s.isClosed():
		s.untagged("BYE Service not available")
		s.bye = true
	case s.User != "":
		s.untagged("PREAUTH [CAPABILITY %s] Pre-authenticated user %s %s IMAP4rev1 mailutil", s.capabilities(), s.User, s.Host)
		s.Say("Preauthenticated")
	default:
		s.untagged("OK [CAPABILITY %s] %s IMAP4rev1 mailutil", s.capabilities(), s.Host)
	}
}

// use begins to read and write on a connection.
func (s *Server) use(c net.Conn) {
	s.conn = c
	s.r, s.w = bufio.NewReaderSize(c, 64<<10), bufio.NewWriterSize(c, 64<<10)
}

// hangup says why a session ends that nobody has ended.
func (s *Server) hangup(err error) error {
	text, err := s.End(s.ctx, err, session.Words{
		Terminated: "Killed (terminated)", LostLock: "Killed (lost mailbox lock)", Autologout: "Autologout (idle for too long)",
	})
	s.conn.SetDeadline(time.Now().Add(time.Second))
	if text != "" {
		s.untagged("BYE %s", text)
	}
	if text != "" || errors.Is(err, errHopeless) { // whose reason is given already
		s.w.Flush() // it is gone, or takes the goodbye
	}
	return err
}

// errHopeless ends a session of which we do not know where the next command
// begins.
var errHopeless = errors.New("client broke the protocol")

// capabilities is what we can do, as things are.
func (s *Server) capabilities() string {
	caps := "IMAP4rev1 LITERAL+ SASL-IR ID"
	if s.User != "" {
		return caps + " IDLE UIDPLUS MOVE NAMESPACE CHILDREN UNSELECT ESEARCH SORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES SPECIAL-USE MULTIAPPEND"
	}
	if s.StartTLS != nil {
		caps += " STARTTLS"
	}
	if s.Password == nil {
		return caps + " LOGINDISABLED"
	}
	if !s.Plain && !s.tls {
		return caps + " LOGINDISABLED AUTH=CRAM-MD5"
	}
	return caps + " AUTH=CRAM-MD5 AUTH=PLAIN AUTH=LOGIN"
}

// untagged writes an untagged response.
func (s *Server) untagged(format string, args ...any) {
	s.line("* " + fmt.Sprintf(format, args...))
}

// line writes a line of a response. An error shows at the next flush.
func (s *Server) line(text string) {
	s.Trace("< ", []byte(text[:min(len(text), maxTraced)]))
	s.w.WriteString(text)
	s.w.WriteString("\r\n")
}

func (s *Server) flush() error {
	if err := s.AwaitReader(s.conn); err != nil {
		return err
	}
	return s.w.Flush()
}

// next reads a command and carries it out.
func (s *Server) next() error {
	if err := s.AwaitCommand(s.conn, idleTime); err != nil {
		return err
	}
	c, err := s.read()
	var bad badError
	if errors.As(err, &bad) {
		s.line(c.tag + " BAD " + string(bad))
		return nil
	}
	if err != nil || c.tag == "" {
		return err
	}
	return s.answer(c)
}

// answer carries out a command and says how it went.
func (s *Server) answer(c *command) error {
	text, err := s.run(c)
	var bad badError
	var fatal fatalError
	switch {
	case errors.As(err, &fatal):
		return fatal.err
	case errors.As(err, &bad):
		s.line(c.tag + " BAD " + string(bad))
	case err != nil:
		s.line(c.tag + " NO " + codeOf(err) + oneLine(err.Error()))
	default:
		s.line(c.tag + " OK " + text)
	}
	return nil
}

// A refusal is what NO says.
type refusal string

func (e refusal) Error() string { return string(e) }

// A fatalError ends the session.
type fatalError struct{ err error }

func (e fatalError) Error() string { return e.err.Error() }

// codeOf is the response code for an error, RFC 5530.
func codeOf(err error) string {
	for _, k := range []struct {
		kind error
		code string
	}{
		{mailbox.ErrNotExist, "NONEXISTENT"},
		{mailbox.ErrExist, "ALREADYEXISTS"},
		{mailbox.ErrBusy, "INUSE"},
		{mailbox.ErrOverQuota, "OVERQUOTA"},
		{mailbox.ErrReadOnly, "NOPERM"},
		{mailbox.ErrUnsupported, "CANNOT"},
	} {
		if errors.Is(err, k.kind) {
			return "[" + k.code + "] "
		}
	}
	return ""
}

// oneLine makes a text fit for the end of a response.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, s)
}

// A handler carries out a command, and returns the text of its OK.
type handler func(s *Server, c *command) (string, error)

// When a command is allowed.
const (
	always = iota
	loggedOut
	loggedIn
	selected
)

var handlers map[string]struct {
	when int
	run  handler
}

func init() { // not a literal: some of them look at it
	type entry = struct {
		when int
		run  handler
	}
	handlers = map[string]entry{
		"CAPABILITY":   {always, (*Server).capability},
		"NOOP":         {always, (*Server).noop},
		"LOGOUT":       {always, (*Server).logout},
		"ID":           {always, (*Server).id},
		"STARTTLS":     {loggedOut, (*Server).startTLS},
		"LOGIN":        {loggedOut, (*Server).login},
		"AUTHENTICATE": {loggedOut, (*Server).authenticate},
		"SELECT":       {loggedIn, (*Server).selectBox},
		"EXAMINE":      {loggedIn, (*Server).selectBox},
		"CREATE":       {loggedIn, (*Server).create},
		"DELETE":       {loggedIn, (*Server).delete},
		"RENAME":       {loggedIn, (*Server).rename},
		"SUBSCRIBE":    {loggedIn, (*Server).subscribe},
		"UNSUBSCRIBE":  {loggedIn, (*Server).subscribe},
		"LIST":         {loggedIn, (*Server).list},
		"LSUB":         {loggedIn, (*Server).list},
		"NAMESPACE":    {loggedIn, (*Server).namespace},
		"STATUS":       {loggedIn, (*Server).status},
		"APPEND":       {loggedIn, (*Server).append},
		"IDLE":         {loggedIn, (*Server).idle},
		"CHECK":        {selected, (*Server).noop},
		"CLOSE":        {selected, (*Server).close},
		"UNSELECT":     {selected, (*Server).close},
		"EXPUNGE":      {selected, (*Server).expunge},
		"SEARCH":       {selected, (*Server).search},
		"SORT":         {selected, (*Server).sort},
		"THREAD":       {selected, (*Server).thread},
		"FETCH":        {selected, (*Server).fetch},
		"STORE":        {selected, (*Server).store},
		"COPY":         {selected, (*Server).copy},
		"MOVE":         {selected, (*Server).copy},
	}
}

// run finds the handler of a command.
func (s *Server) run(c *command) (string, error) {
	h, ok := handlers[c.name]
	if c.uid && !slices.Contains([]string{"FETCH", "STORE", "COPY", "MOVE", "SEARCH", "SORT", "THREAD", "EXPUNGE"}, c.name) {
		ok = false
	}
	if c.message >= 0 && c.name != "APPEND" || c.message >= 0 && s.User == "" {
		s.untagged("BYE A literal where none can be")
		return "", fatalError{errHopeless}
	}
	switch {
	case !ok:
		return "", badError("Command unrecognized: " + oneLine(c.name[:min(len(c.name), 50)]))
	case h.when == loggedOut && s.User != "":
		return "", badError("Command only before logging in: " + c.name)
	case h.when >= loggedIn && s.User == "":
		return "", badError("Command only after logging in: " + c.name)
	case h.when == selected && s.box == nil:
		return "", badError("No mailbox is selected")
	}
	return h.run(s, c)
}

func (s *Server) done(c *command) string { return c.name + " completed" }

func (s *Server) capability(c *command) (string, error) {
	if err := c.end(); err != nil {
		return "", err
	}
	s.untagged("CAPABILITY %s", s.capabilities())
	return s.done(c), nil
}

func (s *Server) noop(c *command) (string, error) {
	if err := c.end(); err != nil {
		return "", err
	}
	return s.done(c), s.news()
}

func (s *Server) logout(c *command) (string, error) {
	if err := c.end(); err != nil {
		return "", err
	}
	err := s.closeBox()
	s.untagged("BYE %s IMAP4rev1 server terminating connection", s.Host)
	s.bye = true
	return s.done(c), err
}

// id is RFC 2971.
func (s *Server) id(c *command) (string, error) {
	s.untagged(`ID ("name" "mailutil")`)
	return s.done(c), nil
}
