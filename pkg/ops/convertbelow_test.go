package ops_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/internal/node"
	"mailutil/pkg/internal/swap"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// nestBoxes makes mailboxes of a format, each in the directory of the one before,
// and in the first one of the unix format.
func nestBoxes(t *testing.T, s *ops.Session, home, format string, names ...string) {
	t.Helper()
	for _, name := range names { // below a Maildir a new one would be a dotted subfolder
		makeBox(t, s, format, "made", 2)
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(home, name)), 0o700), os.Rename(filepath.Join(home, "made"), filepath.Join(home, name))); err != nil {
			t.Fatal(err)
		}
	}
	makeBox(t, s, "unix", "made", 2)
	if err := os.Rename(filepath.Join(home, "made"), filepath.Join(home, names[0], "file")); err != nil {
		t.Fatal(err)
	}
}

func entriesOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// nesting are the formats whose mailboxes may have others in them.
var nesting = []string{"mix", "mx", "maildir", "mh"}

// Mailboxes in the directory of another stay what they are, where they are, when
// that is converted, and can be converted before and after.
func TestConvertNested(t *testing.T) {
	boxes := []string{"m/box", "m/box/kid", "m/box/kid/two"}
	for _, from := range nesting {
		for _, to := range nesting {
			for _, o := range []ops.ConvertOptions{{To: to, LoseUIDs: true}, {To: to, LoseUIDs: true, DropOriginal: true}} {
				if from == to {
					continue
				}
				s, home := homeSession(t)
				s.Env.Config.Keywords = []string{"word0", "word1"}
				nestBoxes(t, s, home, from, boxes...)
				bare := from == "mh" || to == "mh"
				before := map[string]string{}
				for _, name := range append([]string{"m/box/file"}, boxes...) {
					before[name] = tellAll(t, s, name, !bare)
				}
				stamp := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
				for _, name := range boxes {
					if err := os.Chtimes(filepath.Join(home, name), stamp, stamp); err != nil {
						t.Fatal(err)
					}
				}
				order := []string{"m/box", "m/box/kid/two", "m/box/kid"}
				if o.DropOriginal {
					order, _ = s.DeepestFirst(boxes)
				}
				for i, name := range order {
					s.DryRun = true
					if c, err := s.Convert(t.Context(), name, o); err != nil || c.Already {
						t.Errorf("%s from %s to %s, dry: got %+v, %v", name, from, to, c, err)
					}
					s.DryRun = false
					c, err := s.Convert(t.Context(), name, o)
					if err != nil || c.From != from || c.Copied != 3 || (c.Kept == "") != o.DropOriginal {
						t.Fatalf("%s from %s to %s: got %+v, %v", name, from, to, c, err)
					}
					for name, want := range before {
						if got := tellAll(t, s, name, !bare); got != want {
							t.Errorf("%s from %s to %s: got\n%s\nwant\n%s", name, from, to, got, want)
						}
					}
					if fi, err := os.Stat(filepath.Join(home, "m/box/kid")); i == 0 && !o.DropOriginal && (err != nil || !fi.ModTime().Equal(stamp)) {
						t.Errorf("from %s to %s: modified %v, %v", from, to, fi.ModTime(), err)
					}
					if c.Kept != "" {
						if left := entriesOf(t, c.Kept); slices.Contains(left, "kid") || slices.Contains(left, "two") || slices.Contains(left, "file") {
							t.Errorf("from %s to %s: in the original are %v", from, to, left)
						}
					}
				}
				for _, name := range boxes {
					if c, err := s.Convert(t.Context(), name, o); err != nil || !c.Already {
						t.Errorf("%s from %s to %s again: got %+v, %v", name, from, to, c, err)
					}
				}
				if st, err := s.Check(t.Context(), "m/box/file"); err != nil || st.Driver != "unix" {
					t.Errorf("from %s to %s: the file is %+v, %v", from, to, st, err)
				}
			}
		}
	}
}

