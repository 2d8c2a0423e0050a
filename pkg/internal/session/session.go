// Package session is what an endpoint knows of one client, whichever protocol
// it speaks: who may log in, how long it may take, and what the log gets.
package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"mailutil/pkg/internal/tree"
	"mailutil/pkg/mailbox"
)

// The limits of the original.
const (
	maxFailures = 3
	loginTime   = 3 * time.Minute
	silentTime  = 5 * time.Minute
)

// A Session is one client. Its functions may be nil where that is said.
type Session struct {
	Tree   *tree.Tree
	Host   string // our name
	Client string // the other side's, as log lines have it
	User   string // who is logged in; "" for nobody

	// Password returns the password of a user. nil: nobody can log in.
	Password func(user string) (string, bool)
	// Entered is called when the client has logged in; nil: nobody cares.
	Entered func()
	// Wait is called after a wrong password.
	Wait func()
	// StartTLS encrypts the connection; nil: that is not possible, or done.
	StartTLS func() (net.Conn, error)
	// Plain says that a password may be sent as things are.
	Plain bool
	// Log takes the lines that syslog would get.
	Log func(line string)
	// Trace takes what is said, without secrets: "> " is what the client said.
	Trace func(who string, line []byte)

	// How long the client may take to log in, and how long it may do nothing in
	// the middle of something; 0 as in the original. Idle, between commands, is
	// the protocol's own where it is 0.
	LoginTime, SilentTime, IdleTime time.Duration

	failures int
	since    time.Time // when it came
	ctx      context.Context
}

// grace is how long a mailbox may take to be closed when all must end.
const grace = 10 * time.Second

// Begin starts the clock. The context that it returns is for mailboxes: it
// ends after ctx, so that what is pending in them can be saved.
func (s *Session) Begin(ctx context.Context) context.Context {
	s.since, s.ctx = time.Now(), ctx
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return late
}

// AwaitCommand limits how long the next command may take to come; idle is what
// the protocol gives who has logged in. Like the two below it is an error where
// all must end: then the limit that says so must not be taken for the new one.
func (s *Session) AwaitCommand(c net.Conn, idle time.Duration) error {
	at := time.Now().Add(or(s.IdleTime, idle))
	if s.User == "" { // all commands together: who logs in does not take long
		at = s.since.Add(or(s.LoginTime, loginTime))
	}
	c.SetReadDeadline(at)
	return s.ctx.Err()
}

// AwaitMore limits how long the client may say nothing in the middle of
// something.
func (s *Session) AwaitMore(c net.Conn) error {
	c.SetReadDeadline(time.Now().Add(or(s.SilentTime, silentTime)))
	return s.ctx.Err()
}

// AwaitReader limits how long the client may take nothing of what we say.
func (s *Session) AwaitReader(c net.Conn) error {
	c.SetWriteDeadline(time.Now().Add(or(s.SilentTime, silentTime)))
	return s.ctx.Err()
}

func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Say logs what has happened to the user, in the words of the original.
func (s *Session) Say(what string) {
	user := s.User
	if user == "" {
		user = "???"
	}
	s.Log(fmt.Sprintf("%s user=%s host=%s", what, user, s.Client))
}

// Admit finds out whether a user may come in, whose password proof knows how to
// check. It does not make it known.
func (s *Session) Admit(user string, proof func(password string) bool) bool {
	p, known := s.Password(user)
	if good := proof(p); known && good { // always looked at, so that it takes the same time
		s.User = user
		if s.Entered != nil {
			s.Entered()
		}
		return true
	}
	s.failures++
	s.Refuse("failed", user)
	if s.Hopeless() {
		s.logRefusal("excessive login failures", user)
	}
	return false
}

// Refuse logs that a login is refused, and makes the client wait.
func (s *Session) Refuse(why, user string) {
	s.logRefusal(why, user)
	if s.Wait != nil {
		s.Wait()
	}
}

func (s *Session) logRefusal(why, user string) {
	s.Log(fmt.Sprintf("Login %s user=%s auth=%s host=%s", why, user, user, s.Client))
}

// Hopeless reports whether there were too many wrong passwords.
func (s *Session) Hopeless() bool { return s.failures >= maxFailures }

// ErrLostLock is the cause with which the context of a session ends whose
// mailbox another program wants.
var ErrLostLock = errors.New("lost mailbox lock")

// Holds reports whether the session lock of a mailbox is held, which other
// programs can ask for.
func Holds(st mailbox.Status) bool {
	return !st.ReadOnly && (st.Driver == "unix" || st.Driver == "mmdf")
}

// Words are what a client is told when its session ends without its doing.
type Words struct{ Terminated, LostLock, Autologout string }

// End logs why err has ended a session, and returns what the client is to be
// told, "" for nothing, and the error, where it is one.
func (s *Session) End(ctx context.Context, err error, w Words) (string, error) {
	var timeout net.Error
	switch {
	case errors.Is(context.Cause(ctx), ErrLostLock):
		s.Say("Killed (lost mailbox lock)")
		return w.LostLock, nil
	case ctx.Err() != nil:
		s.Say("Killed (terminated)")
		return w.Terminated, nil
	case errors.As(err, &timeout) && timeout.Timeout():
		s.Say("Autologout")
		return w.Autologout, nil
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		s.Say("Hangup")
		return "", nil
	}
	return "", err
}
