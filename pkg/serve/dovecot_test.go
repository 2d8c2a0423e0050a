package serve_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/imap"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
	"mailutil/pkg/pop3"
	"mailutil/pkg/remote"
	"mailutil/pkg/serve"
)

// A dovecot is one that runs for a test.
type dovecot struct {
	dir        string
	imap, pop3 int
	roots      *x509.CertPool
}

const dovecotConf = `
base_dir = DIR/run
state_dir = DIR/run
log_path = DIR/log
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <DIR/cert.pem
ssl_key = <DIR/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 scram-sha-256
mail_location = maildir:~/Maildir
mail_max_userip_connections = 1000
default_login_user = USER
default_internal_user = USER
default_internal_group = GROUP
first_valid_uid = 1
service imap-login {
  chroot =
  inet_listener imap {
    port = IMAP
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = POP3
  }
  inet_listener pop3s {
    port = 0
  }
}
service anvil {
  chroot =
}
passdb {
  driver = passwd-file
  args = DIR/users
}
userdb {
  driver = passwd-file
  args = DIR/users
}
namespace inbox {
  inbox = yes
  separator = /
}
`

// startDovecot starts Dovecot as root, with mail of nobody.
func startDovecot(t *testing.T) *dovecot {
	t.Helper()
	program, err := exec.LookPath("dovecot")
	if err != nil {
		if program = "/usr/sbin/dovecot"; os.Getuid() != 0 {
			t.Skip("dovecot is started by root")
		}
	}
	if _, err := os.Stat(program); err != nil || os.Getuid() != 0 {
		t.Skip("dovecot is not installed, or this is not root")
	}
	dir, err := os.MkdirTemp("", "dovecot") // short: it makes sockets in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if log, _ := os.ReadFile(filepath.Join(dir, "log")); t.Failed() {
			t.Logf("dovecot says\n%.5000s", log[max(0, len(log)-5000):])
		}
		os.RemoveAll(dir)
	})
	d := &dovecot{dir: dir, imap: freePort(t), pop3: freePort(t)}
	for _, sub := range []string{"run", "mail"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	os.Chmod(dir, 0o755)
	if err := os.Chown(filepath.Join(dir, "mail"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	d.certificate(t)
	write(t, filepath.Join(dir, "users"), fmt.Sprintf("alice:{PLAIN}secret:65534:65534::%s/mail::\n", dir), 0o644)
	conf := strings.NewReplacer("DIR", dir, "USER", "nobody", "GROUP", "nogroup", "IMAP", fmt.Sprint(d.imap), "POP3", fmt.Sprint(d.pop3)).Replace(dovecotConf)
	path := write(t, filepath.Join(dir, "conf"), conf, 0o644)
	cmd := exec.Command(program, "-F", "-c", path)
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	d.wait(t, &out)
	return d
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// certificate makes one for localhost that our client trusts.
func (d *dovecot) certificate(t *testing.T) {
	t.Helper()
	conf, _, err := serve.SelfMade("localhost", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair := conf.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
	write(t, filepath.Join(d.dir, "cert.pem"), string(cert), 0o644)
	write(t, filepath.Join(d.dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})), 0o600)
	d.roots = x509.NewCertPool()
	d.roots.AppendCertsFromPEM(cert)
}

// wait waits until it takes connections.
func (d *dovecot) wait(t *testing.T, out *bytes.Buffer) {
	t.Helper()
	for range 200 {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.imap))
		if err == nil {
			c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond) // there is nothing to wait for
	}
	log, _ := os.ReadFile(filepath.Join(d.dir, "log"))
	t.Skipf("dovecot does not start here: %s%s", out, log)
}

// session is one of our programs.
func (d *dovecot) session(t *testing.T, env *mailbox.Env) ops.Session {
	o := remote.Options{Password: func(mailbox.Remote, bool) (string, error) { return "secret", nil }, Roots: d.roots}
	drivers := imap.New(env, o)
	t.Cleanup(func() { drivers.Close() })
	return ops.Session{Env: env, Drivers: append(all.Drivers(env), drivers)}
}

func (d *dovecot) at(box string) string {
	return fmt.Sprintf("{localhost:%d/tls/user=alice}%s", d.imap, box)
}

