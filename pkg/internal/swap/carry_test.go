package swap

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mailutil/pkg/internal/node"
)

// inOnly is the format of which "in" is the only entry.
func inOnly(_, entry string) bool { return entry == "in" }

// others are entries that are not the mailbox's own: directories, but for two.
var others = []string{".child.convert", ".child.converting", "child", "f\nile", "sp ace", "\xff"}

// nest makes a mailbox with others in its directory.
func nest(t *testing.T, path string) {
	t.Helper()
	put(t, path, "old", true)
	for _, name := range others {
		put(t, filepath.Join(path, name), name, name[0] != 'f' && name != ".child.converting")
	}
}

// beginIn is begin with a Part.
func beginIn(t *testing.T, path string) (*Swap, string) {
	t.Helper()
	s, did, err := Begin(path, inOnly)
	must(t, err)
	return s, did
}

// ready makes a mailbox with others in its directory, and one that is to take its
// place.
func ready(t *testing.T) (path string, s *Swap) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "box")
	nest(t, path)
	s, _ = beginIn(t, path)
	put(t, s.Hidden, "new", true)
	return path, s
}

var order = Order{From: "a", To: "b", Carry: others}

// wantAll looks whether the others are in dir, and nothing else that is not its
// own.
func wantAll(t *testing.T, what, dir, text string) {
	t.Helper()
	if got := read(t, dir); got != text {
		t.Errorf("%s: %s is the mailbox %q, want %q", what, dir, got, text)
	}
	for _, name := range others {
		if got := read(t, filepath.Join(dir, name)); got != name {
			t.Errorf("%s: %q in %s is %q", what, name, dir, got)
		}
	}
	if got, want := len(strings.Fields(strings.NewReplacer("f\nile", "f", "sp ace", "s").Replace(names(t, dir)))), 1+len(others); got != want {
		t.Errorf("%s: %d entries in %s, want %d: %q", what, got, dir, want, names(t, dir))
	}
}

func TestCarry(t *testing.T) {
	for _, steps := range []bool{false, true} {
		if steps {
			without(t)
		}
		path, s := ready(t)
		kept, err := s.Swap(order)
		must(t, err)
		wantAll(t, "carried", path, "new")
		if got := names(t, kept); got != "in" || len(s.Stayed) > 0 {
			t.Errorf("left in the original: %s, stayed: %q", got, s.Stayed)
		}
		if dropped, err := s.Drop(kept, "a"); !dropped || err != nil || exists(kept) {
			t.Errorf("drop: %v, %v", dropped, err)
		}
		must(t, s.End())
		if got := names(t, filepath.Dir(path)); got != "box" {
			t.Errorf("left are %s", got)
		}
	}
}

// killAt lets the n-th rename of any kind be the last thing that happens, or be
// what had yet to happen.
func killAt(t *testing.T, n int, before, steps bool) {
	count := 0
	kill := func(do func() error) error {
		if count++; count == n && before {
			panic("killed")
		}
		err := do()
		if count == n {
			panic("killed")
		}
		return err
	}
	tryExchange = func(a, b string) (ok bool, err error) {
		if steps {
			return false, nil
		}
		err = kill(func() error {
			ok, err = exchange(a, b)
			return err
		})
		return ok, err
	}
	tryRename = func(a, b string) error { return kill(func() error { return renameNew(a, b) }) }
	t.Cleanup(alive)
}

func alive() { tryExchange, tryRename = exchange, renameNew }

// Killed at each rename, the next run finishes or undoes all: whoever it is that
// begins, and wherever.
func TestCarryKilled(t *testing.T) {
	for _, steps := range []bool{false, true} {
		for _, before := range []bool{false, true} {
			for _, drop := range []bool{false, true} {
				for _, by := range []string{"Begin", "Above"} {
					n := 1
					for ; n < 100 && killedCarry(t, n, before, steps, drop, by); n++ {
					}
					if n <= len(others) {
						t.Errorf("killed %d times only", n-1)
					}
				}
			}
		}
	}
}

