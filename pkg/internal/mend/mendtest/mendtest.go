// Package mendtest tries repairs of mailboxes that are directories: that they
// give back what is there, stand a kill at any instant, and leave a sound
// mailbox as it is.
package mendtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/internal/mend/damage"
	"mailutil/pkg/mailbox"
)

// A Driver is a format that can be repaired.
type Driver interface {
	mailbox.Driver
	mailbox.Checker
	mailbox.Repairer
}

// Repair plans a repair of n and carries it out, until nothing is left to be
// done that was found before. It returns the last plan.
func Repair(t *testing.T, d Driver, n mailbox.Name, o mailbox.RepairOptions) (r mailbox.Repair, made mailbox.RepairFiles, err error) {
	t.Helper()
	for again := true; again; {
		if r, err = d.PlanRepair(context.Background(), n, o, nil); err != nil || !r.Needed() {
			return r, made, err
		}
		if made, again, err = r.CarryOut(context.Background()); err != nil {
			return r, made, err
		}
	}
	return r, made, r.Close()
}

// Sound repairs n once more, and wants nothing to be done, and no damage to be
// found.
func Sound(t *testing.T, d Driver, n mailbox.Name) {
	t.Helper()
	in, err := d.Inspect(context.Background(), n, func(f mailbox.Finding) error {
		if f.Severity == mailbox.Damage {
			t.Errorf("afterwards: %v", f)
		}
		return nil
	})
	if err != nil || !in.Sound() {
		t.Errorf("afterwards: %+v, %v", in, err)
	}
	before := Tree(t, in.Path)
	r, _, err := Repair(t, d, n, mailbox.RepairOptions{})
	if err != nil || r.Needed() {
		t.Errorf("a second repair: needed %v, %v", err == nil, err)
		for s := range r.Steps() {
			t.Log(s)
		}
	}
	if after := Tree(t, in.Path); after != before {
		t.Errorf("a second repair changed something:\n%s\nbefore:\n%s", after, before)
	}
}

// A Message is what a reader is told of one.
type Message struct {
	UID   uint32
	Flags string // with keywords, sorted
	Date  int64
	Sum   string
}

// Read reads n as a reader does that only reads.
func Read(t *testing.T, d Driver, n mailbox.Name) (all []Message, st mailbox.Status) {
	t.Helper()
	mb, err := d.Open(context.Background(), n, mailbox.ReadOnly)
	if err != nil {
		t.Errorf("open: %v", err)
		return nil, st
	}
	defer mb.Close()
	st = mb.Status()
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			t.Error(err)
			return all, st
		}
		c, err := mb.Open(m.Seq)
		if err != nil {
			t.Error(err)
			return all, st
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, c); err != nil {
			t.Error(err)
		}
		m.Flags.System &^= mailbox.Recent
		flags := m.Flags.Names(st.Keywords)
		slices.Sort(flags)
		all = append(all, Message{m.UID, strings.Join(flags, " "), m.Date.Time().Unix(), hex.EncodeToString(sum.Sum(nil)[:8])})
	}
	return all, st
}

// Sums are the digests of texts.
func Sums(all []Message) (sums []string) {
	for _, m := range all {
		sums = append(sums, m.Sum)
	}
	return sums
}

// Tree tells what is in a directory: names, octets, modes and times.
func Tree(t *testing.T, dir string) string { return tree(t, dir, true) }

// Octets is Tree without times.
func Octets(t *testing.T, dir string) string { return tree(t, dir, false) }

func tree(t *testing.T, dir string, times bool) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %v", strings.TrimPrefix(path, dir), fi.Mode())
		if times {
			fmt.Fprintf(&b, " %d", fi.ModTime().UnixNano())
		}
		if fi.Mode().IsRegular() {
			octets, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %.300q", octets)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return b.String()
}

// A World is a mailbox that can be damaged, in a home directory of its own.
type World struct {
	Driver Driver
	Name   mailbox.Name
	Dir    string // of the mailbox
	Home   string
}

// Crashes repairs the mailbox of a world, and wants a kill or a power cut at any
// instant to leave what the next repair makes the same of; every octet that was
// there is there all the time, in the mailbox or beside it. at makes a world of
// the same mailbox in another home directory, and sets its file calls.
func Crashes(t *testing.T, home string, at func(t *testing.T, home string, fsys fsx.FS) World) {
	t.Helper()
	rec := fsxtest.Record(t, home)
	w := at(t, home, rec)
	texts := octetsBelow(t, home)
	if _, _, err := Repair(t, w.Driver, w.Name, mailbox.RepairOptions{}); err != nil {
		t.Fatal(err)
	}
	want, _ := Read(t, w.Driver, w.Name)
	rec.Crashes(t, func(t *testing.T, dir string, done bool) {
		w := at(t, dir, fsxtest.Unsynced{})
		now := octetsBelow(t, dir)
		for text := range texts {
			if !now[text] {
				t.Errorf("octets are nowhere any more: %.60q", text)
			}
		}
		if done {
			if r, err := w.Driver.PlanRepair(context.Background(), w.Name, mailbox.RepairOptions{}, nil); err != nil || r.Needed() {
				t.Errorf("it was done, but the next repair: %v", err)
			}
		}
		if _, _, err := Repair(t, w.Driver, w.Name, mailbox.RepairOptions{}); err != nil {
			t.Fatal(err)
		}
		got, _ := Read(t, w.Driver, w.Name)
		if !slices.EqualFunc(got, want, Message.same) {
			t.Errorf("the next repair gives\n%+v\nwant\n%+v", got, want)
		}
		Sound(t, w.Driver, w.Name)
	})
}

