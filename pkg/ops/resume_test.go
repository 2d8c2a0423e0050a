package ops_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
)

// A breaker is a driver whose mailboxes cannot be opened behind a delivery while
// broken is set: a copy is interrupted there.
type breaker struct {
	mailbox.Driver
	broken, delivered bool
}

func (d *breaker) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	delivered := d.delivered
	d.delivered = false
	if d.broken && delivered {
		return nil, context.Canceled
	}
	return d.Driver.Open(ctx, n, m)
}

func (d *breaker) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	to, err := d.Driver.(mailbox.Appender).Append(ctx, n, o)
	return &told{to, d}, err
}

// A told delivery tells when it is done.
type told struct {
	mailbox.Delivery
	d *breaker
}

func (t *told) Commit() (mailbox.UIDs, error) {
	t.d.delivered = true
	return t.Delivery.Commit()
}

const letters = "From a@example.com Mon Jul  2 00:00:00 2001\nSubject: one\n\n1\n\n" +
	"From b@example.com Mon Jul  2 00:00:01 2001\nSubject: two\nX-UID: 5\n\n>From 2\n\n"

const third = "From c@example.com Mon Jul  2 00:00:02 2001\nSubject: three\n\n3\n\n"

// resumeSession has src, with two messages, and box, with one; mbx mailboxes
// break.
func resumeSession(t *testing.T) (*ops.Session, *breaker, string) {
	t.Helper()
	env := mailboxtest.NewEnv(t)
	for name, text := range map[string]string{"src": letters, "old": third} {
		if err := os.WriteFile(filepath.Join(env.Home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := &ops.Session{Env: env, Drivers: all.Drivers(env)}
	if _, err := s.Copy(t.Context(), "old", "#driver.mbx/box", ops.CopyOptions{Create: true}); err != nil {
		t.Fatal(err)
	}
	b := &breaker{}
	for i, d := range s.Drivers {
		if d.Name() == "mbx" {
			b.Driver = d
			s.Drivers[i] = b
		}
	}
	return s, b, env.Home
}

// subjects lists the subjects of a mailbox, "" where there is none.
func subjects(t *testing.T, s *ops.Session, name string) string {
	t.Helper()
	v, err := s.View(t.Context(), name, ops.Filter{})
	if errors.Is(err, mailbox.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var out []string
	for e, err := range v.List(t.Context(), "Subject") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e.Header[0])
	}
	return strings.Join(out, " ")
}

func TestInterrupted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		target string
		o      ops.CopyOptions
		more   bool // mail arrives in the source before the second run

		src, box string // afterwards
		resumed  uint32
	}{
		{"append", "box", ops.CopyOptions{Verify: true}, false, "one two", "three one two", 2},
		{"append, more", "box", ops.CopyOptions{Verify: true}, true, "one two three", "three one two three", 2},
		{"move to one that exists", "box", ops.CopyOptions{Move: true}, false, "", "three one two", 2},
		{"move to one that exists, more", "box", ops.CopyOptions{Move: true}, true, "", "three one two three", 2},
		{"copy", "#driver.mbx/new", ops.CopyOptions{Create: true, Verify: true}, false, "one two", "one two", 2},
		{"copy, more", "#driver.mbx/new", ops.CopyOptions{Create: true, Verify: true}, true, "one two three", "one two three", 2},
		{"move", "#driver.mbx/new", ops.CopyOptions{Create: true, Move: true}, false, "", "one two", 2},
		{"move, more", "#driver.mbx/new", ops.CopyOptions{Create: true, Move: true}, true, "", "one two three", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, b, home := resumeSession(t)
			b.broken = true
			if acc, err := s.Copy(t.Context(), "src", tt.target, tt.o); !errors.Is(err, context.Canceled) {
				t.Fatalf("first run: got %+v, %v, want it interrupted", acc, err)
			}
			b.broken = false
			if tt.more {
				f, err := os.OpenFile(filepath.Join(home, "src"), os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteString(third); err != nil {
					t.Fatal(err)
				}
				f.Close()
			}
			acc, err := s.Copy(t.Context(), "src", tt.target, tt.o)
			if err != nil || !acc.Balanced() || acc.Resumed != tt.resumed || acc.Copied != acc.Found {
				t.Errorf("second run: got %+v, %v; want %d resumed", acc, err, tt.resumed)
			}
			box := strings.TrimPrefix(tt.target, "#driver.mbx/")
			if got := subjects(t, s, box); got != tt.box {
				t.Errorf("target: got %s, want %s", got, tt.box)
			}
			if got := subjects(t, s, "src"); got != tt.src {
				t.Errorf("source: got %s, want %s", got, tt.src)
			}
			if notes, _ := filepath.Glob(filepath.Join(home, ".*.copy")); notes != nil {
				t.Errorf("left behind: %v", notes)
			}
		})
	}
}

// A note is believed only when the messages stand in the target.
func TestNoteOfNothing(t *testing.T) {
	s, b, home := resumeSession(t)
	b.broken = true
	if _, err := s.Copy(t.Context(), "src", "box", ops.CopyOptions{Verify: true}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	b.broken = false
	if err := os.Remove(filepath.Join(home, "box")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Copy(t.Context(), "old", "#driver.mbx/box", ops.CopyOptions{Create: true}); err != nil {
		t.Fatal(err)
	}
	acc, err := s.Copy(t.Context(), "src", "box", ops.CopyOptions{Verify: true})
	if err != nil || acc.Resumed != 0 || subjects(t, s, "box") != "three one two" {
		t.Errorf("got %+v, %v, box %s", acc, err, subjects(t, s, "box"))
	}
	// And only for the same command: another one is meant as it is.
	b.broken = true
	if _, err := s.Copy(t.Context(), "src", "box", ops.CopyOptions{Verify: true}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	b.broken = false
	if acc, err = s.Copy(t.Context(), "src", "box", ops.CopyOptions{Move: true}); err != nil || acc.Resumed != 0 {
		t.Errorf("another command: got %+v, %v", acc, err)
	}
	// A torn note is none.
	notes, _ := filepath.Glob(filepath.Join(home, ".*.copy"))
	if len(notes) != 1 {
		t.Fatalf("notes: got %v, want one", notes)
	}
	if err := os.WriteFile(notes[0], []byte(`{"command":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if acc, err = s.Copy(t.Context(), "old", "box", ops.CopyOptions{}); err != nil || acc.Resumed != 0 {
		t.Errorf("torn note: got %+v, %v", acc, err)
	}
}
