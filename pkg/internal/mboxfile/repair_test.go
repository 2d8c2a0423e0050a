package mboxfile

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/internal/mend/damage"
	"mailutil/pkg/internal/winread"
	"mailutil/pkg/mailbox"
)

// repairAll plans a repair of n and carries it out.
func repairAll(t testing.TB, d *Driver, n mailbox.Name, o mailbox.RepairOptions) (r mailbox.Repair, made mailbox.RepairFiles, err error) {
	t.Helper()
	for again := true; again; {
		if r, err = d.PlanRepair(context.Background(), n, o, nil); err != nil || !r.Needed() {
			return r, made, err
		}
		if made, again, err = r.CarryOut(context.Background()); err != nil {
			return r, made, err
		}
	}
	return r, made, nil
}

// Damaged golden files become sound, and what readers had of them is there
// still; the others are left as they are.
func TestRepairGolden(t *testing.T) {
	for _, format := range both {
		for _, g := range readGolden(t, format).Files {
			if g.Driver != format.Name() {
				continue
			}
			t.Run(g.File, func(t *testing.T) {
				env, _ := goldenEnv(t)
				n := put(t, env, g.File)
				before := readFile(t, g.File)
				d := inspectedBy(t, env, n)
				r, made, err := repairAll(t, d, n, mailbox.RepairOptions{})
				if err != nil {
					t.Fatal(err)
				}
				after, err := os.ReadFile(n.Path)
				if err != nil {
					t.Fatal(err)
				}
				if damaged[g.File] == "" {
					if r.Needed() || !bytes.Equal(before, after) {
						t.Error("changed without need")
					}
					return
				}
				for s := range r.Steps() {
					t.Log(s)
				}
				t.Log(r.Account())
				if kept, err := os.ReadFile(made.Original); err != nil || !bytes.Equal(kept, before) {
					t.Errorf("the original was not kept: %v", err)
				}
				if in, all := inspectAll(t, env, n); !in.Sound() {
					t.Errorf("not sound afterwards: %v", all)
				}
				var got []string
				mb := open(t, env, n, mailbox.ReadOnly)
				for _, m := range messages(t, mb) {
					got = append(got, m.SHA256)
				}
				mb.Close()
				for k, m := range g.Messages {
					if !slices.Contains(got, m.SHA256) && !cut[g.File] {
						t.Errorf("message %d is lost", k+1)
					}
				}
				if again, _, err := repairAll(t, d, n, mailbox.RepairOptions{}); err != nil || again.Needed() {
					t.Errorf("a second repair: %v", err)
				}
			})
		}
	}
}

// cut are files in which a message does not stay what readers took it for.
var cut = map[string]bool{
	"after-header-only.mbox": true, "foreign-header-only.mbox": true, // it swallowed the next
	"foreign-truncated-header.mbox":   true,
	"foreign-two-pseudos.mbox":        true, // the second is no mail
	"foreign-pseudo-lowercase.mbox":   true, // the pseudo-message is hidden again
	"foreign-no-final-delimiter.mmdf": true,
}