// What the new mailbox has no place for is refused, and a dry run says the same.
func TestConvertNestedRefuses(t *testing.T) {
	for _, tt := range []struct{ from, entry, to, want string }{
		{"mix", "12", "mx", `"12" in its directory would be taken for a part of the new mailbox`},
		{"mix", "12", "mh", `"12" in its directory would be taken for a part of the new mailbox`},
		{"mx", "cur", "maildir", `"cur" in its directory would be taken for a part of the new mailbox`},
		{"maildir", ".mixed", "mix", `".mixed" in its directory would be taken for a part of the new mailbox`},
		{"mix", "kid", "unix", `"kid" in its directory is no part of it, and a mailbox of the format unix is a file, in which nothing else can be: use transfer, or a format that may have other mailboxes in it: mix, mx, maildir`},
		{"maildir", ".sub", "mx", "it has subfolders with dots in their names (.sub), which only a Maildir can have: use transfer"},
	} {
		s, home := homeSession(t)
		nestBoxes(t, s, home, tt.from, "m/box")
		if err := os.Remove(filepath.Join(home, "m/box/file")); err != nil {
			t.Fatal(err)
		}
		makeBox(t, s, tt.from, "made", 0)
		if err := os.Rename(filepath.Join(home, "made"), filepath.Join(home, "m/box", tt.entry)); err != nil {
			t.Fatal(err)
		}
		before := entriesOf(t, filepath.Join(home, "m/box"))
		for _, dry := range []bool{true, false} {
			s.DryRun = dry
			_, err := s.Convert(t.Context(), "m/box", ops.ConvertOptions{To: tt.to, LoseUIDs: true})
			if !errors.Is(err, mailbox.ErrUnsupported) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s to %s: got %v, want %s", tt.from, tt.to, err, tt.want)
			}
		}
		if got := entriesOf(t, filepath.Join(home, "m/box")); !slices.Equal(got, before) || len(entriesOf(t, filepath.Join(home, "m"))) != 1 {
			t.Errorf("%s to %s: left are %v, want %v", tt.from, tt.to, got, before)
		}
	}
}

