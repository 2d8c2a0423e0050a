// Package sasl has the client's half of the ways to log in to a server, RFC
// 4422, and what the server's half shares with it. Each answers challenges
// with octets; base64 and the protocol around it are the caller's.
package sasl

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Login is who logs in.
type Login struct {
	User     string // whose mail it is
	AuthUser string // whose password it is, "" for User's
	Password string // or the OAuth 2 access token
	Host     string // of the server, for OAUTHBEARER
	Port     int
}

// account returns whose password it is.
func (l Login) account() string {
	if l.AuthUser != "" {
		return l.AuthUser
	}
	return l.User
}

// actAs is the authorization identity, "" where it is that of the password.
func (l Login) actAs() string {
	if l.AuthUser != "" && l.AuthUser != l.User {
		return l.User
	}
	return ""
}

// A Mechanism is one way to log in.
type Mechanism struct {
	Name  string
	Plain bool // the other side, and who listens on the way, gets to know the password
	Token bool // the password is an access token

	// First says that the client speaks first.
	First bool
	start func(Login) exchange
}

// An exchange answers challenges, the first of which is empty when the client
// speaks first.
type exchange interface {
	answer(challenge []byte) ([]byte, error)
}

// Exchange answers challenges for one login.
type Exchange struct{ exchange }

// Start begins to log in.
func (m Mechanism) Start(l Login) Exchange { return Exchange{m.start(l)} }

// Answer returns what is to be sent back for a challenge. An error means that
// the server is not to be trusted, or does not follow the mechanism.
func (e Exchange) Answer(challenge []byte) ([]byte, error) { return e.answer(challenge) }

// Proven returns an error where the server should have proven by now that it
// knows the password, too, and has not. It is asked for when the server says
// that we are logged in.
func (e Exchange) Proven() error {
	if p, ok := e.exchange.(interface{ proven() error }); ok {
		return p.proven()
	}
	return nil
}

// Mechanisms are those that we know, best first.
var Mechanisms = []Mechanism{
	{Name: "SCRAM-SHA-256", First: true, start: func(l Login) exchange { return &scram{login: l} }},
	{Name: "CRAM-MD5", start: func(l Login) exchange { return cramMD5{l} }},
	{Name: "APOP", start: func(l Login) exchange { return apop{l} }}, // of POP3 alone, and no mechanism there
	{Name: "PLAIN", Plain: true, First: true, start: func(l Login) exchange {
		return &steps{said: []string{l.actAs() + "\x00" + l.account() + "\x00" + l.Password}}
	}},
	{Name: "LOGIN", Plain: true, start: func(l Login) exchange {
		return &steps{said: []string{l.account(), l.Password}}
	}},
	{Name: "OAUTHBEARER", Plain: true, Token: true, First: true, start: func(l Login) exchange {
		return &steps{said: []string{fmt.Sprintf("n,a=%s,\x01host=%s\x01port=%d\x01auth=Bearer %s\x01\x01", saslName(l.User), l.Host, l.Port, l.Password)}, again: "\x01"}
	}},
	{Name: "XOAUTH2", Plain: true, Token: true, First: true, start: func(l Login) exchange {
		return &steps{said: []string{fmt.Sprintf("user=%s\x01auth=Bearer %s\x01\x01", l.User, l.Password)}, again: ""}
	}},
}

// External logs in as whom the connection belongs to, RFC 4422, appendix A.
var External = Mechanism{Name: "EXTERNAL", First: true, start: func(l Login) exchange {
	return &steps{said: []string{l.User}}
}}

// Anonymous logs in as nobody, RFC 4505.
var Anonymous = Mechanism{Name: "ANONYMOUS", First: true, start: func(Login) exchange {
	return &steps{said: []string{"mailutil"}}
}}

// Steps say one thing after the other, whatever the challenge. What comes
// behind them is the server's reason for a refusal, which again answers.
type steps struct {
	said  []string
	again string
}

func (s *steps) answer([]byte) ([]byte, error) {
	if len(s.said) == 0 {
		return []byte(s.again), nil
	}
	next := s.said[0]
	s.said = s.said[1:]
	return []byte(next), nil
}

