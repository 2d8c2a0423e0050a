package mboxfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/mailbox"
)

var inbox = mailbox.Name{Text: "INBOX", Inbox: true}

// inboxIn is the driver of the INBOX of env.
func inboxIn(env *mailbox.Env, fsys fsx.FS) Inbox {
	spool := New(mbox.Unix, env)
	spool.FS = fsys
	d := NewInbox(env, spool)
	d.FS = fsys
	return d
}

// fill writes ~/mbox and the spool; "-" stands for no file.
func fill(t *testing.T, env *mailbox.Env, home, spool string) {
	t.Helper()
	old := time.Unix(1699999950, 0)
	for path, text := range map[string]string{filepath.Join(env.Home, "mbox"): home, env.Spool: spool} {
		if text == "-" {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func openInbox(t *testing.T, d Inbox, m mailbox.Mode) mailbox.Mailbox {
	t.Helper()
	mb, err := d.Open(context.Background(), inbox, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mb.Close() })
	return mb
}

// arrived is mail as a delivery agent leaves it.
func arrived(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "From %s@example.com Thu Jan  2 03:04:05 2020\nSubject: %[1]s\n\nbody of %[1]s\n\n", name)
	}
	return b.String()
}

// subjects are the messages of a mailbox by what arrived has put into them.
func subjects(t *testing.T, mb mailbox.Mailbox) (out []string) {
	t.Helper()
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(string(text(t, mb, m.Seq)), "body of ")
		out = append(out, strings.TrimSpace(name))
	}
	return out
}

func TestProbeInbox(t *testing.T) {
	unix, junk, mmdf := arrived("a"), "junk\n", mbox.Delimiter+"A: b\n\nx\n"+mbox.Delimiter
	for _, tt := range []struct {
		home, spool string
		want        bool
	}{
		{"", "-", true},
		{"", "", true},
		{"", unix, true},
		{unix, "-", true},
		{unix, unix, true},
		{"-", unix, false},
		{"-", "-", false},
		{junk, unix, false},
		{mmdf, unix, false},
		{"", junk, false},
		{unix, mmdf, false},
	} {
		env, _ := goldenEnv(t)
		fill(t, env, tt.home, tt.spool)
		if got, err := inboxIn(env, fsx.OS{}).Probe(inbox); got != tt.want || err != nil {
			t.Errorf("~/mbox %q, spool %q: got %v, %v, want %v", tt.home, tt.spool, got, err, tt.want)
		}
		env.BlackBox = filepath.Dir(env.Home)
		if got, err := inboxIn(env, fsx.OS{}).Probe(inbox); got || err != nil {
			t.Errorf("~/mbox %q, spool %q in a black box: got %v, %v", tt.home, tt.spool, got, err)
		}
	}
	env, _ := goldenEnv(t)
	fill(t, env, "", "-")
	n := mailbox.Name{Text: "mbox", Path: filepath.Join(env.Home, "mbox")}
	if got, err := inboxIn(env, fsx.OS{}).Probe(n); got || err != nil {
		t.Errorf("mbox by its name: got %v, %v", got, err)
	}
	if err := inboxIn(env, fsx.OS{}).Create(context.Background(), n); !errors.Is(err, mailbox.ErrUnsupported) {
		t.Errorf("create mbox by its name: got %v", err)
	}
}

func TestSnarf(t *testing.T) {
	env, log := goldenEnv(t)
	fill(t, env, arrived("a"), arrived("b", "c"))
	d := inboxIn(env, fsx.OS{})
	home, spool := filepath.Join(env.Home, "mbox"), env.Spool
	count := func(want uint32) {
		t.Helper()
		if st, err := d.Count(context.Background(), inbox); err != nil || st.Messages != want {
			t.Errorf("Count: got %+v, %v; want %d messages", st, err, want)
		}
	}
	count(3)
	ro := openInbox(t, d, mailbox.ReadOnly)
	if _, err := ro.Ping(); err != nil || len(subjects(t, ro)) != 1 || readText(t, spool) == "" {
		t.Errorf("read-only: got %q, %v", subjects(t, ro), err)
	}
	mb := openInbox(t, d, mailbox.ReadWrite)
	if got := subjects(t, mb); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %q", got)
	}
	if got, want := readText(t, home), arrived("a", "b", "c"); got != want || readText(t, spool) != "" {
		t.Errorf("~/mbox\n got %q\nwant %q\nspool %q", got, want, readText(t, spool))
	}
	said := goldenLog{"warn", fmt.Sprintf("Moved %d bytes of new mail to %s from %s", len(arrived("b", "c")), home, spool)}
	if !slices.Contains(*log, said) {
		t.Errorf("said %q\nwant %q", *log, said)
	}
	fill(t, env, "-", arrived("d"))
	if changed, err := mb.Ping(); !changed || err != nil || !slices.Equal(subjects(t, mb), []string{"a", "b", "c", "d"}) {
		t.Errorf("Ping: got %v, %v, %q", changed, err, subjects(t, mb))
	}
	count(4)
	if err := mb.Store(mailbox.One(4), mailbox.Add, mailbox.FlagList{System: mailbox.Flagged}); err != nil {
		t.Error(err)
	}
	if n, err := mb.Expunge(mailbox.One(1)); n != 1 || err != nil {
		t.Errorf("Expunge: got %d, %v", n, err)
	}
	if err := mb.Close(); err != nil {
		t.Error(err)
	}
	count(3)
}

