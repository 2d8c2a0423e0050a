package mx

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
)

// codes inspects a mailbox, and wants it to be left as it is.
func (w *world) codes(n mailbox.Name) (string, mailbox.Inspection) {
	w.t.Helper()
	var out []string
	in, err := w.Inspect(ctx, n, func(f mailbox.Finding) error {
		if f.Text == "" || strings.HasPrefix(f.Text, "%") {
			w.t.Errorf("finding %+v", f)
		}
		out = append(out, f.Code)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(out, " "), in
}

func TestInspect(t *testing.T) {
	const basic = "V6b03b910L00000007KWork\nM00000001;00000001.0001"
	for _, tt := range []struct{ name, golden, index, want string }{
		{"sound", "mxexpunged", "", "mx.no-newline"},
		{"bare LF", "mxbasic", "", "mx.no-newline mx.nuls mx.bare-lf mx.bare-lf"},
		{"created", "mxempty", "", ""},
		{"child", "mxdual", "", ""},
		{"stray", "mxstray", "", "mx.uidlast-low mx.record-missing mx.no-newline mx.nuls mx.bare-lf mx.bare-lf"},
		{"empty index", "mxindexempty", "", "mx.index-empty mx.no-newline mx.nuls mx.bare-lf mx.bare-lf"},
		{"torn", "mxindextorn", "", "mx.index-torn mx.record-missing mx.no-newline mx.nuls mx.bare-lf mx.bare-lf"},
		{"garbage", "mxindexgarbage", "", "mx.index-garbage mx.uidvalidity mx.uidlast-low mx.record-missing mx.no-newline mx.nuls mx.bare-lf mx.bare-lf"},
		{"NULs", "mxexpunged", basic + strings.Repeat("\x00", 23), "mx.index-nuls mx.record-missing mx.no-newline"},
		{"order", "mxexpunged", "V1L7M4;0.0000M2;0.0000M1;0.0000", "mx.index-order mx.no-newline"},
		{"twice", "mxexpunged", "V1L7M1;0.0000M1;0.0000M2;0.0000M4;0.0000", "mx.index-twice mx.no-newline"},
		{"gone", "mxexpunged", "V1L7M1;0.0000M2;0.0000M3;0.0000M4;0.0000", "mx.record-gone mx.no-newline"},
		{"bits", "mxexpunged", "V1L7M1;2.0000M2;0.8001M4;0.0000", "mx.keyword-unnamed mx.flags-unknown mx.no-newline"},
		{"keywords", "mxexpunged", "V1L7KA B\nKx\nKX\nK\nM1;0.0M2;0.0M4;0.0", "mx.index-keywords mx.index-torn mx.keyword mx.keyword-twice mx.record-missing mx.no-newline"},
	} {
		w := newWorld(t)
		n := w.golden(tt.golden)
		if tt.index != "" {
			if err := os.WriteFile(filepath.Join(n.Path, indexName), []byte(tt.index), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before := files(t, w.home+"/"+tt.golden)
		got, in := w.codes(n)
		if got != tt.want {
			t.Errorf("%s: findings\n got %s\nwant %s", tt.name, got, tt.want)
		}
		if after := files(t, w.home+"/"+tt.golden); after != before {
			t.Errorf("%s: files changed\n got %s\nwant %s", tt.name, after, before)
		}
		if mb, err := w.Open(ctx, n, mailbox.ReadOnly); err != nil || mb.Status().Messages != in.Messages || in.Path != n.Path {
			t.Errorf("%s: %v: got %+v", tt.name, err, in)
		}
	}
}

// What is beside the messages is found as well.
func TestInspectNames(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mxexpunged")
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(n.Path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("007", "x")
	put("99999999999", "x")
	put("5", "")
	put("6", "a\r\n\x00\r\nb")
	put(".mailutil-1-2-3.1", "x")
	put(".mailutil-plan", "x")
	if err := os.Mkdir(filepath.Join(n.Path, "88"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, in := w.codes(n)
	if want := "mx.record-missing mx.plan mx.leftover mx.stray mx.stray mx.stray mx.no-newline mx.empty mx.nuls mx.no-newline"; got != want || in.Messages != 5 {
		t.Errorf("findings\n got %s, %+v\nwant %s", got, in, want)
	}
	// A plan that nobody can read is in the way, and says so.
	if _, err := w.Open(ctx, n, mailbox.ReadWrite); err == nil || !strings.Contains(err.Error(), ".mailutil-plan is not readable") {
		t.Errorf("open: got %v", err)
	}
	if err := os.Remove(filepath.Join(n.Path, ".mailutil-plan")); err != nil {
		t.Fatal(err)
	}
	// Leftovers go when they are old.
	for _, later := range []time.Duration{0, 37 * time.Hour} {
		w.now = time.Now().Add(later)
		mb, err := w.Open(ctx, n, mailbox.ReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		if err := mb.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(n.Path, ".mailutil-1-2-3.1")); (err == nil) != (later == 0) {
			t.Errorf("%v later: leftover: %v", later, err)
		}
	}
}

func TestInspectOthers(t *testing.T) {
	w := newWorld(t)
	if err := os.Mkdir(filepath.Join(w.home, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.home, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"dir": mailbox.ErrNotMailbox, "file": mailbox.ErrFormat, "none": mailbox.ErrNotExist} {
		if _, err := w.Inspect(ctx, w.name(name), nil); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}

// A directory that has messages without an index is not made a mailbox, for
// they would be in it.
func TestCreateOverNumbers(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mxbasic")
	index := filepath.Join(n.Path, indexName)
	if err := os.Remove(index); err != nil {
		t.Fatal(err)
	}
	if err := w.Create(ctx, n); !errors.Is(err, mailbox.ErrExist) {
		t.Errorf("got %v, want %v", err, mailbox.ErrExist)
	}
	if _, err := os.Stat(index); err == nil {
		t.Error("there is an index now")
	}
	// One that has other things becomes a mailbox as well.
	if err := os.MkdirAll(filepath.Join(w.home, "dual", "child"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := w.deliver("dual", mailbox.AppendOptions{New: true}, 2); err != nil {
		t.Error(err)
	}
	if ok, err := w.Probe(w.name("dual")); !ok || err != nil {
		t.Errorf("dual: %v, %v", ok, err)
	}
	if err := w.Create(ctx, w.name("a/12/b")); err == nil || err.Error() != "Can't create mailbox a/12/b: invalid MX-format name" {
		t.Errorf("a/12/b: got %v", err)
	}
}
