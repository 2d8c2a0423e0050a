package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
)

// noise returns n reproducible octets.
func noise(seed uint64, n int) []byte {
	rnd := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + rnd.IntN(26))
	}
	return b
}

// A change is one use of a Journal, and what the file is afterwards.
type change struct {
	name string
	old  []byte
	want []byte
	do   func(f fsx.File, o Options) error
}

func replace(off int64, with []byte, size int64) func(fsx.File, Options) error {
	return func(f fsx.File, o Options) error {
		j, err := New(f, o)
		if err != nil {
			return err
		}
		defer j.Abort()
		if err := j.At(off); err != nil {
			return err
		}
		if _, err := j.Write(with); err != nil {
			return err
		}
		return j.Commit(size)
	}
}

func changes() []change {
	small, big := noise(1, 3000), noise(2, 150_000)
	shift := func(f fsx.File, o Options) error { // drop [1000, 1700), as an expunge does
		j, err := New(f, o)
		if err != nil {
			return err
		}
		defer j.Abort()
		if err := errors.Join(j.At(1000), j.Copy(1700, 148_300)); err != nil {
			return err
		}
		return j.Commit(j.Offset())
	}
	tail := func(f fsx.File, o Options) error {
		t, err := Append(f, o)
		if err != nil {
			return err
		}
		defer t.Abort()
		if _, err := t.Write(noise(3, 5000)); err != nil {
			return err
		}
		return t.Commit()
	}
	join := func(p ...[]byte) []byte { return bytes.Join(p, nil) }
	return []change{
		{"append", small, join(small, noise(3, 5000)), tail},
		{"append to nothing", nil, noise(3, 5000), tail},
		{"shrink from 0", small, small[:0:0], replace(0, nil, 0)},
		{"patch the start", big, join([]byte("X-IMAP: 2"), big[9:]), replace(0, []byte("X-IMAP: 2"), 150_000)},
		{"shift down", big, join(big[:1000], big[1700:]), shift},
		{"grow in the middle", small, join(small[:700], noise(9, 4000)), replace(700, noise(9, 4000), 4700)},
	}
}

