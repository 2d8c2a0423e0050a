package imap_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/imap"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
	"mailutil/pkg/remote"
	"mailutil/pkg/serve"
)

// endpoint serves the home directory of env, and returns the port.
func endpoint(t *testing.T, env *mailbox.Env) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	env.Now = time.Now // sessions run together, and the clock of tests is not for that
	real := *env
	real.Notify = func(mailbox.Level, string) {}
	s := serve.New(serve.Options{
		Session: ops.Session{Env: &real, Drivers: all.Drivers(&real)}, ReadWrite: true,
		Passwords: map[string]string{"alice": "secret"}, Wait: func() {}, Poll: 10 * time.Millisecond,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, []serve.Listener{{Listener: l, Protocol: "imap"}}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().(*net.TCPAddr).Port
}

// options log in as alice.
func options() remote.Options {
	return remote.Options{Password: func(mailbox.Remote, bool) (string, error) { return "secret", nil }}
}

// at makes the name of a mailbox at a port of this machine.
func at(port int, name string) mailbox.Name {
	r := mailbox.Remote{Host: "127.0.0.1", Port: port, Service: "imap", User: "alice", Mailbox: name}
	return mailbox.Name{Text: r.Prefix() + name, Space: "imap", Remote: r}
}

func TestContract(t *testing.T) {
	ports := map[*mailbox.Env]int{}
	mailboxtest.Run(t, mailboxtest.Harness{
		New: func(t *testing.T) (mailbox.Driver, *mailbox.Env) {
			env := mailboxtest.NewEnv(t)
			env.Config.NewFormat = "mbx"
			ports[env] = endpoint(t, env)
			d := imap.New(env, options())
			t.Cleanup(func() { d.Close() })
			return d, env
		},
		Name:        func(env *mailbox.Env, name string) mailbox.Name { return at(ports[env], strings.TrimPrefix(name, "/")) },
		MaxKeywords: 30,
		Shared:      true,
		Except: map[string]string{
			"AllKeywords":     "a keyword that no message bears cannot be created by IMAP",
			"TooManyKeywords": "a server does not tell how many it has room for",
			"KeepUIDs":        "a server chooses the UIDs itself",
			"New":             "a new mailbox can be seen while mail comes in: IMAP has no hidden names",
			"Abort":           "files of the server are looked at, which it removes in its own time",
		},
	})
}