// Mailboxes of all formats travel to Dovecot and come home as they were.
func TestPeerDovecot(t *testing.T) {
	d := startDovecot(t)
	env := mailboxtest.NewEnv(t)
	env.Now = time.Now
	s := d.session(t, env)
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("Subject: %d\r\n\r\n%s", i, strings.Repeat("line\r\n", 1+i*i%3000)))
	}
	for _, format := range []string{"mbx", "unix", "mtx", "tenex"} {
		name := "#driver." + format + "/" + format
		fill(t, s, name, slices.Concat(letters, many))
		box := d.at("t/" + format)
		for _, step := range []struct{ from, to string }{{format, box}, {box, "#driver." + format + "/home-" + format}} {
			acc, err := s.Copy(context.Background(), step.from, step.to, ops.CopyOptions{Create: true, Verify: true})
			if err != nil || !acc.Verified || acc.Failed+acc.Skipped > 0 {
				t.Errorf("%s to %s: %s, %v", step.from, step.to, acc.Equation(), err)
			}
		}
		if got, want := texts(t, s, "home-"+format), texts(t, s, format); !slices.Equal(got, want) {
			t.Errorf("%s: got %d messages, want %d the same", format, len(got), len(want))
		}
		if a, b := index(t, s, format), index(t, s, "home-"+format); a != b {
			t.Errorf("%s: flags, keywords and dates\n got %.2000s\nwant %.2000s", format, b, a)
		}
	}
	acc, err := s.Copy(context.Background(), d.at("t/mbx"), d.at("t/moved"), ops.CopyOptions{Create: true, Move: true})
	if err != nil || int(acc.Deleted) != len(letters)+len(many) {
		t.Errorf("move: deleted %d, %v", acc.Deleted, err)
	}
	if st, err := s.Check(context.Background(), d.at("t/mbx")); err != nil || st.Messages != 0 {
		t.Errorf("after the move: %+v, %v", st, err)
	}
	if _, err := s.Copy(context.Background(), d.at("nowhere"), "x", ops.CopyOptions{Create: true}); !errors.Is(err, mailbox.ErrNotExist) {
		t.Errorf("a missing source: %v", err)
	}
	if _, err := s.Check(context.Background(), "x"); !errors.Is(err, mailbox.ErrNotExist) {
		t.Errorf("a missing source leaves a target: %v", err)
	}
}

// index is what a mailbox says of its messages, but for sizes and UIDs.
func index(t *testing.T, s ops.Session, name string) string {
	t.Helper()
	n, err := s.Env.Resolve(name)
	if err != nil {
		t.Fatal(err)
	}
	mb, err := s.Drivers.Open(context.Background(), n, mailbox.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	var out strings.Builder
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		m.Flags.System &^= mailbox.Recent
		words := m.Flags.Names(mb.Status().Keywords)
		slices.Sort(words)
		fmt.Fprintln(&out, m.Seq, m.Date.Time().UTC().Format(time.RFC3339), words)
	}
	return out.String()
}

// A program that is killed at any time and run again stores each message once.
func TestPeerDovecotKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	d := startDovecot(t)
	env := mailboxtest.NewEnv(t)
	s := d.session(t, env)
	var want []string
	for i := range 3000 {
		want = append(want, fmt.Sprintf("Subject: %d\r\n\r\n%s", i, strings.Repeat("line\r\n", 500)))
	}
	fill(t, s, "#driver.mbx/src", want)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copyOnce := func(killAfter time.Duration) error {
		cmd := exec.Command(self, "-test.run", "TestCopyChild")
		cmd.Env = append(os.Environ(), "COPY_HOME="+env.Home, "COPY_TO="+d.at("killed"), "COPY_ROOT="+filepath.Join(d.dir, "cert.pem"))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if killAfter > 0 {
			late := time.AfterFunc(killAfter, func() { cmd.Process.Kill() })
			defer late.Stop()
		}
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%w\n%s", err, &out)
		}
		return nil
	}
	ended := 0
	for range 20 {
		if copyOnce(time.Duration(rand.IntN(1000))*time.Millisecond) == nil {
			ended++
			break // later runs find that it exists, as they should
		}
	}
	for try := 0; ended == 0; try++ { // Dovecot may count those who were killed, for a while, and take no more
		err := copyOnce(0)
		if err == nil {
			ended++
		} else if try == 20 || !strings.Contains(err.Error(), "Maximum number of connections") {
			t.Fatalf("the last run: %v", err)
		}
		time.Sleep(time.Second)
	}
	if got := texts(t, s, d.at("killed")); !slices.Equal(got, want) {
		t.Errorf("got %d messages, want %d the same", len(got), len(want))
	}
}

