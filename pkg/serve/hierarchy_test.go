package serve_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
)

// nobody is whom the program runs as: root's home is that of the password file.
const nobody = 65534

// A traveller runs the program in a home of its own.
type traveller struct {
	t       *testing.T
	program string
	home    string
	env     *mailbox.Env // the same for us
}

func newTraveller(t *testing.T) *traveller {
	t.Helper()
	dir, err := os.MkdirTemp("", "travel")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755)
	v := &traveller{t: t, program: filepath.Join(dir, "mailutil"), home: filepath.Join(dir, "home"), env: mailboxtest.NewEnv(t)}
	if out, err := exec.Command("go", "build", "-o", v.program, "mailutil/cmd/mailutil").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Mkdir(v.home, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(v.home, "password"), "secret\n", 0o600)
	v.env.Home, v.env.Dir = v.home, v.home
	return v
}

// own gives all in the home to whom the program runs as.
func (v *traveller) own() {
	v.t.Helper()
	err := filepath.WalkDir(v.home, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
	if err != nil {
		v.t.Fatal(err)
	}
}

// run runs the program, and kills it after that time, if it is not 0.
func (v *traveller) run(killAfter time.Duration, args ...string) (string, error) {
	v.t.Helper()
	cmd := exec.Command(v.program, append([]string{"--password-file", "password"}, args...)...)
	cmd.Dir = v.home
	cmd.Env = []string{"HOME=" + v.home, "PATH=/usr/bin:/bin", "TMPDIR=/tmp", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	if killAfter > 0 {
		late := time.AfterFunc(killAfter, func() { cmd.Process.Kill() })
		defer late.Stop()
	}
	err := cmd.Wait()
	return out.String(), err
}

// insist kills the program 20 times at the same work, and then lets it finish.
func (v *traveller) insist(args ...string) {
	v.t.Helper()
	killed := 0
	for range 20 {
		if _, err := v.run(time.Duration(20+rand.IntN(400))*time.Millisecond, args...); err != nil {
			killed++
		}
	}
	out, err := v.run(0, args...)
	if err != nil {
		v.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	v.t.Logf("killed %d times: %v", killed, args)
}

// hierarchy makes 100 mailboxes in all formats that can be written.
func (v *traveller) hierarchy(s ops.Session) (names []string) {
	formats := []string{"unix", "mmdf", "mbx", "mtx", "tenex", "mix", "mx", "maildir", "mh"}
	for i := range 100 {
		format := formats[i%len(formats)]
		name := fmt.Sprintf("h/%c/%s %d", 'a'+i%7, format, i)
		var texts []string
		for j := range 5 + i%20 {
			text := fmt.Sprintf("Subject: %s %d\r\nMessage-ID: <%d.%d@example.org>\r\n\r\n%s", name, j, i, j, strings.Repeat("line\r\n", 1+j*j*j%900))
			texts = append(texts, text, letters[j%len(letters)]) // which are there more than once
		}
		if err := os.MkdirAll(filepath.Join(v.home, filepath.Dir(name)), 0o755); err != nil {
			v.t.Fatal(err)
		}
		fill(v.t, s, "#driver."+format+"/"+name, texts)
		names = append(names, name)
	}
	v.own()
	return names
}

// A hierarchy of mailboxes in all formats travels to Dovecot and comes home as
// it was, though the program is killed again and again on both ways.
func TestPeerHierarchy(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	d := startDovecot(t)
	v := newTraveller(t)
	s := d.session(t, v.env)
	names := v.hierarchy(s)
	far := fmt.Sprintf("{localhost:%d/tls/novalidate-cert/user=alice}", d.imap)
	v.insist("transfer", "--resume", "h/", far+"r/")
	v.insist("transfer", "--resume", far+"r/", "#driver.mbx/home/")
	for _, format := range []string{"mix", "maildir", "mmdf"} {
		if out, err := v.run(0, "transfer", far+"r/h/a/", "#driver."+format+"/"+format+"/"); err != nil {
			t.Errorf("home in %s: %v\n%s", format, err, out)
		}
	}
	for _, name := range names {
		homes := []string{d.at("r/" + name), "home/r/" + name}
		if strings.HasPrefix(name, "h/a/") {
			homes = append(homes, "mix/r/"+name, "maildir/r/"+name, "mmdf/r/"+name)
		}
		want, dates := texts(t, s, name), index(t, s, name)
		for _, home := range homes {
			if got := texts(t, s, home); !slices.Equal(got, want) {
				t.Errorf("%s: got %d messages, want %d the same", home, len(got), len(want))
			}
			if got := index(t, s, home); got != dates {
				t.Errorf("%s: flags, keywords and dates\n%s", home, cmp.Diff(dates, got))
			}
		}
	}
}
