package serve

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailutil/pkg/imap"
	"mailutil/pkg/internal/session"
	"mailutil/pkg/internal/tree"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
	"mailutil/pkg/pop3"
)

// The limits of an endpoint.
const (
	failureWait   = 3 * time.Second
	handshakeTime = 30 * time.Second
	idlePoll      = time.Second
)

// Options say what is shown, to whom and how.
type Options struct {
	Session   ops.Session
	Mailboxes []string // the only ones; none for all of the user
	ReadWrite bool

	// Passwords are by user. nil: nobody can log in.
	Passwords map[string]string
	TLS       *tls.Config // nil: no TLS

	// Log takes a line for each thing that happens, Trace what is said, both
	// from several sessions at a time. nil: nobody wants it.
	Log   func(session int64, line string)
	Trace func(session int64, who string, line []byte)

	// Alerts are files whose lines users are to see, and NoLogin one that keeps
	// them out while it exists. "" for none.
	Alerts  []string
	NoLogin string

	// Wait is called after a wrong password; nil waits 3 seconds.
	Wait func()
	// Limits are for tests.
	Limits Limits
	// Poll is how often an IDLE looks for what is new; 0 is a second.
	Poll time.Duration
}

// Limits are how long clients may take; 0 is as in the original.
type Limits struct {
	Login, Silent, Idle time.Duration
	Alert, Ask          time.Duration // until alerts are looked at; until POP3 yields
}

// A Server is an endpoint.
type Server struct {
	o      Options
	tree   *tree.Tree
	host   string
	next   atomic.Int64
	guests guests
}

// New returns an endpoint.
func New(o Options) *Server {
	s := &Server{o: o, host: o.Session.Env.Host}
	if len(o.Mailboxes) > 0 {
		s.tree = tree.NewFixed(o.Session, o.Mailboxes, o.ReadWrite)
	} else {
		s.tree = tree.New(o.Session, o.ReadWrite)
	}
	if s.o.Log == nil {
		s.o.Log = func(int64, string) {}
	}
	if s.o.Trace == nil {
		s.o.Trace = func(int64, string, []byte) {}
	}
	if s.o.Wait == nil {
		s.o.Wait = func() { time.Sleep(failureWait) }
	}
	if s.o.Poll == 0 {
		s.o.Poll = idlePoll
	}
	return s
}

// A Listener is where clients come in.
type Listener struct {
	net.Listener
	Protocol string // "imap" or "pop3"
	Secure   bool   // TLS from the first octet
}

// Serve takes clients until ctx ends, and then ends their sessions.
func (s *Server) Serve(ctx context.Context, listeners []Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.guests.yield(ctx)
	var all sync.WaitGroup
	errs := make([]error, len(listeners))
	for i, l := range listeners {
		all.Go(func() {
			errs[i] = s.accept(ctx, l, &all)
			cancel() // one that cannot listen ends all
		})
		context.AfterFunc(ctx, func() { l.Close() })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (s *Server) accept(ctx context.Context, l Listener, all *sync.WaitGroup) error {
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() { // too many files: others will end
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
				continue
			}
			return err
		}
		g, ok := s.guests.enter(c)
		if !ok {
			s.full(c, l.Protocol)
			continue
		}
		all.Go(func() {
			defer s.guests.leave(g)
			defer c.Close()
			s.client(ctx, g, c, l)
		})
	}
}

// full turns a client away.
func (s *Server) full(c net.Conn, protocol string) {
	c.SetDeadline(time.Now().Add(time.Second))
	text := "* BYE Too many sessions\r\n"
	if protocol == "pop3" {
		text = "-ERR [SYS/TEMP] Too many sessions\r\n"
	}
	io.WriteString(c, text) // it hears it or not
	c.Close()
}

// client has one session with a client.
func (s *Server) client(ctx context.Context, g *guest, c net.Conn, l Listener) {
	id := s.next.Add(1)
	defer func() {
		if p := recover(); p != nil { // a bug of ours ends one session, not all
			s.o.Log(id, fmt.Sprintf("session ended by a bug, please report it: %v", p))
		}
	}()
	s.o.Log(id, fmt.Sprintf("%s service init from %s", l.Protocol, address(c)))
	var start func() (net.Conn, error)
	if s.o.TLS != nil && !l.Secure {
		start = func() (net.Conn, error) { return s.encrypt(ctx, c) }
	}
	if l.Secure {
		t, err := s.encrypt(ctx, c)
		if err != nil {
			s.o.Log(id, fmt.Sprintf("TLS with %s failed: %v", c.RemoteAddr(), err))
			return
		}
		c = t
	}
	visit := s.visit(id, c)
	visit.StartTLS, visit.Plain, visit.Entered = start, l.Secure || isLoopback(c), g.logIn
	if err := s.session(ctx, g, c, l.Protocol, visit); err != nil {
		s.o.Log(id, fmt.Sprintf("session with %s ended: %v", c.RemoteAddr(), err))
	}
}

func (s *Server) encrypt(ctx context.Context, c net.Conn) (net.Conn, error) {
	t := tls.Server(c, s.o.TLS)
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	return t, t.HandshakeContext(ctx)
}

