package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
)

// Killed at every system call that changes something, each command leaves the
// old mailbox or the new one, and whoever opens it next sees which.

// changing are the system calls that the real binary is killed at.
var changing = []string{
	"pwrite64", "write", "fsync", "fdatasync", "ftruncate", "fallocate", "linkat", "link", "renameat", "renameat2",
	"rename", "unlinkat", "unlink", "openat", "fchmod", "fchmodat", "utimensat", "copy_file_range", "mkdirat",
}

type killCase struct {
	name   string
	args   []string
	format string // of the file "box" in the home directory; "src" is always unix
	// allowed are the states that the mailboxes may be in, as digests of their
	// messages: {"src": ..., "box": ...}; built from the state before and the
	// state after an undisturbed run.
	judge func(t *testing.T, before, after, now map[string][]string)
}

func oldOrNew(t *testing.T, before, after, now map[string][]string) {
	t.Helper()
	for name := range after {
		if !slices.Equal(now[name], before[name]) && !slices.Equal(now[name], after[name]) {
			t.Errorf("%s: neither old nor new:\nbefore %v\nafter  %v\nnow    %v", name, before[name], after[name], now[name])
		}
	}
}

// nothingLost is for a move: each message of the source is in the source or in
// the target.
func nothingLost(t *testing.T, before, after, now map[string][]string) {
	t.Helper()
	oldOrNew(t, before, after, now)
	for _, m := range before["src"] {
		if !slices.Contains(now["src"], m) && !slices.Contains(now["new"], m) && !slices.Contains(now["box"], m) {
			t.Errorf("message %s is gone: now %v", m, now)
		}
	}
}

