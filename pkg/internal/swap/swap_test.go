package swap

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/internal/node"
)

// put makes a mailbox: a file with the text, or a directory with a file in it.
func put(t *testing.T, path, text string, dir bool) {
	t.Helper()
	if dir {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(path, "in")
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	if fi, err := os.Stat(path); err == nil && fi.IsDir() {
		path = filepath.Join(path, "in")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "nothing"
	}
	return string(b)
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func begin(t *testing.T, path string) (*Swap, string) {
	t.Helper()
	s, did, err := Begin(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, did
}

// without makes names that cannot be exchanged for the test.
func without(t *testing.T) {
	tryExchange = func(a, b string) (bool, error) { return false, nil }
	t.Cleanup(func() { tryExchange = exchange })
}

func TestSwap(t *testing.T) {
	for _, steps := range []bool{false, true} {
		for _, dirs := range [][2]bool{{false, false}, {false, true}, {true, false}, {true, true}} {
			if steps {
				without(t)
			}
			home := t.TempDir()
			path := filepath.Join(home, "box")
			put(t, path, "old", dirs[0])
			put(t, path+".orig", "older", false)
			s, did := begin(t, path)
			if did != "" {
				t.Errorf("there was nothing to do: %s", did)
			}
			if _, _, err := Begin(path, nil); !errors.Is(err, ErrUnderWay) {
				t.Errorf("two at once: got %v, want %v", err, ErrUnderWay)
			}
			put(t, s.Hidden, "new", dirs[1])
			kept, err := s.Swap(Order{})
			if err != nil || kept != path+".orig.2" || read(t, path) != "new" || read(t, kept) != "old" || read(t, path+".orig") != "older" {
				t.Errorf("in steps %v, directories %v: kept %s, %v; box has %s", steps, dirs, kept, err, read(t, path))
			}
			if err := s.End(); err != nil {
				t.Fatal(err)
			}
			if got := names(t, home); got != "box box.orig box.orig.2" {
				t.Errorf("in steps %v, directories %v: left are %s", steps, dirs, got)
			}
		}
	}
}

// Whatever a kill leaves, the next Begin makes it the old mailbox or the new
// one, and nothing is left beside it.
func TestRecover(t *testing.T) {
	for _, tt := range []struct {
		name  string
		left  func(t *testing.T, s *Swap, p plan) // as a kill leaves it
		want  string                              // in the mailbox
		names string
		says  string
	}{
		{"while it was made", func(t *testing.T, s *Swap, p plan) { put(t, s.Hidden, "half", false) }, "old", ".box.converting box", ""},
		{"before the record was whole", func(t *testing.T, s *Swap, p plan) {
			put(t, s.Hidden, "new", false)
			must(t, s.write(p))
			fi, err := s.f.Stat()
			must(t, err)
			must(t, s.f.Truncate(fi.Size()-1))
		}, "old", ".box.converting box", ""},
		{"before the exchange", func(t *testing.T, s *Swap, p plan) {
			put(t, s.Hidden, "new", true)
			must(t, s.write(p))
		}, "old", ".box.converting box", ""},
		{"after the exchange", func(t *testing.T, s *Swap, p plan) {
			must(t, s.write(p))
			must(t, os.Rename(s.Path, s.Hidden))
			put(t, s.Path, "new", true)
		}, "new", ".box.converting box box.orig", "finished"},
		{"after the original had its name", func(t *testing.T, s *Swap, p plan) {
			must(t, s.write(p))
			must(t, os.Rename(s.Path, s.Hidden))
			must(t, os.Link(s.Hidden, s.Path+".orig"))
			put(t, s.Path, "new", false)
			put(t, s.Hidden+".lock", "", false)
			put(t, filepath.Join(filepath.Dir(s.Path), "."+filepath.Base(s.Hidden)+".new"), "", true)
		}, "new", ".box.converting box box.orig", ""},
		{"before it was dropped", func(t *testing.T, s *Swap, p plan) {
			p.drop = true
			must(t, s.write(p))
			must(t, os.Rename(s.Path, s.Path+".orig"))
			put(t, s.Path, "new", false)
			put(t, s.Path+".orig.lock", "", false)
		}, "new", ".box.converting box", ""},
		{"before it was dropped, and something came", func(t *testing.T, s *Swap, p plan) {
			p.drop = true
			p.size--
			must(t, s.write(p))
			must(t, os.Rename(s.Path, s.Path+".orig"))
			put(t, s.Path, "new", false)
		}, "new", ".box.converting box box.orig", ""},
		{"after all", func(t *testing.T, s *Swap, p plan) {
			must(t, s.write(p))
			must(t, os.Rename(s.Path, s.Path+".orig"))
			put(t, s.Path, "new", false)
		}, "new", ".box.converting box box.orig", ""},
		{"after the link", func(t *testing.T, s *Swap, p plan) {
			must(t, s.write(p))
			put(t, s.Hidden, "new", false)
			must(t, os.Link(s.Path, s.Path+".orig"))
		}, "old", ".box.converting box", ""},
		{"without a name", func(t *testing.T, s *Swap, p plan) {
			must(t, s.write(p))
			must(t, os.Rename(s.Path, s.Path+".orig"))
			put(t, s.Hidden, "new", true)
		}, "new", ".box.converting box box.orig", "finished"},
		{"without a name and the new one", func(t *testing.T, s *Swap, p plan) {
			must(t, s.write(p))
			must(t, os.Rename(s.Path, s.Path+".orig"))
		}, "old", ".box.converting box", "undone"},
	} {
		home := t.TempDir()
		path := filepath.Join(home, "box")
		put(t, path, "old", false)
		s, _ := begin(t, path)
		fi, err := os.Lstat(path)
		must(t, err)
		tt.left(t, s, plan{old: node.IDOf(fi), size: fi.Size(), from: "a", to: "b", keep: "box.orig"})
		must(t, s.f.Close()) // and with it the lock goes
		again, did := begin(t, path)
		if got := read(t, path); got != tt.want {
			t.Errorf("killed %s: the mailbox is %s, want %s", tt.name, got, tt.want)
		}
		if slices.Contains(strings.Fields(tt.names), "box.orig") != (read(t, path+".orig") == "old") {
			t.Errorf("killed %s: the original is %s", tt.name, read(t, path+".orig"))
		}
		if got := names(t, home); got != tt.names {
			t.Errorf("killed %s: left are %s, want %s", tt.name, got, tt.names)
		}
		if (tt.says == "") != (did == "") || !strings.Contains(did, tt.says) {
			t.Errorf("killed %s: it says %q, want %q", tt.name, did, tt.says)
		}
		must(t, again.End())
		if Left(path) {
			t.Errorf("killed %s: the record is left", tt.name)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A link in the place of the record is not followed.
func TestRecordIsALink(t *testing.T) {
	home := t.TempDir()
	must(t, os.WriteFile(filepath.Join(home, "other"), []byte("kept"), 0o600))
	must(t, os.Symlink("other", filepath.Join(home, ".box.converting")))
	put(t, filepath.Join(home, "box"), "old", false)
	if s, _, err := Begin(filepath.Join(home, "box"), nil); err == nil {
		t.Error("no error")
		s.End()
	}
	if got := read(t, filepath.Join(home, "other")); got != "kept" {
		t.Errorf("the other file is %s now", got)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{".a.convert": true, ".a.converting": true, "a.convert": false, ".a": false} {
		if IsSide(name) != want {
			t.Errorf("%s: got %v", name, !want)
		}
	}
	if of, ok := Of(".a.b.converting"); !ok || of != "a.b" {
		t.Errorf("got %s, %v", of, ok)
	}
}
