package imap

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"mailutil/pkg/internal/sasl"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/remote"
)

// The ports of IMAP, and of IMAP in TLS.
const (
	plainPort  = 143
	securePort = 993
)

// A conn is a connection to a server, logged in. It is not safe for concurrent
// use.
type conn struct {
	*remote.Conn
	env    *mailbox.Env
	in     reader
	tags   uint32
	caps   []string     // upper case
	broken error        // it cannot be used any more
	box    func([]byte) // gets untagged responses about the open mailbox
}

// A response is the tagged end of a command, or an untagged status.
type response struct {
	kind       string // OK, NO, BAD, BYE, PREAUTH
	code, args string // "APPENDUID", "1 2"
	text       string
}

// A StatusError is a command that the server refused.
type StatusError struct {
	Kind, Code string // "NO", "OVERQUOTA"
	Text       string // in the words of the server
}

func (e *StatusError) Error() string {
	if e.Text == "" {
		return "the server says " + e.Kind
	}
	return "the server says: " + printable(e.Text)
}

// Is maps response codes (RFC 5530) to the kinds of package mailbox. What has no
// code may pass.
func (e *StatusError) Is(target error) bool {
	switch e.Code {
	case "OVERQUOTA":
		return target == mailbox.ErrOverQuota
	case "TRYCREATE", "NONEXISTENT":
		return target == mailbox.ErrNotExist
	case "ALREADYEXISTS":
		return target == mailbox.ErrExist
	case "INUSE":
		return target == mailbox.ErrBusy
	case "NOPERM":
		return target == mailbox.ErrReadOnly
	case "CANNOT":
		return target == mailbox.ErrUnsupported
	case "UNAVAILABLE", "LIMIT", "SERVERBUG":
		return target == mailbox.ErrTemporary
	}
	return false
}

// printable keeps a server from writing on the terminal what is not text.
func printable(s string) string {
	const most = 500
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F || r >= 0x80 && r < 0xA0 {
			return '?'
		}
		return r
	}, s[:min(len(s), most)])
}

