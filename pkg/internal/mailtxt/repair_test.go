package mailtxt

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mend/damage"
	"mailutil/pkg/mailbox"
)

// repairAll plans a repair of n and carries it out.
func (w *world) repairAll(n mailbox.Name) (r mailbox.Repair, made mailbox.RepairFiles, err error) {
	w.t.Helper()
	for again := true; again; {
		if r, err = w.PlanRepair(context.Background(), n, mailbox.RepairOptions{}, nil); err != nil || !r.Needed() {
			return r, made, err
		}
		if made, again, err = r.CarryOut(context.Background()); err != nil {
			return r, made, err
		}
	}
	return r, made, nil
}

// sums are the digests of the messages of n.
func (w *world) sums(n mailbox.Name) (out []string) {
	w.t.Helper()
	b, err := w.Open(context.Background(), n, mailbox.ReadOnly)
	if err != nil {
		w.t.Error(err)
		return nil
	}
	defer b.Close()
	for _, m := range observe(w.t, b.(*box)) {
		out = append(out, m.SHA256)
	}
	return out
}

func TestRepairGolden(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		whole := map[string][]string{}
		for _, g := range readManifest(t, f).Corrupt {
			whole[strings.TrimSuffix(g.File, "."+f.Name)] = g.Base
		}
		files, _ := filepath.Glob(filepath.Join(testdata, f.Name, "*."+f.Name))
		for _, file := range files {
			base := strings.TrimSuffix(filepath.Base(file), "."+f.Name)
			t.Run(base, func(t *testing.T) {
				w := newWorld(t, f)
				n := w.golden(base)
				before := w.read(n)
				if len(before) == 0 {
					return // of no format
				}
				r, made, err := w.repairAll(n)
				if err != nil {
					t.Fatal(err)
				}
				for s := range r.Steps() {
					t.Log(s)
				}
				t.Log(r.Account())
				want, damaged := whole[base]
				if !damaged {
					if r.Needed() || !bytes.Equal(before, w.read(n)) {
						t.Error("changed without need")
					}
					return
				}
				if kept, err := os.ReadFile(made.Original); r.Needed() && (err != nil || !bytes.Equal(kept, before)) {
					t.Errorf("the original was not kept: %v", err)
				}
				got := w.sums(n)
				if base == "corrupt-trunc" {
					got, want = got[:len(got)-1], want[:len(want)-1]
				}
				if !slices.Equal(got, want) {
					t.Errorf("got %q\nwant %q", got, want)
				}
				if again, _, err := w.repairAll(n); err != nil || again.Needed() {
					t.Errorf("a second repair: %v", err)
				}
			})
		}
	})
}

// Sizes that are all wrong by a little swallow no message.
func TestRepairSizes(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		n := w.golden("flags")
		want := w.sums(n)
		line := regexp.MustCompile(`([ \d]\d-...-\d{4} \d\d:\d\d:\d\d [+-]\d{4}),(\d+);`)
		w.file("box", line.ReplaceAllFunc(w.read(n), func(b []byte) []byte {
			comma := bytes.IndexByte(b, ',')
			size, _ := strconv.Atoi(string(b[comma+1 : len(b)-1]))
			return fmt.Appendf(nil, "%s,%d;", b[:comma], size+7)
		}))
		if _, _, err := w.repairAll(n); err != nil {
			t.Fatal(err)
		}
		if got := w.sums(n); !slices.Equal(got, want) {
			t.Errorf("got %q\nwant %q", got, want)
		}
	})
}

// wrecks are mailboxes that are repaired in all ways: lines are written anew,
// octets set aside, and line ends restored.
func wrecks(t *testing.T, f Format) map[string][]byte {
	t.Helper()
	w := newWorld(t, f)
	all := map[string][]byte{}
	all["corrupt-garbage-tail"] = w.goldenFile("corrupt-garbage-tail")
	if testing.Short() {
		return all
	}
	all["corrupt-sizeshort"] = w.goldenFile("corrupt-sizeshort")
	if whole := w.goldenFile("flags"); f.EOL == "\r\n" {
		all["a message in LF"] = bytes.Replace(whole, []byte("\r\n\r\n"), []byte("\n\n"), 1)
		all["more CRs"] = bytes.ReplaceAll(whole, []byte("\r\n"), []byte("\r\r\n"))
	}
	return all
}

