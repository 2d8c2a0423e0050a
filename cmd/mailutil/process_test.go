package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// An interrupt while waiting for a lock ends the command in an orderly way.
func TestInterrupt(t *testing.T) {
	home := testHome(t)
	lock := filepath.Join(home, "src.lock")
	if err := os.WriteFile(lock, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := shell("exec mailutil append kw src", home)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(stderr)
	if !said.Scan() {
		t.Fatal("it does not say that it waits")
	}
	t.Log(said.Text())
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	last := ""
	for said.Scan() {
		last = said.Text()
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Errorf("got %v, want exit status 1", err)
	}
	if last != "mailutil: interrupted" {
		t.Errorf("last words: %s", last)
	}
}

// A reader that goes away does not end the work, nor does it make a noise.
func TestClosedPipe(t *testing.T) {
	home := testHome(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	var stderr bytes.Buffer
	cmd := shell("exec mailutil -v copy src new", home)
	cmd.Stdout, cmd.Stderr = w, &stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("got %v, want exit status 0", err)
	}
	if strings.Contains(stderr.String(), "pipe") {
		t.Errorf("stderr: %s", stderr.String())
	}
	if _, err := os.Stat(filepath.Join(home, "new")); err != nil {
		t.Error(err)
	}
}

// -user changes everything that makes a user.
func TestUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can change the user")
	}
	u, err := user.Lookup("daemon")
	if err != nil {
		t.Skip(err)
	}
	dir := testHome(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(programDir, "mailutil"), "-user", "daemon", "create", "./new")
	cmd.Dir = dir
	cmd.Env = []string{"HOME=/root", "PATH=/usr/bin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fi, err := os.Stat(filepath.Join(dir, "new"))
	if err != nil {
		t.Fatal(err)
	}
	st := fi.Sys().(*syscall.Stat_t)
	if strconv.Itoa(int(st.Uid)) != u.Uid || strconv.Itoa(int(st.Gid)) != u.Gid {
		t.Errorf("the new mailbox is of uid %d, gid %d, want %s, %s", st.Uid, st.Gid, u.Uid, u.Gid)
	}

	// Bare names are below the home directory of that user, not of root.
	cmd = exec.Command(filepath.Join(programDir, "mailutil"), "-user", "daemon", "create", "no/such/place")
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), u.HomeDir+"/no") {
		t.Errorf("got %v, %s; want an error about a place below %s", err, out, u.HomeDir)
	}
}
