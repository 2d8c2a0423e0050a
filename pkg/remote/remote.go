package remote

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"mailutil/pkg/mailbox"
)

// Options are what goes with every connection.
type Options struct {
	// Password returns the password for a server. It is called again, with
	// again set, after one that was refused; then it may fail. nil: there is
	// nobody to ask.
	Password func(r mailbox.Remote, again bool) (string, error)

	// User asks who logs in where the name does not say it. nil: nobody knows.
	User func(r mailbox.Remote) (string, error)

	Plaintext bool           // a password may cross an unencrypted connection
	Token     bool           // the password is an OAuth 2 access token
	Tunnel    []string       // a program and its arguments that speaks for the server
	Trace     io.Writer      // gets what is said, without secrets; nil: nobody
	Roots     *x509.CertPool // who may issue certificates; nil: whom the system trusts
	Idle      time.Duration  // how long to wait for the other side; 0 is DefaultIdle
}

// DefaultIdle is how long a server may say nothing.
const DefaultIdle = 3 * time.Minute

// dialTimeout is how long one address may take.
const dialTimeout = 30 * time.Second

// bufSize is what the buffers of a connection hold.
const bufSize = 64 << 10

// A Conn is a connection, encrypted or not. It is not safe for concurrent use.
type Conn struct {
	R *bufio.Reader
	W *bufio.Writer

	Remote    mailbox.Remote // with the port
	Encrypted bool
	Trusted   bool // nobody can listen: this host, or a tunnel
	Tunnelled bool // a program speaks for the server

	raw  net.Conn
	o    Options
	stop func() bool // forgets the context
	ctx  context.Context
}

// Dial connects to the server of r, whose ports are the plain one and the one
// for TLS from the first octet.
func Dial(ctx context.Context, env *mailbox.Env, r mailbox.Remote, o Options, plain, secure int) (*Conn, error) {
	if len(o.Tunnel) > 0 {
		raw, err := startTunnel(o.Tunnel)
		if err != nil {
			return nil, err
		}
		c := newConn(ctx, raw, r, o, true)
		c.Tunnelled = true
		return c, nil
	}
	if r.TrySSL && !r.SSL && !r.TLS && r.Port == 0 {
		s := r
		s.SSL, s.TrySSL = true, false
		if c, err := Dial(ctx, env, s, o, plain, secure); err == nil {
			return c, nil
		}
	}
	if r.Port == 0 {
		r.Port = plain
		if r.SSL {
			r.Port = secure
		}
	}
	raw, err := connect(ctx, env, r)
	if err != nil {
		return nil, err
	}
	c := newConn(ctx, raw, r, o, isLoopback(raw))
	if r.SSL {
		if err := c.StartTLS(ctx); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

func newConn(ctx context.Context, raw net.Conn, r mailbox.Remote, o Options, trusted bool) *Conn {
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	c := &Conn{Remote: r, raw: raw, o: o, Trusted: trusted, ctx: ctx, stop: func() bool { return true }}
	c.R, c.W = bufio.NewReaderSize(patient{c}, bufSize), bufio.NewWriterSize(patient{c}, bufSize)
	c.Bind(ctx)
	return c
}

// Bind makes the end of ctx the end of whatever the connection waits for.
func (c *Conn) Bind(ctx context.Context) {
	c.stop()
	c.ctx = ctx
	raw := c.raw
	c.stop = context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
}

// Close ends the connection.
func (c *Conn) Close() error {
	c.stop()
	return c.raw.Close()
}

// Trace shows what was said: "> " what we said, "< " what the server said.
func (c *Conn) Trace(who string, line []byte) {
	if c.o.Trace != nil {
		const most = 1000 // a line for people
		fmt.Fprintf(c.o.Trace, "%s%q\n", who, line[:min(len(line), most)])
	}
}

// patient is the connection with a limit on silence, not on the whole.
type patient struct{ c *Conn }

func (p patient) Read(b []byte) (int, error) {
	if err := p.c.patience(); err != nil {
		return 0, err
	}
	n, err := p.c.raw.Read(b)
	return n, p.c.explain(err)
}

func (p patient) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) { // in pieces, so that the limit is on each
		if err := p.c.patience(); err != nil {
			return done, err
		}
		n, err := p.c.raw.Write(b[done:min(len(b), done+bufSize)])
		done += n
		if err != nil {
			return done, p.c.explain(err)
		}
	}
	return done, nil
}

func (c *Conn) patience() error {
	// The clock of the system, not of the surroundings: it is what deadlines
	// are compared with.
	if err := c.raw.SetDeadline(time.Now().Add(c.o.Idle)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return c.ctx.Err() // asked last: what ends with ctx has set another one
}

// ErrLost means that the connection broke: what was under way may or may not
// have been done.
var ErrLost = errors.New("connection lost")

// explain says what the end of a connection means.
func (c *Conn) explain(err error) error {
	var timeout net.Error
	switch {
	case err == nil:
		return nil
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %s hung up", ErrLost, c.Remote.Host)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w: %s has said nothing for %v", ErrLost, c.Remote.Host, c.o.Idle)
	}
	return fmt.Errorf("%w: %s: %w", ErrLost, c.Remote.Host, reasonOf(err))
}

