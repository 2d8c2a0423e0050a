package mh

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mend/damage"
	"mailutil/pkg/internal/mend/mendtest"
	"mailutil/pkg/mailbox"
)

// What is whole stays as it is.
func TestRepairGolden(t *testing.T) {
	for _, name := range []string{"mhbasic", "mhholes"} {
		w := newWorld(t)
		n := w.golden(name)
		before := mendtest.Tree(t, w.path(name))
		r, _, err := mendtest.Repair(t, w, n, mailbox.RepairOptions{})
		if err != nil || r.Needed() || mendtest.Tree(t, w.path(name)) != before {
			t.Errorf("%s: changed without need, %v", name, err)
		}
	}
}

func TestRepairSequences(t *testing.T) {
	for _, tt := range []struct{ name, sequences, want, account string }{
		{"a line that is none", "nonsense\nunseen: 2\n", "unseen: 2\n", "2 messages: 2 intact, 9 octets set aside"},
		{"numbers that are none", "a: x 1 0 5-3\n", "a: 1\n", "2 messages: 2 intact, 5 octets set aside"},
		{"twice", "a: 1\nb: 1\na: 2\n", "a: 1-2\nb: 1\n", "2 messages: 2 intact"},
		{"deleted twice", "unseen: 1\ndeleted: 1-2\ndeleted: 2\n", "unseen: 1\ndeleted: 2\n", "2 messages: 2 intact"},
		{"gone, beside damage", "x\nunseen: 1 7 9-12\nwork: 8\n", "unseen: 1\nwork:\n", "2 messages: 2 intact, 2 octets set aside"},
		{"name with a NUL", "uns\x00en: 2\ncur: 9\n", "unseen: 2\ncur: 9\n", "2 messages: 2 intact"},
		{"colon lost", "replied: 1\nflagged\x00 2\nunseen: 1\n", "replied: 1\nunseen: 1\nflagged: 2\n", "2 messages: 2 intact"},
		{"unseen lost", "\x00\x00\x00\x00\x00\x00\x00 2\nflagged: 1\nmailutilknown: 1-2\n", "flagged: 1\nmailutilknown: 1-2\nunseen: 1-2\n", "2 messages: 2 intact, 2 without their flags, 10 octets set aside"},
		{"NULs", "\x00\x00\x00\x00", "unseen: 1-2\n", "2 messages: 2 intact, 2 without their flags, 4 octets set aside"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			at := time.Unix(1700000000, 0)
			for _, name := range []string{"1", "2"} {
				w.write("box/"+name, "Subject: x\n\nx\n")
				if err := os.Chtimes(w.path("box/"+name), at, at); err != nil {
					t.Fatal(err)
				}
			}
			w.write("box/.mh_sequences", tt.sequences)
			n := w.name("#mh/box")
			r, made, err := mendtest.Repair(t, w, n, mailbox.RepairOptions{})
			if err != nil || !r.Needed() {
				t.Fatal(err)
			}
			if got := w.read("box/.mh_sequences"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := r.Account().String(); got != tt.account {
				t.Errorf("account: got %s, want %s", got, tt.account)
			}
			if kept, err := os.ReadFile(filepath.Join(made.Original, sequencesName)); err != nil || string(kept) != tt.sequences {
				t.Errorf("the original: %q, %v", kept, err)
			}
			mendtest.Sound(t, w, n)
		})
	}
}

// damagedAt is the mailbox of makeDamaged in another home directory.
func damagedAt(t *testing.T, home string, fsys fsx.FS) mendtest.World {
	w := worldAt(t, home)
	w.FS = fsys
	return mendtest.World{Driver: w, Name: w.name("#mh/box"), Dir: w.path("box"), Home: home}
}

func makeDamaged(t *testing.T) (home string) {
	w := newWorld(t)
	for name, text := range map[string]string{
		"box/1": "Subject: x\n\nx\n", "box/2": "Subject: y\n\ny\n", "box/007": "Subject: stray\n\nx\n", "box/88": "",
		"box/.mh_sequences": "garbage\nunseen: 2\nflagged: 1 x\nunseen: 2\n", "box/,3": "removed",
	} {
		w.write(name, text)
	}
	if err := errors.Join(os.Remove(w.path("box/88")), os.Mkdir(w.path("box/88"), 0o700)); err != nil {
		t.Fatal(err)
	}
	return w.home
}