// own is the damage of these formats.
var own = []damage.Class{
	{Name: "From_ line garbled", Do: func(f *damage.File) { m := f.Msgs[f.Rand(f.Own)]; f.Set(m.Line+8, []byte("\x00\x01 1 Jan")) }},
	{Name: "From_ line without a date", Do: func(f *damage.File) {
		m := f.Msgs[f.Rand(f.Own)]
		f.Cut(m.Line+20, m.Text-m.Line-21)
	}},
	{Name: "X-UID changed", Do: func(f *damage.File) {
		m := f.Msgs[f.Rand(f.Own)]
		if i := bytes.Index(f.Octets[m.Text:m.End], []byte("X-UID: ")); i >= 0 {
			f.Set(m.Text+i+7, []byte("9"))
		}
	}},
	{Name: "X-IMAPbase garbled", Do: func(f *damage.File) {
		if i := bytes.Index(f.Octets, []byte("X-IMAP")); i >= 0 {
			f.Set(bytes.IndexByte(f.Octets[i:], ' ')+i+1, []byte("x"))
		}
	}},
	{Name: "all From_ lines quoted", Do: func(f *damage.File) {
		for k := f.Own - 1; k >= 0; k-- {
			if i := bytes.Index(f.Octets[f.Msgs[k].Line:f.Msgs[k].Text], []byte("From ")); i >= 0 {
				f.Insert(f.Msgs[k].Line+i, []byte(">"))
			}
		}
	}},
	{Name: "X-UID twice", Do: func(f *damage.File) {
		m := f.Msgs[f.Rand(f.Own)]
		if i := bytes.Index(f.Octets[m.Text:m.End], []byte("\nX-UID: ")); i >= 0 {
			f.Insert(m.Text+i+1, []byte("X-UID: 77\n"))
		}
	}},
	{Name: "UIDs descend", Renumbers: true, Do: func(f *damage.File) {
		for k, m := range f.Msgs[:f.Own] {
			if i := bytes.Index(f.Octets[m.Text:m.End], []byte("\nX-UID: ")); i >= 0 {
				f.Set(m.Text+i+8, []byte{byte('9' - k%9)})
			}
		}
	}},
	{Name: "X-Keywords garbled", Do: func(f *damage.File) {
		m := f.Msgs[f.Rand(f.Own)]
		if i := bytes.Index(f.Octets[m.Text:m.End], []byte("\nX-Keywords:")); i >= 0 {
			f.Set(m.Text+i+5, []byte("\x00\xFF"))
		}
	}},
	{Name: "empty line before a From_ line lost", Do: func(f *damage.File) { m := f.Msgs[f.Rand(f.Own-1)]; f.Cut(m.End, 1) }},
	{Name: "NULs before a From_ line", Do: func(f *damage.File) { f.Insert(f.Msgs[1+f.Rand(f.Own-1)].Line, make([]byte, 700)) }},
	{Name: "rewrite interrupted, shifted", Do: func(f *damage.File) { // text moved up by the length of a longer status
		m := f.Msgs[f.Own/2]
		f.Insert(m.Text, []byte("Status: RO\nX-Status: \n"))
		f.Cut(min(m.Text+8192, len(f.Octets)-50), 23)
	}},
	{Name: "rewrite interrupted, file longer", Do: func(f *damage.File) { f.Insert(len(f.Octets), make([]byte, 2000)) }},
}

var tries = flag.Int("damages", 1, "how many mailboxes each class of damage is tried on")

// benchOf has the format f.
func benchOf(f mbox.Format) *damage.Bench {
	return &damage.Bench{
		At: func(t testing.TB, home string, fsys fsx.FS) (damage.Driver, mailbox.Name) {
			env, _ := goldenEnv(t)
			env.Home, env.Dir = home, home
			d := New(f, env)
			d.FS = fsys
			return d, mailbox.Name{Text: "box", Path: filepath.Join(home, "box")}
		},
		Index: func(t testing.TB, octets []byte) (out []damage.Message) {
			env, _ := goldenEnv(t)
			w := winread.New(bytes.NewReader(octets), windowSize, int64(len(octets)))
			s := mbox.Scanner{Format: f, Env: env, W: w, Ix: &mbox.Index{}, ReadOnly: true}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			lead := len(f.Lead())
			for _, m := range s.Ix.Msgs {
				out = append(out, damage.Message{Line: int(m.From) - lead, Text: int(m.From) + int(m.Header), End: int(m.End)})
			}
			return out
		},
		UIDs: true, More: slices.Concat(damage.LineEndsLF, own),
	}
}

func TestDamage(t *testing.T) {
	for _, format := range both {
		t.Run(format.Name(), func(t *testing.T) { benchOf(format).Run(t, *tries) })
	}
}

