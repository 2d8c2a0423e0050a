package mboxfile

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/internal/mbox"
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

// Forwarded mail stays text, though its UID is one that is free there, but where all
// From_ lines were quoted, or where that is asked for.
func TestRepairForwarded(t *testing.T) {
	status := func(uid string) string { return "Status: RO\nX-Status: \nX-Keywords: \nX-UID: " + uid + "\n\n" }
	first := "From: a\nX-IMAPbase: 1700000000 9\n" + status("1") + "Look:\n\n"
	inner := "From: b\nTo: c\n" + status("5") + "x\n\n"
	last := fromLine + "From: d\n" + status("9") + "y\n"
	part := "--p\nContent-Type: message/rfc822\n\n"
	for _, tt := range []struct {
		name, file string
		format     mbox.Format
		o          mailbox.RepairOptions
		want       int
	}{
		{"quoted", fromLine + first + ">" + fromLine + inner + last, mbox.Unix, mailbox.RepairOptions{}, 2},
		{"quoted, to be split", fromLine + first + ">" + fromLine + inner + last, mbox.Unix, mailbox.RepairOptions{SplitFrom: true}, 3},
		{"quoted as all are", ">" + fromLine + first + ">" + fromLine + inner + ">" + last, mbox.Unix, mailbox.RepairOptions{}, 3},
		{"attached", fromLine + first + part + inner + last, mbox.Unix, mailbox.RepairOptions{}, 2},
		{"no line before it", fromLine + first + inner + last, mbox.Unix, mailbox.RepairOptions{}, 3},
		{"unquoted", mbox.Delimiter + fromLine + first + fromLine + inner + mbox.Delimiter, mbox.MMDF, mailbox.RepairOptions{}, 1},
	} {
		env, _ := goldenEnv(t)
		n := putBytes(t, env, "box", []byte(tt.file))
		if _, _, err := repairAll(t, New(tt.format, env), n, tt.o); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		mb := open(t, env, n, mailbox.ReadOnly)
		if got := len(messages(t, mb)); got != tt.want {
			t.Errorf("%s: got %d messages, want %d", tt.name, got, tt.want)
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