// Nobody converts a mailbox while another in it, or that it is in, is converted.
func TestConvertNestedBusy(t *testing.T) {
	for _, tt := range []struct{ other, name string }{
		{"m/box", "m/box/kid/two"}, {"m/box/kid/two", "m/box"}, {"m/box", "m/box/file"}, {"m/box/file", "m/box"},
	} {
		s, home := homeSession(t)
		nestBoxes(t, s, home, "mix", "m/box", "m/box/kid", "m/box/kid/two")
		work, _, err := swap.Begin(filepath.Join(home, tt.other), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Convert(t.Context(), tt.name, ops.ConvertOptions{To: "mx"}); !errors.Is(err, mailbox.ErrBusy) {
			t.Errorf("%s while %s is converted: got %v, want %v", tt.name, tt.other, err, mailbox.ErrBusy)
		}
		if err := work.End(); err != nil {
			t.Fatal(err)
		}
		if c, err := s.Convert(t.Context(), tt.name, ops.ConvertOptions{To: "mx"}); err != nil || c.Copied != 3 {
			t.Errorf("%s after %s: got %+v, %v", tt.name, tt.other, c, err)
		}
	}
}

// Who makes a mailbox in it, or delivers with a lock file there, is not in the way.
func TestConvertNestedMeanwhile(t *testing.T) {
	s, home := homeSession(t)
	nestBoxes(t, s, home, "mx", "m/box")
	c, err := s.Convert(t.Context(), "m/box", ops.ConvertOptions{To: "mix", DropOriginal: true, Progress: func(p ops.Progress) {
		if p.Done == 2 {
			files(t, home, "m/box/new")
		}
	}})
	if err != nil || c.Copied != 3 || c.Kept != "" {
		t.Errorf("got %+v, %v", c, err)
	}
	if n := count(t, s, "m/box/new"); n != 1 {
		t.Errorf("%d messages in the mailbox that was made meanwhile", n)
	}
	_, err = s.Convert(t.Context(), "m/box", ops.ConvertOptions{To: "mx", Progress: func(p ops.Progress) {
		if p.Done == 2 {
			files(t, home, "m/box/.mixstray")
		}
	}})
	if !errors.Is(err, mailbox.ErrChanged) {
		t.Errorf("got %v, want %v", err, mailbox.ErrChanged)
	}
}

// What somebody who was killed was making is no subfolder of a Maildir.
func TestConvertNestedLeftover(t *testing.T) {
	s, home := homeSession(t)
	nestBoxes(t, s, home, "maildir", "m/box", "m/box/..kid.convert.new", "m/box/.new.new")
	if c, err := s.Convert(t.Context(), "m/box", ops.ConvertOptions{To: "mix"}); err != nil || c.Copied != 3 {
		t.Errorf("got %+v, %v", c, err)
	}
}

// What an interrupted conversion has left of a mailbox goes along with it, and is
// finished where it is then.
func TestConvertNestedInterrupted(t *testing.T) {
	s, home := homeSession(t)
	nestBoxes(t, s, home, "mix", "m/box", "m/box/kid")
	kid := filepath.Join(home, "m/box/kid")
	before := tellAll(t, s, "m/box/kid", true)
	fi, err := os.Stat(kid)
	if err != nil {
		t.Fatal(err)
	}
	makeBox(t, s, "mx", "made", 2)
	record := fmt.Sprintf("%s 0 false mix mx 1\nkid.orig\x00", node.IDOf(fi))
	err = errors.Join(os.Rename(kid, filepath.Join(home, "m/box/.kid.convert")), os.Rename(filepath.Join(home, "made"), kid), // as right after the exchange
		os.WriteFile(filepath.Join(home, "m/box/.kid.converting"), []byte(record), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := s.Convert(t.Context(), "m/box", ops.ConvertOptions{To: "maildir", DropOriginal: true}); err != nil || c.Copied != 3 {
		t.Fatalf("got %+v, %v", c, err)
	}
	if c, err := s.Convert(t.Context(), "m/box/kid", ops.ConvertOptions{To: "mx"}); err != nil || !c.Already || c.Recovered == "" {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, name := range []string{"m/box/kid", "m/box/kid.orig"} {
		if got := tellAll(t, s, name, true); got != before {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, before)
		}
	}
	if got := entriesOf(t, filepath.Join(home, "m/box")); slices.Contains(got, ".kid.convert") || slices.Contains(got, ".kid.converting") {
		t.Errorf("left are %v", got)
	}
}

func TestDeepestFirst(t *testing.T) {
	s, home := homeSession(t)
	files(t, home, "a/b/x", "a.b", "c")
	if err := os.Symlink("a", filepath.Join(home, "link")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		names, want string
		below       [][]int
	}{
		{"c a.b a", "c a.b a", [][]int{nil, nil, nil}},
		{"a a/b a/b/x c", "a/b/x a/b a c", [][]int{nil, {0}, {1}, nil}},
		{"a a/b/x a.b", "a/b/x a a.b", [][]int{nil, {0}, nil}},
		{"link link/b ~/a/b/x", "~/a/b/x link/b link", [][]int{nil, {0}, {1}}},
		{"a a a/b", "a/b a a", [][]int{nil, {0}, {1}}},
		{"INBOX a INBOX {h}x", "INBOX a INBOX {h}x", [][]int{nil, nil, nil, nil}},
	} {
		got, below := s.DeepestFirst(strings.Fields(tt.names))
		if strings.Join(got, " ") != tt.want || !slices.EqualFunc(below, tt.below, slices.Equal) {
			t.Errorf("%s: got %v, %v, want %s, %v", tt.names, got, below, tt.want, tt.below)
		}
	}
}