// forStrace builds the program that is to be run under strace; the test is
// skipped where that is slow or not possible.
func forStrace(t *testing.T) (bin string) {
	t.Helper()
	if testing.Short() {
		t.Skip("slow")
	}
	if err := exec.Command("strace", "-o", "/dev/null", "true").Run(); err != nil {
		t.Skipf("strace does not work here: %v", err)
	}
	bin = filepath.Join(t.TempDir(), "mailutil")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

func TestKilledAtEverySystemCall(t *testing.T) {
	bin := forStrace(t)
	for _, c := range []killCase{
		{"copy to new mbx", []string{"copy", "src", "#driver.mbx/new"}, "unix", oldOrNew},
		{"copy to new unix", []string{"copy", "src", "new"}, "unix", oldOrNew},
		{"append to unix", []string{"append", "src", "box"}, "unix", oldOrNew},
		{"append to mbx", []string{"append", "src", "box"}, "mbx", oldOrNew},
		{"prune unix", []string{"prune", "box", "subject second"}, "unix", oldOrNew},
		{"prune mbx", []string{"prune", "box", "subject second"}, "mbx", oldOrNew},
		{"move to new mbx", []string{"move", "src", "#driver.mbx/new"}, "unix", nothingLost},
		{"move to mbx", []string{"appenddelete", "src", "box"}, "mbx", nothingLost},
		{"copy to new mx", []string{"copy", "src", "#driver.mx/new"}, "unix", oldOrNew},
		{"append to mx", []string{"append", "src", "box"}, "mx", oldOrNew},
		{"prune mx", []string{"prune", "box", "or subject second subject third"}, "mx", oldOrNew},
		{"copy to new mh", []string{"copy", "src", "#driver.mh/new"}, "unix", oldOrNew},
		{"append to mh", []string{"append", "src", "box"}, "mh", oldOrNew},
		{"prune mh", []string{"prune", "box", "or subject second subject third"}, "mh", oldOrNew},
	} {
		t.Run(c.name, func(t *testing.T) { killEverywhere(t, bin, c) })
	}
}

const threeMessages = "From joe@example.com Mon Jan  1 10:00:00 2024\nFrom: Joe <joe@example.com>\nSubject: first\n\nHello one.\n\n" +
	"From ann@example.com Fri Feb  2 11:00:00 2024\nFrom: Ann <ann@example.com>\nSubject: second thing\nX-Keywords: no\n\nHello two.\n\n" +
	"From joe@example.com Sun Mar  3 12:00:00 2024\nFrom: Joe <joe@example.com>\nSubject: third\n\nHello three.\n\n"

// killHome makes a fresh home directory: src and box hold three messages each.
func killHome(t *testing.T, bin, format string) string {
	t.Helper()
	home := t.TempDir()
	for _, name := range []string{"src", "plain"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(threeMessages), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := inHome(home, bin, "copy", "./plain", "#driver."+format+"/"+home+"/box").CombinedOutput(); err != nil {
		t.Fatalf("copy: %v\n%s", err, out)
	}
	return home
}

func inHome(home, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home, "GOMAXPROCS=1", "TZ=UTC")
	return cmd
}

func killEverywhere(t *testing.T, bin string, c killCase) {
	args := slices.Clone(c.args)
	abs := func(home string) []string {
		out := slices.Clone(args)
		for i, a := range out {
			switch {
			case strings.HasPrefix(a, "#driver."):
				format, name, _ := strings.Cut(a, "/")
				out[i] = format + "/" + filepath.Join(home, name)
			case i > 0 && (a == "src" || a == "box" || a == "new"):
				out[i] = filepath.Join(home, a)
			}
		}
		return out
	}
	home := killHome(t, bin, c.format)
	before := digests(t, home)
	if out, err := inHome(home, bin, abs(home)...).CombinedOutput(); err != nil {
		t.Fatalf("undisturbed: %v\n%s", err, out)
	}
	after := digests(t, home)
	if cmp.Equal(before, after) {
		t.Fatal("undisturbed run changed nothing")
	}
	killed := 0
	for _, call := range changing {
		for when := 1; when < 200; when++ {
			home := killHome(t, bin, c.format)
			strace := append([]string{
				"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call,
				"-e", "inject=" + call + ":signal=KILL:when=" + strconv.Itoa(when), bin,
			}, abs(home)...)
			err := inHome(home, "strace", strace...).Run()
			now := digests(t, home)
			c.judge(t, before, after, now)
			if err != nil && !(cmp.Equal(now, after) && noNote(home)) { // else it was killed behind its last step
				rerun(t, bin, home, abs(home), after)
			}
			if t.Failed() {
				t.Fatalf("killed at %s number %d", call, when)
			}
			if err == nil {
				break
			}
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if strings.Contains(exit.String(), "exit status 1") { // strace does not know this system call
				break
			}
			killed++
		}
	}
	if killed == 0 {
		t.Error("the command was never killed")
	}
	t.Logf("killed %d times", killed)
}

// rerun runs a command that was killed once more: it comes to its end, and what
// is there is what one undisturbed run would have left.
func rerun(t *testing.T, bin, home string, args []string, after map[string][]string) {
	t.Helper()
	out, err := inHome(home, bin, args...).CombinedOutput()
	if err != nil {
		t.Errorf("run again: %v\n%s", err, out)
	}
	if now := digests(t, home); !cmp.Equal(after, now) {
		t.Errorf("run again:\nafter one run %v\nnow           %v\n%s", after, now, out)
	}
}

// noNote reports whether a home has no note of a copy that is under way.
func noNote(home string) bool {
	notes, _ := filepath.Glob(filepath.Join(home, ".*.copy"))
	return notes == nil
}

// digests opens every mailbox of the home read-write, as the next user of it
// would, and returns the digests of the messages.
func digests(t *testing.T, home string) map[string][]string {
	t.Helper()
	return digestsOf(t, home, "src", "box", "new")
}

func digestsOf(t *testing.T, home string, names ...string) map[string][]string {
	t.Helper()
	env := &mailbox.Env{
		User: "alice", Home: home, Spool: filepath.Join(home, "spool"), Host: "mail.example.org", Dir: home,
		Now: time.Now, Notify: func(mailbox.Level, string) {}, LockDir: "/tmp", StateDir: filepath.Join(home, ".state"),
		Config: mailbox.DefaultConfig(), LockTimeout: 20 * time.Second,
	}
	ds := all.Drivers(env)
	out := map[string][]string{}
	for _, name := range names {
		n, err := env.Resolve(name)
		if err != nil {
			t.Fatal(err)
		}
		mb, err := ds.Open(context.Background(), n, mailbox.ReadWrite)
		if errors.Is(err, mailbox.ErrNotExist) || errors.Is(err, mailbox.ErrNotMailbox) { // a directory, perhaps
			continue
		}
		if err != nil {
			t.Fatalf("open %s: %v", name, err)
		}
		for m, err := range mb.Messages(mailbox.All) {
			if err != nil {
				t.Fatal(err)
			}
			c, err := mb.Open(m.Seq)
			if err != nil {
				t.Fatal(err)
			}
			h := fnv.New64a()
			if _, err := io.Copy(h, c); err != nil {
				t.Fatal(err)
			}
			out[name] = append(out[name], fmt.Sprintf("%x", h.Sum64()))
		}
		if err := mb.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
