package maildir

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
	"syscall"
	"testing"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mend/damage"
	"mailutil/pkg/internal/mend/mendtest"
	"mailutil/pkg/mailbox"
)

// makeDamaged makes a Maildir with much wrong.
func makeDamaged(t *testing.T) (home string) {
	home = t.TempDir()
	place(t, home, map[string]string{
		"cur/1.a:2,SF": "Subject: a\n\na\n", "new/2.b,S=99": "Subject: b\n\nb\n", "cur/3.c:2,S": "Subject: c\n\nc\n", "new/3.c": "Subject: c\n\nc\n",
		"cur/4.d:1,": "Subject: d\n\nd\n", "cur/.stray": "Subject: e\n\ne\n", "cur/5.f:2,c": "Subject: f\n\nf\n",
		uidlistFile: head + "4 :1.a\n5 :2.b,S=99\n60 :3.c\ngarb\x00ge\n8 :5.f\n", keywordsFile: "0 Work\nx\n",
	})
	return home
}

func TestRepairCrashes(t *testing.T) { mendtest.Crashes(t, makeDamaged(t), worldAt) }

func TestRepairFaults(t *testing.T) {
	mendtest.Faults(t, func(t *testing.T, fsys fsx.FS) mendtest.World { return worldAt(t, makeDamaged(t), fsys) })
}

func TestRepairChanged(t *testing.T) {
	w := worldAt(t, makeDamaged(t), fsx.OS{})
	mendtest.Changed(t, w, func() {
		if err := os.Rename(w.Dir+"/cur/3.c:2,S", w.Dir+"/cur/3.c:2,"); err != nil {
			t.Fatal(err)
		}
	})
}

// A repair waits for who has the list of UIDs locked.
func TestRepairBusy(t *testing.T) {
	w := worldAt(t, makeDamaged(t), fsx.OS{})
	d := w.Driver.(*Driver)
	d.env.LockTimeout = time.Millisecond
	mendtest.Busy(t, w, func() (func() error, error) {
		held, err := d.lock(ctx, w.Dir)
		return held.Release, err
	})
}

// Directories that are missing are made, links and directories that are no
// messages go to the original, and what cannot be read can be.
func TestRepairParts(t *testing.T) {
	w := place(t, t.TempDir(), map[string]string{"new/1.a": "x", "new/2.b": "y", uidlistFile: head + "4 :1.a\n"})
	if err := errors.Join(os.Remove(w.Dir+"/cur"), os.Remove(w.Dir+"/tmp")); err != nil {
		t.Fatal(err)
	}
	if ok, err := w.Driver.Probe(w.Name); ok || err != nil {
		t.Fatalf("probe: %v, %v", ok, err)
	}
	if _, _, err := mendtest.Repair(t, w.Driver, w.Name, mailbox.RepairOptions{}); err != nil {
		t.Fatal(err)
	}
	if all, _ := mendtest.Read(t, w.Driver, w.Name); len(all) != 2 || all[0].UID != 4 {
		t.Errorf("got %+v", all)
	}
	err := errors.Join(os.Mkdir(w.Dir+"/cur/dir", 0o700), os.WriteFile(w.Dir+"/cur/dir/x", []byte("x"), 0o600), os.Symlink("nowhere", w.Dir+"/cur/3.c:2,S"),
		syscall.Mkfifo(w.Dir+"/new/fifo", 0o600), os.Chmod(w.Dir+"/new/2.b", 0), os.Link(w.Dir+"/new/1.a", w.Dir+"/cur/1.a:2,S"))
	if err != nil {
		t.Fatal(err)
	}
	r, made, err := mendtest.Repair(t, w.Driver, w.Name, mailbox.RepairOptions{})
	if err != nil || r.Account().String() != "2 messages: 2 intact" {
		t.Errorf("%v, %v", r.Account(), err)
	}
	if b, err := os.ReadFile(made.Original + "/cur/dir/x"); err != nil || string(b) != "x" {
		t.Errorf("got %q, %v", b, err)
	}
	if got := shape(t, w.Dir); got != "new/2.b cur/1.a:2,S "+head+"4 :1.a\n" {
		t.Errorf("got %q", got)
	}
	mendtest.Sound(t, w.Driver, w.Name)
}

