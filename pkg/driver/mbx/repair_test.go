package mbx

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
)

// repairAll plans a repair of n and carries it out. It returns what was planned
// and what was made.
func (w *world) repairAll(n mailbox.Name, o mailbox.RepairOptions) (r mailbox.Repair, made mailbox.RepairFiles, err error) {
	w.t.Helper()
	for range 3 {
		if r, err = w.PlanRepair(context.Background(), n, o, nil); err != nil {
			return nil, made, err
		}
		w.t.Cleanup(func() { r.Close() })
		if !r.Needed() {
			return r, made, nil
		}
		again := false
		if made, again, err = r.CarryOut(context.Background()); !again {
			return r, made, err
		}
	}
	return r, made, err
}

// told is a message as tests compare it.
type told struct {
	sum, flags, date string
	uid              uint32
}

// same reports whether two messages are the same but for what except names.
func (m told) same(o told, except string) bool {
	return strings.Contains(except, "all") ||
		(m.uid == o.uid || strings.Contains(except, "uid")) && (m.flags == o.flags || strings.Contains(except, "flags")) &&
			(m.date == o.date || strings.Contains(except, "date"))
}

// tellAll opens n and tells its messages.
func (w *world) tellAll(n mailbox.Name) (out []told) {
	w.t.Helper()
	b, err := w.Open(context.Background(), n, mailbox.ReadOnly)
	if err != nil {
		w.t.Errorf("the repaired mailbox: %v", err)
		return nil
	}
	defer b.Close()
	for m := range b.Messages(mailbox.All) {
		g := observe(w.t, b.(*box), m)
		out = append(out, told{g.SHA256, strings.Join(slices.Concat(g.Flags, g.Keywords), " "), g.Date, g.UID})
	}
	return out
}

// missing are the messages of want that are not in got, in order.
func missing(got, want []string) (out []string) {
	for _, s := range want {
		i := slices.Index(got, s)
		if i < 0 {
			out = append(out, s)
			continue
		}
		got = got[i+1:]
	}
	return out
}

// guessed is what of the metadata of a file's messages cannot be known any more.
var guessed = map[string]string{
	"header-zeroed":             "date flags", // all of the line
	"date-nul-first":            "date",
	"date-8bit-first":           "date",
	"keywords-zeroed":           "flags", // names were made up
	"lost-file-header":          "flags",
	"keyword-too-long":          "flags", // readers know no name
	"concatenated":              "uid flags",
	"crash-in-expunge-1":        "all", // made of another file
	"crash-in-expunge-2":        "all",
	"crash-in-expunge-3":        "all",
	"torn-append-then-appends":  "all", // the same texts again
	"failed-open-left-uids":     "all",
	"failed-open-left-uids-cut": "all",
}

func TestRepairGolden(t *testing.T) {
	m := manifest[struct {
		Base  goldenFile
		Files []struct {
			File   string
			Truth  []string `json:"sha256_before_damage"`
			Intact []int    `json:"intact_msgnos"`
		}
	}](t, "mbx-corrupt")
	base := map[string]told{}
	for _, g := range m.Base.Messages {
		slices.Sort(g.Flags)
		base[g.SHA256] = told{g.SHA256, strings.Join(slices.Concat(g.Flags, g.Keywords), " "), g.Date, g.UID}
	}
	for _, g := range m.Files {
		name := strings.TrimSuffix(g.File, ".mbx")
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			n := w.golden("mbx-corrupt/" + g.File)
			before := w.read(n)
			r, made, err := w.repairAll(n, mailbox.RepairOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for s := range r.Steps() {
				t.Log(s)
			}
			t.Log(r.Account())
			if !r.Needed() {
				if string(w.read(n)) != string(before) {
					t.Fatal("changed without need")
				}
			} else if kept, err := os.ReadFile(made.Original); err != nil || string(kept) != string(before) {
				t.Errorf("the original was not kept: %v", err)
			}
			if in, all := w.inspectAll(n); !in.Sound() {
				t.Errorf("not sound afterwards: %v", all)
			}
			got := w.tellAll(n)
			var sums, want []string
			for _, m := range got {
				sums = append(sums, m.sum)
				b, ok := base[m.sum]
				if ok && !m.same(b, guessed[name]) {
					t.Errorf("got %v\nwant %v", m, b)
				}
			}
			for _, k := range g.Intact {
				want = append(want, g.Truth[k-1])
			}
			if lost := missing(sums, want); len(lost) > 0 {
				t.Errorf("%d of %d intact messages are lost", len(lost), len(want))
			}
			if len(got) > len(g.Truth)+1 {
				t.Errorf("got %d messages of %d", len(got), len(g.Truth))
			}
			after := w.read(n)
			again, _, err := w.repairAll(n, mailbox.RepairOptions{})
			if err != nil || again.Needed() || string(w.read(n)) != string(after) {
				t.Errorf("a second repair: %v, needed %v", err, again != nil && again.Needed())
			}
		})
	}
}

// A healthy mailbox is left as it is, to the time it was written.
func TestRepairHealthy(t *testing.T) {
	for _, g := range manifest[struct{ Files []goldenFile }](t, "mbx").Files {
		w := newWorld(t)
		n := w.golden("mbx/" + g.File)
		before := w.read(n)
		fi, _ := os.Stat(n.Path)
		r, _, err := w.repairAll(n, mailbox.RepairOptions{})
		if err != nil || r.Needed() {
			t.Fatalf("%s: %v, needed %v", g.File, err, r != nil && r.Needed())
		}
		now, _ := os.Stat(n.Path)
		names, _ := filepath.Glob(filepath.Join(w.home, "*"))
		if string(w.read(n)) != string(before) || !now.ModTime().Equal(fi.ModTime()) || len(names) != 1 {
			t.Errorf("%s: was touched: %v", g.File, names)
		}
	}
}
