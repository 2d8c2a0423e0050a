package ops_test

import (
	"context"
	"iter"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// homeSession works in a home directory of its own.
func homeSession(t *testing.T) (*ops.Session, string) {
	t.Helper()
	home := t.TempDir()
	env := &mailbox.Env{
		User: "alice", Home: home, Spool: filepath.Join(home, "spool"), Host: "hh", Dir: home, Now: time.Now,
		Notify: func(_ mailbox.Level, text string) { t.Log("notice:", text) }, LockDir: t.TempDir(), StateDir: filepath.Join(home, ".state"),
		Config: mailbox.DefaultConfig(), LockTimeout: -1,
	}
	return &ops.Session{Env: env, Drivers: all.Drivers(env)}, home
}

const oneMessage = "From a@b Mon Jan  1 10:00:00 2024\nSubject: one\n\nx\n\n"

// files writes mailboxes of one message, and makes directories of names that end
// in a slash.
func files(t *testing.T, home string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(oneMessage), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMailboxes(t *testing.T) {
	s, home := homeSession(t)
	files(t, home, "t/b", "t/a.b", "t/a/x", "t2", "u", "INBOX", "inbox.old", "t/a.b.lock", "t/a.b.lost", "t/a.b.orig", "t/a.b.orig.2", "t/x.orig",
		"t/.a.journal", "t/.b.0123.copy", "t/.b.new", "t/.b.convert", "t/.b.converting", "t/b.lock.1.2.h", "t/.c", "t/empty/",
		"t/.b.gone", "t/.mixstatus", "t/.mix0123abcd")
	for _, link := range []struct{ to, at string }{{"..", "t/a/up"}, {"nowhere", "t/gone"}, {"../u", "t/link"}, {".", "t/self"}} {
		if err := os.Symlink(link.to, filepath.Join(home, link.at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(home, "t/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := net.Listen("unix", filepath.Join(home, "t/socket")); err == nil { // else the name is too long
		defer l.Close()
	}
	for _, tt := range []struct{ prefix, want string }{
		{"t/", "t/.c t/a.b t/a/x t/b t/link t/x.orig"},
		{"t", "t/.c t/a.b t/a/x t/b t/link t/x.orig t2"},
		{"t/a", "t/a.b t/a/x"},
		{"t/a/", "t/a/up/.c t/a/up/a.b t/a/up/b t/a/up/link t/a/up/x.orig t/a/x"}, // a link leads out, but nowhere twice
		{"~/t2", "~/t2"},
		{"./t/b", "./t/b"},
		{home + "/t/b", home + "/t/b"},
		{"inbox", "inbox.old"},
		{"nosuch", ""},
		{"nosuch/", ""},
		{"u/", ""},
	} {
		all, unread, err := s.Mailboxes(t.Context(), tt.prefix)
		var got []string
		for _, e := range all {
			got = append(got, e.Name)
		}
		if strings.Join(got, " ") != tt.want || unread != nil || err != nil {
			t.Errorf("%s: got %v, %v, %v, want %s", tt.prefix, got, unread, err, tt.want)
		}
	}
	files(t, home, "spool")
	all, _, err := s.Mailboxes(t.Context(), "in")
	if len(all) != 2 || all[1].Name != "INBOX" || err != nil {
		t.Errorf("with mail in INBOX: got %v, %v, want it last", all, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Mailboxes(ctx, "t/"); err == nil {
		t.Error("cancelled: no error")
	}
}

// Subfolders of a Maildir may be called like files that belong to a mailbox; what
// is being made or removed is none.
func TestMailboxesOfMaildir(t *testing.T) {
	s, home := homeSession(t)
	for _, name := range []string{"", ".A", ".A.new", ".A.gone", ".A.convert", ".B.convert", "..A.new", ".C.new", ".A.lock", ".A.orig"} {
		for _, part := range []string{"cur/", "new/", "tmp/"} {
			files(t, home, "M/"+name+"/"+part)
		}
		if strings.HasPrefix(name, ".") && name != ".C.new" {
			files(t, home, "M/"+name+"/maildirfolder")
		}
	}
	files(t, home, "M/.B.converting", "M/dovecot-uidlist", "M/cur/1.a:2,S")
	all, unread, err := s.Mailboxes(t.Context(), "M")
	var got []string
	for _, e := range all {
		got = append(got, e.Name)
	}
	if want := []string{"M", "M/.A", "M/.A.convert", "M/.A.gone", "M/.A.lock", "M/.A.new", "M/.A.orig"}; !slices.Equal(got, want) || unread != nil || err != nil {
		t.Errorf("got %q, %v, %v, want %q", got, unread, err, want)
	}
}

// A place is a driver with names of its own.
type place struct {
	mailbox.Driver
	delimiter byte
	names     []string
}

func (p place) Name() string { return "stream" }

func (p place) List(_ context.Context, prefix mailbox.Name) iter.Seq2[mailbox.Entry, error] {
	return func(yield func(mailbox.Entry, error) bool) {
		for _, name := range p.names {
			if !yield(mailbox.Entry{Name: name, Delimiter: p.delimiter, Selectable: name[len(name)-1] != '%'}, nil) {
				return
			}
		}
	}
}

func TestHierarchy(t *testing.T) {
	s, home := homeSession(t)
	files(t, home, "t/a", "t/s/b.c")
	h, err := s.Hierarchy(t.Context(), "t/", "#driver.mbx/d/", ops.HierarchyOptions{})
	want := []ops.Transfer{{Source: "t/a", Target: "#driver.mbx/d/t/a"}, {Source: "t/s/b.c", Target: "#driver.mbx/d/t/s/b.c"}}
	if err != nil || h.Flat || !slices.Equal(h.Transfers, want) {
		t.Errorf("got %+v, %v", h, err)
	}
	for _, bad := range []string{"a\nb", "#driver.foo/"} {
		if _, err := s.Hierarchy(t.Context(), "t/", bad, ops.HierarchyOptions{}); err == nil {
			t.Errorf("to %q: no error", bad)
		}
	}
	// The only names of their own that there are for certain are those of streams.
	s.Drivers = append(mailbox.Drivers{place{s.Drivers[0], '.', []string{"{h}x.y/z", "{h}b", "{h}%"}}}, s.Drivers...)
	h, err = s.Hierarchy(t.Context(), "-", "d/", ops.HierarchyOptions{})
	want = []ops.Transfer{{Source: "{h}b", Target: "d/b"}, {Source: "{h}x.y/z", Target: "d/x/y.z"}}
	if err != nil || !slices.Equal(h.Transfers, want) {
		t.Errorf("from a place with names of its own: got %+v, %v, want %v", h.Transfers, err, want)
	}
}

func TestTranslate(t *testing.T) {
	for _, tt := range []struct {
		name     string
		from, to byte
		want     string
	}{
		{"a/b.c", '/', '/', "a/b.c"},
		{"a/b.c", '/', '.', "a.b/c"},
		{"a.b/c", '.', '/', "a/b.c"},
		{"a/b.c", 0, '.', "a/bxc"},
		{"a/b.c", '/', 0, "a/b.c"},
	} {
		if got := ops.Translate(tt.name, tt.from, tt.to); got != tt.want {
			t.Errorf("%s from %q to %q: got %s, want %s", tt.name, tt.from, tt.to, got, tt.want)
		}
	}
}

// The second of two runs adds what the target lacks, each message once, however
// often the source has it.
func TestMissing(t *testing.T) {
	s, home := homeSession(t)
	two := strings.Replace(oneMessage, "one", "two", 1)
	for _, tt := range []struct{ src, dst, want string }{
		{oneMessage + two, oneMessage, "1 found = 1 copied + 0 skipped + 0 failed"},
		{oneMessage + oneMessage + two, oneMessage, "2 found = 2 copied + 0 skipped + 0 failed"},
		{oneMessage + two, two + oneMessage, "0 found = 0 copied + 0 skipped + 0 failed"},
		{oneMessage, two, "1 found = 1 copied + 0 skipped + 0 failed"},
	} {
		for name, text := range map[string]string{"src": tt.src, "dst": tt.dst} {
			if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		acc, err := s.Copy(t.Context(), "src", "dst", ops.CopyOptions{Missing: true, Verify: true})
		if err != nil || acc.Equation() != tt.want {
			t.Errorf("got %s, %v, want %s", acc.Equation(), err, tt.want)
		}
		acc, err = s.Copy(t.Context(), "src", "dst", ops.CopyOptions{Missing: true})
		if err != nil || acc.Copied != 0 || acc.Present != uint32(strings.Count(tt.src, "From ")) {
			t.Errorf("again: got %s, %d present, %v", acc.Equation(), acc.Present, err)
		}
	}
}

func TestPattern(t *testing.T) {
	for _, tt := range []struct {
		name, pattern string
		want          bool
	}{
		{"a", "a*", true},
		{"ab/c", "a*", true},
		{"b", "a*", false},
		{"d/b", "%/b*", true},
		{"d/e/b", "%/b*", false},
		{"d/e/b", "*/b*", true},
		{"d/e", "%", false},
		{"d", "%", true},
		{"z*", "z**", true},
		{"INBOX", "in*", true},
		{"inbox", "*B*", true},
		{"a}b", "*}b*", true},
	} {
		if got := ops.OfPattern(tt.name, tt.pattern, '/'); got != tt.want {
			t.Errorf("ofPattern(%q, %q): got %v", tt.name, tt.pattern, got)
		}
	}
}