// Conn has one session on a network connection that inetd or systemd has taken.
func (s *Server) Conn(ctx context.Context, protocol string, c net.Conn) {
	g, _ := s.guests.enter(c) // the only one
	defer s.guests.leave(g)
	defer c.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.guests.yield(ctx)
	s.client(ctx, g, c, Listener{Protocol: protocol})
}

// Stdio has one session on a pair of pipes. The client is logged in already, as
// with an IMAP server that rsh or ssh starts.
func (s *Server) Stdio(ctx context.Context, protocol string, in io.ReadCloser, out io.WriteCloser) error {
	c := &pipes{in, out}
	visit := s.visit(1, c)
	visit.User, visit.Plain = s.o.Session.Env.User, true
	g, _ := s.guests.enter(c) // the only one
	defer s.guests.leave(g)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.guests.yield(ctx)
	return s.session(ctx, g, c, protocol, visit)
}

// visit is what both protocols know of a client.
func (s *Server) visit(id int64, c net.Conn) session.Session {
	v := session.Session{
		Tree: s.tree, Host: s.host, Client: hostOf(c), Wait: s.o.Wait,
		Log:       func(line string) { s.o.Log(id, line) },
		Trace:     func(who string, line []byte) { s.o.Trace(id, who, line) },
		LoginTime: s.o.Limits.Login, SilentTime: s.o.Limits.Silent, IdleTime: s.o.Limits.Idle,
	}
	if s.o.Passwords != nil {
		v.Password = s.password
	}
	return v
}

// password finds the one of a user: in that spelling, else in lower case, as
// the original does.
func (s *Server) password(user string) (string, bool) {
	p, ok := s.o.Passwords[user]
	if !ok {
		p, ok = s.o.Passwords[strings.ToLower(user)]
	}
	return p, ok
}

// session speaks one protocol.
func (s *Server) session(ctx context.Context, g *guest, c net.Conn, protocol string, visit session.Session) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if protocol == "pop3" {
		p := &pop3.Server{Session: visit, AskTime: s.o.Limits.Ask}
		g.ask(p.Holds, cancel)
		return p.Serve(ctx, c)
	}
	p := &imap.Server{Session: visit, Poll: s.o.Poll, Alerts: s.o.Alerts, NoLogin: s.o.NoLogin, AlertTime: s.o.Limits.Alert}
	g.ask(p.Holds, cancel)
	return p.Serve(ctx, c)
}

// address is where a client is, "UNKNOWN" without a network.
func address(c net.Conn) string {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.IP.String()
	}
	return "UNKNOWN"
}

// hostOf is what log lines call a client: "name [address]", as those of the
// original; of names it is loopback alone that nobody has to be asked for.
func hostOf(c net.Conn) string {
	switch addr := address(c); {
	case addr == "UNKNOWN":
		return addr
	case isLoopback(c):
		return "localhost [" + addr + "]"
	default:
		return "[" + addr + "]"
	}
}

func isLoopback(c net.Conn) bool {
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// pipes are a connection made of two.
type pipes struct {
	io.ReadCloser
	io.WriteCloser
}

func (p *pipes) Close() error         { return errors.Join(p.ReadCloser.Close(), p.WriteCloser.Close()) }
func (p *pipes) LocalAddr() net.Addr  { return pipeAddr{} }
func (p *pipes) RemoteAddr() net.Addr { return pipeAddr{} }

// Deadlines are those of the pipes, as far as the system has them: a terminal
// or a file has none, and then the end of the other side is waited for.
func (p *pipes) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}

func (p *pipes) SetReadDeadline(t time.Time) error  { return setDeadline(p.ReadCloser, t) }
func (p *pipes) SetWriteDeadline(t time.Time) error { return setDeadline(p.WriteCloser, t) }

func setDeadline(f any, t time.Time) error {
	d, ok := f.(interface{ SetDeadline(time.Time) error })
	if !ok {
		return os.ErrNoDeadline
	}
	return d.SetDeadline(t)
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "UNKNOWN" }

// ReadPasswords reads a file in the form of /etc/cram-md5.pwd: a user, a tab and
// a password on each line; comments and lines that are not so are passed over.
func ReadPasswords(r io.Reader) (map[string]string, error) {
	out := map[string]string{}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		user, password, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "\t")
		if ok && user != "" && password != "" && user[0] != '#' {
			out[user] = password
		}
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// ErrNotLoopback means that an address is one that others can reach.
var ErrNotLoopback = errors.New("not a loopback address")

// CheckAddress makes sure that an address to listen on is a loopback one.
func CheckAddress(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s: %w", addr, ErrNotLoopback)
	}
	return nil
}

// Env returns surroundings whose home is a directory: all mailboxes are below
// it, and INBOX is the file of that name there.
func Env(env *mailbox.Env, root string) *mailbox.Env {
	e := *env
	e.Home = root
	e.Spool = root + "/INBOX"
	e.Config.Subdir, e.Config.SystemInbox = "", ""
	return &e
}