// connect opens a connection and logs in.
func connect(ctx context.Context, env *mailbox.Env, r mailbox.Remote, o remote.Options) (*conn, error) {
	rc, err := remote.Dial(ctx, env, r, o, plainPort, securePort)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: rc, env: env, in: reader{r: rc.R}}
	if err := c.begin(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// begin reads the greeting, starts TLS and logs in.
func (c *conn) begin(ctx context.Context) error {
	hello, err := c.greeting()
	if err != nil {
		return err
	}
	if hello.kind == "PREAUTH" {
		if c.Remote.TLS && !c.Encrypted {
			return mailbox.Sayf(mailbox.ErrTemporary, "Unable to negotiate TLS with this server: it has logged us in without")
		}
		return c.capability()
	}
	if err := c.capability(); err != nil {
		return err
	}
	if err := c.startTLS(ctx); err != nil {
		return err
	}
	var offered []string
	for _, name := range c.caps {
		if m, ok := strings.CutPrefix(name, "AUTH="); ok {
			offered = append(offered, m)
		}
	}
	if err := c.Login(c.env, offered, !c.has("LOGINDISABLED"), c.logIn); err != nil {
		return err
	}
	if c.caps != nil {
		return nil
	}
	return c.capability()
}

func (c *conn) greeting() (response, error) {
	line, err := c.read()
	if err != nil {
		return response{}, c.fatal(err)
	}
	r, untagged := status(line, "*")
	switch {
	case untagged && (r.kind == "OK" || r.kind == "PREAUTH"):
		c.note(r)
		return r, nil
	case untagged && r.kind == "BYE":
		return r, c.fatal(&StatusError{"BYE", r.code, r.text})
	}
	return r, c.fatal(&ProtocolError{fmt.Sprintf("its greeting is not that of IMAP: %.80q", line)})
}

// startTLS encrypts where the server can, unless the name says not to, and
// fails where the name says it must.
func (c *conn) startTLS(ctx context.Context) error {
	switch r := c.Remote; {
	case c.Encrypted, r.NoTLS:
		return nil
	case !c.has("STARTTLS") && r.TLS:
		return mailbox.Sayf(mailbox.ErrUnsupported, "Unable to negotiate TLS with this server")
	case !c.has("STARTTLS"):
		return nil
	}
	if _, err := c.command("STARTTLS"); err != nil {
		return mailbox.Sayf(mailbox.ErrTemporary, "Unable to negotiate TLS with this server: %v", err)
	}
	if err := c.StartTLS(ctx); err != nil {
		return err
	}
	return c.capability() // RFC 3501, 6.2.1: what was said before is void
}

// logIn carries out one way to log in.
func (c *conn) logIn(m sasl.Mechanism, l sasl.Login) error {
	if strings.ContainsAny(l.Password, "\r\n\x00") {
		return mailbox.Sayf(mailbox.ErrName, "A password with a line break in it cannot be sent")
	}
	c.caps = nil
	var err error
	if m.Name == "" {
		_, err = c.secret("LOGIN %s <suppressed>", "LOGIN %s %s", quote(l.User), quote(l.Password))
	} else {
		err = c.authenticate(m, l)
	}
	var refused *StatusError
	if !errors.As(err, &refused) || refused.Kind == "BYE" {
		return err
	}
	switch refused.Code {
	case "LIMIT", "UNAVAILABLE", "INUSE", "CONTACTADMIN", "SERVERBUG": // RFC 5530: it is not the password
		return c.fatal(fmt.Errorf("%w: %w", mailbox.ErrTemporary, refused))
	}
	return &loginError{refused}
}

// A loginError is a login that was refused, in the words of the server.
type loginError struct{ *StatusError }

func (e *loginError) Error() string { return printable(e.Text) }

func (e *loginError) Is(target error) bool {
	return target == remote.ErrRefused || target == remote.ErrWrong && e.Code == "AUTHENTICATIONFAILED" // RFC 5530
}

// authenticate carries out a mechanism, RFC 3501, 6.2.2.
func (c *conn) authenticate(m sasl.Mechanism, l sasl.Login) error {
	x := m.Start(l)
	tag := c.tag()
	if err := c.write(fmt.Sprintf("%s AUTHENTICATE %s\r\n", tag, m.Name), ""); err != nil {
		return err
	}
	for {
		line, err := c.read()
		if err != nil {
			return c.fatal(err)
		}
		if r, ok := status(line, tag); ok {
			c.note(r)
			if err := r.err(); err != nil {
				return err
			}
			return c.fatal(x.Proven())
		}
		if !bytes.HasPrefix(line, []byte("+")) {
			if err := c.untagged(line); err != nil {
				return err
			}
			continue
		}
		challenge, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(line[1:])))
		var answer []byte
		if err == nil {
			answer, err = x.Answer(challenge)
		}
		if err != nil {
			return c.fatal(err)
		}
		if err := c.write(base64.StdEncoding.EncodeToString(answer)+"\r\n", "<suppressed>"); err != nil {
			return err
		}
	}
}

// capability asks what the server can do.
func (c *conn) capability() error {
	c.caps = nil
	_, err := c.command("CAPABILITY")
	return err
}

// has reports whether the server can do something.
func (c *conn) has(name string) bool { return !c.Remote.Loser && slices.Contains(c.caps, name) }

// literalPlus reports whether n octets may be sent without asking, RFC 7888.
func (c *conn) literalPlus(n int64) bool {
	return c.has("LITERAL+") || c.has("LITERAL-") && n <= 4096
}

// tag returns the tag of the next command, 8 hexadecimal digits as those of
// the original.
func (c *conn) tag() string {
	c.tags++
	return fmt.Sprintf("%08x", c.tags-1)
}

// write sends a line; shown is what may be shown of it, "" for all.
func (c *conn) write(line, shown string) error {
	if c.broken != nil {
		return c.broken
	}
	if shown == "" {
		shown = line
	}
	c.Trace("> ", []byte(shown))
	if _, err := io.WriteString(c.W, line); err != nil {
		return c.fatal(err)
	}
	if err := c.W.Flush(); err != nil {
		return c.fatal(err)
	}
	return nil
}