// Mail that a session of a mailbox has numbered is moved without the numbers.
func TestSnarfNumbered(t *testing.T) {
	for _, home := range []string{"", arrived("a"), string(readFile(t, "native-keywords.mbox"))} {
		for _, spool := range []string{"native-keywords.mbox", "native-pseudo-3msgs.mbox", "native-uid-gaps.mbox"} {
			env, _ := goldenEnv(t)
			from := messages(t, open(t, env, put(t, env, spool), mailbox.ReadOnly))
			var before []goldenMessage
			if home != "" {
				before = messages(t, open(t, env, putBytes(t, env, "before", []byte(home)), mailbox.ReadOnly))
			}
			fill(t, env, home, string(readFile(t, spool)))
			mb := openInbox(t, inboxIn(env, fsx.OS{}), mailbox.ReadWrite)
			got := messages(t, mb)
			want := slices.Concat(before, from)
			for i := range min(len(got), len(want)) {
				want[i].UID = got[i].UID
				if i < len(before) && got[i].UID != before[i].UID {
					t.Errorf("%s: UID %d became %d", spool, before[i].UID, got[i].UID)
				}
			}
			if !sameMail(got, want) {
				t.Errorf("%s:\n got %+v\nwant %+v", spool, got, want)
			}
			if err := mb.Close(); err != nil {
				t.Error(err)
			}
			if got := messages(t, openInbox(t, inboxIn(env, fsx.OS{}), mailbox.ReadOnly)); len(got) != len(want) {
				t.Errorf("%s: read again: got %d messages, want %d", spool, len(got), len(want))
			}
		}
	}
}

// While somebody has the spool open, its mail stays there.
func TestSnarfBusy(t *testing.T) {
	env, log := goldenEnv(t)
	fill(t, env, "", arrived("a"))
	other := open(t, env, mailbox.Name{Text: "spool", Path: env.Spool}, mailbox.ReadWrite)
	mb := openInbox(t, inboxIn(env, fsx.OS{}), mailbox.ReadWrite)
	if got := subjects(t, mb); len(got) != 0 || readText(t, env.Spool) != arrived("a") {
		t.Errorf("got %q, spool %q", got, readText(t, env.Spool))
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := mb.Ping(); err != nil || len(subjects(t, mb)) != 1 {
		t.Errorf("when it was closed: got %q, %v", subjects(t, mb), err)
	}
	for _, l := range *log {
		if strings.Contains(l.Text, "Can't") {
			t.Errorf("said %q", l.Text)
		}
	}
}

// checkMoved reads INBOX, moving what is left in the spool: every message must
// be there, twice only where twice is true.
func checkMoved(t *testing.T, env *mailbox.Env, twice bool) {
	t.Helper()
	d := inboxIn(env, fsx.OS{})
	if ok, err := d.Probe(inbox); !ok || err != nil {
		t.Fatalf("INBOX is not ours any more: %v, %v", ok, err)
	}
	mb := openInbox(t, d, mailbox.ReadWrite)
	defer mb.Close()
	got := subjects(t, mb)
	once, double := []string{"a", "b", "c"}, []string{"a", "b", "c", "b", "c"}
	if !slices.Equal(got, once) && !(twice && slices.Equal(got, double)) {
		t.Fatalf("got %q", got)
	}
}

func TestSnarfCrash(t *testing.T) {
	env, _ := goldenEnv(t)
	env.LockDir = t.TempDir()
	fill(t, env, arrived("a"), arrived("b", "c"))
	rec := fsxtest.Record(t, env.Home)
	if err := openInbox(t, inboxIn(env, rec), mailbox.ReadWrite).Close(); err != nil {
		t.Fatal(err)
	}
	rec.Crashes(t, func(t *testing.T, dir string, done bool) {
		env := *env
		env.Home, env.Spool, env.LockDir = dir, filepath.Join(dir, "spool"), t.TempDir()
		checkMoved(t, &env, !done)
	})
}

func TestSnarfFaults(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
		for n := 1; ; n++ {
			env, _ := goldenEnv(t)
			env.LockDir = t.TempDir()
			fill(t, env, arrived("a"), arrived("b", "c"))
			bad := &fsxtest.Faulty{FS: fsx.OS{}, N: n, Err: errno, Sticky: errno == syscall.ENOSPC}
			mb, err := inboxIn(env, bad).Open(context.Background(), inbox, mailbox.ReadWrite)
			if err == nil {
				mb.Close()
			}
			if !bad.Fired() {
				break
			}
			checkMoved(t, env, true)
		}
	}
}
