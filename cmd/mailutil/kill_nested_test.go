package main

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// nestedBoxes are the mailboxes of a home directory, and their formats.
var nestedBoxes = [][2]string{{"box", "mix"}, {"box/kid", "mix"}, {"box/kid/two", "mx"}, {"box/file", "unix"}, {"box/kid/na me", "mix"}}

// thenConvert is what is done after the kill, in turn: the mailbox itself again, one
// that is in it, all.
var thenConvert = [][]string{{"box"}, {"box/kid/two"}, {"--recursive", "box"}}

// Killed at every system call that changes something, a conversion of a mailbox
// with others in its directory loses none of them: whatever is converted next, all
// are where they were.
func TestKilledNestedAtEverySystemCall(t *testing.T) { killEach(t, 20, killNested) }

// killNested reports whether the program was killed.
func killNested(t *testing.T, bin, call string, when int, inject, keep string) bool {
	home := killHome(t, bin, "mix")
	var names []string
	for _, b := range nestedBoxes {
		names = append(names, b[0])
		if b[0] != "box" {
			mustRun(t, home, bin, "copy", "./plain", "#driver."+b[1]+"/"+home+"/"+b[0])
		}
	}
	before := digestsOf(t, home, names...)
	args := []string{
		"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call + ",renameat2",
		"-e", "inject=" + call + ":signal=KILL:when=" + strconv.Itoa(when),
	}
	if inject != "" {
		args = append(args, "-e", inject)
	}
	box := filepath.Join(home, "box")
	err := inHome(home, "strace", append(args, bin, "convert", "--to", "mx", keep, box)...).Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 { // strace does not know this system call
		return false
	}
	then := slices.Clone(thenConvert[when%len(thenConvert)])
	then[len(then)-1] = filepath.Join(home, then[len(then)-1])
	mustRun(t, home, bin, append([]string{"convert", "--to", "mx", keep}, then...)...)
	for range 2 { // and when all are converted
		if now := digestsOf(t, home, names...); !cmp.Equal(now, before) {
			t.Fatalf("%s %s, killed at %s number %d, then %q: got %v, want %v", inject, keep, call, when, then, now, before)
		}
		mustRun(t, home, bin, "convert", "--to", "mx", keep, "--recursive", box)
	}
	_ = filepath.WalkDir(home, func(path string, e fs.DirEntry, err error) error {
		if name := e.Name(); err != nil || strings.Contains(name, ".convert") || strings.HasPrefix(name, ".mix") && !strings.Contains(path, ".orig") || strings.Contains(name, ".orig") && keep == "--no-keep-original" {
			t.Fatalf("%s %s, killed at %s number %d, then %q: %s is left, %v", inject, keep, call, when, then, path, err)
		}
		return nil
	})
	return err != nil
}

// Several processes convert mailboxes in each other at the same time, and some of
// them are killed: all mail is where it was.
func TestKilledNestedTogether(t *testing.T) {
	runs := 12
	if !testing.Short() {
		runs = 300
	}
	bin := filepath.Join(programDir, "mailutil")
	home := killHome(t, bin, "mix")
	names := []string{"box", "box/kid", "box/kid/two"}
	for _, name := range names[1:] {
		mustRun(t, home, bin, "copy", "./plain", "#driver.mx/"+home+"/"+name)
	}
	before := digestsOf(t, home, names...)
	var done sync.WaitGroup
	for _, name := range names {
		done.Go(func() {
			for range runs {
				to := []string{"mix", "mx"}[rand.IntN(2)]
				cmd := inHome(home, bin, "--lock-timeout", "1s", "convert", "--no-keep-original", "--to", to, filepath.Join(home, name))
				if err := cmd.Start(); err != nil {
					t.Error(err)
					return
				}
				if rand.IntN(4) == 0 {
					timer := time.AfterFunc(time.Duration(rand.Int64N(int64(80*time.Millisecond))), func() { cmd.Process.Kill() })
					defer timer.Stop()
				}
				cmd.Wait() // it may be busy
			}
		})
	}
	done.Wait()
	mustRun(t, home, bin, "convert", "--no-keep-original", "--recursive", "--to", "mix", filepath.Join(home, "box"))
	if now := digestsOf(t, home, names...); !cmp.Equal(now, before) {
		t.Errorf("got %v, want %v", now, before)
	}
}

// mustRun runs a command that must succeed.
func mustRun(t *testing.T, home, bin string, args ...string) {
	t.Helper()
	if out, err := inHome(home, bin, args...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
}
