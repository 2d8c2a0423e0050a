package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/serve"
)

// serveOptions are those of the command serve.
type serveOptions struct {
	imap, imaps, pop3, pop3s   string // addresses to listen on
	root, stdio                string
	passwords, cert, key       string
	readWrite, anywhere, trace bool
	readOnly, syslog           bool
}

func (c *cli) serveCommand() *cobra.Command {
	var o serveOptions
	cmd := c.command("serve", "Show mailboxes to mail clients, by IMAP and POP3.", 0, maxServed, func(ctx context.Context, args []string) error {
		return c.serve(ctx, o, args)
	})
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.imap, "imap", "", "listen for IMAP at this `address`: 127.0.0.1:1143")
	f.StringVar(&o.imaps, "imaps", "", "listen for IMAP in TLS at this `address`")
	f.StringVar(&o.pop3, "pop3", "", "listen for POP3 at this `address`")
	f.StringVar(&o.pop3s, "pop3s", "", "listen for POP3 in TLS at this `address`")
	f.StringVar(&o.stdio, "stdio", "", "speak this `protocol`, imap or pop3, on standard input and output, as the user who is logged in")
	f.StringVar(&o.root, "root", "", "show what is below this `directory` instead of the home directory")
	f.BoolVar(&o.readOnly, "read-only", false, "let nothing be changed, which is so unless --read-write is given")
	f.BoolVar(&o.readWrite, "read-write", false, "let clients change mailboxes")
	f.StringVar(&o.passwords, "passwords", "", "take users and passwords from this `file`, in the form of /etc/cram-md5.pwd")
	f.StringVar(&o.cert, "cert", "", "the certificate for TLS is in this PEM `file`; without, one is made")
	f.StringVar(&o.key, "key", "", "and its key in this `file`")
	f.BoolVar(&o.anywhere, "listen-anywhere", false, "let other machines connect, by TLS and with --passwords")
	f.BoolVar(&o.syslog, "syslog", false, "log to the system log, as is done with --stdio, instead of standard error")
	f.BoolVar(&o.trace, "trace", false, "print the conversation, without passwords")
	return cmd
}

// maxServed is how many mailboxes can be named.
const maxServed = 1000

func (c *cli) serve(ctx context.Context, o serveOptions, names []string) error {
	if err := o.check(names); err != nil {
		return err
	}
	so, err := c.served(o)
	if err != nil {
		return err
	}
	so.Mailboxes = names
	for _, name := range names {
		if _, err := so.Session.Check(ctx, name); err != nil {
			return c.failed(opOpen, name, err)
		}
	}
	network := o.stdio != "" && isNetwork(os.Stdin)
	switch {
	case network && o.passwords == "":
		return errors.New("standard input is a network connection: give --passwords, so that not everybody is let in")
	case o.stdio != "" && !network:
		return serve.New(so).Stdio(ctx, o.stdio, os.Stdin, os.Stdout)
	}
	if err := errors.Join(c.servePasswords(o, &so), c.serveTLS(o, &so)); err != nil {
		return err
	}
	if network {
		conn, err := net.FileConn(os.Stdin)
		if err != nil {
			return err
		}
		serve.New(so).Conn(ctx, o.stdio, conn)
		return nil
	}
	listeners, err := c.listen(o)
	if err != nil {
		return err
	}
	return serve.New(so).Serve(ctx, listeners)
}

// served says what is shown, and who gets to know of what happens.
func (c *cli) served(o serveOptions) (serve.Options, error) {
	log := &serveLog{c: c}
	so := serve.Options{Session: c.session, ReadWrite: o.readWrite && !c.session.DryRun, Log: log.line, NoLogin: "/etc/nologin"}
	if o.trace || c.opt.debug {
		so.Trace = log.trace
	}
	env := *c.session.Env
	if o.root != "" {
		root, err := filepath.Abs(o.root)
		if err != nil {
			return so, err
		}
		if fi, err := os.Stat(root); err != nil || !fi.IsDir() {
			return so, fmt.Errorf("--root %s: not a directory", o.root)
		}
		env = *serve.Env(&env, root)
	}
	if o.syslog || o.stdio != "" { // of which inetd makes standard error the client, too
		so.Log = serve.SystemLog()
		env.Notify = func(_ mailbox.Level, text string) { so.Log(0, text) }
	}
	so.Alerts = []string{"/etc/imapd.alert", filepath.Join(env.Home, ".imapalert")}
	var err error
	so.Session.Env = &env
	so.Session.Drivers, err = c.localDrivers(&env)
	return so, err
}

// isNetwork reports whether a file is a connection with another machine, or
// with a program that may be anybody's.
func isNetwork(f *os.File) (yes bool) {
	raw, err := f.SyscallConn() // not Fd, nor package net: they change how it is read
	if err != nil {
		return false
	}
	raw.Control(func(fd uintptr) {
		addr, _ := syscall.Getsockname(int(fd))
		switch addr.(type) {
		case *syscall.SockaddrInet4, *syscall.SockaddrInet6:
			yes = true
		}
	})
	return yes
}

