package ops_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
	"mailutil/pkg/search"
)

// A liar is a driver in memory that gives messages back otherwise than they
// were added.
type liar struct {
	*mailboxtest.Memory
	lie func(*mailbox.Item)
}

func (d *liar) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	to, err := d.Memory.Append(ctx, n, o)
	return &lying{to, d}, err
}

type lying struct {
	mailbox.Delivery
	d *liar
}

func (l *lying) Add(it mailbox.Item) (mailbox.Altered, error) {
	if strings.HasPrefix(it.Sender, "lie") {
		l.d.lie(&it)
	}
	return l.Delivery.Add(it)
}

// memorySession has a mailbox "src" of three messages, the second of which the
// driver lies about when it is stored again.
func memorySession(t *testing.T, lie func(*mailbox.Item)) *ops.Session {
	t.Helper()
	env := &mailbox.Env{
		User: "alice", Home: "/home/alice", Spool: "/spool/alice", Host: "hh", Dir: "/",
		Now:    func() time.Time { return time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC) },
		Notify: func(mailbox.Level, string) {}, Config: mailbox.DefaultConfig(),
	}
	mem := mailboxtest.NewMemory(env, "unix")
	to, err := mem.Append(t.Context(), mailbox.Name{Text: "src", Path: "/home/alice/src"},
		mailbox.AppendOptions{New: true, Keywords: []string{"Work"}, UIDValidity: 77})
	if err != nil {
		t.Fatal(err)
	}
	for i, sender := range []string{"a@b", "lie@b", "c@d"} {
		text := "Subject: " + sender + "\r\nDate: Mon, 1 Jan 2001 00:00:00 +0000\r\n" +
			"Received: by x; Tue, 2 Jan 2001 00:00:00 +0000\r\n\r\nbody\r\n"
		if i == 2 {
			text = "Subject: bare\r\n\r\n"
		}
		it := mailbox.Item{Sender: sender, Text: strings.NewReader(text)}
		it.UID = uint32(10 * (i + 1))
		it.Size = int64(len(text))
		it.Date = mailbox.Date{Year: 2024, Month: 2, Day: uint8(i + 1)}
		it.Flags = mailbox.Flags{System: mailbox.Seen, Keywords: uint64(i & 1)}
		if _, err := to.Add(it); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := to.Commit(); err != nil {
		t.Fatal(err)
	}
	return &ops.Session{Env: env, Drivers: mailbox.Drivers{&liar{Memory: mem, lie: lie}}}
}

func honest(*mailbox.Item) {}

