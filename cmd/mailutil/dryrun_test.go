package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A dry run leaves no octet, no time stamp of a file and no lock behind.
func TestDryRunWritesNothing(t *testing.T) {
	home := testHome(t)
	if out, err := shell("mailutil copy src '#driver.mbx/m' && mailutil create '#driver.mbx/INBOX' && cp src $SPOOL/alice", home).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	long := time.Now().Add(-72 * time.Hour)
	work := filepath.Dir(home)
	for path := range snapshot(t, work) {
		if err := os.Chtimes(path, long, long.Add(time.Hour)); err != nil { // the next read would set the access time
			t.Fatal(err)
		}
	}
	for _, command := range []string{
		"copy src new", "copy m new", "copy --rwcopy INBOX new", "move src '#driver.mbx/new'", "move INBOX new",
		"append src m", "append m src", "appenddelete m src", "append --verify --report=r src kw",
		"copy --where 'text a' src new", "copy --where 'text a' m new", "prune src seen", "prune m 'text a'", "prune INBOX all",
		"create new", "create '#driver.mbx/dir/new'", "delete src", "delete m", "rename src new", "rename m dir/new",
	} {
		before := snapshot(t, work)
		if out, err := shell("mailutil --dry-run "+command, home).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
		if d := cmp.Diff(before, snapshot(t, work)); d != "" {
			t.Errorf("%s: before -, after +\n%s", command, d)
		}
	}
}

// snapshot describes all files below dir.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		all[path] = fmt.Sprint(st.Ino, st.Mode, st.Nlink)
		if !d.IsDir() { // locks come and go in directories while mailboxes are read
			all[path] += fmt.Sprint(fi.ModTime())
		}
		if !d.IsDir() {
			all[path] += fmt.Sprint(fi.Size(), accessTime(st))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