func prepare(t *testing.T, c change) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "box")
	if err := os.WriteFile(path, c.old, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

// reopen does what the next opener does, and returns what it finds.
func reopen(t *testing.T, path string) []byte {
	t.Helper()
	f, err := fsx.OS{}.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Recover(f, Options{}); err != nil {
		t.Fatal(err)
	}
	if pending, err := Pending(path, Options{}); pending || err != nil {
		t.Fatalf("pending %v, %v after Recover", pending, err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func run(t *testing.T, c change, path string, fsys fsx.FS) error {
	t.Helper()
	f, err := fsys.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return c.do(f, Options{FS: fsys})
}

func TestCommit(t *testing.T) {
	for _, c := range changes() {
		t.Run(c.name, func(t *testing.T) {
			dir, path := prepare(t, c)
			if err := run(t, c, path, fsx.OS{}); err != nil {
				t.Fatal(err)
			}
			if got := reopen(t, path); !bytes.Equal(got, c.want) {
				t.Errorf("got %d octets, want %d", len(got), len(c.want))
			}
			if names, _ := os.ReadDir(dir); len(names) != 1 {
				t.Errorf("left behind: %v", names)
			}
		})
	}
}

// A watched file remembers how long it was made.
type watched struct {
	fsx.File
	sizes []int64
}

func (w *watched) Truncate(size int64) error {
	w.sizes = append(w.sizes, size)
	return w.File.Truncate(size)
}

// An append makes the file longer once and lets it be: to set its size while the
// disk is writing its end waits for the disk.
func TestAppendGrowsOnce(t *testing.T) {
	_, path := prepare(t, change{old: noise(1, 3000)})
	f, err := fsx.OS{}.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := &watched{File: f}
	a, err := Append(w, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Abort()
	if _, err := a.Write(noise(2, 500)); err != nil {
		t.Fatal(err)
	}
	if err := a.Commit(); err != nil || len(w.sizes) != 1 || w.sizes[0] != 3500 {
		t.Errorf("got the sizes %d, %v; want one, 3500", w.sizes, err)
	}
}

func TestCrash(t *testing.T) {
	for _, c := range changes() {
		t.Run(c.name, func(t *testing.T) {
			dir, path := prepare(t, c)
			rec := fsxtest.Record(t, dir)
			if err := run(t, c, path, rec); err != nil {
				t.Fatal(err)
			}
			rec.Crashes(t, func(t *testing.T, dir string, done bool) {
				got := reopen(t, filepath.Join(dir, "box"))
				if !bytes.Equal(got, c.want) && (done || !bytes.Equal(got, c.old)) {
					t.Errorf("neither old (%d octets) nor new (%d): %d octets", len(c.old), len(c.want), len(got))
				}
			})
		})
	}
}

// Mail that others append after the crash, not knowing of the side file, must
// come out behind the finished change.
func TestCrashThenForeignAppend(t *testing.T) {
	mail := []byte("From a@b Thu Jan  2 03:04:05 2020\n\nforeign\n\n")
	for _, c := range changes() {
		t.Run(c.name, func(t *testing.T) {
			dir, path := prepare(t, c)
			rec := fsxtest.Record(t, dir)
			if err := run(t, c, path, rec); err != nil {
				t.Fatal(err)
			}
			rec.Crashes(t, func(t *testing.T, dir string, _ bool) {
				path := filepath.Join(dir, "box")
				f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
				if err != nil {
					t.Fatal(err)
				}
				_, err = f.Write(mail)
				if err := errors.Join(err, f.Close()); err != nil {
					t.Fatal(err)
				}
				got := reopen(t, path)
				if !bytes.Equal(got, append(bytes.Clone(c.want), mail...)) && !bytes.Equal(got, append(bytes.Clone(c.old), mail...)) {
					t.Errorf("neither old nor new with the mail behind: %d octets, old %d, new %d, mail %d",
						len(got), len(c.old), len(c.want), len(mail))
				}
			})
		})
	}
}

func TestFaults(t *testing.T) {
	for _, c := range changes() {
		for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO, syscall.EINTR} {
			t.Run(fmt.Sprint(c.name, errno), func(t *testing.T) {
				for n := 1; ; n++ {
					_, path := prepare(t, c)
					bad := &fsxtest.Faulty{FS: fsx.OS{}, N: n, Err: errno, Sticky: errno == syscall.ENOSPC}
					err := run(t, c, path, bad)
					if !bad.Fired() {
						break
					}
					got := reopen(t, path)
					isOld, isNew := bytes.Equal(got, c.old), bytes.Equal(got, c.want)
					if !isOld && !isNew {
						t.Fatalf("call %d: neither old nor new", n)
					}
					if err == nil && !isNew {
						t.Fatalf("call %d: success, but old", n)
					}
				}
			})
		}
	}
}

// A side file that was written for another state of the mailbox must not
// touch it, nor be lost.
func TestStrangeSideFile(t *testing.T) {
	c := changes()[4]
	dir, path := prepare(t, c)
	rec := fsxtest.Record(t, dir)
	if err := run(t, c, path, rec); err != nil {
		t.Fatal(err)
	}
	rec.Crashes(t, func(t *testing.T, dir string, _ bool) {
		path := filepath.Join(dir, "box")
		if pending, _ := Pending(path, Options{}); !pending {
			return
		}
		other := noise(7, 149_500)
		if err := os.WriteFile(path, other, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := reopen(t, path); !bytes.Equal(got, other) {
			t.Error("another mailbox was changed")
		}
	})
}

func TestAbortLeavesNothing(t *testing.T) {
	c := changes()[0]
	dir, path := prepare(t, c)
	f, err := fsx.OS{}.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tail, err := Append(f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tail.Write(noise(1, 3<<20)); err != nil {
		t.Fatal(err)
	}
	if err := tail.Abort(); err != nil {
		t.Fatal(err)
	}
	if got := reopen(t, path); !bytes.Equal(got, c.old) {
		t.Error("changed")
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

// The state directory is for spools that only the mail system may write to.
func TestStateDir(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	c := changes()[0]
	dir, path := prepare(t, c)
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	f, err := fsx.OS{}.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := c.do(f, Options{StateDir: filepath.Join(t.TempDir(), "state")}); err != nil {
		t.Fatal(err)
	}
	if got := reopen(t, path); !bytes.Equal(got, c.want) {
		t.Error("not changed")
	}
}

func FuzzReader(f *testing.F) {
	var w writer
	side := filepath.Join(f.TempDir(), "side")
	file, err := os.Create(side)
	if err != nil {
		f.Fatal(err)
	}
	w.to, w.behind = file, fsx.NewBehind(nil, 0)
	h := header{old: 3, head: []byte("abc"), tail: []byte("abc")}
	if err := errors.Join(w.header(h), w.at(2)); err != nil {
		f.Fatal(err)
	}
	w.Write([]byte("hello"))
	w.commit(3, 7)
	b, _ := os.ReadFile(side)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		from := bytes.NewReader(b)
		h, pos, err := readHeader(from)
		if err != nil {
			return
		}
		if int64(len(h.tail)) > h.old {
			t.Fatal("sample longer than the file")
		}
		rd := reader{from: from, pos: pos}
		for {
			rec, ok, err := rd.next()
			if err != nil || !ok {
				return
			}
			if rec.off == commitOff {
				rec.sizes()
			}
			if rd.pos > pages(int64(len(b))) {
				t.Fatal("record runs past the end")
			}
		}
	})
}

func TestMoves(t *testing.T) {
	for _, c := range changes() {
		t.Run(c.name, func(t *testing.T) {
			dir, path := prepare(t, c)
			rec := fsxtest.Record(t, dir)
			if err := run(t, c, path, rec); err != nil {
				t.Fatal(err)
			}
			want := c.name != "append" && c.name != "append to nothing" && c.name != "patch the start"
			seen := false
			rec.Crashes(t, func(t *testing.T, dir string, _ bool) {
				got, err := Moves(filepath.Join(dir, "box"), Options{})
				if err != nil || got && !want {
					t.Fatalf("Moves %v, %v", got, err)
				}
				seen = seen || got
			})
			if seen != want {
				t.Errorf("Moves never said %v", want)
			}
		})
	}
}

// A link to a mailbox has no side file of its own.
func TestSymlink(t *testing.T) {
	c := changes()[0]
	dir, path := prepare(t, c)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	f, err := fsx.OS{}.OpenFile(link, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	j, err := New(f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Abort()
	if pending, err := Pending(path, Options{}); !pending || err != nil {
		t.Errorf("Pending %v, %v; in %s", pending, err, dir)
	}
}
