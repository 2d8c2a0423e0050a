package ops_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// makeBox makes a mailbox of some messages, each with two keywords of its own.
func makeBox(t *testing.T, s *ops.Session, format, name string, keywords int) {
	t.Helper()
	n, err := s.Env.Resolve(name)
	if err != nil {
		t.Fatal(err)
	}
	o := mailbox.AppendOptions{New: true, UIDValidity: 4711, UIDNext: 500}
	for i := range keywords {
		o.Keywords = append(o.Keywords, fmt.Sprintf("word%d", i))
	}
	to, err := s.Drivers.Named(format).(mailbox.Appender).Append(t.Context(), n, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		text := fmt.Sprintf("Subject: %d\r\nMessage-ID: <%d>\r\n\r\nText %d.\r\n", i, i, i)
		it := mailbox.Item{Text: strings.NewReader(text), Sender: fmt.Sprintf("joe%d@example.com", i)}
		it.UID, it.Size = uint32(7*(i+1)), int64(len(text))
		it.Date = mailbox.Date{Year: 2023, Month: 3, Day: uint8(i + 1), Hour: 4, Zone: 60}
		it.Flags.System = []mailbox.SystemFlags{mailbox.Seen, mailbox.Deleted | mailbox.Flagged, mailbox.Answered | mailbox.Draft}[i]
		if keywords > 0 {
			it.Flags.Keywords = 1<<(i%keywords) | 1<<(keywords-1)
		}
		if _, err := to.Add(it); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := to.Commit(); err != nil {
		t.Fatal(err)
	}
}

// A letter is a message and what its index does not say; Recent is left out.
type letter struct {
	mailbox.Message
	keywords []string // sorted
	text     []byte
}

// lettersIn reads a mailbox.
func lettersIn(t *testing.T, s *ops.Session, name string) (st mailbox.Status, out []letter) {
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
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		c, err := mb.Open(m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		words := mailbox.Flags{Keywords: m.Flags.Keywords}.Names(mb.Status().Keywords)
		slices.Sort(words)
		m.Flags.System &^= mailbox.Recent
		out = append(out, letter{m, words, text})
	}
	return mb.Status(), out
}

// tellAll is all that a mailbox tells but for Recent, a line for each message.
func tellAll(t *testing.T, s *ops.Session, name string, uids bool) string {
	t.Helper()
	st, all := lettersIn(t, s, name)
	var out strings.Builder
	if uids {
		fmt.Fprintln(&out, st.UIDValidity, st.UIDNext)
	}
	for _, l := range all {
		flags := append(mailbox.Flags{System: l.Flags.System}.Names(nil), l.keywords...)
		slices.Sort(flags)
		if !uids {
			l.UID = 0
		}
		fmt.Fprintf(&out, "%d %v %v %q\n", l.UID, flags, l.Date.Time().Unix(), l.text)
	}
	return out.String()
}

// Each format becomes each other, and all is kept that both can hold.
func TestConvert(t *testing.T) {
	formats := []string{"unix", "mbx", "mtx", "tenex", "mmdf", "mx", "mix", "mh", "maildir"}
	for _, from := range formats {
		for _, to := range formats {
			s, home := homeSession(t)
			s.Env.Config.Keywords = []string{"word0", "word1"}
			if s.Drivers.Named(from) == nil || s.Drivers.Named(to) == nil {
				continue
			}
			makeBox(t, s, from, "m/box", 2)
			path := filepath.Join(home, "m/box")
			if err := os.Chmod(path, 0o750); err != nil {
				t.Fatal(err)
			}
			was, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			wasFile := !was.IsDir() // locks in a directory change its times
			stamp := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
			if err := os.Chtimes(path, stamp, stamp); err != nil {
				t.Fatal(err)
			}
			forgets := func(format string) bool { _, ok := s.Drivers.Named(format).(mailbox.Forgetter); return ok }
			bare := forgets(from) || forgets(to)
			before := tellAll(t, s, "m/box", !bare)
			if forgets(to) && !forgets(from) {
				if c, err := s.Convert(t.Context(), "m/box", ops.ConvertOptions{To: to}); !errors.Is(err, mailbox.ErrUnsupported) || !strings.Contains(err.Error(), "UIDs") || c.Copied != 0 {
					t.Errorf("%s to %s without leave: got %+v, %v", from, to, c, err)
				}
			}
			c, err := s.Convert(t.Context(), "m/box", ops.ConvertOptions{To: to, LoseUIDs: true})
			if c.UIDsNew != (forgets(from) && !forgets(to)) {
				t.Errorf("%s to %s: UIDs are new: %v", from, to, c.UIDsNew)
			}
			if err != nil || c.From != from || c.Already != (from == to) || from != to && (!c.Verified || c.Copied != 3 || c.Kept != path+".orig") {
				t.Errorf("%s to %s: got %+v, %v", from, to, c, err)
				continue
			}
			if got := tellAll(t, s, "m/box", !bare); got != before {
				t.Errorf("%s to %s: got\n%s\nwant\n%s", from, to, got, before)
			}
			fi, err := os.Stat(path)
			if err != nil || fi.Mode().Perm()&^0o111 != 0o640 || wasFile && !fi.IsDir() && !fi.ModTime().Equal(stamp) {
				t.Errorf("%s to %s: mode %v, modified %v, %v", from, to, fi.Mode(), fi.ModTime(), err)
			}
			if from == to {
				continue
			}
			if got := tellAll(t, s, "m/box.orig", !bare); got != before {
				t.Errorf("%s to %s: the original is\n%s\nwant\n%s", from, to, got, before)
			}
			entries, err := os.ReadDir(filepath.Join(home, "m"))
			if len(entries) != 2 || err != nil {
				t.Errorf("%s to %s: left are %v, %v", from, to, entries, err)
			}
		}
	}
}

// What is open elsewhere is left alone, and so is what cannot be read.
func TestConvertRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, s *ops.Session, path string) (undo func())
		want error
	}{
		{"a session", func(t *testing.T, s *ops.Session, path string) func() {
			n, _ := s.Env.Resolve("box")
			mb, err := s.Drivers.Open(t.Context(), n, mailbox.ReadWrite)
			if err != nil {
				t.Fatal(err)
			}
			return func() { mb.Close() }
		}, mailbox.ErrBusy},
		{"a reader's lock", func(t *testing.T, s *ops.Session, path string) func() {
			n, _ := s.Env.Resolve("box")
			mb, err := s.Drivers.Named(driverOf(t, s, n)).(mailbox.Holder).Hold(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			return func() { mb.Close() }
		}, mailbox.ErrBusy},
		{"a hard link", func(t *testing.T, s *ops.Session, path string) func() {
			if err := os.Link(path, path+"2"); err != nil {
				t.Fatal(err)
			}
			return func() { os.Remove(path + "2") }
		}, mailbox.ErrUnsupported},
		{"no right to write", func(t *testing.T, s *ops.Session, path string) func() {
			if os.Getuid() == 0 {
				return nil
			}
			os.Chmod(filepath.Dir(path), 0o500)
			return func() { os.Chmod(filepath.Dir(path), 0o700) }
		}, os.ErrPermission},
	} {
		for _, format := range []string{"unix", "mbx", "tenex"} {
			s, home := homeSession(t)
			makeBox(t, s, format, "box", 0)
			undo := tt.do(t, s, filepath.Join(home, "box"))
			if undo == nil {
				continue
			}
			to := map[string]string{"unix": "mbx", "mbx": "unix", "tenex": "unix"}[format]
			_, err := s.Convert(t.Context(), "box", ops.ConvertOptions{To: to})
			if !errors.Is(err, tt.want) {
				t.Errorf("%s with %s: got %v, want %v", format, tt.name, err, tt.want)
			}
			undo()
			for _, name := range []string{".box.convert", ".box.converting", "box.orig"} {
				if _, err := os.Lstat(filepath.Join(home, name)); err == nil {
					t.Errorf("%s with %s: %s is left", format, tt.name, name)
				}
			}
			if c, err := s.Convert(t.Context(), "box", ops.ConvertOptions{To: to}); err != nil || c.Copied != 3 {
				t.Errorf("%s after %s: got %+v, %v", format, tt.name, c, err)
			}
		}
	}
}

