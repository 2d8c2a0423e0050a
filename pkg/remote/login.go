package remote

import (
	"errors"
	"slices"

	"mailutil/pkg/internal/sasl"
	"mailutil/pkg/mailbox"
)

// ErrRefused is what try returns when the server does not take a login,
// ErrWrong when it says that the password is to blame for it, not the mechanism.
var (
	ErrRefused = errors.New("login refused")
	ErrWrong   = errors.New("wrong password")
)

// maxTries is how often a password may be wrong.
const maxTries = 3

// Login logs in by the mechanisms that the server offers, best first. try
// carries out one of them; Name "" stands for the protocol's own command,
// which canPlain says the server has. Its error is ErrRefused for a
// password that is wrong, and may say more.
func (c *Conn) Login(env *mailbox.Env, offered []string, canPlain bool, try func(sasl.Mechanism, sasl.Login) error) error {
	ways, err := c.ways(offered, canPlain)
	if err != nil {
		return err
	}
	l := sasl.Login{User: c.Remote.User, AuthUser: c.Remote.AuthUser, Host: c.Remote.Host, Port: c.Remote.Port}
	if ways[0].Name == sasl.External.Name || ways[0].Name == sasl.Anonymous.Name {
		return c.refused(try(ways[0], l))
	}
	if l.User == "" {
		if l.User, err = c.ask(); err != nil {
			return err
		}
		c.Remote.User = l.User
	}
	for i := range maxTries {
		if c.o.Password == nil {
			return mailbox.Sayf(mailbox.ErrTemporary, "No password for %s: give --password-file or --password-command", c.Remote.Prefix())
		}
		if l.Password, err = c.o.Password(c.Remote, i > 0); err != nil {
			return err
		}
		if l.Password == "" {
			return mailbox.Sayf(mailbox.ErrTemporary, "Login aborted")
		}
		if err = tryAll(ways, func(m sasl.Mechanism) error { return try(m, l) }); !errors.Is(err, ErrRefused) {
			return err
		}
		env.Notify(mailbox.Warn, err.Error())
	}
	return mailbox.Sayf(mailbox.ErrTemporary, "Too many login failures")
}

// tryAll tries one mechanism after the other. A password that is wrong is not
// said by all of them, for servers count: by one that shows it, and by one that
// does not, for which the server may lack what it takes.
func tryAll(ways []sasl.Mechanism, try func(sasl.Mechanism) error) (err error) {
	wrong := map[bool]bool{} // by whether they show it
	for _, way := range ways {
		if wrong[way.Plain] {
			continue
		}
		if err = try(way); !errors.Is(err, ErrRefused) {
			return err
		}
		wrong[way.Plain] = errors.Is(err, ErrWrong)
	}
	return err
}

// refused makes a sentence of a login that cannot be tried with another
// password.
func (c *Conn) refused(err error) error {
	if errors.Is(err, ErrRefused) {
		return mailbox.Sayf(mailbox.ErrTemporary, "Can't log in to %s: %v", c.Remote.Prefix(), err)
	}
	return err
}

func (c *Conn) ask() (string, error) {
	if c.o.User == nil {
		return "", mailbox.Sayf(mailbox.ErrName, "Nobody to log in as: write {%s/user=NAME}", c.Remote.Host)
	}
	user, err := c.o.User(c.Remote)
	if err == nil && user == "" {
		err = mailbox.Sayf(mailbox.ErrTemporary, "Login aborted")
	}
	return user, err
}

// ways are the mechanisms to try, in order; at least one.
func (c *Conn) ways(offered []string, canPlain bool) ([]sasl.Mechanism, error) {
	has := func(m sasl.Mechanism) bool { return slices.Contains(offered, m.Name) }
	r := c.Remote
	switch {
	case r.Anonymous:
		return []sasl.Mechanism{sasl.Anonymous}, nil
	case r.User == "" && has(sasl.External):
		return []sasl.Mechanism{sasl.External}, nil
	}
	var ways []sasl.Mechanism
	plain := false // there would be one, but it shows the password
	safe := c.Encrypted || c.Trusted || c.o.Plaintext
	for _, m := range sasl.Mechanisms {
		switch {
		case !has(m) || m.Token != c.o.Token:
		case m.Plain && (r.Secure || !safe):
			plain = true
		default:
			ways = append(ways, m)
		}
	}
	if canPlain && !c.o.Token && r.AuthUser == "" {
		if r.Secure || !safe {
			plain = true
		} else {
			ways = append(ways, sasl.Mechanism{Plain: true})
		}
	}
	switch {
	case len(ways) > 0:
		return ways, nil
	case r.Secure:
		return nil, mailbox.Sayf(mailbox.ErrUnsupported, "Can't do secure authentication with this server")
	case plain:
		return nil, mailbox.Sayf(mailbox.ErrUnsupported,
			"Refusing to send the password to %s unencrypted: write /tls or /ssl, or give --insecure-plaintext to let everybody on the way read it", r.Host)
	case c.o.Token:
		return nil, mailbox.Sayf(mailbox.ErrUnsupported, "%s does not take access tokens (OAUTHBEARER, XOAUTH2)", r.Host)
	}
	return nil, mailbox.Sayf(mailbox.ErrUnsupported, "Server disables LOGIN, no recognized SASL authenticator")
}
