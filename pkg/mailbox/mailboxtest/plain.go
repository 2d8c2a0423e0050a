package mailboxtest

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Other programs open no mailbox for root, or not the same ones as for others.

// PlainHome makes a directory, which is removed when the test ends, for
// programs that run as who: the user games where the tests run as root, nil for
// who runs them.
func PlainHome(t testing.TB) (dir string, who *syscall.Credential) {
	t.Helper()
	if os.Getuid() == 0 {
		u, err := user.Lookup("games")
		if err != nil {
			t.Skip("no user to run other programs as: ", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		who = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	dir, err := os.MkdirTemp("", "mailutil-peer-") // t.TempDir is for nobody else
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	Give(t, dir, who)
	return dir, who
}

// Give gives a directory and all that is in it to who; nil for who has it.
func Give(t testing.TB, dir string, who *syscall.Credential) {
	t.Helper()
	if who == nil {
		return
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, int(who.Uid), int(who.Gid)))
	})
	if err != nil {
		t.Fatal(err)
	}
}