func killedCarry(t *testing.T, n int, before, steps, drop bool, by string) (killed bool) {
	path, s := ready(t)
	killAt(t, n, before, steps)
	func() {
		defer func() { killed = recover() != nil }()
		o := order
		o.Drop = drop
		_, err := s.Swap(o)
		must(t, err)
	}()
	alive()
	if steps {
		tryExchange = func(a, b string) (bool, error) { return false, nil }
	}
	must(t, s.f.Close())
	want := "new"
	if n == 1 && before && !steps {
		want = "old"
	}
	if by == "Above" {
		_, err := Above(filepath.Join(path, "child", "grandchild"), inOnly)
		must(t, err)
		wantAll(t, "after Above", path, want)
	}
	again, _ := beginIn(t, path)
	wantAll(t, "killed", path, want)
	must(t, again.End())
	left := "box box.orig"
	if drop || want == "old" {
		left = "box"
	}
	if got := names(t, filepath.Dir(path)); got != left {
		t.Errorf("killed at %d, before %v, in steps %v, by %s: left are %s, want %s", n, before, steps, by, got, left)
	}
	return killed
}

// What a disk may have got in another order, and who came in between.
func TestCarryStates(t *testing.T) {
	for _, tt := range []struct {
		name  string
		left  func(t *testing.T, s *Swap, p plan)
		want  string // in the mailbox
		fails string
	}{
		{"the exchange was lost and the rest was not", func(t *testing.T, s *Swap, p plan) {
			for _, name := range others[:4] {
				must(t, os.Rename(filepath.Join(s.Path, name), filepath.Join(s.Hidden, name)))
			}
		}, "old", ""},
		{"one came that is in no record", func(t *testing.T, s *Swap, p plan) {
			must(t, os.Rename(filepath.Join(s.Path, "child"), s.Path+".child"))
			p.names = slices.DeleteFunc(slices.Clone(others), func(n string) bool { return n == "child" })
			must(t, s.f.Truncate(0))
			must(t, s.write(p))
			must(t, os.Rename(s.Path+".child", filepath.Join(s.Path, "child")))
			ok, err := exchange(s.Hidden, s.Path)
			if !ok || err != nil {
				t.Skip("names cannot be exchanged here")
			}
		}, "new", ""},
		{"both have a name, and the new one would go", func(t *testing.T, s *Swap, p plan) {
			put(t, filepath.Join(s.Hidden, "child"), "another", true)
		}, "old", `"child" is both in`},
	} {
		path, s := ready(t)
		fi, err := os.Lstat(path)
		must(t, err)
		p := plan{old: node.IDOf(fi), size: fi.Size(), drop: true, from: "a", to: "b", keep: "box.orig", names: others}
		must(t, s.write(p))
		tt.left(t, s, p)
		must(t, s.f.Close())
		again, _, err := Begin(path, inOnly)
		if tt.fails != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fails) || read(t, filepath.Join(s.Hidden, "child")) != "another" {
				t.Errorf("%s: got %v, want %s", tt.name, err, tt.fails)
			}
			continue
		}
		must(t, err)
		wantAll(t, tt.name, path, tt.want)
		must(t, again.End())
	}
}

// What is not carried over in time stays, and so does the old mailbox.
func TestCarryTaken(t *testing.T) {
	path, s := ready(t)
	tryExchange = func(a, b string) (bool, error) {
		ok, err := exchange(a, b)
		put(t, filepath.Join(path, "child"), "newer", true)
		return ok, err
	}
	defer alive()
	kept, err := s.Swap(order)
	must(t, err)
	if !slices.Equal(s.Stayed, []string{"child"}) || read(t, filepath.Join(kept, "child")) != "child" || read(t, filepath.Join(path, "child")) != "newer" {
		t.Errorf("stayed: %q", s.Stayed)
	}
	if dropped, err := s.Drop(kept, "a"); dropped || err != nil || !exists(kept) {
		t.Errorf("dropped with a mailbox in it: %v, %v", dropped, err)
	}
	must(t, s.End())
}

