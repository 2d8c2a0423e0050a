package mix

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
)

// broken are mailboxes of which a repair does different things.
var broken = map[string]func(w *world) mailbox.Name{
	"a list is lost":        golden("index-missing"),
	"the status is lost":    golden("status-missing"),
	"data is written anew":  golden("data-token-damaged"),
	"all data is lost":      golden("data-missing"),
	"the metadata are lost": without(metaName),
	"all but data is lost":  without(metaName, indexName, statusName),
	"a mailbox above others": func(w *world) mailbox.Name {
		n := w.golden("dual")
		damageFile(w.t, filepath.Join(n.Path, indexName), 12, "x")
		return n
	},
}

func without(names ...string) func(w *world) mailbox.Name {
	return func(w *world) mailbox.Name {
		n := w.golden("basic")
		for _, name := range names {
			if err := os.Remove(filepath.Join(n.Path, name)); err != nil {
				w.t.Fatal(err)
			}
		}
		return n
	}
}

// damageFile overwrites octets of a file.
func damageFile(t *testing.T, path string, at int64, with string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte(with), at)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// own are the files of a mailbox, but for what a repair makes meanwhile.
func (w *world) own(n mailbox.Name) string {
	var out []string
	for name, text := range w.files(n) {
		if isOurs(name) {
			out = append(out, fmt.Sprintf("%s %q", name, text))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// kept reports whether a copy of the original is there.
func (w *world) kept(original string) bool {
	names, _ := filepath.Glob(filepath.Join(w.home, "*.orig-*"))
	return slices.ContainsFunc(names, func(name string) bool { return w.own(mailbox.Name{Path: name}) == original })
}

// Killed anywhere, or after a power cut, the original or the result is there;
// where it is the original the next repair gives the result, and where a
// session comes first it finds one of the two.
func TestRepairCrashes(t *testing.T) {
	for name, setup := range broken {
		if testing.Short() && name != "data is written anew" && name != "the metadata are lost" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			n := setup(w)
			before := w.own(n)
			r := fsxtest.Record(t, w.home)
			w.FS = r
			if _, _, err := w.repairAll(n, mailbox.RepairOptions{}); err != nil {
				t.Fatal(err)
			}
			after := w.own(n)
			r.Crashes(t, func(t *testing.T, dir string, done bool) {
				w := newWorldAt(t, dir)
				w.FS = hasty{fsx.OS{}}
				n := w.name(n.Text)
				state := w.own(n)
				if done && state != after {
					t.Error("it was done, but the result is not there")
				}
				if state != before && state != after && !w.kept(before) {
					t.Error("the original is not there any more")
				}
				if b, err := w.Open(context.Background(), n, mailbox.ReadOnly); err == nil { // finishes what was decided
					b.Close()
					if got := w.own(n); got != before && got != after {
						t.Errorf("opened\n got %s\nwant %s\n  or %s", got, after, before)
					}
				}
				if _, _, err := w.repairAll(n, mailbox.RepairOptions{}); err != nil {
					t.Fatal(err)
				}
				if got := w.own(n); got != after {
					t.Errorf("the next repair gives another result\n got %s\nwant %s", got, after)
				}
				for _, hidden := range []string{stagingName, stagedName} {
					if _, err := os.Lstat(filepath.Join(n.Path, hidden)); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%s is left: %v", hidden, err)
					}
				}
			})
		})
	}
}

// Whatever call fails, what is said to be done is done, and else nothing is.
func TestRepairFaults(t *testing.T) {
	for name, setup := range broken {
		if testing.Short() && name != "data is written anew" {
			continue
		}
		for _, sticky := range []bool{true, false} {
			if testing.Short() && !sticky {
				continue
			}
			for n := 1; repairFails(t, name, setup, n, sticky); n++ {
			}
		}
	}
}

// repairFails repairs with the n-th call failing, if there are so many.
func repairFails(t *testing.T, what string, setup func(w *world) mailbox.Name, n int, sticky bool) bool {
	w := newWorld(t)
	name := setup(w)
	before := w.own(name)
	y := &fsxtest.Faulty{FS: hasty{fsx.OS{}}, N: n, Err: syscall.ENOSPC, Sticky: sticky}
	w.FS = y
	_, made, err := w.repairAll(name, mailbox.RepairOptions{})
	if !y.Fired() {
		return false
	}
	w.FS = hasty{fsx.OS{}}
	bad := func(format string, args ...any) {
		t.Errorf("%s, call %d fails: %s", what, n, fmt.Sprintf(format, args...))
	}
	if err == nil {
		if in, _ := w.inspectAll(name); !in.Sound() || made.Original == "" {
			bad("not sound, and nothing was said")
		}
	} else if w.own(name) != before && !w.kept(before) {
		bad("the original is not there any more: %v", err)
	}
	if _, _, err := w.repairAll(name, mailbox.RepairOptions{}); err != nil {
		bad("the next repair: %v", err)
	}
	if in, _ := w.inspectAll(name); !in.Sound() {
		bad("the next repair: not sound")
	}
	return true
}

