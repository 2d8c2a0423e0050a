package damage

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
)

// put makes a mailbox of the octets in a directory of its own, and another one
// with its driver.
func (b *Bench) put(t testing.TB, octets []byte, fsys fsx.FS) (d Driver, n mailbox.Name) {
	t.Helper()
	d, n = b.At(t, t.TempDir(), fsys)
	if err := os.WriteFile(n.Path, octets, 0o600); err != nil {
		t.Fatal(err)
	}
	return d, n
}

// Crashes repairs a mailbox of the octets. Killed at any instant, or after a
// power cut, the original or the result is there, and the next repair gives the
// result.
func (b *Bench) Crashes(t *testing.T, octets []byte) {
	t.Helper()
	_, n := b.put(t, octets, fsxtest.Unsynced{})
	home := filepath.Dir(n.Path)
	rec := fsxtest.Record(t, home)
	d, n := b.At(t, home, rec)
	if needed, err := repair(d, n); !needed || err != nil {
		t.Fatalf("needed %v, %v", needed, err)
	}
	after := read(t, n.Path)
	rec.Crashes(t, func(t *testing.T, dir string, done bool) {
		d, n := b.At(t, dir, fsxtest.Unsynced{})
		now := read(t, n.Path)
		if done && !bytes.Equal(now, after) {
			t.Error("it was done, but the result is not there")
		}
		if !bytes.Equal(now, octets) && !bytes.Equal(now, after) && !isKept(t, n.Path, octets) {
			t.Error("the original is not there any more")
		}
		b.next(t, d, n, after)
	})
}

// Faults repairs a mailbox of the octets while each of its file calls fails in
// turn, once, or from there on as on a full disk. What is said to be done is
// done; else the mailbox is as it was, or its original is kept, and the next
// repair gives the result.
func (b *Bench) Faults(t *testing.T, octets []byte) {
	t.Helper()
	d, n := b.put(t, octets, fsxtest.Unsynced{})
	if needed, err := repair(d, n); !needed || err != nil {
		t.Fatalf("needed %v, %v", needed, err)
	}
	after := read(t, n.Path)
	for _, y := range []fsxtest.Faulty{{Err: syscall.ENOSPC, Sticky: true}, {Err: syscall.EIO}} {
		for fired := true; fired && !t.Failed(); {
			y.N++
			fault := y
			fault.FS = fsxtest.Unsynced{}
			d, n := b.put(t, octets, &fault)
			_, err := repair(d, n)
			fired = fault.Fired()
			fault.N = 0
			now := read(t, n.Path)
			switch {
			case err == nil && !bytes.Equal(now, after):
				t.Errorf("call %d fails with %v: nothing was said, and the result is not there", y.N, y.Err)
			case err != nil && !bytes.Equal(now, octets) && !isKept(t, n.Path, octets):
				t.Errorf("call %d fails with %v: the original is not there any more", y.N, y.Err)
			}
			b.next(t, d, n, after)
		}
	}
}

// next repairs a mailbox once more, which gives the result.
func (b *Bench) next(t *testing.T, d Driver, n mailbox.Name, want []byte) {
	t.Helper()
	if _, err := repair(d, n); err != nil {
		t.Errorf("the next repair: %v", err)
	}
	if !bytes.Equal(read(t, n.Path), want) {
		t.Error("the next repair gives another result")
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// isKept reports whether a copy of the original stands beside the mailbox.
func isKept(t testing.TB, path string, original []byte) bool {
	t.Helper()
	names, _ := filepath.Glob(path + ".orig-*")
	for _, name := range names {
		if bytes.Equal(read(t, name), original) {
			return true
		}
	}
	return false
}
