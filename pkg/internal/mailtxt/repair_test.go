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

	"mailutil/pkg/internal/fsx/fsxtest"
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

// Killed anywhere, the original or the result is there.
func TestRepairCrashes(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		n := w.golden("corrupt-sizeshort")
		before := w.read(n)
		rec := fsxtest.Record(t, w.home)
		w.FS = rec
		if _, _, err := w.repairAll(n); err != nil {
			t.Fatal(err)
		}
		after := w.read(n)
		rec.Crashes(t, func(t *testing.T, dir string, done bool) {
			w := newWorld(t, f)
			w.env.Home, w.env.StateDir, w.home = dir, filepath.Join(dir, "state"), dir
			n := w.name("box")
			if now := w.read(n); done && !bytes.Equal(now, after) {
				t.Error("it was done, but the result is not there")
			}
			if _, _, err := w.repairAll(n); err != nil {
				t.Fatal(err)
			}
			if now := w.read(n); !bytes.Equal(now, after) {
				t.Errorf("the next repair gives another result: before %v", bytes.Equal(now, before))
			}
		})
	})
}

var tries = flag.Int("damages", 1, "how many mailboxes each class of damage is tried on")

func TestDamage(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		var back, intact, invented int
		for k, c := range damage.Classes {
			var b, i, v int
			for n := range *tries {
				db, di, dv := damageOnce(t, f, c, uint64(k*100+n))
				b, i, v = b+db, i+di, v+dv
			}
			t.Logf("%-34s intact %d/%d, invented %d", c.Name, b, i, v)
			back, intact, invented = back+b, intact+i, invented+v
		}
		t.Logf("%-34s intact %d/%d, invented %d", "all", back, intact, invented)
		if back*100 < intact*97 {
			t.Errorf("got %d of %d intact messages back", back, intact)
		}
	})
}

func damageOnce(t *testing.T, f Format, c damage.Class, seed uint64) (back, intact, invented int) {
	w := newWorld(t, f)
	n := w.name("box")
	var items []mailbox.Item
	for i := range 6 {
		text := fmt.Sprintf("Subject: %d.%d\r\nFrom: x@y\r\n\r\n", seed, i)
		text += strings.Repeat(fmt.Sprintf("A line of text %d.%d, not much of one.\r\n", seed, i), 1+int(seed+uint64(i)*7)%60)
		it := item(text)
		it.Date = mailbox.Date{Year: 2001, Month: 1, Day: uint8(10 + i), Hour: uint8(i)}
		items = append(items, it)
	}
	w.deliver(n, mailbox.AppendOptions{New: true}, items...)
	truth := w.sums(n)
	var msgs []damage.Message
	octets := w.read(n)
	s := w.scanner(bytes.NewReader(octets), 0, int64(len(octets)))
	for {
		r, ok, err := s.next()
		if err != nil || !ok {
			break
		}
		msgs = append(msgs, damage.Message{Line: int(r.off), Text: int(r.text()), End: int(r.end())})
	}
	d := damage.New(octets, msgs, seed)
	c.Do(d)
	w.file("box", d.Octets)
	_, _, err := w.repairAll(n)
	if errors.Is(err, mailbox.ErrFormat) {
		t.Logf("%s, seed %d: %v", c.Name, seed, err)
		return 0, 0, 0
	}
	if err != nil {
		t.Errorf("%s, seed %d: %v", c.Name, seed, err)
		return 0, 0, 0
	}
	if again, _, err := w.repairAll(n); err != nil || again.Needed() {
		t.Errorf("%s, seed %d: a second repair: %v", c.Name, seed, err)
	}
	got := w.sums(n)
	at := 0
	for i := range msgs {
		if d.Gone(i) || !d.Left(i).Text {
			continue
		}
		intact++
		j := slices.Index(got[at:], truth[i])
		if j < 0 {
			t.Logf("%s, seed %d: message %d is lost", c.Name, seed, i+1)
			continue
		}
		back++
		at += j + 1
	}
	return back, intact, max(0, len(got)-len(msgs))
}
