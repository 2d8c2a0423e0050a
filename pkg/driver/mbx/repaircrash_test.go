package mbx

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
)

// Killed anywhere, or after a power cut, the original or the result is there;
// and where it is the original, the next repair gives the result.
func TestRepairCrashes(t *testing.T) {
	for _, file := range []string{"size-zero", "extra-crlf", "crash-in-expunge-2", "body-crlf-to-lf"} {
		t.Run(file, func(t *testing.T) {
			w := newWorld(t)
			n := w.golden("mbx-corrupt/" + file + ".mbx")
			before := w.read(n)
			r := fsxtest.Record(t, w.home)
			w.FS = r
			if _, _, err := w.repairAll(n, mailbox.RepairOptions{}); err != nil {
				t.Fatal(err)
			}
			after := w.read(n)
			r.Crashes(t, func(t *testing.T, dir string, done bool) {
				w := newWorld(t)
				w.env.Home, w.env.StateDir, w.home = dir, filepath.Join(dir, "state"), dir
				n := w.name(filepath.Base(n.Path))
				if done && !bytes.Equal(w.read(n), after) {
					t.Error("it was done, but the result is not there")
				}
				if !bytes.Equal(w.read(n), before) && !bytes.Equal(w.read(n), after) && !w.kept(before) {
					t.Error("the original is not there any more")
				}
				if _, _, err := w.repairAll(n, mailbox.RepairOptions{}); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(w.read(n), after) {
					t.Error("the next repair gives another result")
				}
			})
		})
	}
}

// kept reports whether a copy of the original is there.
func (w *world) kept(original []byte) bool {
	names, _ := filepath.Glob(filepath.Join(w.home, "*.orig-*"))
	return slices.ContainsFunc(names, func(name string) bool {
		b, err := os.ReadFile(name)
		return err == nil && bytes.Equal(b, original)
	})
}

// Whatever call fails, what is said to be done is done, and else nothing is.
func TestRepairFaults(t *testing.T) {
	for n := 1; ; n++ {
		w := newWorld(t)
		name := w.golden("mbx-corrupt/extra-crlf.mbx")
		before := w.read(name)
		y := &fsxtest.Faulty{FS: w.FS, N: n, Err: syscall.ENOSPC, Sticky: true}
		w.FS = y
		_, _, err := w.repairAll(name, mailbox.RepairOptions{})
		if !y.Fired() {
			return
		}
		w.FS = y.FS
		now := w.read(name)
		if in, _ := w.inspectAll(name); err == nil && !in.Sound() {
			t.Errorf("call %d fails: not sound, and nothing was said", n)
		}
		if err != nil && !bytes.Equal(now, before) && !w.kept(before) {
			t.Errorf("call %d fails: the original is not there any more", n)
		}
		if _, _, err := w.repairAll(name, mailbox.RepairOptions{}); err != nil {
			t.Errorf("call %d fails: the next repair: %v", n, err)
		}
	}
}

// A repair is refused while another session has the mailbox, and says who.
func TestRepairBusy(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mbx-corrupt/uidlast-low.mbx")
	b := w.open(n, mailbox.ReadOnly)
	r, err := w.PlanRepair(context.Background(), n, mailbox.RepairOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	before := w.read(n)
	if _, _, err := r.CarryOut(context.Background()); !errors.Is(err, mailbox.ErrBusy) || !strings.Contains(err.Error(), "has it open") {
		t.Errorf("got %v, want busy", err)
	}
	if !bytes.Equal(w.read(n), before) {
		t.Error("it was changed")
	}
	b.Close()
	if _, _, err := r.CarryOut(context.Background()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A plan for a mailbox that has changed since is not carried out.
func TestRepairChanged(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mbx-corrupt/extra-crlf.mbx")
	r, err := w.PlanRepair(context.Background(), n, mailbox.RepairOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	after := append(w.read(n), "more"...)
	if err := os.WriteFile(n.Path, after, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.CarryOut(context.Background()); !errors.Is(err, mailbox.ErrChanged) || !bytes.Equal(w.read(n), after) {
		t.Errorf("got %v, want %v", err, mailbox.ErrChanged)
	}
}

// Mode, inode and times stay.
func TestRepairKeepsFile(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mbx-corrupt/extra-crlf.mbx")
	if err := os.Chmod(n.Path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(n.Path, w.now.AddDate(-1, 0, 0), w.now.AddDate(-1, 0, 1)); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(n.Path)
	dir := t.TempDir()
	_, made, err := w.repairAll(n, mailbox.RepairOptions{KeepIn: dir})
	if err != nil || filepath.Dir(made.Original) != dir {
		t.Fatalf("got %+v, %v", made, err)
	}
	after, _ := os.Stat(n.Path)
	kept, _ := os.Stat(made.Original)
	for _, fi := range []os.FileInfo{after, kept} {
		if fi.Mode() != before.Mode() || !fi.ModTime().Equal(before.ModTime()) {
			t.Errorf("%s: got %v, %v; want %v, %v", fi.Name(), fi.Mode(), fi.ModTime(), before.Mode(), before.ModTime())
		}
	}
	if !os.SameFile(before, after) {
		t.Error("it is another file now")
	}
}