// connect tries the addresses of a host in turn.
func connect(ctx context.Context, env *mailbox.Env, r mailbox.Remote) (net.Conn, error) {
	addrs, err := addresses(ctx, r.Host)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: dialTimeout}
	for _, addr := range addrs {
		env.Notify(mailbox.Info, fmt.Sprintf("Trying IP address [%s]", addr))
		var raw net.Conn
		if raw, err = d.DialContext(ctx, "tcp", net.JoinHostPort(addr, strconv.Itoa(r.Port))); err == nil {
			return raw, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, mailbox.Sayf(mailbox.ErrTemporary, "Connection failed to %s,%d: %v", r.Host, r.Port, reasonOf(err))
}

func addresses(ctx context.Context, host string) ([]string, error) {
	if literal, ok := strings.CutPrefix(host, "["); ok {
		literal = strings.TrimSuffix(literal, "]")
		if net.ParseIP(literal) == nil {
			return nil, mailbox.Sayf(mailbox.ErrNotExist, "Bad format domain-literal: %s", host)
		}
		return []string{literal}, nil
	}
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	var dns *net.DNSError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &dns) && dns.IsNotFound:
		return nil, mailbox.Sayf(mailbox.ErrNotExist, "No such host as %s", host)
	case err != nil:
		return nil, mailbox.Sayf(mailbox.ErrTemporary, "Cannot look up host %s now: %v", host, err)
	}
	return addrs, nil
}

// reasonOf is the innermost cause of a failure of package net.
func reasonOf(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func isLoopback(c net.Conn) bool {
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// StartTLS encrypts the connection. What the server said before, and nobody
// has read yet, could come from somebody on the way: it ends the connection
// (CVE-2011-0411).
func (c *Conn) StartTLS(ctx context.Context) error {
	if c.R.Buffered() > 0 {
		return mailbox.Sayf(mailbox.ErrTemporary, "Can't connect to %s,%d: somebody put text before the start of TLS", c.Remote.Host, c.Remote.Port)
	}
	host := strings.Trim(c.Remote.Host, "[]")
	t := tls.Client(c.raw, &tls.Config{ServerName: host, RootCAs: c.o.Roots, InsecureSkipVerify: c.Remote.NoValidate})
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		return c.tlsError(err)
	}
	c.stop()
	c.raw, c.Encrypted = t, true
	c.Bind(c.ctx)
	return nil
}

// tlsError says in one sentence what is wrong and what helps.
func (c *Conn) tlsError(err error) error {
	host, port := c.Remote.Host, c.Remote.Port
	say := func(format string, args ...any) error {
		return mailbox.Sayf(mailbox.ErrTemporary, "Can't connect to %s,%d: %s", host, port, fmt.Sprintf(format, args...))
	}
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	const trust = "; to connect nevertheless, without knowing to whom, write /novalidate-cert"
	switch {
	case errors.As(err, &name):
		return say("its certificate is for %s, not for %s: use the name that is in it%s", namesIn(name.Certificate), host, trust)
	case errors.As(err, &unknown) && selfSigned(err):
		return say("its certificate is signed by itself, so that nobody vouches for it: add it to those that this system trusts%s", trust)
	case errors.As(err, &unknown):
		return say("the issuer of its certificate, %s, is not one that this system trusts: add it to those%s", issuerOf(err), trust)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return say("its certificate is not valid now, but from %s to %s: look at the clocks, or have it renewed%s",
			invalid.Cert.NotBefore.UTC().Format(time.DateOnly), invalid.Cert.NotAfter.UTC().Format(time.DateOnly), trust)
	case errors.As(err, &record) && c.Remote.SSL:
		return say("it does not speak TLS on this port: leave out /ssl, or use port 993 (IMAP) or 995 (POP3)")
	case errors.As(err, &record) || errors.Is(err, io.EOF):
		return say("it offers STARTTLS, but does not speak TLS: use /ssl, or tell its administrator")
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	}
	return say("TLS: %v", reasonOf(err))
}

func unverified(err error) *x509.Certificate {
	var e *tls.CertificateVerificationError
	if errors.As(err, &e) && len(e.UnverifiedCertificates) > 0 {
		return e.UnverifiedCertificates[0]
	}
	return &x509.Certificate{}
}

func selfSigned(err error) bool {
	cert := unverified(err)
	return string(cert.RawIssuer) == string(cert.RawSubject)
}

func issuerOf(err error) string { return fmt.Sprintf("%q", unverified(err).Issuer.String()) }

// namesIn lists whom a certificate is for.
func namesIn(cert *x509.Certificate) string {
	names := cert.DNSNames
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "nobody"
	}
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}