// What is in the way of everything goes first, and messages come out of
// directories that were copied into each other.
func TestRepairWay(t *testing.T) {
	w := place(t, t.TempDir(), map[string]string{"cur/1.a:2,S": "x", "cur/2.b:2,": "y"})
	err := errors.Join(os.Remove(w.Dir+"/tmp"), os.WriteFile(w.Dir+"/tmp", []byte("no directory"), 0o600), os.Mkdir(w.Dir+"/"+uidlistFile, 0o700),
		os.WriteFile(w.Dir+"/"+keywordsFile, []byte("0 Work\n"), 0), os.Mkdir(w.Dir+"/cur/cur", 0o700), os.Mkdir(w.Dir+"/cur/other", 0o700),
		os.WriteFile(w.Dir+"/cur/cur/1.a:2,S", []byte("x"), 0o600), os.WriteFile(w.Dir+"/cur/cur/3.c:2,SF", []byte("z"), 0o600),
		os.WriteFile(w.Dir+"/cur/other/4.d", []byte("other"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	r, made, err := mendtest.Repair(t, w.Driver, w.Name, mailbox.RepairOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Account().String() != "3 messages: 3 intact" {
		t.Errorf("%v, %v", r.Account(), err)
	}
	if got := shape(t, w.Dir); got != "cur/1.a:2,S cur/2.b:2, cur/3.c:2,FS 0 Work\n" {
		t.Errorf("got %q", got)
	}
	for _, name := range []string{"cur/cur/1.a:2,S", "cur/other/4.d"} {
		if _, err := os.Stat(made.Original + "/" + name); err != nil {
			t.Error(err)
		}
	}
	mendtest.Sound(t, w.Driver, w.Name)
}

// What was left in tmp is set aside; what is new there is left alone.
func TestRepairTmp(t *testing.T) {
	w := place(t, t.TempDir(), map[string]string{"tmp/1.a": "Subject: half\n", "cur/2.b": "x"})
	if r, _, err := mendtest.Repair(t, w.Driver, w.Name, mailbox.RepairOptions{}); err != nil || r.Needed() {
		t.Errorf("needed %v, %v", err == nil, err)
	}
	later := time.Now().Add(staleTmp + time.Hour)
	w.Driver.(*Driver).env.Now = func() time.Time { return later }
	r, made, err := mendtest.Repair(t, w.Driver, w.Name, mailbox.RepairOptions{})
	if err != nil || r.Account().String() != "1 message: 1 intact, 14 octets set aside" {
		t.Errorf("%v, %v", r.Account(), err)
	}
	if b, err := os.ReadFile(made.Salvage); err != nil || !strings.Contains(string(b), "Subject: half") {
		t.Errorf("got %q, %v", b, err)
	}
	mendtest.Sound(t, w.Driver, w.Name)
}

// What is kept of a dotted folder does not become a folder.
func TestRepairFolder(t *testing.T) {
	w := place(t, t.TempDir(), nil)
	sub := w.Dir + "/.Sub"
	for _, part := range parts {
		if err := os.MkdirAll(sub+"/"+part, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(sub+"/cur/1.a:2,SF", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := mailbox.Name{Text: "box/Sub", Path: w.Dir + "/Sub"}
	_, made, err := mendtest.Repair(t, w.Driver, n, mailbox.RepairOptions{})
	if err != nil || !strings.HasPrefix(made.Original, w.Home+"/box.Sub.orig-") {
		t.Errorf("%+v, %v", made, err)
	}
	mendtest.Sound(t, w.Driver, n)
}

// Keywords that Courier keeps by the names of messages stay when one gets
// another name.
func TestRepairCourier(t *testing.T) {
	w := place(t, t.TempDir(), map[string]string{"cur/1.a,S=9:2,S": "x", "cur/2.b:2,": "y", courierFile: "1 5 9\n4 1.a,S=9\n6 2.b\n"})
	if err := errors.Join(os.Mkdir(w.Dir+"/"+courierDir, 0o700), os.WriteFile(w.Dir+"/"+courierDir+"/:list", []byte("Work\nHome\n\n1.a,S=9:0 1\n2.b:1\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	before, st := mendtest.Read(t, w.Driver, w.Name)
	if _, _, err := mendtest.Repair(t, w.Driver, w.Name, mailbox.RepairOptions{}); err != nil {
		t.Fatal(err)
	}
	after, now := mendtest.Read(t, w.Driver, w.Name)
	if !slices.Equal(before, after) || st.UIDValidity != now.UIDValidity || before[0].Flags != `Home Work \Seen` {
		t.Errorf("got %+v, %d, want %+v, %d", after, now.UIDValidity, before, st.UIDValidity)
	}
	mendtest.Sound(t, w.Driver, w.Name)
}

var tries = flag.Int("damages", 2, "how many mailboxes each class of damage is tried on")

// A madeUp is a mailbox that was made up, and its list of UIDs.
type madeUp struct {
	mendtest.World
	truth []mendtest.Message
	bases []string
	list  *damage.File
	rnd   *rand.Rand
}

const madeKeywords = "0 Work\n1 $Forwarded\n2 Later\n"

// head3 is the first line of its list.
const head3 = "3 V1795406194 N500 Ge82a5f3872b9036bd640000083ecc375\n"

// makeBox makes a Maildir of 60 messages, all in cur and listed.
func makeBox(t *testing.T, seed uint64) *madeUp {
	b := &madeUp{World: place(t, t.TempDir(), map[string]string{keywordsFile: madeKeywords}), rnd: rand.New(rand.NewPCG(seed, 1))}
	octets := []byte(head3)
	var msgs []damage.Message
	uid := uint32(0)
	for i := range 60 {
		uid += 1 + b.rnd.Uint32N(2)
		text := fmt.Sprintf("Subject: %d.%d\n\n%s", seed, i, strings.Repeat("A line.\n", b.rnd.IntN(20)))
		sec := 1700000000 + int64(i)*3600 + b.rnd.Int64N(1000)
		base := fmt.Sprintf("%d.M%dP%d.host,S=%d,W=%d", sec, b.rnd.IntN(1e6), 100+b.rnd.IntN(900), len(text), len(text)+strings.Count(text, "\n"))
		path := b.Dir + "/cur/" + withFlags(base, mailbox.SystemFlags(b.rnd.IntN(32))&^mailbox.Recent, b.rnd.Uint32N(8))
		at := time.Unix(sec, 0)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
		line := appendRecord(nil, uid, []byte(base))
		at0 := len(octets)
		msgs = append(msgs, damage.Message{Line: at0, Text: at0 + len(strconv.Itoa(int(uid))) + 2, End: at0 + len(line)})
		octets = append(octets, line...)
		b.bases = append(b.bases, base)
	}
	b.put(t, octets)
	b.truth, _ = mendtest.Read(t, b.Driver, b.Name)
	b.list = damage.New(octets, msgs, seed)
	return b
}

func (b *madeUp) put(t *testing.T, octets []byte) {
	t.Helper()
	if err := os.WriteFile(b.Dir+"/"+uidlistFile, octets, 0o600); err != nil {
		t.Fatal(err)
	}
}

// own are kinds of damage of lists of UIDs.
var own = []damage.Class{
	{Name: "list emptied", Do: func(f *damage.File) { f.Cut(0, len(f.Octets)) }},
	{Name: "first line lost", Do: func(f *damage.File) { f.Cut(0, f.Msgs[0].Line) }},
	{Name: "first line garbled", Do: func(f *damage.File) { f.Set(f.Rand(f.Msgs[0].Line-1), []byte{byte(f.Rand(256))}) }},
	{Name: "version garbled", Do: func(f *damage.File) { f.Set(0, []byte("\x00")) }},
	{Name: "a UID twice", Do: func(f *damage.File) {
		k := 1 + f.Rand(len(f.Msgs)-1)
		f.Set(f.Msgs[k].Line, f.Octets[f.Msgs[k-1].Line:f.Msgs[k-1].Text-2])
	}},
	{Name: "lines backwards", Do: func(f *damage.File) {
		a, b := f.Msgs[7], f.Msgs[40]
		f.Copy(b.Line, b.End, a.Line)
		f.Cut(b.Line+b.End-b.Line, b.End-b.Line)
	}},
	{Name: "line ends of DOS", Do: func(f *damage.File) {
		for i := len(f.Octets) - 1; i > 0; i-- {
			if f.Octets[i] == '\n' {
				f.Insert(i, []byte("\r"))
			}
		}
	}},
}

func TestDamageList(t *testing.T) {
	mendtest.Files(t, slices.Concat(damage.Classes, own), *tries, func(c damage.Class, seed uint64) mendtest.Score {
		b := makeBox(t, seed)
		c.Do(b.list)
		b.put(t, b.list.Octets)
		return b.score(t, fmt.Sprintf("%s, seed %d", c.Name, seed))
	})
}

// score repairs the mailbox and compares it with the truth.
func (b *madeUp) score(t *testing.T, what string) (s mendtest.Score) {
	t.Helper()
	if _, _, err := mendtest.Repair(t, b.Driver, b.Name, mailbox.RepairOptions{}); err != nil {
		t.Errorf("%s: %v", what, err)
		return s
	}
	mendtest.Sound(t, b.Driver, b.Name)
	got, st := mendtest.Read(t, b.Driver, b.Name)
	s.Invented = max(0, len(got)-len(b.truth))
	bySum := map[string]mendtest.Message{}
	uids := map[uint32]bool{}
	for _, m := range got {
		bySum[m.Sum] = m
		if uids[m.UID] {
			t.Errorf("%s: UID %d twice", what, m.UID)
		}
		uids[m.UID] = true
	}
	n := len(head3)
	first := slices.Equal(b.list.From[:min(len(b.list.From), n)], damage.New(make([]byte, n), nil, 0).From)
	if first && st.UIDValidity != 1795406194 {
		t.Errorf("%s: UIDVALIDITY %d", what, st.UIDValidity)
	}
	for i, want := range b.truth {
		s.There++
		m, ok := bySum[want.Sum]
		if !ok || m.Flags != want.Flags || m.Date != want.Date {
			t.Logf("%s: message %d: got %+v, want %+v", what, i+1, m, want)
			continue
		}
		s.Back++
		if !b.lineWhole(i) {
			continue
		}
		s.Known++
		if m.UID == want.UID {
			s.Meta++
		} else {
			t.Logf("%s: message %d has UID %d, not %d", what, i+1, m.UID, want.UID)
		}
	}
	return s
}

// lineWhole reports whether the line of message i is there, as a line, and no
// other message has its UID: then nobody can tell which is right.
func (b *madeUp) lineWhole(i int) bool {
	f, m := b.list, b.list.Msgs[i]
	for line := range strings.Lines("\n" + string(f.Octets)) {
		if uid, base, ok := strings.Cut(line, " :"); ok && uid == fmt.Sprint(b.truth[i].UID) && strings.TrimSpace(base) != b.bases[i] {
			return false
		}
	}
	for at, from := range f.From {
		if int(from) == m.Line && f.Left(i).Line && (at == 0 || f.Octets[at-1] == '\n') && f.From[min(at+m.End-m.Line-1, len(f.From)-1)] == int32(m.End-1) {
			return true
		}
	}
	return false
}

// breaks are kinds of damage of the directory. Each says which message it broke,
// and whether its text is gone.
var breaks = []struct {
	name string
	do   func(b *madeUp, file string) (lost bool, err error)
}{
	{"flags twice", func(b *madeUp, file string) (bool, error) { return false, os.Rename(file, file+lettersOfName(file)) }},
	{"flags out of order", func(b *madeUp, file string) (bool, error) {
		i := strings.LastIndex(file, ":2,") + 3
		l := []byte(file[i:])
		slices.Reverse(l)
		return false, os.Rename(file, file[:i]+string(l))
	}},
	{"an unknown flag", func(b *madeUp, file string) (bool, error) { return false, os.Rename(file, file+"?") }},
	{"flags of a FAT file system", func(b *madeUp, file string) (bool, error) {
		return false, os.Rename(file, strings.Replace(file, ":2,", ";2,", 1))
	}},
	{"wrong S=", func(b *madeUp, file string) (bool, error) { return b.rename(file, ",S=", ",S=1") }},
	{"wrong W=", func(b *madeUp, file string) (bool, error) { return b.rename(file, ",W=", ",W=9") }},
	{"in new, with flags", func(b *madeUp, file string) (bool, error) {
		return false, os.Rename(file, b.Dir+"/new/"+filepath.Base(file))
	}},
	{"a copy in new", func(b *madeUp, file string) (bool, error) {
		text, err := os.ReadFile(file)
		name, _, _ := strings.Cut(filepath.Base(file), ":")
		return false, errors.Join(err, os.WriteFile(b.Dir+"/new/"+name, text, 0o600))
	}},
	{"a second name", func(b *madeUp, file string) (bool, error) {
		name, _, _ := strings.Cut(filepath.Base(file), ":")
		return false, os.Link(file, b.Dir+"/new/"+name)
	}},
	{"may not be read", func(b *madeUp, file string) (bool, error) { return false, os.Chmod(file, 0) }},
	{"what is no message", func(b *madeUp, file string) (bool, error) {
		return false, os.WriteFile(b.Dir+"/cur/.hidden", []byte("x"), 0o600)
	}},
	{"a directory", func(b *madeUp, file string) (bool, error) { return false, os.MkdirAll(b.Dir+"/cur/cur", 0o700) }},
	{"tmp missing", func(b *madeUp, file string) (bool, error) { return false, os.Remove(b.Dir + "/tmp") }},
	{"new missing", func(b *madeUp, file string) (bool, error) { return false, os.Remove(b.Dir + "/new") }},
	{"new and tmp missing", func(b *madeUp, file string) (bool, error) {
		return false, errors.Join(os.Remove(b.Dir+"/tmp"), os.Remove(b.Dir+"/new"))
	}},
	{"the file gone", func(b *madeUp, file string) (bool, error) { return true, os.Remove(file) }},
	{"keywords garbled", func(b *madeUp, file string) (bool, error) {
		return false, os.WriteFile(b.Dir+"/"+keywordsFile, []byte("0 Work\n\x00 $Forwarded\n2 Later\nx\n"), 0o600)
	}},
	{"keywords doubled", func(b *madeUp, file string) (bool, error) {
		return false, os.WriteFile(b.Dir+"/"+keywordsFile, []byte(madeKeywords+"0 Twice\n"), 0o600)
	}},
}

// lettersOfName are the flags in the name of a file.
func lettersOfName(file string) string { return string(flagLetters([]byte(file))) }

// rename changes a file's name and its line in the list: as a program would that
// wrote a wrong size from the beginning.
func (b *madeUp) rename(file, old, new string) (bool, error) {
	name, _, _ := strings.Cut(filepath.Base(file), ":")
	changed := strings.Replace(name, old, new, 1)
	list := strings.Replace(string(b.list.Octets), ":"+name+"\n", ":"+changed+"\n", 1)
	return false, errors.Join(os.Rename(file, strings.Replace(file, name, changed, 1)), os.WriteFile(b.Dir+"/"+uidlistFile, []byte(list), 0o600))
}

func TestDamageNames(t *testing.T) {
	var names []string
	for _, b := range breaks {
		names = append(names, b.name)
	}
	mendtest.Classes(t, names, *tries, func(k int, seed uint64) mendtest.Score {
		b := makeBox(t, seed)
		what := fmt.Sprintf("%s, seed %d", breaks[k].name, seed)
		at := b.rnd.IntN(len(b.truth))
		files, _ := filepath.Glob(b.Dir + "/cur/" + b.bases[at] + ":*")
		if len(files) != 1 {
			t.Fatal(b.bases[at], files)
		}
		lost, err := breaks[k].do(b, files[0])
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		s := b.score(t, what)
		if lost {
			s.There--
		}
		return s
	})
}

// Whatever is in a list of UIDs, it is repaired, or left alone, once; and every
// UID that a reader could tell is told by the new one.
func FuzzRepairList(f *testing.F) {
	for _, s := range []string{"", head, head + "4 :1.a\n5 :2.b\n", head + "4 :1.a5 :2.b\x006 :3.c\n", "1 5 9\n4 1.a\n", head + "6 :3.c\n4 :1.a\n4 :2.b\n1", "4 :1.a\n" + head} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := place(t, t.TempDir(), map[string]string{"cur/1.a:2,S": "x", "cur/2.b:2,": "y", "cur/3.c": "z", "new/4.d": "new", uidlistFile: string(b)})
		told := map[string]uint32{}
		l, err := w.Driver.(*Driver).readList(w.Dir+"/"+uidlistFile, func(r record) bool {
			if told[string(r.base)] == 0 {
				told[string(r.base)] = r.uid
			}
			return true
		}, nil)
		if err != nil || l.next > 1<<32-10 {
			return
		}
		r, _, err := mendtest.Repair(t, w.Driver, w.Name, mailbox.RepairOptions{})
		if err != nil || r.Account().Messages != 4 {
			t.Fatalf("%v, %v", r, err)
		}
		mendtest.Sound(t, w.Driver, w.Name)
		now, st := mendtest.Read(t, w.Driver, w.Name)
		if len(now) != 4 || l.validity != 0 && st.UIDValidity != l.validity {
			t.Errorf("%q: got %+v, %+v", b, now, st)
		}
		again := map[string]uint32{}
		if _, err := w.Driver.(*Driver).readList(w.Dir+"/"+uidlistFile, func(r record) bool {
			again[string(r.base)] = r.uid
			return true
		}, func(p problem) { t.Errorf("%q: then %+v", b, p) }); err != nil {
			t.Error(err)
		}
		if l.broken { // UIDs that do not fit the others may be other ones
			return
		}
		for _, base := range []string{"1.a", "2.b", "3.c", "4.d"} {
			if told[base] != 0 && again[base] != told[base] {
				t.Errorf("%q: %s had UID %d, has %d", b, base, told[base], again[base])
			}
		}
	})
}