// Killed anywhere, the original or the result is there.
func TestRepairCrashes(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		for name, octets := range wrecks(t, f) {
			t.Run(name, func(t *testing.T) { benchOf(f).Crashes(t, octets) })
		}
	})
}

// Whatever call fails, what is said to be done is done.
func TestRepairFaults(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		for name, octets := range wrecks(t, f) {
			t.Run(name, func(t *testing.T) { benchOf(f).Faults(t, octets) })
		}
	})
}

// A mailbox of which all lines were made to end as those of the other format do
// is one of that, with sizes that are wrong: no message is lost.
func TestRepairConverted(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		n := w.golden("flags")
		want := w.sums(n)
		b := bytes.ReplaceAll(w.read(n), []byte("\r\n"), []byte("\n"))
		other := newWorld(t, Tenex)
		if f.EOL == "\n" {
			b, other = bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")), newWorld(t, MTX)
		}
		box := other.file("box", b)
		if _, _, err := other.repairAll(box); err != nil {
			t.Fatal(err)
		}
		if got := other.sums(box); !slices.Equal(got, want) {
			t.Errorf("got %q\nwant %q", got, want)
		}
	})
}

var tries = flag.Int("damages", 1, "how many mailboxes each class of damage is tried on")

// benchOf has the format f.
func benchOf(f Format) *damage.Bench {
	b := &damage.Bench{
		At: func(t testing.TB, home string, fsys fsx.FS) (damage.Driver, mailbox.Name) {
			w := newWorld(t, f)
			w.env.Home, w.env.Dir, w.env.StateDir, w.home, w.FS = home, home, filepath.Join(home, "state"), home, fsys
			return w.Driver, w.name("box")
		},
		Index: func(t testing.TB, octets []byte) (out []damage.Message) {
			eachRecord(t, f, octets, func(r record) {
				out = append(out, damage.Message{Line: int(r.off), Text: int(r.text()), End: int(r.end())})
			})
			return out
		},
		Plain: func(t testing.TB, octets []byte) (out []string) {
			whole := eachRecord(t, f, octets, func(r record) { out = append(out, string(octets[r.text():r.end()])) })
			if !whole && len(out) > 0 { // the last one may have swallowed another
				out = out[:len(out)-1]
			}
			return out
		},
		// With other line ends it is a mailbox of the other format: TestRepairConverted.
		Sized: true, More: slices.Concat(damage.LineEnds[1:], damage.Sized),
	}
	if f.EOL == "\n" {
		b.More = slices.Concat(damage.LineEndsLF[1:], damage.Sized)
	}
	return b
}

// eachRecord calls do for each record up to the first that cannot be read; whole
// says that there is none.
func eachRecord(t testing.TB, f Format, octets []byte, do func(record)) (whole bool) {
	s := newWorld(t, f).scanner(bytes.NewReader(octets), 0, int64(len(octets)))
	for {
		r, ok, err := s.next()
		if err != nil || !ok {
			return err == nil
		}
		do(r)
	}
}

func TestDamage(t *testing.T) {
	each(t, func(t *testing.T, f Format) { benchOf(f).Run(t, *tries) })
}

// Whatever the octets, a repair gives a sound mailbox or says that it cannot,
// repairs nothing twice, and loses no message that readers had.
func FuzzRepair(f *testing.F) {
	for _, format := range []Format{MTX, Tenex} {
		files, _ := filepath.Glob(filepath.Join(testdata, format.Name, "*."+format.Name))
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, format := range []Format{MTX, Tenex} {
			if _, err := benchOf(format).Repair(t, b); err != nil && !errors.Is(err, mailbox.ErrFormat) {
				t.Fatalf("%s: %v", format.Name, err)
			}
		}
	})
}
