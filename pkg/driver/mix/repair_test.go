package mix

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/internal/mend/mendtest"
	"mailutil/pkg/mailbox"
)

// repairAll repairs n, and returns what was planned at last and what was made.
func (w *world) repairAll(n mailbox.Name, o mailbox.RepairOptions) (mailbox.Repair, mailbox.RepairFiles, error) {
	w.t.Helper()
	return mendtest.Repair(w.t, w.Driver, n, o)
}

// A seen is a message as tests compare it.
type seen struct {
	sum, flags, date string
	uid              uint32
}

// seeAll opens n and tells its messages.
func (w *world) seeAll(n mailbox.Name) (out []seen) {
	w.t.Helper()
	b, err := w.Open(context.Background(), n, mailbox.ReadOnly)
	if err != nil {
		w.t.Errorf("the repaired mailbox: %v", err)
		return nil
	}
	defer b.Close()
	for m := range b.Messages(mailbox.All) {
		g := observe(w.t, b.(*box), m)
		if g.SHA256 == nil {
			w.t.Errorf("message %d cannot be read", m.Seq)
			continue
		}
		out = append(out, seen{*g.SHA256, strings.Join(slices.Concat(g.Flags, g.Keywords), " "), g.Date, g.UID})
	}
	return out
}

// snapshot is every file in the mailbox and its time.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprint(path, fi.Mode(), fi.ModTime())
		if fi.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(b)
			line += hex.EncodeToString(sum[:8])
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

// accounts is what comes of each golden mailbox that is damaged.
var accounts = map[string]string{
	"crash-data-only":            "7 messages: 7 intact, 1 without their flags",
	"crash-meta":                 "7 messages: 7 intact, 1 without their flags",
	"crash-index-extended":       "7 messages: 7 intact, 1 without their flags",
	"crash-no-status":            "7 messages: 7 intact, 1 without their flags",
	"index-truncated-at-record":  "6 messages: 6 intact",
	"index-empty":                "6 messages: 6 intact",
	"index-torn":                 "6 messages: 6 intact",
	"index-missing":              "6 messages: 6 intact",
	"status-missing":             "6 messages: 6 intact, 6 without their flags",
	"status-empty":               "6 messages: 6 intact, 6 without their flags",
	"meta-keywords-unterminated": "6 messages: 6 intact",
	"uidlast-low":                "6 messages: 6 intact",
	"data-short":                 "6 messages: 5 intact, 1 salvaged in part",
	"data-token-damaged":         "6 messages: 6 intact",
	"data-missing":               "0 messages: 0 intact, messages may be missing",
}

func TestRepairGolden(t *testing.T) {
	boxes := manifest(t)
	truth := map[string]seen{}
	for _, g := range boxes {
		for _, m := range g.Boxes[0].View.orNone().Messages {
			if g.Name == "basic" {
				slices.Sort(m.Flags)
				truth[*m.SHA256] = seen{*m.SHA256, strings.Join(slices.Concat(m.Flags, m.Keywords), " "), m.Date, m.UID}
			}
		}
	}
	for _, g := range boxes {
		t.Run(g.Name, func(t *testing.T) {
			w := newWorld(t)
			n := w.golden(g.Name)
			before := snapshot(t, n.Path)
			files := w.files(n)
			r, made, err := w.repairAll(n, mailbox.RepairOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for s := range r.Steps() {
				t.Log(s)
			}
			want, damaged := accounts[g.Name]
			if r.Needed() != damaged || damaged && r.Account().String() != want {
				t.Errorf("needed %v: got %v, want %s", r.Needed(), r.Account(), want)
			}
			if !damaged {
				if snapshot(t, n.Path) != before {
					t.Error("it was touched")
				}
				return
			}
			if kept := w.files(mailbox.Name{Path: made.Original}); fmt.Sprint(kept) != fmt.Sprint(files) {
				t.Errorf("the original was not kept: %q", kept)
			}
			if in, all := w.inspectAll(n); !in.Sound() || slices.ContainsFunc(all, func(f mailbox.Finding) bool { return f.Code != "mix.nuls" && f.Code != "mix.bare-lf" }) {
				t.Errorf("not sound afterwards: %v", all)
			}
			for _, m := range w.seeAll(n) {
				if was, ok := truth[m.sum]; ok && m != was && !(strings.HasPrefix(g.Name, "status") && m.uid == was.uid) && m.uid != 7 {
					t.Errorf("got %v\nwant %v", m, was)
				}
			}
			if len(w.heard) > 0 {
				t.Errorf("reading it says %q", w.heard)
			}
			after := snapshot(t, n.Path)
			again, _, err := w.repairAll(n, mailbox.RepairOptions{})
			if err != nil || again.Needed() || snapshot(t, n.Path) != after {
				t.Errorf("a second repair: %v, needed %v", err, again != nil && again.Needed())
			}
		})
	}
}

func (g *goldenView) orNone() *goldenView {
	if g == nil {
		return &goldenView{}
	}
	return g
}

// The original makes data files that nobody but root can read.
func TestRepairMode(t *testing.T) {
	w := newWorld(t)
	n := w.golden("basic")
	data := filepath.Join(n.Path, ".mix6b03b909")
	if err := os.Chmod(data, 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		if _, err := w.PlanRepair(context.Background(), n, mailbox.RepairOptions{}, nil); err == nil || !strings.Contains(err.Error(), "chmod u+rw") {
			t.Errorf("got %v, want what to do", err)
		}
		return
	}
	before := w.seeAll(n)
	r, _, err := w.repairAll(n, mailbox.RepairOptions{})
	if err != nil || !r.Account().Whole() {
		t.Fatalf("got %v, %v", r, err)
	}
	for name := range w.files(n) {
		if fi, err := os.Stat(filepath.Join(n.Path, name)); err != nil || fi.Mode() != 0o600 {
			t.Errorf("%s: got %v, %v", name, fi.Mode(), err)
		}
	}
	if got := w.seeAll(n); !slices.Equal(got, before) {
		t.Errorf("got %v, want %v", got, before)
	}
}
