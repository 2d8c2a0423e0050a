package imap

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"mailutil/pkg/internal/sasl"
	"mailutil/pkg/internal/tree"
	"mailutil/pkg/mailbox"
)

// The limits of what a client may do, those of the original.
const (
	maxCommandLine   = 64 << 10
	maxTag           = 50
	maxSmallLiteral  = 10000
	maxAppendLiteral = 1 << 40
	maxFailures      = 3
	loginTimeout     = 3 * time.Minute
	idleTimeout      = 30 * time.Minute
	bodyTimeout      = 5 * time.Minute
)

// A Server is the server's side of one connection. It is our own, for the
// library's (imapserver of go-imap) writes header blocks that it cannot parse as
// nothing and lone LFs as line ends: here sections are cut from the text as it
// stands, and every size that is told is that of what is sent.
type Server struct {
	Tree *tree.Tree
	Host string
	User string // who is logged in already; "" for nobody

	// Password returns the password of a user. nil: nobody can log in.
	Password func(user string) (string, bool)
	// Wait is called after a wrong password.
	Wait func()
	// StartTLS encrypts the connection; nil: that is not possible, or done.
	StartTLS func() (net.Conn, error)
	// Plain says that a password may be sent as things are.
	Plain bool
	// Log takes the lines that syslog would get.
	Log func(line string)
	// Trace takes what is said, without secrets: "> " is what the client said.
	Trace func(who string, line []byte)
	// Poll is how often an IDLE looks for what is new.
	Poll time.Duration

	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	ctx  context.Context

	tls      bool
	failures int
	box      *served // nil: none is selected
	bye      bool
}

// Serve speaks with a client until one of them ends it.
func (s *Server) Serve(ctx context.Context, c net.Conn) error {
	s.ctx = ctx
	s.use(c)
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	defer s.closeBox()
	if s.User != "" {
		s.untagged("PREAUTH [CAPABILITY %s] Pre-authenticated user %s %s IMAP4rev1 mailutil", s.capabilities(), s.User, s.Host)
		s.Log(fmt.Sprintf("Preauthenticated user=%s host=%s", s.User, s.peer()))
	} else {
		s.untagged("OK [CAPABILITY %s] %s IMAP4rev1 mailutil", s.capabilities(), s.Host)
	}
	for !s.bye {
		if err := s.flush(); err != nil {
			return s.hangup(err)
		}
		if err := s.next(); err != nil {
			return s.hangup(err)
		}
	}
	s.Log(fmt.Sprintf("Logout user=%s host=%s", s.who(), s.peer()))
	return s.flush()
}

// use begins to read and write on a connection.
func (s *Server) use(c net.Conn) {
	s.conn = c
	s.r, s.w = bufio.NewReaderSize(c, 64<<10), bufio.NewWriterSize(c, 64<<10)
}

func (s *Server) peer() string { return s.conn.RemoteAddr().String() }

func (s *Server) who() string {
	if s.User == "" {
		return "???"
	}
	return s.User
}