func driverOf(t *testing.T, s *ops.Session, n mailbox.Name) string {
	t.Helper()
	d, err := s.Drivers.Find(n)
	if err != nil {
		t.Fatal(err)
	}
	return d.Name()
}

// A format without room for all keywords is refused, or they go into a field.
func TestKeywordsOverflow(t *testing.T) {
	s, home := homeSession(t)
	s.Env.Config.Keywords = []string{"word1"}
	makeBox(t, s, "mbx", "box", 3)
	before, err := os.ReadFile(filepath.Join(home, "box"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Convert(t.Context(), "box", ops.ConvertOptions{LoseUIDs: true, To: "tenex"})
	if !errors.Is(err, mailbox.ErrUnsupported) {
		t.Errorf("got %v, want %v", err, mailbox.ErrUnsupported)
	}
	if after, err := os.ReadFile(filepath.Join(home, "box")); string(after) != string(before) || err != nil {
		t.Errorf("the mailbox was changed: %v", err)
	}
	c, err := s.Convert(t.Context(), "box", ops.ConvertOptions{LoseUIDs: true, To: "tenex", KeywordFields: true})
	if err != nil || c.Copied != 3 || !c.Verified || !c.UIDsLost {
		t.Fatalf("got %+v, %v", c, err)
	}
	got := tellAll(t, s, "box", false)
	for _, want := range []string{
		`[\Seen] 1677639600 "X-Keywords: word0 word2\r\nSubject: 0`,
		`[\Deleted \Flagged word1] 1677726000 "X-Keywords: word2\r\nSubject: 1`,
		`[\Answered \Draft] 1677812400 "X-Keywords: word2\r\nSubject: 2`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %s", got, want)
		}
	}
}

// Cancelled at each message, a conversion leaves everything as it was.
func TestConvertCancelled(t *testing.T) {
	for at := range 3 {
		s, home := homeSession(t)
		makeBox(t, s, "unix", "box", 0)
		before := tellAll(t, s, "box", true)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := s.Convert(ctx, "box", ops.ConvertOptions{To: "mbx", Progress: func(p ops.Progress) {
			if p.Done == uint32(at) {
				cancel()
			}
		}})
		cancel()
		if at > 0 && !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled after %d: got %v", at, err)
		}
		if at > 0 && tellAll(t, s, "box", true) != before {
			t.Errorf("cancelled after %d: another mailbox", at)
		}
		if entries, _ := os.ReadDir(home); at > 0 && len(entries) > 1 {
			t.Errorf("cancelled after %d: left are %v", at, entries)
		}
	}
}

// Somebody who does not care for locks is found out.
func TestConvertChanged(t *testing.T) {
	s, home := homeSession(t)
	makeBox(t, s, "unix", "box", 0)
	path := filepath.Join(home, "box")
	_, err := s.Convert(t.Context(), "box", ops.ConvertOptions{To: "mbx", Progress: func(p ops.Progress) {
		if f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0); err == nil && p.Done == 2 {
			f.WriteString("\n" + oneMessage)
			f.Close()
		}
	}})
	if !errors.Is(err, mailbox.ErrChanged) {
		t.Errorf("got %v, want %v", err, mailbox.ErrChanged)
	}
	if st, err := s.Check(t.Context(), "box"); err != nil || st.Driver != "unix" || st.Messages != 4 {
		t.Errorf("afterwards: %+v, %v", st, err)
	}
}
