package pop3

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"mailutil/pkg/internal/sasl"
)

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