// hangup says why a session ends that nobody has ended.
func (s *Server) hangup(err error) error {
	var timeout net.Error
	switch {
	case s.ctx.Err() != nil:
		s.conn.SetDeadline(time.Now().Add(time.Second))
		s.untagged("BYE Killed (terminated)")
		s.flush() // it is gone, or takes the goodbye
		s.Log(fmt.Sprintf("Killed (terminated) user=%s host=%s", s.who(), s.peer()))
		return nil
	case errors.As(err, &timeout) && timeout.Timeout():
		s.conn.SetDeadline(time.Now().Add(time.Second))
		s.untagged("BYE Autologout (idle for too long)")
		s.flush()
		s.Log(fmt.Sprintf("Autologout user=%s host=%s", s.who(), s.peer()))
		return nil
	case errors.Is(err, io.EOF):
		s.Log(fmt.Sprintf("Hangup user=%s host=%s", s.who(), s.peer()))
		return nil
	case errors.Is(err, errHopeless):
		s.flush() // the reason, for who still reads
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
		return caps + " IDLE UIDPLUS MOVE NAMESPACE CHILDREN UNSELECT ESEARCH SPECIAL-USE MULTIAPPEND"
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
	s.Trace("< ", []byte(text))
	s.w.WriteString(text)
	s.w.WriteString("\r\n")
}

func (s *Server) flush() error {
	s.conn.SetWriteDeadline(time.Now().Add(bodyTimeout))
	return s.w.Flush()
}

// A command is what a client sent, its literals in place.
type command struct {
	tag, name string
	uid       bool // UID FETCH and the like
	args      parser
	raw       []byte
	message   int64 // the size of a literal behind it that is a message; -1 for none
	sync      bool  // that literal waits for us
}

// A badError is a command that cannot be understood.
type badError string

func (e badError) Error() string { return string(e) }

// next reads a command and carries it out.
func (s *Server) next() error {
	limit := idleTimeout
	if s.User == "" {
		limit = loginTimeout
	}
	s.conn.SetReadDeadline(time.Now().Add(limit))
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

// invalidLogin is what the original says of a wrong password.
const invalidLogin = "Invalid login credentials"

var errLogin = refusal(invalidLogin)

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

// read reads a command: a line, and as long as that ends in a literal, the
// literal and a further line.
func (s *Server) read() (*command, error) {
	c := &command{message: -1}
	for {
		at := len(c.raw)
		if err := s.readLine(c); err != nil {
			return c, err
		}
		line := bytes.TrimRight(c.raw[at:], "\r\n")
		n, ok := literalSize(line)
		if at == 0 {
			if err := c.begin(line); err != nil {
				s.traceCommand(c)
				return c, err
			}
		}
		if !ok {
			c.raw = c.raw[:at+len(line)]
			break
		}
		sync := !bytes.HasSuffix(line, []byte("+}"))
		if c.name == "APPEND" && c.isMessage() {
			c.message, c.sync = n, sync
			break
		}
		if err := s.smallLiteral(c, n, sync); err != nil {
			return c, err
		}
	}
	s.traceCommand(c)
	return c, c.parse()
}

// readLine adds a line to a command.
func (s *Server) readLine(c *command) error {
	for {
		piece, err := s.r.ReadSlice('\n')
		if len(c.raw)+len(piece) > maxCommandLine {
			s.untagged("BYE Command line too long")
			return errHopeless
		}
		c.raw = append(c.raw, piece...)
		if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// begin reads the tag and the name of a command.
func (c *command) begin(line []byte) error {
	p := parser{line}
	tag := p.atom()
	p.space()
	name := strings.ToUpper(string(p.atom()))
	switch {
	case len(line) == 0:
		c.tag = "*"
		return badError("Null command")
	case len(tag) == 0 || len(tag) > maxTag || bytes.ContainsAny(tag, `"%*\{+`):
		c.tag = "*"
		return badError("Bad tag")
	}
	c.tag = string(tag)
	if name == "UID" {
		c.uid = true
		p.space()
		name = strings.ToUpper(string(p.atom()))
	}
	if c.name = name; name == "" {
		return badError("Missing command")
	}
	return nil
}

// parse leaves the arguments to be read.
func (c *command) parse() error {
	p := parser{c.raw}
	p.atom()
	p.space()
	p.atom()
	if c.uid {
		p.space()
		p.atom()
	}
	c.args = p
	return nil
}

// isMessage reports whether the literal at the end of an APPEND is the message,
// not the name of the mailbox.
func (c *command) isMessage() bool {
	c.parse()
	p := c.args
	p.space()
	_, _, err := p.text()
	return err == nil
}

// smallLiteral adds a literal to a command.
func (s *Server) smallLiteral(c *command, n int64, sync bool) error {
	if n > maxSmallLiteral {
		if !sync {
			s.untagged("BYE Literal too large")
			return errHopeless
		}
		return badError("Literal too large")
	}
	if sync {
		s.line("+ Ready for argument")
		if err := s.flush(); err != nil {
			return err
		}
	}
	at := len(c.raw)
	c.raw = append(c.raw, make([]byte, n)...)
	_, err := io.ReadFull(s.r, c.raw[at:])
	return err
}

// traceCommand shows a command; not what is secret in it.
func (s *Server) traceCommand(c *command) {
	shown := c.raw
	switch c.name {
	case "LOGIN":
		shown = []byte(c.tag + " LOGIN <suppressed>")
	case "AUTHENTICATE":
		if words := bytes.Fields(c.raw); len(words) > 3 {
			shown = append(bytes.Join(words[:3], []byte(" ")), " <suppressed>"...)
		}
	}
	s.Trace("> ", bytes.TrimRight(shown, "\r\n"))
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
		"FETCH":        {selected, (*Server).fetch},
		"STORE":        {selected, (*Server).store},
		"COPY":         {selected, (*Server).copy},
		"MOVE":         {selected, (*Server).copy},
	}
}

// run finds the handler of a command.
func (s *Server) run(c *command) (string, error) {
	h, ok := handlers[c.name]
	if c.uid && !slices.Contains([]string{"FETCH", "STORE", "COPY", "MOVE", "SEARCH", "EXPUNGE"}, c.name) {
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

// text reads one string argument.
func (c *command) text() (string, error) {
	if !c.args.take(' ') {
		return "", badError("Missing or invalid argument to " + c.name)
	}
	c.args.space()
	if len(c.args.b) == 0 {
		return "", badError("Missing or invalid argument to " + c.name)
	}
	b, _, err := c.args.text()
	if err != nil {
		return "", badError("Missing or invalid argument to " + c.name)
	}
	return string(b), nil
}

// end makes sure that there are no more arguments.
func (c *command) end() error {
	if len(bytes.TrimRight(c.args.b, " ")) > 0 {
		return badError("Argument given to " + c.name + " when none expected")
	}
	return nil
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

func (s *Server) startTLS(c *command) (string, error) {
	if s.StartTLS == nil {
		return "", badError("TLS is not possible here")
	}
	s.line(c.tag + " OK Begin TLS now")
	if err := s.flush(); err != nil {
		return "", fatalError{err}
	}
	if s.r.Buffered() > 0 { // CVE-2011-0411
		return "", fatalError{errHopeless}
	}
	conn, err := s.StartTLS()
	if err != nil {
		return "", fatalError{err}
	}
	s.use(conn)
	s.StartTLS, s.tls = nil, true
	return "", fatalError{nil} // it has been answered
}

func (s *Server) login(c *command) (string, error) {
	user, err := c.text()
	if err != nil {
		return "", err
	}
	password, err := c.text()
	if err != nil {
		return "", err
	}
	if s.Password == nil || !s.Plain && !s.tls {
		return "", errors.New("LOGIN is disabled on an unencrypted connection")
	}
	return s.loggedIn(user, "LOGIN", func(p string) bool { return sasl.Same(p, password) })
}

// loggedIn lets a user in, whose password proves good.
func (s *Server) loggedIn(user, how string, proof func(password string) bool) (string, error) {
	p, known := s.Password(user)
	if good := proof(p); !known || !good { // always looked at, so that it takes the same time
		s.failures++
		s.Log(fmt.Sprintf("Login failed user=%s auth=%s host=%s", oneLine(user), how, s.peer()))
		if s.Wait != nil {
			s.Wait()
		}
		if s.failures >= maxFailures {
			s.untagged("BYE Too many login failures")
			s.bye = true
		}
		return "", errLogin
	}
	s.User = user
	if how == "LOGIN" {
		s.Log(fmt.Sprintf("Login user=%s host=%s", user, s.peer()))
	} else {
		s.Log(fmt.Sprintf("Authenticated user=%s host=%s mech=%s", user, s.peer(), how))
	}
	return fmt.Sprintf("[CAPABILITY %s] User %s authenticated", s.capabilities(), user), nil
}

// authenticate is the server's half of SASL.
func (s *Server) authenticate(c *command) (string, error) {
	mech, err := c.text()
	if err != nil {
		return "", err
	}
	var first *[]byte
	c.args.space()         // mutt writes one with nothing behind it
	if len(c.args.b) > 0 { // RFC 4959
		b, err := decode64(c.args.b)
		if err != nil {
			return "", err
		}
		first = &b
	}
	if s.Password == nil {
		return "", errors.New("nobody can log in here")
	}
	ask := func(challenge string) ([]byte, error) {
		if first != nil {
			b := *first
			first = nil
			return b, nil
		}
		return s.challenge(challenge)
	}
	how := sasl.Server{Host: s.Host, Plain: s.Plain || s.tls, Ask: ask}
	user, proof, err := how.Run(strings.ToUpper(mech))
	if err != nil {
		return "", err
	}
	return s.loggedIn(user, strings.ToUpper(mech), proof)
}

// challenge sends a challenge and reads the answer.
func (s *Server) challenge(text string) ([]byte, error) {
	s.w.WriteString("+ " + base64.StdEncoding.EncodeToString([]byte(text)) + "\r\n")
	if err := s.flush(); err != nil {
		return nil, fatalError{err}
	}
	line, err := s.r.ReadSlice('\n')
	if err != nil {
		return nil, fatalError{errHopeless}
	}
	s.Trace("> ", []byte("<suppressed>"))
	return decode64(bytes.TrimRight(line, "\r\n"))
}

func decode64(line []byte) ([]byte, error) {
	switch string(line) {
	case "*":
		return nil, badError("Authentication given up")
	case "=":
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(string(line))
	if err != nil {
		return nil, badError("That is not base64")
	}
	return b, nil
}