// Where one cannot be carried over all is as it was; where that cannot be either,
// the next run does it.
func TestCarryFails(t *testing.T) {
	for _, steps := range []bool{false, true} {
		for _, stuck := range []bool{false, true} {
			path, s := ready(t)
			tryRename = func(a, b string) error {
				if filepath.Base(a) == "sp ace" && exists(a) || stuck && filepath.Dir(a) == path {
					return syscall.EBUSY
				}
				return renameNew(a, b)
			}
			if steps {
				without(t)
			}
			if _, err := s.Swap(order); !errors.Is(err, syscall.EBUSY) {
				t.Errorf("got %v, want %v", err, syscall.EBUSY)
			}
			tryRename = renameNew
			must(t, s.End())
			want := "old"
			if stuck {
				want = "new"
				again, did := beginIn(t, path)
				if did == "" && !steps {
					t.Error("stuck: nothing was said")
				}
				must(t, again.End())
			}
			wantAll(t, "failed", path, want)
			alive()
		}
	}
}

// Who is at work above or below is seen.
func TestNear(t *testing.T) {
	home := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(home, "a/b/c"), 0o700))
	a, b, c := filepath.Join(home, "a"), filepath.Join(home, "a/b"), filepath.Join(home, "a/b/c")
	for _, tt := range []struct {
		at    string
		above error // of b
		below error // of b
	}{{a, ErrUnderWay, nil}, {b, nil, nil}, {c, nil, ErrUnderWay}, {filepath.Join(home, "x"), nil, nil}} {
		s, _ := begin(t, tt.at)
		if _, err := Above(b, nil); !errors.Is(err, tt.above) {
			t.Errorf("at work on %s: above: got %v, want %v", tt.at, err, tt.above)
		}
		if err := Below(b); !errors.Is(err, tt.below) {
			t.Errorf("at work on %s: below: got %v, want %v", tt.at, err, tt.below)
		}
		if err := Below(s.record); !errors.Is(err, ErrUnderWay) {
			t.Errorf("at work on %s: the record: got %v", tt.at, err)
		}
		must(t, s.f.Close())
		_, err := Above(b, nil)
		if err := errors.Join(err, Below(a), Below(s.record)); err != nil {
			t.Errorf("killed at %s: got %v", tt.at, err)
		}
	}
}

// A record that its run has taken away says nothing any more, whoever has it open.
func TestRecordIsGone(t *testing.T) {
	path, first := ready(t)
	_, err := first.Swap(order)
	must(t, err)
	late := newSwap(path, inOnly)
	late.f, err = openRecord(late.record, os.O_RDWR)
	must(t, err)
	must(t, first.End())
	second, _ := beginIn(t, path)
	put(t, second.Hidden, "newer", true)
	if _, err := late.finish(); !errors.Is(err, ErrUnderWay) {
		t.Errorf("got %v, want %v", err, ErrUnderWay)
	}
	if got := read(t, second.Hidden); got != "newer" {
		t.Errorf("the mailbox that another makes is %s now", got)
	}
	must(t, errors.Join(second.End(), late.f.Close()))
	wantAll(t, "record is gone", path, "new")
}

func TestParse(t *testing.T) {
	id := node.ID{}
	p := plan{old: id, from: "mix", to: "mx", keep: "a\nb.orig", names: []string{" ", "\n", "1"}}
	path := filepath.Join(t.TempDir(), "box")
	s, _ := begin(t, path)
	must(t, s.write(p))
	got, ok, err := s.read()
	if err != nil || !ok || got.keep != p.keep || !slices.Equal(got.names, p.names) || got.from != "mix" || got.to != "mx" {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
	b, err := os.ReadFile(s.record)
	must(t, err)
	for n := range b {
		if _, ok := parse(b[:n]); ok {
			t.Errorf("the first %d octets of %q are a record", n, b)
		}
	}
	for _, bad := range []string{"a/b", "..", ".", ""} {
		p.names[0] = bad
		must(t, s.f.Truncate(0))
		must(t, s.write(p))
		if _, ok, _ := s.read(); ok {
			t.Errorf("%q is taken for a name", bad)
		}
	}
	must(t, s.End())
}

func TestMayMove(t *testing.T) {
	dir := t.TempDir()
	if !MayMove(dir) {
		t.Error("a directory of ours may not be moved")
	}
	must(t, os.Chmod(dir, 0o500))
	if got, want := MayMove(dir), os.Getuid() == 0; got != want {
		t.Errorf("read-only: got %v, want %v", got, want)
	}
}
