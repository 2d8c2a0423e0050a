package all_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
)

// ring are the formats on a way through all of them and home again; what each
// keeps of the way before it is the business of ops.TestRing.
var ring = []string{"unix", "mmdf", "mtx", "tenex", "mbx", "mix", "mx", "mh", "maildir", "unix"}

// ringBox is where the way begins.
func ringBox() string {
	var box strings.Builder
	for i := range 24 {
		fmt.Fprintf(&box, "From a@example.com Mon Jul  2 00:%02d:00 2001 +0100\nSubject: =?UTF-8?Q?K=C3=B6ln?= %d\n", i, i)
		if i == 0 {
			box.WriteString("X-IMAPbase: 994032000 0000000400 Work Later\n")
		}
		fmt.Fprintf(&box, "Status: %s\nX-Status: %s\nX-Keywords: %s\nX-UID: %d\n", []string{"R", "O", "", "RO"}[i%4], []string{"A", "F", "D", "T", "AF"}[i%5],
			[]string{"", "Work", "Later", "Work Later"}[i%4], 10*i+7)
		fmt.Fprintf(&box, "\nText \xe4\xf6 with 8 bits,\n\ta tab, \x7f and .\n.\n%s\n\n", strings.Repeat("long ", i*30))
	}
	return box.String()
}

// readByUs is what we tell of a mailbox.
func readByUs(t *testing.T, s *ops.Session, name string) mailboxtest.Reading {
	t.Helper()
	n, err := s.Env.Resolve(name)
	if err != nil {
		t.Fatal(err)
	}
	mb, err := s.Drivers.Open(t.Context(), n, mailbox.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	return mailboxtest.ReadAll(t, mb)
}

// hop copies a mailbox to another of a format, with its UIDs.
func hop(t *testing.T, s *ops.Session, from, format, to string) {
	t.Helper()
	acc, err := s.Copy(t.Context(), from, "#driver."+format+"/"+to, ops.CopyOptions{Create: true, Verify: true, KeepUIDs: true})
	if err != nil || acc.Copied != 24 || acc.Altered.Any() {
		t.Fatalf("%s to %s: got %+v, %v", from, to, acc, err)
	}
}

func ringSession(t *testing.T, home string) *ops.Session {
	t.Helper()
	env := mailboxtest.NewEnv(t)
	env.Home, env.LockDir, env.Now = home, home, time.Now
	env.Config.Keywords = []string{"Work", "Later"} // mtx and tenex have none of their own
	if err := os.WriteFile(filepath.Join(home, "start"), []byte(ringBox()), 0o600); err != nil {
		t.Fatal(err)
	}
	return &ops.Session{Env: env, Drivers: all.Drivers(env)}
}

// Wherever the mail is on its way, the original reads the same as we: texts,
// flags, dates, UIDs; keywords where the format has them.
func TestPeersRing(t *testing.T) {
	a := newArena(t)
	if err := os.WriteFile(filepath.Join(a.home, ".mh_profile"), []byte("Path: MHMail\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := ringSession(t, a.home)
	from := "start"
	for i, format := range ring {
		name := fmt.Sprintf("%d-%s", i, format)
		seen := name
		if format == "mh" {
			if err := os.MkdirAll(filepath.Join(a.home, "MHMail"), 0o755); err != nil {
				t.Fatal(err)
			}
			name, seen = "MHMail/"+name, "#mh/"+name
		}
		hop(t, s, from, format, name)
		mailboxtest.Give(t, a.home, a.cred)
		if format != "maildir" { // which the original does not know
			if got := a.start("original").say("open %s ro", seen); !strings.Contains(got, " 24 messages readonly") {
				t.Fatalf("the original, %s: %s", seen, got)
			}
			a.agree(seen, "the copy from "+from, format != "mtx" && format != "tenex" && format != "mh")
		}
		from = name
	}
}

// From each format the mail comes to a Maildir in which Dovecot sees what we
// see in the other: texts, flags, keywords, dates and, where the format keeps
// them, UIDs.
func TestDovecotRing(t *testing.T) {
	home, who := mailboxtest.PlainHome(t)
	dovecot := mailboxtest.NewDovecot(t, home, who)
	s := ringSession(t, home)
	hop(t, s, "start", "maildir", "Maildir")
	from := "start"
	for i, format := range ring {
		name, folder := fmt.Sprintf("%d-%s", i, format), fmt.Sprintf("%d", i)
		hop(t, s, from, format, name)
		want := readByUs(t, s, name)
		hop(t, s, name, "maildir", "Maildir/"+folder)
		got := dovecot.Read(folder)
		if len(got.Messages) != 24 || got.Messages[23].Keywords == nil || got.Messages[3].Flags == nil {
			t.Errorf("%s: Dovecot reads %+v", name, got)
		}
		if format == "mtx" || format == "tenex" || format == "mh" { // a UIDVALIDITY is made up by each session
			want.UIDValidity = got.UIDValidity
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-ours +Dovecot of its copy):\n%s", name, d)
		}
		from = name
	}
}