// TestCopyChild is the program that is killed.
func TestCopyChild(t *testing.T) {
	home := os.Getenv("COPY_HOME")
	if home == "" {
		t.Skip("for TestPeerDovecotKilled")
	}
	env := child(t, home)
	cert, err := os.ReadFile(os.Getenv("COPY_ROOT"))
	if err != nil {
		t.Fatal(err)
	}
	d := &dovecot{roots: x509.NewCertPool()}
	d.roots.AppendCertsFromPEM(cert)
	s := d.session(t, env)
	if _, err := s.Copy(context.Background(), "src", os.Getenv("COPY_TO"), ops.CopyOptions{Create: true}); err != nil {
		t.Fatal(err)
	}
}

// child is the surroundings of a program of ours whose parent has that home.
func child(t *testing.T, home string) *mailbox.Env {
	env := mailboxtest.NewEnv(t)
	above := filepath.Dir(home)
	env.Home, env.StateDir, env.LockDir = home, filepath.Join(above, "state"), filepath.Join(above, "locks")
	return env
}

// namedFor makes a certificate for one host alone.
func namedFor(t *testing.T, host string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{host}}
	der, err := x509.CreateCertificate(crand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// One sentence says what is wrong with a certificate.
func TestCertificates(t *testing.T) {
	conf, _, err := serve.SelfMade("mail.example.org", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	e := start(t, letters, func(o *serve.Options) { o.TLS = conf })
	old, _, err := serve.SelfMade("mail.example.org", time.Now().Add(-1000*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	expired := start(t, letters, func(o *serve.Options) { o.TLS = old })
	named := namedFor(t, "elsewhere.example.org")
	other := start(t, letters, func(o *serve.Options) { o.TLS = named })
	broken := start(t, letters, func(o *serve.Options) {
		o.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }}
	})
	trusted := func(c *tls.Config) *x509.CertPool {
		cert, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(cert)
		return pool
	}
	for _, tt := range []struct {
		name, box string
		roots     *x509.CertPool
		want      string
	}{
		{"trusted", fmt.Sprintf("{localhost:%d/tls/user=alice}", e.imap), trusted(conf), ""},
		{"any", fmt.Sprintf("{localhost:%d/tls/novalidate-cert/user=alice}", e.imap), x509.NewCertPool(), ""},
		{"POP3", fmt.Sprintf("{localhost:%d/pop3/tls/user=alice}", e.pop3), trusted(conf), ""},
		{"self-signed", fmt.Sprintf("{localhost:%d/user=alice}", e.imap), x509.NewCertPool(), "its certificate is signed by itself"},
		{"other name", fmt.Sprintf("{[127.0.0.1]:%d/user=alice}", other.imap), trusted(named), "its certificate is for elsewhere.example.org, not for [127.0.0.1]"},
		{"expired", fmt.Sprintf("{localhost:%d/user=alice}", expired.imap), trusted(old), "its certificate is not valid now"},
		{"no certificate", fmt.Sprintf("{localhost:%d/user=alice}", broken.imap), trusted(conf), "TLS: "},
		{"no TLS there", fmt.Sprintf("{localhost:%d/ssl/user=alice}", e.imap), trusted(conf), "it does not speak TLS on this port: leave out /ssl"},
	} {
		env := mailboxtest.NewEnv(t)
		o := remote.Options{Password: func(mailbox.Remote, bool) (string, error) { return "secret", nil }, Roots: tt.roots}
		s := ops.Session{Env: env, Drivers: ours(env)}
		s.Drivers = append(mailbox.Drivers{imap.New(env, o), pop3.New(env, o)}, s.Drivers...)
		_, err := s.Check(context.Background(), tt.box)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v\nwant %s", tt.name, err, tt.want)
		}
	}
}
