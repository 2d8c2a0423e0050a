package fsx

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Files on all kinds of file systems are made durable, few and many; an error of
// one of them is an error.
func TestSyncAll(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/dev/shm"} {
		for _, n := range []int{0, 1, 2, waiters, 3 * waiters} {
			var files []File
			for i := range n {
				name := filepath.Join(dir, fmt.Sprintf("mailutil-test-%d-%d-%d", os.Getpid(), n, i))
				f, err := OS{}.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					if i == 0 {
						break // no such directory here
					}
					t.Fatal(err)
				}
				defer os.Remove(name)
				if _, err := f.WriteAt([]byte(name), 0); err != nil {
					t.Fatal(err)
				}
				files = append(files, f)
			}
			if err := SyncAll(files); err != nil {
				t.Errorf("%d files in %s: %v", n, dir, err)
			}
			for _, f := range files {
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err := SyncAll(files); (err == nil) != (len(files) == 0) {
				t.Errorf("%d closed files in %s: got %v", n, dir, err)
			}
		}
	}
}