func TestRepairCrashes(t *testing.T) { mendtest.Crashes(t, makeDamaged(t), damagedAt) }

func TestRepairFaults(t *testing.T) {
	mendtest.Faults(t, func(t *testing.T, fsys fsx.FS) mendtest.World { return damagedAt(t, makeDamaged(t), fsys) })
}

func TestRepairChanged(t *testing.T) {
	w := damagedAt(t, makeDamaged(t), fsx.OS{})
	mendtest.Changed(t, w, func() {
		if err := os.WriteFile(w.Dir+"/.mh_sequences", []byte("unseen: 1-2\nnonsense\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

// Strays and unreadable files where there are no sequences: none are made.
func TestRepairWithoutSequences(t *testing.T) {
	w := worldAt(t, makeDamaged(t))
	if err := errors.Join(os.Remove(w.path("box/.mh_sequences")), os.Chmod(w.path("box/1"), 0)); err != nil {
		t.Fatal(err)
	}
	n := w.name("#mh/box")
	r, made, err := mendtest.Repair(t, w, n, mailbox.RepairOptions{})
	if err != nil || r.Account().Messages != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got, err := os.ReadFile(filepath.Join(made.Original, "007")); err != nil || string(got) != "Subject: stray\n\nx\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := os.Stat(w.path("box/.mh_sequences")); err == nil {
		t.Error("there are sequences now")
	}
	mendtest.Sound(t, w, n)
	// A directory with that name is in the way.
	if err := os.Mkdir(w.path("box/.mh_sequences"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := mendtest.Repair(t, w, n, mailbox.RepairOptions{}); err != nil {
		t.Fatal(err)
	}
	mendtest.Sound(t, w, n)
}

var tries = flag.Int("damages", 2, "how many mailboxes each class of damage is tried on")

// lines are the sequences of a mailbox that is made up.
var lines = []string{"unseen", "flagged", "replied", "deleted", "draft", "Work", "$Forwarded", "Later", "mailutilknown"}

// own are the kinds of damage of this format.
var own = []damage.Class{
	{Name: "a colon lost", Do: func(f *damage.File) { m := f.Msgs[f.Rand(len(f.Msgs))]; f.Set(m.Text-1, []byte{0}) }},
	{Name: "a name garbled", Do: func(f *damage.File) { m := f.Msgs[f.Rand(len(f.Msgs))]; f.Set(m.Line+f.Rand(4), []byte{1}) }},
	{Name: "a sequence twice", Do: func(f *damage.File) { m := f.Msgs[f.Rand(len(f.Msgs))]; f.Copy(m.Line, m.End, len(f.Octets)) }},
	{Name: "emptied", Do: func(f *damage.File) { f.Cut(0, len(f.Octets)) }},
}

func TestDamage(t *testing.T) {
	mendtest.Files(t, slices.Concat(damage.Classes, own), *tries, func(c damage.Class, seed uint64) mendtest.Score { return damageOnce(t, c, seed) })
}

// makeBox makes a mailbox of 100 messages, of which each sequence has some.
func makeBox(t *testing.T, seed uint64) (w *world, f *damage.File) {
	w = newWorld(t)
	rnd := rand.New(rand.NewPCG(seed, 1))
	seqs := make([]sequence, len(lines))
	for i, name := range lines {
		seqs[i].name = name
	}
	n := uint32(0)
	for range 100 {
		n += 1 + rnd.Uint32N(2)
		path := "box/" + strconv.Itoa(int(n))
		w.write(path, fmt.Sprintf("Subject: %d.%d\n\ntext\n", seed, n))
		at := time.Unix(1700000000+int64(n)*3600, 0)
		if err := os.Chtimes(w.path(path), at, at); err != nil {
			t.Fatal(err)
		}
		for i := range seqs {
			if rnd.IntN(3) == 0 || lines[i] == "mailutilknown" {
				seqs[i].add(n)
			}
		}
	}
	var octets []byte
	var msgs []damage.Message
	for i := range seqs {
		line := seqs[i].print(nil)
		msgs = append(msgs, damage.Message{Line: len(octets), Text: len(octets) + len(seqs[i].name) + 1, End: len(octets) + len(line)})
		octets = append(octets, line...)
	}
	w.write("box/.mh_sequences", string(octets))
	return w, damage.New(octets, msgs, seed)
}

func damageOnce(t *testing.T, c damage.Class, seed uint64) (s mendtest.Score) {
	w, f := makeBox(t, seed)
	n := w.name("#mh/box")
	truth, _ := mendtest.Read(t, w, n)
	c.Do(f)
	w.write("box/.mh_sequences", string(f.Octets))
	if _, _, err := mendtest.Repair(t, w, n, mailbox.RepairOptions{}); err != nil {
		t.Errorf("%s, seed %d: %v", c.Name, seed, err)
		return s
	}
	mendtest.Sound(t, w, n)
	got, _ := mendtest.Read(t, w, n)
	s.Invented = max(0, len(got)-len(truth))
	known := knowable(f)
	for i, want := range truth {
		s.There++
		if i >= len(got) || got[i].Sum != want.Sum || got[i].UID != want.UID || got[i].Date != want.Date {
			continue
		}
		s.Back++
		s.Known++
		if have := only(got[i].Flags, known); have == only(want.Flags, known) {
			s.Meta++
		} else {
			t.Logf("%s, seed %d: message %d has %q, not %q", c.Name, seed, i+1, got[i].Flags, want.Flags)
		}
	}
	return s
}

// knowable are the flags whose lines are whole, and where lines should be, that
// no other line can have come to be called.
func knowable(f *damage.File) map[string]bool {
	known := map[string]bool{}
	for i, flag := range []string{`\Seen`, `\Flagged`, `\Answered`, `\Deleted`, `\Draft`, "Work", "$Forwarded", "Later"} {
		m := f.Msgs[i]
		whole := false
		for at, from := range f.From {
			bol := at == 0 || f.Octets[at-1] == '\n'
			end := at + m.End - m.Line
			if int(from) == m.Line && bol && f.Left(i).Line && (end == len(f.Octets) || end < len(f.Octets) && f.Octets[end] != ' ' && f.Octets[end] != '\t') {
				whole = true
			}
		}
		known[flag] = whole && strings.Count(string(f.Octets), "\n"+lines[i]+":")+btoi(strings.HasPrefix(string(f.Octets), lines[i]+":")) == 1
	}
	return known
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// only are the flags that are known.
func only(flags string, known map[string]bool) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(flags), func(f string) bool { return !known[f] }), " ")
}

// Whatever is in the sequences, they are repaired, or left alone, once; and what
// the reader could tell is told by the new ones.
func FuzzRepair(f *testing.F) {
	for _, s := range []string{"", "unseen: 1-2\ncur: 9\n", "a: x 0 5-3\n", "nonsense\na: 1\na: 2\n", "uns\x00en: 1\n", "deleted: 1-2\ndeleted: 2\n 1\n", "flagged\x002\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(t)
		w.write("box/1", "Subject: x\n\nx\n")
		w.write("box/2", "Subject: x\r\n\r\nx\r\n")
		w.write("box/.mh_sequences", string(b))
		n := w.name("#mh/box")
		before, _ := mendtest.Read(t, w, n)
		r, _, err := mendtest.Repair(t, w, n, mailbox.RepairOptions{})
		if err != nil || r.Account().Messages != 2 {
			t.Fatalf("%+v, %v", r.Account(), err)
		}
		mendtest.Sound(t, w, n)
		after, _ := mendtest.Read(t, w, n)
		seqs, _ := parseSequences(b)
		for i := range before {
			if before[i].Sum != after[i].Sum || before[i].UID != after[i].UID {
				t.Errorf("%q: got %+v, want %+v", b, after[i], before[i])
			}
			for _, flag := range strings.Fields(before[i].Flags) {
				if flag == `\Seen` || flag == `\Deleted` && len(seqs) > 1 || slices.Contains(strings.Fields(after[i].Flags), flag) {
					continue
				}
				t.Errorf("%q: message %d was %s", b, i+1, flag)
			}
		}
	})
}