// same leaves dates out, which a replay does not keep.
func (m Message) same(o Message) bool { return m.UID == o.UID && m.Flags == o.Flags && m.Sum == o.Sum }

// octetsBelow are the contents of all files below a directory that are not
// empty.
func octetsBelow(t *testing.T, dir string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if len(b) > 0 {
			all[string(b)] = true
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return all
}

// Faults has each file call of a repair fail in turn, as on a full disk: what is
// said to be done is done, else the mailbox is as it was, or the change will be
// finished; and the next repair makes it sound.
func Faults(t *testing.T, start func(t *testing.T, fsys fsx.FS) World) {
	t.Helper()
	for _, fault := range []struct {
		err    syscall.Errno
		sticky bool
	}{{syscall.ENOSPC, true}, {syscall.EIO, false}} {
		for n := 1; faultAt(t, n, fault.err, fault.sticky, start); n++ {
			if t.Failed() {
				return
			}
		}
	}
}

func faultAt(t *testing.T, n int, errno syscall.Errno, sticky bool, start func(t *testing.T, fsys fsx.FS) World) bool {
	t.Helper()
	y := &fsxtest.Faulty{FS: fsxtest.Unsynced{}, N: n, Err: errno, Sticky: sticky}
	w := start(t, y)
	before := Octets(t, w.Dir)
	_, _, err := Repair(t, w.Driver, w.Name, mailbox.RepairOptions{})
	if !y.Fired() {
		return false
	}
	y.N = 0
	if err == nil {
		Sound(t, w.Driver, w.Name)
		return true
	}
	if now := Octets(t, w.Dir); now != before && !strings.Contains(err.Error(), "will be finished") {
		t.Errorf("call %d fails with %v: it said %v, but is\n%s\nwas\n%s", n, errno, err, now, before)
	}
	if _, _, err := Repair(t, w.Driver, w.Name, mailbox.RepairOptions{}); err != nil {
		t.Errorf("call %d fails with %v: the next repair: %v", n, errno, err)
	}
	Sound(t, w.Driver, w.Name)
	return true
}

// Changed wants a plan for a mailbox that has changed since not to be carried
// out.
func Changed(t *testing.T, w World, change func()) {
	t.Helper()
	r, err := w.Driver.PlanRepair(context.Background(), w.Name, mailbox.RepairOptions{}, nil)
	if err != nil || !r.Needed() {
		t.Fatalf("plan: %v", err)
	}
	change()
	before := Octets(t, w.Dir)
	if _, _, err := r.CarryOut(context.Background()); !errors.Is(err, mailbox.ErrChanged) {
		t.Errorf("got %v, want %v", err, mailbox.ErrChanged)
	}
	if after := Octets(t, w.Dir); after != before {
		t.Errorf("changed all the same:\n%s\nwas\n%s", after, before)
	}
}

// Busy wants a repair to be refused while somebody has the mailbox, and to leave
// it as it is. hold takes what who writes to it takes.
func Busy(t *testing.T, w World, hold func() (release func() error, err error)) {
	t.Helper()
	r, err := w.Driver.PlanRepair(context.Background(), w.Name, mailbox.RepairOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	release, err := hold()
	if err != nil {
		t.Fatal(err)
	}
	before := Octets(t, w.Dir)
	if _, _, err := r.CarryOut(context.Background()); !errors.Is(err, mailbox.ErrBusy) {
		t.Errorf("got %v, want %v", err, mailbox.ErrBusy)
	}
	if Octets(t, w.Dir) != before {
		t.Error("it was changed")
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
}

// A Score counts messages.
type Score struct {
	There, Back int // whose text is there, and came back
	Known, Meta int // of which UID, flags and keywords are there, and came back
	Invented    int
}

// Add adds.
func (s *Score) Add(o Score) {
	s.There, s.Back = s.There+o.There, s.Back+o.Back
	s.Known, s.Meta = s.Known+o.Known, s.Meta+o.Meta
	s.Invented += o.Invented
}

func (s Score) String() string {
	return fmt.Sprintf("texts %d/%d, with UID, flags and date %d/%d, invented %d", s.Back, s.There, s.Meta, s.Known, s.Invented)
}

// Whole reports whether all came back.
func (s Score) Whole() bool { return s.Back == s.There && s.Meta == s.Known && s.Invented == 0 }

// Files has once done for seeds of each class of damage of a file, as Classes
// does.
func Files(t *testing.T, classes []damage.Class, tries int, once func(c damage.Class, seed uint64) Score) {
	t.Helper()
	var names []string
	for _, c := range classes {
		names = append(names, c.Name)
	}
	Classes(t, names, tries, func(k int, seed uint64) Score { return once(classes[k], seed) })
}

// Classes has once done for seeds of each class, prints the scores, and wants all
// to come back.
func Classes(t *testing.T, names []string, tries int, once func(class int, seed uint64) Score) {
	t.Helper()
	if testing.Short() {
		tries = 1
	}
	var all Score
	for k, name := range names {
		var s Score
		for n := range tries {
			s.Add(once(k, damage.Seed(k, n)))
		}
		t.Logf("%-34s %v", name, s)
		all.Add(s)
	}
	t.Logf("%-34s %v", "all", all)
	if !all.Whole() {
		t.Errorf("got %v", all)
	}
}