// check looks whether the options go together.
func (o *serveOptions) check(names []string) error {
	listens := o.imap != "" || o.imaps != "" || o.pop3 != "" || o.pop3s != ""
	switch {
	case o.readOnly && o.readWrite:
		return usageError("--read-only and --read-write are mutually exclusive")
	case o.root != "" && len(names) > 0:
		return usageError("--root shows all that is below it: name no mailboxes")
	case (o.cert == "") != (o.key == ""):
		return usageError("--cert and --key go together")
	case o.stdio != "" && (listens || o.stdio != "imap" && o.stdio != "pop3"):
		return usageError("--stdio is imap or pop3, and listens nowhere")
	case o.stdio == "" && !listens && !activated():
		return usageError("give an address: --imap 127.0.0.1:1143, --pop3 127.0.0.1:1110, or --stdio imap")
	case o.anywhere && o.passwords == "":
		return usageError("--listen-anywhere needs --passwords")
	case o.anywhere:
		return nil
	}
	for _, addr := range []string{o.imap, o.imaps, o.pop3, o.pop3s} {
		if addr == "" {
			continue
		}
		if err := serve.CheckAddress(addr); errors.Is(err, serve.ErrNotLoopback) {
			return usageError(fmt.Sprintf("other machines could connect to %s: to let them, give --listen-anywhere and --passwords", addr))
		} else if err != nil {
			return usageError(err.Error())
		}
	}
	return nil
}

// servePasswords finds out who can log in, or makes up a password.
func (c *cli) servePasswords(o serveOptions, so *serve.Options) error {
	if o.passwords == "" {
		user := so.Session.Env.User
		p := rand.Text()[:16]
		so.Passwords = map[string]string{user: p}
		c.say(fmt.Sprintf("user %s password %s", user, p))
		return nil
	}
	f, err := os.Open(o.passwords)
	if err != nil {
		return err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil {
		return err
	} else if fi.Mode().IsRegular() && fi.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("password file %s: others may read it (mode %#o); chmod 600 it", o.passwords, fi.Mode().Perm())
	}
	if so.Passwords, err = serve.ReadPasswords(f); err == nil && len(so.Passwords) == 0 {
		err = fmt.Errorf("password file %s: no line is a user, a tab and a password", o.passwords)
	}
	return err
}

// serveTLS loads the certificate, or makes one.
func (c *cli) serveTLS(o serveOptions, so *serve.Options) error {
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return err
		}
		so.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		return nil
	}
	var print string
	var err error
	so.TLS, print, err = serve.SelfMade(so.Session.Env.Host, so.Session.Env.Now())
	if err == nil && (o.imaps != "" || o.pop3s != "" || c.opt.verbose) {
		c.say("certificate SHA-256 " + print)
	}
	return err
}

// listen listens at all addresses, and takes over what systemd has opened.
func (c *cli) listen(o serveOptions) (out []serve.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range out {
				l.Close()
			}
		}
	}()
	for _, a := range []struct {
		addr, protocol, name string
		secure               bool
	}{
		{o.imap, "imap", "imap", false},
		{o.imaps, "imap", "imaps", true},
		{o.pop3, "pop3", "pop3", false},
		{o.pop3s, "pop3", "pop3s", true},
	} {
		if a.addr == "" {
			continue
		}
		l, err := net.Listen("tcp", a.addr)
		if err != nil {
			return out, err
		}
		out = append(out, serve.Listener{Listener: l, Protocol: a.protocol, Secure: a.secure})
		c.say(fmt.Sprintf("%s %s", a.name, l.Addr()))
	}
	more, err := inherited(o.anywhere)
	return append(out, more...), err
}

// activated reports whether systemd has opened sockets for us.
func activated() bool { return os.Getenv("LISTEN_PID") == fmt.Sprint(os.Getpid()) }

// inherited takes over the sockets of systemd: descriptors 3 and up, whose
// names say what is spoken there.
func inherited(anywhere bool) (out []serve.Listener, err error) {
	if !activated() {
		return nil, nil
	}
	var n int
	if _, err := fmt.Sscan(os.Getenv("LISTEN_FDS"), &n); err != nil || n < 1 || n > 100 {
		return nil, fmt.Errorf("LISTEN_FDS is %q", os.Getenv("LISTEN_FDS"))
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for i := range n {
		name := "imap"
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		protocol := strings.TrimSuffix(name, "s")
		if protocol != "imap" && protocol != "pop3" {
			return out, fmt.Errorf("the socket called %q: its FileDescriptorName must be imap, imaps, pop3 or pop3s", name)
		}
		f := os.NewFile(uintptr(3+i), name)
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return out, err
		}
		if err := serve.CheckAddress(l.Addr().String()); err != nil && !anywhere {
			l.Close()
			return out, err
		}
		out = append(out, serve.Listener{Listener: l, Protocol: protocol, Secure: protocol != name})
	}
	return out, nil
}

// A serveLog prints what happens in sessions, one line at a time.
type serveLog struct {
	mu sync.Mutex
	c  *cli
}

// A sessionRecord is a line of the log, with --json.
type sessionRecord struct {
	Time    string `json:"time"`
	Session int64  `json:"session"`
	Kind    string `json:"kind"` // "log", or "trace" for what was said
	Text    string `json:"text"`
}

func (sessionRecord) recordType() string { return typeSession }

func (l *serveLog) print(kind string, session int64, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c.opt.json {
		encode(l.c.err, sessionRecord{l.c.session.Env.Now().Format(time.RFC3339), session, kind, text})
		return
	}
	fmt.Fprintf(l.c.err, "[%d] %s\n", session, text)
}

func (l *serveLog) line(session int64, text string) {
	if !l.c.opt.quiet {
		l.print("log", session, text)
	}
}

func (l *serveLog) trace(session int64, who string, line []byte) {
	l.print("trace", session, who+strings.Trim(fmt.Sprintf("%q", line), `"`))
}
