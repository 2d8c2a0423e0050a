package fsx_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
)

func TestWriter(t *testing.T) {
	for _, size := range []int{0, 1, 1 << 20, 1<<20 + 1, 5<<20 - 3} {
		f, err := os.Create(filepath.Join(t.TempDir(), "f"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i * 31)
		}
		w := fsx.NewWriter(f)
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 77_777)
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(f.Name()); !bytes.Equal(got, want) {
			t.Errorf("size %d: got %d octets", size, len(got))
		}
	}
}

// An error of any piece is told, at the latest by Flush.
func TestWriterError(t *testing.T) {
	for call := 2; call < 6; call++ { // the first opens the file
		bad := &fsxtest.Faulty{FS: fsx.OS{}, N: call, Err: syscall.ENOSPC}
		f, err := bad.OpenFile(filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		w := fsx.NewWriter(f)
		_, err = w.Write(make([]byte, 4<<20))
		if err == nil {
			err = w.Flush()
		}
		w.Stop()
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("call %d failed: got %v", call, err)
		}
		f.Close()
	}
}