// cramMD5 is RFC 2195.
type cramMD5 struct{ login Login }

func (c cramMD5) answer(challenge []byte) ([]byte, error) {
	return []byte(c.login.account() + " " + CRAMDigest(challenge, c.login.Password)), nil
}

// apop is RFC 1939, 7: the challenge is in the greeting.
type apop struct{ login Login }

func (a apop) answer(challenge []byte) ([]byte, error) {
	return []byte(a.login.User + " " + APOPDigest(challenge, a.login.Password)), nil
}

// APOPDigest is what proves the password in APOP.
func APOPDigest(challenge []byte, password string) string {
	sum := md5.Sum(append(bytes.Clone(challenge), password...))
	return hex.EncodeToString(sum[:])
}

// CRAMDigest is what proves the password in CRAM-MD5.
func CRAMDigest(challenge []byte, password string) string {
	mac := hmac.New(md5.New, []byte(password))
	mac.Write(challenge)
	return hex.EncodeToString(mac.Sum(nil))
}

// saslName writes a name as RFC 5802, 5.1 wants it.
func saslName(s string) string { return strings.NewReplacer("=", "=3D", ",", "=2C").Replace(s) }

// scram is RFC 7677.
type scram struct {
	login     Login
	step      int
	nonce     string
	first     string // our first message, without the header
	signature []byte // that the server must prove to know
	known     bool   // it has
}

// maxIterations bounds the work that a server can ask of us.
const maxIterations = 1 << 20

var (
	errScram    = errors.New("the server does not follow SCRAM-SHA-256")
	errDisguise = errors.New("the server does not know the password: it may be another one in disguise")
)

func (s *scram) header() string {
	if s.login.actAs() == "" {
		return "n,,"
	}
	return "n,a=" + saslName(s.login.actAs()) + ","
}

func (s *scram) answer(challenge []byte) ([]byte, error) {
	s.step++
	switch s.step {
	case 1:
		if s.nonce == "" {
			s.nonce = rand.Text()
		}
		s.first = "n=" + saslName(s.login.account()) + ",r=" + s.nonce
		return []byte(s.header() + s.first), nil
	case 2:
		return s.prove(string(challenge))
	case 3:
		return nil, s.check(string(challenge))
	}
	return nil, errScram
}

// prove answers "r=nonce,s=salt,i=iterations".
func (s *scram) prove(challenge string) ([]byte, error) {
	fields := strings.Split(challenge, ",")
	if len(fields) < 3 || !strings.HasPrefix(fields[0], "r="+s.nonce) || fields[0] == "r="+s.nonce || !strings.HasPrefix(fields[1], "s=") || !strings.HasPrefix(fields[2], "i=") {
		return nil, errScram
	}
	salt, err := base64.StdEncoding.DecodeString(fields[1][2:])
	n, err2 := strconv.Atoi(fields[2][2:])
	if err != nil || err2 != nil || n < 1 || n > maxIterations {
		return nil, errScram
	}
	salted, err := pbkdf2.Key(sha256.New, s.login.Password, salt, n, sha256.Size)
	if err != nil {
		return nil, err
	}
	client := mac(salted, "Client Key")
	stored := sha256.Sum256(client)
	final := "c=" + base64.StdEncoding.EncodeToString([]byte(s.header())) + "," + fields[0]
	auth := s.first + "," + challenge + "," + final
	s.signature = mac(mac(salted, "Server Key"), auth)
	proof := mac(stored[:], auth)
	for i := range proof {
		proof[i] ^= client[i]
	}
	return []byte(final + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// check makes sure that the server knows the password, too.
func (s *scram) check(challenge string) error {
	got, ok := strings.CutPrefix(challenge, "v=")
	sig, err := base64.StdEncoding.DecodeString(got)
	if !ok || err != nil || !hmac.Equal(sig, s.signature) {
		return errDisguise
	}
	s.known = true
	return nil
}

// proven is RFC 5802, 5: a client that is not shown the signature has to give
// up.
func (s *scram) proven() error {
	if !s.known {
		return errDisguise
	}
	return nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
