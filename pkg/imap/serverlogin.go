package imap

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"mailutil/pkg/internal/sasl"
)

// errLogin is what the original says of a wrong password, behind the code that
// tells clients that it is the password, RFC 5530.
var errLogin = refusal("[AUTHENTICATIONFAILED] Invalid login credentials")

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
		s.Refuse("disabled", oneLine(user))
		return "", errors.New("LOGIN is disabled on an unencrypted connection")
	}
	return s.loggedIn(user, "LOGIN", func(p string) bool { return sasl.Same(p, password) })
}

// loggedIn lets a user in, whose password proves good.
func (s *Server) loggedIn(user, how string, proof func(password string) bool) (string, error) {
	if !s.Admit(oneLine(user), proof) {
		if s.Hopeless() {
			s.untagged("BYE Too many login failures")
			s.bye = true
		}
		return "", errLogin
	}
	if how == "LOGIN" {
		s.Say("Login")
	} else {
		s.Log(fmt.Sprintf("Authenticated user=%s host=%s mech=%s", user, s.Client, how))
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
	if errors.Is(err, bufio.ErrBufferFull) {
		err = errHopeless
	}
	if err != nil {
		return nil, fatalError{err}
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
