package mbx

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
)

// Killed anywhere, or after a power cut, the original or the result is there;
// and where it is the original, the next repair gives the result.
func TestRepairCrashes(t *testing.T) {
	files := []string{"extra-crlf", "size-zero", "crash-in-expunge-2", "body-crlf-to-lf"}
	if testing.Short() {
		files = files[:1]
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) { bench.Crashes(t, damagedFile(t, file)) })
	}
}

// Whatever call fails, what is said to be done is done, and else nothing is.
func TestRepairFaults(t *testing.T) {
	for _, file := range []string{"extra-crlf", "body-crlf-to-lf"} {
		t.Run(file, func(t *testing.T) { bench.Faults(t, damagedFile(t, file)) })
	}
}

// damagedFile returns a golden file.
func damagedFile(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testdata, "mbx-corrupt", file+".mbx"))
	if err != nil {
		t.Fatal(err)
	}
	return b
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