// A repair is refused while another session has the mailbox, and says who.
func TestRepairBusy(t *testing.T) {
	w := newWorld(t)
	n := w.golden("basic")
	b, err := w.Open(context.Background(), n, mailbox.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	damageFile(t, filepath.Join(n.Path, metaName), 22, "L00000001")
	r, err := w.PlanRepair(context.Background(), n, mailbox.RepairOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, n.Path)
	if _, _, err := r.CarryOut(context.Background()); !errors.Is(err, mailbox.ErrBusy) || !strings.Contains(err.Error(), "has it open") {
		t.Errorf("got %v, want busy", err)
	}
	if snapshot(t, n.Path) != before {
		t.Error("it was changed")
	}
	b.Close()
	if _, _, err := r.CarryOut(context.Background()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A plan for a mailbox that has changed since is not carried out.
func TestRepairChanged(t *testing.T) {
	for _, name := range []string{indexName, ".mix6b03c000"} {
		w := newWorld(t)
		n := w.golden("data-token-damaged")
		r, err := w.PlanRepair(context.Background(), n, mailbox.RepairOptions{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(n.Path, name), []byte("changed"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := snapshot(t, n.Path)
		if _, _, err := r.CarryOut(context.Background()); !errors.Is(err, mailbox.ErrChanged) || snapshot(t, n.Path) != before {
			t.Errorf("%s: got %v, want %v", name, err, mailbox.ErrChanged)
		}
	}
}

// What a repair has decided is given up where the mailbox is another by then.
func TestRepairOutdated(t *testing.T) {
	w := newWorld(t)
	n := w.golden("data-token-damaged")
	before := w.own(n)
	for call := 1; ; call++ {
		y := &fsxtest.Faulty{FS: hasty{fsx.OS{}}, N: call, Err: syscall.EIO}
		w.FS = y
		_, _, err := w.repairAll(n, mailbox.RepairOptions{})
		w.FS = hasty{fsx.OS{}}
		if _, serr := os.Lstat(filepath.Join(n.Path, stagedName)); err != nil && serr == nil && w.own(n) == before {
			break
		}
		if !y.Fired() {
			t.Fatal("no call leaves a repair that was decided")
		}
		if err := os.RemoveAll(n.Path); err != nil {
			t.Fatal(err)
		}
		n = w.golden("data-token-damaged")
	}
	damageFile(t, filepath.Join(n.Path, statusName), 20, ":00000000:0000") // by another program
	status := w.files(n)[statusName]
	if _, err := w.Open(context.Background(), n, mailbox.ReadOnly); err != nil {
		t.Fatal(err)
	}
	if got := w.files(n); got[statusName] != status {
		t.Errorf("the change of the other program is gone: %q", got[statusName])
	}
	if _, err := os.Lstat(filepath.Join(n.Path, stagedName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was not given up: %v", err)
	}
}

// Modes and times stay, children and foreign files are left alone, and the
// original goes where it is wanted.
func TestRepairKeeps(t *testing.T) {
	w := newWorld(t)
	n := w.golden("dual")
	index := filepath.Join(n.Path, indexName)
	damageFile(t, index, 12, "x")
	if err := os.Chmod(index, 0o640); err != nil {
		t.Fatal(err)
	}
	at := w.now.AddDate(-1, 0, 0)
	for _, name := range []string{metaName, indexName, statusName} {
		if err := os.Chtimes(filepath.Join(n.Path, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	child, flat := snapshot(t, filepath.Join(n.Path, "child")), snapshot(t, filepath.Join(n.Path, "flat"))
	before := w.own(n)
	in := t.TempDir()
	meta, err := os.Stat(filepath.Join(n.Path, metaName))
	if err != nil {
		t.Fatal(err)
	}
	_, made, err := w.repairAll(n, mailbox.RepairOptions{KeepIn: in})
	if err != nil || filepath.Dir(made.Original) != in {
		t.Fatalf("got %+v, %v", made, err)
	}
	if got := w.own(mailbox.Name{Path: made.Original}); got != before {
		t.Errorf("the original\n got %s\nwant %s", got, before)
	}
	if snapshot(t, filepath.Join(n.Path, "child")) != child || snapshot(t, filepath.Join(n.Path, "flat")) != flat {
		t.Error("children were touched")
	}
	for name, mode := range map[string]fs.FileMode{metaName: 0o600, indexName: 0o640, statusName: 0o600} {
		fi, err := os.Stat(filepath.Join(n.Path, name))
		if err != nil || fi.Mode() != mode || !fi.ModTime().Equal(at) {
			t.Errorf("%s: got %v, %v, %v; want %v, %v", name, fi.Mode(), fi.ModTime(), err, mode, at)
		}
	}
	if now, err := os.Stat(filepath.Join(n.Path, metaName)); err != nil || !os.SameFile(meta, now) {
		t.Error("the metadata are another file now: who waits for their lock does not see that")
	}
}

// Messages that were removed, and are still there, come back when they are
// asked for, also to a mailbox that is sound.
func TestRepairUndelete(t *testing.T) {
	w := newWorld(t)
	n := w.golden("unburped")
	if r, _, err := w.repairAll(n, mailbox.RepairOptions{}); err != nil || r.Needed() {
		t.Fatalf("got %v, %v", r.Needed(), err)
	}
	r, _, err := w.repairAll(n, mailbox.RepairOptions{Undelete: true})
	if err != nil || !r.Needed() {
		t.Fatal(err)
	}
	uids := ""
	for _, m := range w.seeAll(n) {
		uids += fmt.Sprint(m.uid, " ")
	}
	if uids != "1 2 3 4 5 6 " {
		t.Errorf("got UIDs %s", uids)
	}
	if r, _, err := w.repairAll(n, mailbox.RepairOptions{Undelete: true}); err != nil || r.Needed() {
		t.Errorf("again: %v, %v", r.Needed(), err)
	}
}

// unclear reports whether the data files have octets of which nobody knows which
// message they are of: what readers take for texts need not be them.
func (w *world) unclear(n mailbox.Name) (is bool) {
	w.Inspect(context.Background(), n, func(f mailbox.Finding) error {
		for _, code := range []string{"junk", "token", "overlap", "data-"} {
			is = is || strings.HasPrefix(f.Code, "mix."+code)
		}
		return nil
	})
	return is
}

// Whatever the octets, a repair gives a sound mailbox or says that it cannot,
// repairs nothing twice, and loses no message that readers had.
func FuzzRepair(f *testing.F) {
	for _, name := range []string{"basic", "unburped", "index-torn", "data-token-damaged", "crash-index-extended", "data-short"} {
		dir := f.TempDir()
		fsxtest.Unpack(f, filepath.Join(testdata, name+".tar"), dir)
		var b [4][]byte
		data, _ := filepath.Glob(filepath.Join(dir, name, ".mix6*"))
		for k, file := range []string{metaName, indexName, statusName, filepath.Base(data[0])} {
			var err error
			if b[k], err = os.ReadFile(filepath.Join(dir, name, file)); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(b[0], b[1], b[2], b[3], b[3][:min(len(b[3]), 300)])
	}
	short := slices.DeleteFunc(texts(f), func(s string) bool { return len(s) > 300 })
	for n, c := range breakages() {
		k := makeWreck(short, 20, uint64(n))
		c.do(k)
		f.Add(k.meta.Octets, k.index.Octets, k.status.Octets, k.data[0].Octets, k.data[1].Octets)
	}
	f.Fuzz(func(t *testing.T, meta, index, status, one, two []byte) {
		w := newWorld(t)
		w.FS = hasty{fsx.OS{}}
		n := w.name("box")
		if err := os.Mkdir(n.Path, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{metaName: meta, indexName: index, statusName: status, dataName(madeFile): one, dataName(madeFile + 1): two} {
			if len(b) > 0 {
				if err := os.WriteFile(filepath.Join(n.Path, name), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		before := w.own(n)
		readable := w.plainly(n)
		if len(w.heard) > 0 || w.unclear(n) {
			readable = nil
		}
		r, made, err := w.repairAll(n, mailbox.RepairOptions{})
		if errors.Is(err, mailbox.ErrNotMailbox) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Needed() && w.own(mailbox.Name{Path: made.Original}) != before {
			t.Fatal("the original was not kept")
		}
		if in, all := w.inspectAll(n); !in.Sound() {
			t.Fatalf("not sound: %v", all)
		}
		after := snapshot(t, n.Path)
		if r, _, err := w.repairAll(n, mailbox.RepairOptions{}); err != nil || r.Needed() || snapshot(t, n.Path) != after {
			t.Fatalf("a second repair: %v", err)
		}
		var sums []string
		for _, m := range w.seeAll(n) {
			sums = append(sums, m.sum)
		}
		for _, sum := range readable {
			if !slices.Contains(sums, sum) {
				t.Errorf("a message that could be read is lost: %s", sum)
			}
		}
	})
}
