package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/imap"
	"mailutil/pkg/internal/mailgen"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
	"mailutil/pkg/remote"
	"mailutil/pkg/serve"
)

// benchOctets is the size of the mailbox that travels.
const benchOctets = 200 << 20

// benchSession is a user whose mailboxes are shown at the port returned.
func benchSession(b *testing.B) (ops.Session, int) {
	b.Helper()
	home := b.TempDir()
	env := &mailbox.Env{
		User: "bench", Home: home, Spool: filepath.Join(home, "spool"), Host: "mail.example.org", Dir: home,
		Now: time.Now, Notify: func(mailbox.Level, string) {}, LockDir: home, StateDir: filepath.Join(home, "state"),
		Config: mailbox.DefaultConfig(),
	}
	env.Config.NewFormat = "mbx"
	client := imap.New(env, remote.Options{Password: func(mailbox.Remote, bool) (string, error) { return "secret", nil }})
	b.Cleanup(func() { client.Close() })
	s := ops.Session{Env: env, Drivers: append(all.Drivers(env), client)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	server := serve.New(serve.Options{
		Session: ops.Session{Env: env, Drivers: all.Drivers(env)}, ReadWrite: true, Passwords: map[string]string{"bench": "secret"},
	})
	go func() { done <- server.Serve(ctx, []serve.Listener{{Listener: l, Protocol: "imap"}}) }()
	b.Cleanup(func() { cancel(); <-done })
	return s, l.Addr().(*net.TCPAddr).Port
}

// A mailbox goes to the endpoint and comes back, each way measured apart, and
// beside them what the disk does without a network.
func BenchmarkTravel(b *testing.B) {
	s, port := benchSession(b)
	source(b, s, "#driver.mbx/src")
	far := fmt.Sprintf("{127.0.0.1:%d/notls/user=bench}", port)
	for _, way := range []struct{ name, from, to string }{
		{"local", "src", "#driver.mbx/local"},
		{"up", "src", far + "far"},
		{"down", far + "src", "#driver.mbx/near"},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(benchOctets)
			for i := range b.N {
				to := fmt.Sprint(way.to, b.N, "-", i)
				acc, err := s.Copy(b.Context(), way.from, to, ops.CopyOptions{Create: true})
				if err != nil || acc.Failed+acc.Skipped > 0 {
					b.Fatal(acc.Equation(), err)
				}
				b.StopTimer()
				os.Remove(filepath.Join(s.Env.Home, to[strings.LastIndexAny(to, "}/")+1:]))
				b.StartTimer()
			}
		})
	}
}

// source makes the mailbox that travels.
func source(b *testing.B, s ops.Session, name string) {
	b.Helper()
	var text bytes.Buffer
	if _, err := mailgen.Unix(&text, 1, benchOctets); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Env.Home, "unix"), text.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Copy(b.Context(), "unix", name, ops.CopyOptions{Create: true}); err != nil {
		b.Fatal(err)
	}
}

// manyMessages is how many a large mailbox has.
const manyMessages = 100_000

// A client opens a large mailbox and asks for all flags, by sequence number, by
// UID, and as a client does that has nothing cached.
func BenchmarkLarge(b *testing.B) {
	s, port := benchSession(b)
	f, err := os.Create(filepath.Join(s.Env.Home, "unix"))
	if err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(mailgen.UnixSmall(f, 1, manyMessages), f.Close()); err != nil {
		b.Fatal(err)
	}
	for _, format := range []string{"mbx", "unix"} {
		if _, err := s.Copy(b.Context(), "unix", "#driver."+format+"/many-"+format, ops.CopyOptions{Create: true}); err != nil {
			b.Fatal(err)
		}
		for _, ask := range []string{"FETCH 1:* FLAGS", "UID FETCH 1:* FLAGS", "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)"} {
			b.Run(format+"/"+strings.ReplaceAll(ask, " ", "_"), func(b *testing.B) {
				for range b.N {
					openAll(b, port, "many-"+format, ask)
				}
			})
		}
	}
}

// openAll selects a mailbox and asks for something of all its messages.
func openAll(b *testing.B, port int, name, ask string) {
	b.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "a LOGIN bench secret\r\nb SELECT %s\r\nc %s\r\n", name, ask)
	r := bufio.NewReaderSize(c, 64<<10)
	for n := 0; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		if strings.HasPrefix(line, "* ") && strings.Contains(line, " FETCH (") {
			n++
		}
		if strings.HasPrefix(line, "c ") {
			if !strings.HasPrefix(line, "c OK") || n != manyMessages {
				b.Fatalf("%d answers, then %s", n, line)
			}
			return
		}
	}
}
