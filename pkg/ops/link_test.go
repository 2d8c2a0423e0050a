package ops_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
	"mailutil/pkg/search"
)

// maildirSession has a Maildir "src" of five messages and an empty one, "there".
func maildirSession(t *testing.T) *ops.Session {
	t.Helper()
	env := mailboxtest.NewEnv(t)
	var box strings.Builder
	for i := range 5 {
		fmt.Fprintf(&box, "From a@example.com Mon Jul  2 00:%02d:00 2001\nSubject: %d\nDate: Tue, 3 Jul 2001 00:00:00 +0000\nStatus: %s\n", i, i, []string{"R", "O"}[i%2])
		if i == 0 {
			box.WriteString("X-IMAPbase: 994032000 5 Work\n")
		}
		fmt.Fprintf(&box, "X-Keywords: %s\n\ntext %d\n\n", []string{"", "Work"}[i%2], i)
	}
	if err := os.WriteFile(filepath.Join(env.Home, "box"), []byte(box.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &ops.Session{Env: env, Drivers: all.Drivers(env)}
	if _, err := s.Copy(t.Context(), "box", "#driver.maildir/src", ops.CopyOptions{Create: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), "#driver.maildir/there"); err != nil {
		t.Fatal(err)
	}
	return s
}

// shared counts the messages of one Maildir whose files another has as well.
func shared(t *testing.T, one, other string) (n int) {
	t.Helper()
	of := func(dir string) (all []os.FileInfo) {
		paths, err := filepath.Glob(dir + "/[nc][eu][wr]/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			fi, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fi)
		}
		return all
	}
	for _, a := range of(one) {
		for _, b := range of(other) {
			if os.SameFile(a, b) {
				n++
			}
		}
	}
	return n
}

// A copy from Maildir to Maildir shares files, unless something about the
// messages is to be another, and is accounted for and proven as any other.
func TestCopySharesFiles(t *testing.T) {
	where, err := search.Parse("keyword work", mailboxtest.NewEnv(t).Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		o      ops.CopyOptions
		shared int // all but the first
	}{
		{"copy", ops.CopyOptions{Create: true}, 4},
		{"append", ops.CopyOptions{}, 4},
		{"verified", ops.CopyOptions{Create: true, Verify: true}, 4},
		{"move", ops.CopyOptions{Create: true, Move: true}, 0}, // the others have gone
		{"with UIDs", ops.CopyOptions{Create: true, KeepUIDs: true, Verify: true}, 4},
		{"some", ops.CopyOptions{Create: true, Where: where, Verify: true}, 1},
		{"without keywords", ops.CopyOptions{Create: true, Keywords: ops.Drop}, 4},
		{"other dates", ops.CopyOptions{Create: true, DateFrom: ops.DateHeader, Verify: true}, 0},
		{"flags by fields", ops.CopyOptions{Create: true, Origin: ops.Thunderbird}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := maildirSession(t)
			want := relics(t, s, "src")
			dst := "there"
			if tt.o.Create {
				dst = "#driver.maildir/new"
			}
			acc, err := s.Copy(t.Context(), "src", dst, tt.o)
			if err != nil || !acc.Balanced() || acc.Failed > 0 || acc.Altered.Any() || !acc.SourceProven || (tt.o.Verify || tt.o.Move) != acc.Verified {
				t.Fatalf("got %+v, %v", acc, err)
			}
			if got := shared(t, s.Env.Home+"/src", s.Env.Home+"/"+filepath.Base(dst)); got != tt.shared {
				t.Errorf("got %d shared, want %d", got, tt.shared)
			}
			if tt.o.Where != nil || tt.o.Keywords != 0 || tt.o.DateFrom != 0 {
				return
			}
			if d := cmp.Diff(want, relics(t, s, filepath.Base(dst))); d != "" {
				t.Errorf("-source +copy:\n%s", d)
			}
		})
	}
}

// A source that is written to while it is copied, against the rules of a
// Maildir, is found out though its files are shared.
func TestCopySharesNothingThatChanges(t *testing.T) {
	s := maildirSession(t)
	o := ops.CopyOptions{Create: true, Progress: func(p ops.Progress) {
		if p.Done != 5 {
			return
		}
		files, err := filepath.Glob(s.Env.Home + "/src/cur/*")
		if err != nil || len(files) != 5 {
			t.Fatal(files, err)
		}
		if err := os.WriteFile(files[4], []byte("other"), 0o600); err != nil {
			t.Fatal(err)
		}
	}}
	acc, err := s.Copy(t.Context(), "src", "#driver.maildir/new", o)
	if !errors.Is(err, mailbox.ErrChanged) || acc.Copied != 0 {
		t.Errorf("got %+v, %v", acc, err)
	}
	if _, err := os.Stat(s.Env.Home + "/new"); !os.IsNotExist(err) {
		t.Errorf("target: %v", err)
	}
}
