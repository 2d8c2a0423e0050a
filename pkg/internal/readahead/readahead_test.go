package readahead_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailutil/pkg/internal/readahead"
)

const files = 300

// text is what file i holds.
func text(i int) string { return strings.Repeat("x", i*7%5000) + fmt.Sprint(i) }

func path(dir string) func(i int) string {
	return func(i int) string {
		if i >= files {
			return ""
		}
		return filepath.Join(dir, fmt.Sprint(i))
	}
}

func makeFiles(t *testing.T) (dir string) {
	dir = t.TempDir()
	for i := range files {
		name := path(dir)(i)
		if err := os.WriteFile(name, []byte(text(i)), 0o600); err != nil {
			t.Fatal(err)
		}
		mtime := time.Unix(int64(1e9+i), 0)
		if err := os.Chtimes(name, mtime, mtime); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestInOrder takes all files twice: all but the first few are read ahead, each
// is itself, and no access time changes.
func TestInOrder(t *testing.T) {
	dir := makeFiles(t)
	r := readahead.New(path(dir))
	for range 2 {
		taken := 0
		for i := range files {
			f, ok := r.Take(i)
			if !ok {
				continue
			}
			taken++
			if next, ok := r.Peek(i + 1); ok != (i+1 < files) || ok && string(next.Text) != text(i+1) {
				t.Errorf("file %d, looked at from %d: got %d octets, %v", i+1, i, len(next.Text), ok)
			}
			if string(f.Text) != text(i) || f.MTime.Unix() != int64(1e9+i) {
				t.Errorf("file %d: %d octets of %v", i, len(f.Text), f.MTime)
			}
		}
		if taken < files-10 {
			t.Errorf("%d of %d files were read ahead", taken, files)
		}
	}
	r.Reset()
}

// TestAnyOrder jumps: what is given is never another file.
func TestAnyOrder(t *testing.T) {
	dir := makeFiles(t)
	r := readahead.New(path(dir))
	at := 0
	for step := range 2000 {
		if step%(3+step%40) == 0 {
			at = step * 31 % files
		}
		if f, ok := r.Take(at); ok && string(f.Text) != text(at) {
			t.Fatalf("step %d: file %d is not itself", step, at)
		}
		at = (at + 1) % files
	}
	r.Reset()
}

// TestLeftToTheCaller has files that are not read ahead among others that are.
func TestLeftToTheCaller(t *testing.T) {
	dir := makeFiles(t)
	name := path(dir)
	left := map[int]func(name string) error{
		50: os.Remove,
		60: func(name string) error { return os.WriteFile(name, make([]byte, readahead.MaxSize+1), 0o600) },
		70: func(name string) error { os.Remove(name); return syscall.Mkfifo(name, 0o600) },
		80: func(name string) error { os.Remove(name); return os.Mkdir(name, 0o700) },
	}
	for i, do := range left {
		if err := do(name(i)); err != nil {
			t.Fatal(err)
		}
	}
	full := bytes.Repeat([]byte("y"), readahead.MaxSize)
	err := os.WriteFile(name(90), full, 0o600)
	if err == nil {
		err = os.Truncate(name(91), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := readahead.New(name)
	for i := range 200 {
		f, ok := r.Take(i)
		_, out := left[i]
		want := text(i)
		switch i {
		case 90:
			want = string(full)
		case 91:
			want = ""
		}
		if i > 10 && ok == out || ok && string(f.Text) != want {
			t.Errorf("file %d: read ahead %t, %d octets", i, ok, len(f.Text))
		}
	}
	r.Reset()
}

// TestReset has names change: what was read under the old ones is not given.
func TestReset(t *testing.T) {
	dir := makeFiles(t)
	shift := 0
	r := readahead.New(func(i int) string { return path(dir)(i + shift) })
	for i := range 20 {
		r.Take(i)
	}
	shift = 5
	r.Reset()
	for i := 20; i < 100; i++ {
		if f, ok := r.Take(i); ok && string(f.Text) != text(i+5) {
			t.Fatalf("file %d is one of before", i)
		}
	}
	r.Reset()
}