// fatal ends the use of the connection.
func (c *conn) fatal(err error) error {
	if c.broken == nil && err != nil {
		c.broken = err
	}
	return err
}

// send sends a command, and returns its tag, by which finish knows its end.
func (c *conn) send(format string, args ...any) (string, error) {
	tag := c.tag()
	return tag, c.write(tag+" "+fmt.Sprintf(format, args...)+"\r\n", "")
}

// command carries out a command without literals.
func (c *conn) command(format string, args ...any) (response, error) {
	tag, err := c.send(format, args...)
	if err != nil {
		return response{}, err
	}
	return c.finish(tag)
}

// secret is command for arguments that nobody is to see.
func (c *conn) secret(shown, format string, args ...any) (response, error) {
	tag := c.tag()
	if err := c.write(tag+" "+fmt.Sprintf(format, args...)+"\r\n", tag+" "+fmt.Sprintf(shown, args[:1]...)); err != nil {
		return response{}, err
	}
	return c.finish(tag)
}

// finish reads responses up to the end of a command.
func (c *conn) finish(tag string) (response, error) {
	for {
		line, err := c.read()
		if err != nil {
			return response{}, c.fatal(err)
		}
		if r, ok := status(line, tag); ok {
			c.note(r)
			return r, r.err()
		}
		if err := c.untagged(line); err != nil {
			return response{}, err
		}
	}
}

// read returns the next response, with all its literals.
func (c *conn) read() ([]byte, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	c.in.begin()
	for {
		n, err := c.in.more()
		if err != nil {
			return nil, err
		}
		if n < 0 {
			c.Trace("< ", c.in.line)
			return c.in.line, nil
		}
		if err := c.in.keep(n); err != nil {
			return nil, err
		}
	}
}

// untagged takes what a server may say at any time. Only a BYE is an error:
// what is not known, or not understood, is passed over.
func (c *conn) untagged(line []byte) error {
	r, ok := status(line, "*")
	switch {
	case !ok && c.box != nil:
		c.box(line)
	case !ok:
	case r.kind == "BYE":
		return c.fatal(fmt.Errorf("%w: %w", remote.ErrLost, &StatusError{"BYE", r.code, r.text}))
	case r.kind == "OK":
		c.note(r)
		if c.box != nil {
			c.box(line)
		}
	}
	c.capabilities(line)
	if ok && r.code == "ALERT" {
		c.env.Notify(mailbox.Warn, "ALERT from "+c.Remote.Host+": "+printable(r.text))
	}
	return nil
}

// note takes the capabilities that come along with a status.
func (c *conn) note(r response) {
	if r.code == "CAPABILITY" {
		c.caps = strings.Fields(strings.ToUpper(r.args))
	}
}

// capabilities takes an untagged CAPABILITY.
func (c *conn) capabilities(line []byte) {
	words := bytes.Fields(line)
	if len(words) < 2 || !bytes.EqualFold(words[1], []byte("CAPABILITY")) {
		return
	}
	c.caps = strings.Fields(strings.ToUpper(string(bytes.Join(words[2:], []byte(" ")))))
}

// status reads a status response with a tag.
func status(line []byte, tag string) (response, bool) {
	first, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || !strings.EqualFold(string(first), tag) {
		return response{}, false
	}
	p := parser{bytes.TrimLeft(rest, " ")}
	r := response{kind: strings.ToUpper(string(p.atom()))}
	switch r.kind {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
	default:
		return r, false
	}
	r.code, r.args = p.code()
	r.text = string(bytes.TrimSpace(p.b))
	return r, true
}

// err is the error that the end of a command stands for.
func (r response) err() error {
	if r.kind == "OK" {
		return nil
	}
	return &StatusError{r.kind, r.code, r.text}
}

// quote writes a string as a quoted one. What cannot stand in one never gets
// here: names and users have no line breaks, passwords are checked.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// logout says goodbye.
func (c *conn) logout() error {
	if c.broken == nil {
		c.box = nil
		tag, err := c.send("LOGOUT")
		for err == nil {
			var line []byte
			if line, err = c.read(); err != nil {
				break
			}
			if _, ok := status(line, tag); ok {
				break
			}
		}
	}
	return c.Close()
}
