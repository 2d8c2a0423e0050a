package mx

import (
	"bytes"
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

// The golden mailboxes: what is whole stays, what is damaged is as it was, as
// far as that is there.
func TestRepairGolden(t *testing.T) {
	for _, tt := range []struct {
		name, account string
	}{
		{"mxbasic", ""},
		{"mxdual", ""},
		{"mxempty", ""},
		{"mxexpunged", ""},
		{"mxindexempty", "7 messages: 7 intact, 7 without their flags, new UIDVALIDITY 1795406096"},
		{"mxindexgarbage", "7 messages: 7 intact, 7 without their flags, 7 octets set aside, new UIDVALIDITY 1795406096"},
		{"mxindextorn", "7 messages: 7 intact, 1 without their flags, 13 octets set aside"},
		{"mxstray", "8 messages: 8 intact"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			n := w.golden(tt.name)
			before := mendtest.Tree(t, n.Path)
			o := newWorld(t)
			whole, _ := mendtest.Read(t, o, o.golden("mxbasic"))
			r, made, err := mendtest.Repair(t, w, n, mailbox.RepairOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if tt.account == "" {
				if r.Needed() || mendtest.Tree(t, n.Path) != before {
					t.Error("changed without need")
				}
				return
			}
			if got := r.Account().String(); got != tt.account {
				t.Errorf("account: got %s, want %s", got, tt.account)
			}
			if kept, err := os.ReadFile(filepath.Join(made.Original, indexName)); err != nil || !strings.Contains(before, fmt.Sprintf("%q", kept)) {
				t.Errorf("the original: %q, %v", kept, err)
			}
			got, _ := mendtest.Read(t, w, n)
			if !slices.Equal(mendtest.Sums(got)[:7], mendtest.Sums(whole)) {
				t.Errorf("got %+v, want %+v", got, whole)
			}
			if tt.name == "mxindextorn" && !slices.Equal(got[:6], whole[:6]) {
				t.Errorf("got %+v, want %+v", got[:6], whole[:6])
			}
			mendtest.Sound(t, w, n)
		})
	}
}

// What is in the way goes beside the mailbox, and what cannot be read can be.
func TestRepairStrays(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mxexpunged")
	before, _ := mendtest.Read(t, w, n)
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(n.Path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("007", "Subject: stray\r\n\r\nx\r\n")
	put("99999999999", "")
	if err := errors.Join(os.MkdirAll(filepath.Join(n.Path, "88", "sub"), 0o700), os.Symlink("nowhere", filepath.Join(n.Path, "77")),
		os.WriteFile(filepath.Join(n.Path, "88", "sub", "file"), []byte("x"), 0o600), os.Chmod(filepath.Join(n.Path, "2"), 0)); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(w.home, "kept")
	r, made, err := mendtest.Repair(t, w, n, mailbox.RepairOptions{KeepIn: dir})
	if err != nil || filepath.Dir(made.Original) != dir {
		t.Fatal(made, err)
	}
	if got, want := r.Account().String(), "3 messages: 3 intact, 21 octets set aside"; got != want || r.Account().Whole() {
		t.Errorf("account: got %s, want %s", got, want)
	}
	after, _ := mendtest.Read(t, w, n)
	if !slices.Equal(before, after) {
		t.Errorf("got %+v, want %+v", after, before)
	}
	for name, want := range map[string]string{
		filepath.Join(made.Original, "007"): "Subject: stray\r\n\r\nx\r\n", filepath.Join(made.Original, "88", "sub", "file"): "x", made.Lost: "Subject: stray", made.Salvage: "From MAILER-DAEMON",
	} {
		if b, err := os.ReadFile(name); err != nil || !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if fi, err := os.Stat(filepath.Join(n.Path, "2")); err != nil || fi.Mode() != 0o600 {
		t.Errorf("message 2: %v, %v", fi.Mode(), err)
	}
	mendtest.Sound(t, w, n)
}

// A directory of messages that has lost its index is known by them.
func TestRepairLostIndex(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mxbasic")
	if err := os.Remove(filepath.Join(n.Path, indexName)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Inspect(ctx, n, nil); !errors.Is(err, mailbox.ErrNotMailbox) { // one has LF
		t.Errorf("got %v, want %v", err, mailbox.ErrNotMailbox)
	}
	n.Format = "mx"
	r, made, err := mendtest.Repair(t, w, n, mailbox.RepairOptions{})
	if err != nil || !r.Account().Raised || made.Original == "" {
		t.Fatalf("%+v, %+v, %v", r, made, err)
	}
	mendtest.Sound(t, w, n)
	b := w.golden("mxexpunged")
	index := filepath.Join(b.Path, indexName)
	if err := errors.Join(os.Remove(index), os.Mkdir(index, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := mendtest.Repair(t, w, b, mailbox.RepairOptions{}); err != nil {
		t.Fatal(err)
	}
	mendtest.Sound(t, w, b)
}

// damagedAt is the mailbox of makeDamaged in another home directory.
func damagedAt(t *testing.T, home string, fsys fsx.FS) mendtest.World {
	w := newWorld(t)
	w.home, w.env.Home, w.env.StateDir, w.FS = home, home, filepath.Join(home, "state"), fsys
	n := w.name("mxindexgarbage")
	return mendtest.World{Driver: w, Name: n, Dir: n.Path, Home: home}
}

func makeDamaged(t *testing.T) (home string) {
	w := newWorld(t)
	n := w.golden("mxindexgarbage")
	for name, text := range map[string]string{indexName: "XgarbageL00000003KWork\nM00000001;00000001.0001M0000ga", "007": "Subject: stray\r\n\r\nx\r\n"} {
		if err := os.WriteFile(filepath.Join(n.Path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
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
		if err := os.WriteFile(filepath.Join(w.Dir, "99"), []byte("new"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

// A repair waits for who has the index locked, and says who.
func TestRepairBusy(t *testing.T) {
	w := damagedAt(t, makeDamaged(t), fsx.OS{})
	mendtest.Busy(t, w, func() (func() error, error) {
		held, err := w.Driver.(mailbox.Holder).Hold(ctx, w.Name)
		return held.Close, err
	})
}

var tries = flag.Int("damages", 2, "how many mailboxes each class of damage is tried on")

// A made is a mailbox that was made up, and its index.
type made struct {
	w     *world
	n     mailbox.Name
	truth []mendtest.Message
	file  *damage.File
	head  int // octets before the records
}

// makeBox makes a mailbox of 60 messages, some numbers left out.
func makeBox(t *testing.T, seed uint64) *made {
	w := newWorld(t)
	b := &made{w: w, n: w.name("box")}
	rnd := rand.New(rand.NewPCG(seed, 1))
	ix := index{validity: 0x6b03b910, keywords: []string{"Work", "$Forwarded", "Later"}}
	if err := os.Mkdir(b.n.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	uid := uint32(0)
	for i := range 60 {
		uid += 1 + rnd.Uint32N(2)
		r := record{uid: uid, keywords: rnd.Uint32N(8), flags: uint16(rnd.Uint32N(16))}
		ix.records = append(ix.records, r)
		path := filepath.Join(b.n.Path, strconv.Itoa(int(uid)))
		text := fmt.Sprintf("Subject: %d.%d\r\n\r\n%s", seed, i, strings.Repeat("A line.\r\n", rnd.IntN(20)))
		at := time.Unix(1700000000+int64(i)*3600, 0)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	ix.last = uid + rnd.Uint32N(3)
	octets := ix.print()
	b.head = len(ix.head())
	var msgs []damage.Message
	for i := range ix.records {
		at := b.head + i*recordLen
		msgs = append(msgs, damage.Message{Line: at, Text: at + flagsAt, End: at + recordLen})
	}
	b.put(t, octets)
	b.truth, _ = mendtest.Read(t, w, b.n)
	b.file = damage.New(octets, msgs, seed)
	return b
}

func (b *made) put(t *testing.T, octets []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.n.Path, indexName), octets, 0o600); err != nil {
		t.Fatal(err)
	}
}

// own are the kinds of damage of this format.
var own = []damage.Class{
	{Name: "index emptied", Do: func(f *damage.File) { f.Cut(0, len(f.Octets)) }},
	{Name: "UIDVALIDITY garbled", Do: func(f *damage.File) { f.Set(f.Rand(9), []byte("?")) }},
	{Name: "last UID garbled", Do: func(f *damage.File) { f.Set(9+f.Rand(9), []byte("?")) }},
	{Name: "last UID too low", Do: func(f *damage.File) { f.Set(9, []byte("L00000003")) }},
	{Name: "name of a keyword garbled", Do: func(f *damage.File) { f.Set(18+f.Rand(20), []byte{1}) }},
	{Name: "keywords wiped", Do: func(f *damage.File) { f.Fill(18, 12+f.Rand(20), 0) }},
	{Name: "head wiped", Do: func(f *damage.File) { f.Fill(0, 18, 0) }},
	{Name: "records of a shorter index before", Do: func(f *damage.File) {
		k := 10 + f.Rand(20)
		f.Copy(f.Msgs[k].Line, len(f.Octets), len(f.Octets))
	}},
	{Name: "records backwards", Do: func(f *damage.File) {
		a, b := f.Msgs[7], f.Msgs[40]
		f.Copy(b.Line, b.End, a.Line)
		n := b.End - b.Line
		f.Cut(b.Line+n, n)
	}},
}

func TestDamage(t *testing.T) {
	mendtest.Files(t, slices.Concat(damage.Classes, own), *tries, func(c damage.Class, seed uint64) mendtest.Score { return damageOnce(t, c, seed) })
}

func damageOnce(t *testing.T, c damage.Class, seed uint64) (s mendtest.Score) {
	b := makeBox(t, seed)
	f := b.file
	c.Do(f)
	b.put(t, f.Octets)
	plain, _ := mendtest.Read(t, b.w, b.n)
	if _, _, err := mendtest.Repair(t, b.w, b.n, mailbox.RepairOptions{}); err != nil {
		t.Errorf("%s, seed %d: %v", c.Name, seed, err)
		return s
	}
	mendtest.Sound(t, b.w, b.n)
	got, st := mendtest.Read(t, b.w, b.n)
	s.Invented = max(0, len(got)-len(b.truth))
	if !slices.Equal(mendtest.Sums(got), mendtest.Sums(plain)) {
		t.Errorf("%s, seed %d: readers saw other messages before", c.Name, seed)
	}
	headWhole := slices.Equal(f.From[:min(b.head, len(f.From))], damage.New(make([]byte, b.head), nil, 0).From)
	if headWhole && st.UIDValidity != 0x6b03b910 {
		t.Errorf("%s, seed %d: UIDVALIDITY %x", c.Name, seed, st.UIDValidity)
	}
	for i, want := range b.truth {
		s.There++
		if i >= len(got) || got[i].Sum != want.Sum || got[i].UID != want.UID || got[i].Date != want.Date {
			t.Logf("%s, seed %d: message %d: got %+v, want %+v", c.Name, seed, i+1, got[min(i, len(got)-1)], want)
			continue
		}
		s.Back++
		if !f.Left(i).Line {
			continue
		}
		s.Known++
		have := got[i].Flags
		if !headWhole { // names of keywords may be lost
			have, want.Flags = system(have), system(want.Flags)
		}
		if have == want.Flags {
			s.Meta++
		} else {
			t.Logf("%s, seed %d: message %d has %q, not %q", c.Name, seed, i+1, have, want.Flags)
		}
	}
	return s
}

// system are the system flags among flags.
func system(flags string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(flags), func(f string) bool { return f[0] != '\\' }), " ")
}

// Whatever is in an index, it is repaired, or left alone, once; and all flags
// that a reader could tell are told by the new one.
func FuzzRepair(f *testing.F) {
	for _, s := range []string{
		"", "garbage", "V6b03b910L00000007K$Forwarded\nKWork\nM00000001;00000000.0001M00000002;00000003.000c",
		"V1L2M1;0.0001M1;0.0000M0;0.1", "K\nKa", "V00000001L00000002M00000001;0000\x00\x00\x00\x00M00000002;00000000.0000",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(t)
		n := w.golden("mxexpunged")
		if err := os.WriteFile(filepath.Join(n.Path, indexName), b, 0o600); err != nil {
			t.Fatal(err)
		}
		before, st := mendtest.Read(t, w, n)
		r, _, err := mendtest.Repair(t, w, n, mailbox.RepairOptions{})
		if err != nil {
			t.Fatal(err)
		}
		mendtest.Sound(t, w, n)
		after, now := mendtest.Read(t, w, n)
		ix, flaws := parse(b)
		if ix.validity != 0 && now.UIDValidity != st.UIDValidity || r.Account().Messages != st.Messages {
			t.Errorf("UIDVALIDITY %d, was %d; %+v", now.UIDValidity, st.UIDValidity, r.Account())
		}
		twice := slices.ContainsFunc(flaws, func(f flaw) bool { return f.kind == "twice" })
		for i := range before {
			if before[i].Sum != after[i].Sum || before[i].UID != after[i].UID || !twice && system(before[i].Flags) != "" && system(before[i].Flags) != system(after[i].Flags) {
				t.Errorf("%q: got %+v, want %+v", b, after[i], before[i])
			}
		}
	})
}
