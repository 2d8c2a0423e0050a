// Package sessiontest has what the servers of both protocols are fuzzed with.
package sessiontest

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mailutil/pkg/driver/mbx"
	"mailutil/pkg/driver/unix"
	"mailutil/pkg/internal/tree"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// NewTree returns a home with an INBOX of two messages, which can only be read.
func NewTree(t testing.TB) *tree.Tree {
	t.Helper()
	dir := t.TempDir()
	text := "From joe@example.com Mon Jan  1 10:00:00 2024 +0000\nSubject: x\n\nhi\n\n" +
		"From joe@example.com Mon Jan  1 10:00:00 2024 +0000\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n\n"
	if err := os.WriteFile(filepath.Join(dir, "spool"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"home", "locks"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	env := &mailbox.Env{
		User: "alice", Home: filepath.Join(dir, "home"), Spool: filepath.Join(dir, "spool"), Host: "h", Now: time.Now,
		Notify: func(mailbox.Level, string) {}, LockDir: filepath.Join(dir, "locks"), StateDir: filepath.Join(dir, "state"), Config: mailbox.DefaultConfig(),
	}
	spool := unix.New(env)
	s := ops.Session{Env: env, Drivers: mailbox.Drivers{mbx.New(env, spool), spool}}
	return tree.New(s, false)
}

// A Conn is a connection with a client that has said all it will.
type Conn struct {
	In  io.Reader
	Out bytes.Buffer
}

func (c *Conn) Read(b []byte) (int, error)       { return c.In.Read(b) }
func (c *Conn) Write(b []byte) (int, error)      { return c.Out.Write(b) }
func (c *Conn) Close() error                     { return nil }
func (c *Conn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *Conn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *Conn) SetDeadline(time.Time) error      { return nil }
func (c *Conn) SetReadDeadline(time.Time) error  { return nil }
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }
