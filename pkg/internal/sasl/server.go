package sasl

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
)

// ErrMechanism means that the server does not know a mechanism, or does not
// allow it as things are.
var ErrMechanism = errors.New("this way to log in is not possible here")

// A Server is the other half of a login.
type Server struct {
	Host  string
	Plain bool // the password may be shown
	// Ask sends a challenge and returns the answer.
	Ask func(challenge string) ([]byte, error)
}

// ServerMechanisms are those that a Server knows: the first shows no password.
var ServerMechanisms = []string{"CRAM-MD5", "PLAIN", "LOGIN"}

// Run carries out a mechanism. user is who wants in, and proof says whether
// the password that the user has is the one that was used.
func (s Server) Run(mechanism string) (user string, proof func(password string) bool, err error) {
	switch {
	case mechanism == "CRAM-MD5":
		return s.cram()
	case mechanism == "PLAIN" && s.Plain:
		return s.plain()
	case mechanism == "LOGIN" && s.Plain:
		return s.login()
	}
	return "", nil, ErrMechanism
}

// Same compares passwords in a time that says nothing about them.
func Same(a, b string) bool { return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// Challenge is what CRAM-MD5 and APOP prove the knowledge of a password with:
// another one each time.
func Challenge(host string) string { return fmt.Sprintf("<%s@%s>", rand.Text(), host) }

func (s Server) cram() (string, func(string) bool, error) {
	challenge := Challenge(s.Host)
	answer, err := s.Ask(challenge)
	i := strings.LastIndexByte(string(answer), ' ')
	if err == nil && i < 0 {
		err = errors.New("not an answer of CRAM-MD5")
	}
	if err != nil {
		return "", nil, err
	}
	got := strings.ToLower(string(answer[i+1:]))
	return string(answer[:i]), func(p string) bool { return p != "" && Same(CRAMDigest([]byte(challenge), p), got) }, nil
}

func (s Server) plain() (string, func(string) bool, error) {
	answer, err := s.Ask("")
	parts := strings.Split(string(answer), "\x00")
	switch {
	case err != nil:
		return "", nil, err
	case len(parts) != 3 || parts[0] != "" && parts[0] != parts[1]:
		return "", nil, errors.New("nobody can log in for somebody else here")
	}
	return parts[1], func(p string) bool { return Same(p, parts[2]) }, nil
}

func (s Server) login() (string, func(string) bool, error) {
	user, err := s.Ask("User Name\x00")
	if err != nil {
		return "", nil, err
	}
	password, err := s.Ask("Password\x00")
	return string(user), func(p string) bool { return Same(p, string(password)) }, err
}