func count(t *testing.T, s *ops.Session, name string) uint32 {
	t.Helper()
	st, err := s.Check(t.Context(), name)
	if errors.Is(err, mailbox.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return st.Messages
}

func where(t *testing.T, words string) *search.Criteria {
	t.Helper()
	c, err := search.Parse(words, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCopyAccounts(t *testing.T) {
	for _, tt := range []struct {
		name        string
		o           ops.CopyOptions
		dry         bool
		want        string
		notSelected uint32
		dates       ops.DateCounts
		src, dst    uint32 // messages there afterwards
	}{
		{"copy", ops.CopyOptions{}, false, "3 found = 3 copied + 0 skipped + 0 failed", 0, ops.DateCounts{Internal: 3}, 3, 3},
		{"verified", ops.CopyOptions{Verify: true, KeepUIDs: true}, false, "3 found = 3 copied + 0 skipped + 0 failed", 0, ops.DateCounts{Internal: 3}, 3, 3},
		{"where", ops.CopyOptions{Where: where(t, "keyword work"), Verify: true}, false, "1 found = 1 copied + 0 skipped + 0 failed", 2, ops.DateCounts{Internal: 1}, 3, 1},
		{"where none", ops.CopyOptions{Where: where(t, "deleted")}, false, "0 found = 0 copied + 0 skipped + 0 failed", 3, ops.DateCounts{}, 3, 0},
		{"move", ops.CopyOptions{Move: true}, false, "3 found = 3 copied + 0 skipped + 0 failed", 0, ops.DateCounts{Internal: 3}, 0, 3},
		{"move where", ops.CopyOptions{Move: true, Where: where(t, "1,3")}, false, "2 found = 2 copied + 0 skipped + 0 failed", 1, ops.DateCounts{Internal: 2}, 1, 2},
		{"header", ops.CopyOptions{DateFrom: ops.DateHeader, Verify: true}, false, "3 found = 3 copied + 0 skipped + 0 failed", 0, ops.DateCounts{Header: 2, Internal: 1}, 3, 3},
		{"received", ops.CopyOptions{DateFrom: ops.DateReceived, Verify: true}, false, "3 found = 3 copied + 0 skipped + 0 failed", 0, ops.DateCounts{Received: 2, Internal: 1}, 3, 3},
		{"dry", ops.CopyOptions{Move: true}, true, "3 found = 3 copied + 0 skipped + 0 failed", 0, ops.DateCounts{}, 3, 0},
	} {
		s := memorySession(t, honest)
		s.DryRun = tt.dry
		tt.o.Create = true
		acc, err := s.Copy(t.Context(), "src", "dst", tt.o)
		if err != nil || acc.Equation() != tt.want || acc.NotSelected != tt.notSelected || acc.Dates != tt.dates {
			t.Errorf("%s: got %s, %d not selected, dates %+v, %v", tt.name, acc.Equation(), acc.NotSelected, acc.Dates, err)
		}
		if src, dst := count(t, s, "src"), count(t, s, "dst"); src != tt.src || dst != tt.dst {
			t.Errorf("%s: %d messages in the source, %d in the target", tt.name, src, dst)
		}
		if acc.Verified != ((tt.o.Verify || tt.o.Move) && !tt.dry) {
			t.Errorf("%s: verified is %v", tt.name, acc.Verified)
		}
	}
}

// A target that lies is found out, and a move then deletes nothing.
func TestVerifyFindsLies(t *testing.T) {
	for _, tt := range []struct {
		part string
		lie  func(*mailbox.Item)
	}{
		{"text", func(it *mailbox.Item) { it.Text = strings.NewReader(strings.Repeat("x", int(it.Size))) }},
		{"text", func(it *mailbox.Item) { it.Text, it.Size = strings.NewReader("x"), 1 }},
		{"date", func(it *mailbox.Item) { it.Date.Day++ }},
		{"flags", func(it *mailbox.Item) { it.Flags.System = mailbox.Draft }},
		{"keywords", func(it *mailbox.Item) { it.Flags.Keywords = 0 }},
		{"uid", func(it *mailbox.Item) { it.UID++ }},
	} {
		for _, move := range []bool{false, true} {
			s := memorySession(t, tt.lie)
			var told []ops.Exception
			acc, err := s.Copy(t.Context(), "src", "dst", ops.CopyOptions{
				Create: true, Move: move, Verify: !move, KeepUIDs: true, Except: func(e ops.Exception) { told = append(told, e) },
			})
			if !errors.Is(err, ops.ErrUnproven) || acc.Verified || acc.Differing != 1 {
				t.Errorf("%s, move %v: got %v, verified %v, %d differ", tt.part, move, err, acc.Verified, acc.Differing)
			}
			if len(told) != 1 || told[0].Seq != 2 || !slices.Equal(told[0].Differs, []string{tt.part}) {
				t.Errorf("%s, move %v: told %+v", tt.part, move, told)
			}
			if n := count(t, s, "src"); n != 3 {
				t.Errorf("%s, move %v: %d messages left in the source", tt.part, move, n)
			}
		}
	}
}

func TestKeepUIDsNeedsANewMailbox(t *testing.T) {
	s := memorySession(t, honest)
	if err := s.Create(t.Context(), "dst"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Copy(t.Context(), "src", "dst", ops.CopyOptions{KeepUIDs: true}); err == nil || count(t, s, "dst") != 0 {
		t.Errorf("got %v, %d messages in the target", err, count(t, s, "dst"))
	}
}

func TestPruneAccount(t *testing.T) {
	for _, dry := range []bool{false, true} {
		s := memorySession(t, honest)
		s.DryRun = dry
		p, err := s.Prune(t.Context(), "src", where(t, "keyword work"))
		if want := (ops.Pruned{Found: 3, Matched: 1, Gone: 1}); p != want || err != nil {
			t.Errorf("dry %v: got %+v, %v, want %+v", dry, p, err, want)
		}
		if n := count(t, s, "src"); (n == 3) != dry {
			t.Errorf("dry %v: %d messages left", dry, n)
		}
	}
}

// A growing source is a file to which another program adds mail meanwhile.
func TestSourceGrew(t *testing.T) {
	for _, more := range []string{"", "From c@d Mon Jan  1 10:00:00 2024\nSubject: late\n\nx\n"} {
		home := t.TempDir()
		env := &mailbox.Env{
			User: "alice", Home: home, Spool: filepath.Join(home, "spool"), Host: "hh", Dir: home, Now: time.Now,
			Notify: func(mailbox.Level, string) {}, LockDir: t.TempDir(), StateDir: filepath.Join(home, "state"),
			Config: mailbox.DefaultConfig(),
		}
		s := &ops.Session{Env: env, Drivers: all.Drivers(env)}
		src := filepath.Join(home, "src")
		mail := "From a@b Mon Jan  1 10:00:00 2024\nSubject: one\n\nx\n\n"
		if err := os.WriteFile(src, []byte(mail), 0o600); err != nil {
			t.Fatal(err)
		}
		acc, err := s.Copy(t.Context(), "src", "dst", ops.CopyOptions{Create: true, Started: func(mailbox.Status) {
			if err := os.WriteFile(src, []byte(mail+more), 0o600); err != nil {
				t.Error(err)
			}
		}})
		if err != nil || acc.Copied != 1 || !acc.SourceProven || acc.SourceGrew != int64(len(more)) {
			t.Errorf("%d octets more: got %s, grew %d, %v", len(more), acc.Equation(), acc.SourceGrew, err)
		}
	}
}

// A source that changes meanwhile leaves nothing in the target.
func TestSourceChanged(t *testing.T) {
	home := t.TempDir()
	env := &mailbox.Env{
		User: "alice", Home: home, Spool: filepath.Join(home, "spool"), Host: "hh", Dir: home, Now: time.Now,
		Notify: func(mailbox.Level, string) {}, LockDir: t.TempDir(), StateDir: filepath.Join(home, "state"),
		Config: mailbox.DefaultConfig(),
	}
	s := &ops.Session{Env: env, Drivers: all.Drivers(env)}
	src := filepath.Join(home, "src")
	one := "From a@b Mon Jan  1 10:00:00 2024\nSubject: one\n\nx\n\n"
	two := "From a@b Mon Jan  1 10:00:00 2024\nSubject: two\n\ny\n"
	if err := os.WriteFile(src, []byte(one+two), 0o600); err != nil {
		t.Fatal(err)
	}
	acc, err := s.Copy(t.Context(), "src", "dst", ops.CopyOptions{Create: true, Progress: func(p ops.Progress) {
		if err := os.WriteFile(src, []byte(strings.Replace(one, "x", "z", 1)+two), 0o600); err != nil {
			t.Error(err)
		}
	}})
	if !errors.Is(err, mailbox.ErrChanged) || acc.Copied != 0 || acc.Failed != 2 {
		t.Errorf("got %s, %v", acc.Equation(), err)
	}
	if n := count(t, s, "dst"); n != 0 {
		t.Errorf("%d messages in the target", n)
	}
}
