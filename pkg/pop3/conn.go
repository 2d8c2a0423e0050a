package pop3

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"mailutil/pkg/internal/sasl"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/remote"
)

// The ports of POP3, and of POP3 in TLS.
const (
	plainPort  = 110
	securePort = 995
)

// maxAnswer is how long a line may be that is no text of a message; RFC 1939
// allows 512 octets.
const maxAnswer = 16 << 10

// A ProtocolError is an answer after which the connection cannot be used.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return "the server broke the protocol: " + e.Reason }

// A StatusError is a command that the server refused, in its own words.
type StatusError struct{ Text string }

func (e *StatusError) Error() string { return "the server says: " + printable(e.Text) }

// Is maps response codes (RFC 2449, 8.1) to the kinds of package mailbox.
func (e *StatusError) Is(target error) bool {
	switch {
	case strings.HasPrefix(e.Text, "[IN-USE]"):
		return target == mailbox.ErrBusy
	case strings.HasPrefix(e.Text, "[SYS/TEMP]"), strings.HasPrefix(e.Text, "[LOGIN-DELAY]"):
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

// A conn is a connection to a server, logged in. It is not safe for concurrent
// use.
type conn struct {
	*remote.Conn
	env    *mailbox.Env
	caps   map[string]string // upper case, and what follows
	stamp  string            // of the greeting, for APOP
	broken error
}

func connect(ctx context.Context, env *mailbox.Env, r mailbox.Remote, o remote.Options) (*conn, error) {
	rc, err := remote.Dial(ctx, env, r, o, plainPort, securePort)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: rc, env: env}
	if err := c.begin(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// begin reads the greeting, starts TLS and logs in.
func (c *conn) begin(ctx context.Context) error {
	hello, err := c.answer()
	if err != nil {
		return err
	}
	if i, j := strings.IndexByte(hello, '<'), strings.LastIndexByte(hello, '>'); i >= 0 && j > i {
		c.stamp = hello[i : j+1]
	}
	if err := c.capabilities(); err != nil {
		return err
	}
	if err := c.startTLS(ctx); err != nil {
		return err
	}
	if c.inTunnel() {
		return nil // logged in already
	}
	_, canUser := c.caps["USER"]
	offered := strings.Fields(strings.ToUpper(c.caps["SASL"]))
	if c.stamp != "" {
		offered = append(offered, "APOP")
	}
	if err := c.Login(c.env, offered, canUser || len(c.caps) == 0, c.logIn); err != nil {
		return err
	}
	return c.capabilities()
}

// inTunnel reports whether a program speaks for the server that has logged us
// in: it then counts the messages.
func (c *conn) inTunnel() bool {
	if !c.Tunnelled {
		return false
	}
	_, err := c.command("STAT")
	return err == nil
}

func (c *conn) startTLS(ctx context.Context) error {
	_, can := c.caps["STLS"]
	switch r := c.Remote; {
	case c.Encrypted, r.NoTLS, !can && !r.TLS:
		return nil
	case !can:
		return mailbox.Sayf(mailbox.ErrUnsupported, "Unable to negotiate TLS with this server")
	}
	if _, err := c.command("STLS"); err != nil {
		return mailbox.Sayf(mailbox.ErrTemporary, "Unable to negotiate TLS with this server: %v", err)
	}
	if err := c.StartTLS(ctx); err != nil {
		return err
	}
	return c.capabilities() // RFC 2595, 4: what was said before is void
}

// capabilities asks what the server can do; an old one does not know.
func (c *conn) capabilities() error {
	c.caps = map[string]string{}
	err := c.list("CAPA", func(line string) error {
		name, rest, _ := strings.Cut(line, " ")
		c.caps[strings.ToUpper(name)] = rest
		return nil
	})
	if errors.As(err, new(*StatusError)) {
		return nil
	}
	return err
}

// has reports whether the server can do something.
func (c *conn) has(name string) bool {
	_, ok := c.caps[name]
	return ok
}

// logIn carries out one way to log in.
func (c *conn) logIn(m sasl.Mechanism, l sasl.Login) error {
	if strings.ContainsAny(l.Password, "\r\n\x00") {
		return mailbox.Sayf(mailbox.ErrName, "A password with a line break in it cannot be sent")
	}
	var err error
	switch m.Name {
	case "":
		if _, err = c.command("USER " + l.User); err == nil {
			_, err = c.secret("PASS "+l.Password, "PASS <suppressed>")
		}
	case "APOP":
		var proof []byte
		if proof, err = m.Start(l).Answer([]byte(c.stamp)); err == nil {
			_, err = c.secret("APOP "+string(proof), "APOP <suppressed>")
		}
	default:
		err = c.authenticate(m, l)
	}
	var refused *StatusError
	if errors.As(err, &refused) && !errors.Is(err, mailbox.ErrBusy) && !errors.Is(err, mailbox.ErrTemporary) {
		return &loginError{refused}
	}
	return err
}

// A loginError is a login that was refused, in the words of the server.
type loginError struct{ *StatusError }

func (e *loginError) Error() string { return printable(e.Text) }

func (e *loginError) Is(target error) bool {
	return target == remote.ErrRefused || target == remote.ErrWrong && strings.HasPrefix(e.Text, "[AUTH]") // RFC 3206
}

// authenticate carries out a mechanism, RFC 5034.
func (c *conn) authenticate(m sasl.Mechanism, l sasl.Login) error {
	x := m.Start(l)
	if err := c.write("AUTH "+m.Name, ""); err != nil {
		return err
	}
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		rest, more := strings.CutPrefix(line, "+ ")
		if !more && line != "+" {
			if _, err := c.judge(line); err != nil {
				return err
			}
			return c.fatal(x.Proven())
		}
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		var answer []byte
		if err == nil {
			answer, err = x.Answer(challenge)
		}
		if err != nil {
			return c.fatal(err)
		}
		if err := c.write(base64.StdEncoding.EncodeToString(answer), "<suppressed>"); err != nil {
			return err
		}
	}
}

func (c *conn) fatal(err error) error {
	if c.broken == nil && err != nil {
		c.broken = err
	}
	return err
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
	if _, err := io.WriteString(c.W, line+"\r\n"); err != nil {
		return c.fatal(err)
	}
	return c.fatal(c.W.Flush())
}

// line reads a line without its end.
func (c *conn) line() (string, error) {
	if c.broken != nil {
		return "", c.broken
	}
	line, err := c.R.ReadSlice('\n')
	if len(line) > maxAnswer || errors.Is(err, bufio.ErrBufferFull) {
		err = &ProtocolError{fmt.Sprintf("a line is longer than %d octets", maxAnswer)}
	}
	if err != nil {
		return "", c.fatal(err)
	}
	text := string(bytes.TrimRight(line, "\r\n"))
	c.Trace("< ", []byte(text))
	return text, nil
}

// judge reads +OK or -ERR.
func (c *conn) judge(line string) (string, error) {
	word, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(word) {
	case "+OK":
		return rest, nil
	case "-ERR":
		return "", &StatusError{rest}
	}
	return "", c.fatal(&ProtocolError{fmt.Sprintf("an answer is neither +OK nor -ERR: %.80q", line)})
}

func (c *conn) answer() (string, error) {
	line, err := c.line()
	if err != nil {
		return "", err
	}
	return c.judge(line)
}

// command carries out a command with an answer of one line.
func (c *conn) command(line string) (string, error) { return c.secret(line, "") }

func (c *conn) secret(line, shown string) (string, error) {
	if err := c.write(line, shown); err != nil {
		return "", err
	}
	return c.answer()
}

// list carries out a command with an answer of many lines.
func (c *conn) list(command string, f func(line string) error) error {
	if _, err := c.command(command); err != nil {
		return err
	}
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		if line == "." {
			return nil
		}
		if err := f(strings.TrimPrefix(line, ".")); err != nil {
			return c.fatal(err)
		}
	}
}

// quit ends the session; what was marked goes now.
func (c *conn) quit() error {
	_, err := c.command("QUIT")
	return errors.Join(err, c.Close())
}
