package fsx_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
)

const manyTexts = 7 // more than a batch is waited for, and some are left over

func textName(dir string, i int) string { return fmt.Sprintf("%s/text%d", dir, i) }

// writeTogether writes texts, makes them durable, and says so in the file "done".
func writeTogether(fsys fsx.FS, dir string) (err error) {
	all := fsx.Together{FS: fsys, Dir: dir}
	defer func() { err = errors.Join(err, all.Close()) }()
	for i := range manyTexts {
		f, err := fsys.OpenFile(textName(dir, i), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt([]byte(text), 0); err != nil {
			return errors.Join(err, f.Close())
		}
		if i%3 == 0 {
			err = errors.Join(f.Close(), all.AddPath(textName(dir, i)))
		} else {
			err = all.Add(f)
		}
		if err != nil {
			return err
		}
	}
	if err := errors.Join(all.Sync(), fsys.SyncDir(dir)); err != nil {
		return err
	}
	done, err := fsys.OpenFile(dir+"/done", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return done.Close()
}

// All texts are on the disk where the program went on behind Sync.
func TestTogetherCrash(t *testing.T) {
	fsx.SetInFlight(t, 2)
	dir := t.TempDir()
	rec := fsxtest.Record(t, dir)
	if err := writeTogether(rec, dir); err != nil {
		t.Fatal(err)
	}
	rec.Crashes(t, func(t *testing.T, dir string, done bool) {
		if _, err := os.Stat(dir + "/done"); errors.Is(err, fs.ErrNotExist) && !done {
			return
		}
		for i := range manyTexts {
			if b, err := os.ReadFile(textName(dir, i)); string(b) != text {
				t.Errorf("%s: got %q, %v", textName(dir, i), b, err)
			}
		}
	})
}

// An error of any of the calls is one of the whole, whether the files are waited
// for one by one or with their file system.
func TestTogetherFaults(t *testing.T) {
	for _, batch := range []int{2, manyTexts + 1} {
		fsx.SetInFlight(t, batch)
		for n := 1; ; n++ {
			bad := &fsxtest.Faulty{FS: fsxtest.Unsynced{}, N: n, Err: syscall.EIO}
			err := writeTogether(bad, t.TempDir())
			if !bad.Fired() {
				break
			}
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("batches of %d, call %d fails: got %v", batch, n, err)
			}
		}
	}
}

// On a real disk nothing is different but the time.
func TestTogether(t *testing.T) {
	fsx.SetInFlight(t, 2)
	for _, dir := range []string{t.TempDir(), "/dev/shm"} {
		dir, err := os.MkdirTemp(dir, "mailutil-")
		if err != nil {
			continue // no such directory here
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if err := writeTogether(fsx.OS{}, dir); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
		if names, err := filepath.Glob(dir + "/*"); len(names) != manyTexts+1 || err != nil {
			t.Errorf("%s: got %q, %v", dir, names, err)
		}
	}
}

// What is written late is written, in order, and an error in it is told by a
// later call, Sync at the latest. All files are closed.
func TestTogetherLate(t *testing.T) {
	broken := errors.New("broken")
	const count = 50
	for name, bad := range map[string]int{"none": -1, "first": 0, "one": 20, "last": count - 1} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			all := fsx.Together{FS: fsx.OS{}, Dir: dir}
			var files []fsx.File
			var order []int
			var told error
			for i := range count {
				f, err := fsx.OS{}.OpenFile(textName(dir, i), os.O_RDWR|os.O_CREATE, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, f)
				told = errors.Join(told, all.AddLate(f, func() error {
					order = append(order, i)
					if i == bad {
						return broken
					}
					_, err := f.WriteAt([]byte(text), 0)
					return err
				}))
			}
			told = errors.Join(told, all.Sync(), all.Close())
			if want := bad >= 0; errors.Is(told, broken) != want || !want && told != nil {
				t.Errorf("got %v", told)
			}
			for i, f := range files {
				if b, err := os.ReadFile(textName(dir, i)); i != bad && string(b) != text || err != nil {
					t.Errorf("%d: got %q, %v", i, b, err)
				}
				if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
					t.Errorf("%d is still open: %v", i, err)
				}
			}
			if !slices.IsSorted(order) || len(order) != count {
				t.Errorf("got order %v", order)
			}
		})
	}
}