// Whatever the octets, a repair gives a sound mailbox or says that it cannot,
// repairs nothing twice, and loses no message that readers had.
func FuzzRepair(f *testing.F) {
	for _, format := range both {
		for _, g := range readGolden(f, format).Files {
			f.Add(readFile(f, g.File))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, format := range both {
			if _, err := benchOf(format).Repair(t, b); err != nil && !errors.Is(err, mailbox.ErrFormat) {
				t.Fatalf("%s: %v", format.Name(), err)
			}
		}
	})
}

// wrecks are mailboxes in which all is done that repairs do.
var wrecks = []string{"foreign-uid-backwards.mbox", "foreign-header-only.mbox", "foreign-two-pseudos.mbox", "foreign-uid-backwards.mmdf", "foreign-no-final-delimiter.mmdf"}

// Killed anywhere, the original or the result is there, and the next repair
// gives the result.
func TestRepairCrashes(t *testing.T) {
	for _, file := range wrecks[:some()] {
		b := readFile(t, file)
		t.Run(file, func(t *testing.T) { benchOf(formatOf(b)).Crashes(t, b) })
	}
}

// Whatever call fails, what is said to be done is done.
func TestRepairFaults(t *testing.T) {
	for _, file := range wrecks[:some()] {
		b := readFile(t, file)
		t.Run(file, func(t *testing.T) { benchOf(formatOf(b)).Faults(t, b) })
	}
}

// A repair is refused while a session has the mailbox, and says who.
func TestRepairBusy(t *testing.T) {
	env, _ := goldenEnv(t)
	n := put(t, env, "foreign-uid-backwards.mbox")
	d := inspectedBy(t, env, n)
	r, err := d.PlanRepair(context.Background(), n, mailbox.RepairOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	env.LockTimeout = -1
	mb := open(t, env, n, mailbox.ReadWrite)
	if _, _, err := r.CarryOut(context.Background()); !errors.Is(err, mailbox.ErrBusy) || !strings.Contains(err.Error(), "pid") {
		t.Errorf("got %v, want busy", err)
	}
	if err := mb.Close(); err != nil {
		t.Fatal(err)
	}
}

// Doubtful From_ lines are split or quoted where that is asked for.
func TestRepairFromLines(t *testing.T) {
	text := fromLine + "Subject: 1\n\nbody\n\nFrom a@b 1 Jan\nSubject: 2\n\nbody\n\n" + fromLine + "this is text\n\n" + fromLine + "Subject: 3\n\nbody\n"
	for _, tt := range []struct {
		o    mailbox.RepairOptions
		want int
	}{
		{mailbox.RepairOptions{}, 3},
		{mailbox.RepairOptions{SplitFrom: true}, 4},
		{mailbox.RepairOptions{QuoteFrom: true}, 2},
	} {
		env, _ := goldenEnv(t)
		n := putBytes(t, env, "box", []byte(text))
		d := New(mbox.Unix, env)
		if _, _, err := repairAll(t, d, n, tt.o); err != nil {
			t.Fatal(err)
		}
		mb := open(t, env, n, mailbox.ReadOnly)
		if got := int(mb.Status().Messages); got != tt.want {
			t.Errorf("%+v: got %d messages, want %d", tt.o, got, tt.want)
		}
		mb.Close()
	}
}

// A message that was torn behind the first octet of a line hides the delimiter
// behind that, which readers take for text, and the next message.
func TestRepairShortLine(t *testing.T) {
	status := func(uid string) string { return "Status: RO\nX-Status: \nX-Keywords: \nX-UID: " + uid + "\n\n" }
	const d = mbox.Delimiter
	file := d + fromLine + "From: a\nX-IMAPbase: 1700000000 2\n" + status("1") + "b" + d + d + fromLine + "From: c\n" + status("2") + "d\n" + d
	got, err := benchOf(mbox.MMDF).Repair(t, []byte(file))
	if err != nil || len(got) != 2 || got[1].Text != "From: c\r\n\r\nd\r\n" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// some is how many of the wrecks are tried: one where time is short.
func some() int {
	if testing.Short() {
		return 1
	}
	return len(wrecks)
}
