package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A hurt mailbox is one of three messages to which something happened.
type hurt struct {
	format string
	name   string // of the file in "box" that is damaged; empty where the mailbox is one file
	damage func(text []byte) []byte
}

// Killed at every system call that changes something, a repair leaves what it
// found or what it makes of it, and done again ends as if nothing had happened:
// the messages are those of one clean run, and the original is kept whole.
func TestKilledRepairAtEverySystemCall(t *testing.T) {
	bin := forStrace(t)
	zeros := strings.Repeat("\x00", 40)
	change := func(old, new string) func([]byte) []byte {
		return func(text []byte) []byte { return bytes.Replace(text, []byte(old), []byte(new), 1) }
	}
	for _, h := range []hurt{
		{"unix", "", change("\nFrom ann@", "\n"+zeros+"\nFrom ann@")},
		{"mmdf", "", change("Hello one.\n", "Hello one.\n"+zeros)},
		{"mbx", "", change("Hello one.\r\n", "Hello one.\r\n"+zeros)},
		{"tenex", "", change("Hello one.\n", "Hello one.\n"+zeros)},
		{"mtx", "", change("Hello one.\r\n", "Hello one.\r\n"+zeros)},
		{"mix", ".mixindex", func(text []byte) []byte { return text[:len(text)-20] }},
		{"mx", ".mxindex", func(text []byte) []byte { return text[:len(text)-4] }},
		{"mh", ".mh_sequences", func([]byte) []byte { return []byte("unseen: 1-\x00\n") }},
		{"maildir", "dovecot-uidlist", func(text []byte) []byte { return append(text, "2 :no such file\n\x00"...) }},
	} {
		t.Run(h.format, func(t *testing.T) { h.killEverywhere(t, bin) })
	}
}

func (h hurt) killEverywhere(t *testing.T, bin string) {
	home, damaged := h.home(t, bin)
	if out, err := h.repair(home, bin).CombinedOutput(); !mended(err) || !h.isKept(home, damaged) {
		t.Fatalf("undisturbed: %v, or the original is not kept\n%s", err, out)
	}
	want := digests(t, home)["box"]
	killed := 0
	for _, call := range changing {
		for when := 1; when < 200 && h.kill(t, bin, call, when, want); when++ {
			killed++
		}
	}
	t.Logf("killed %d times", killed)
	if killed < 10 {
		t.Errorf("killed %d times only", killed)
	}
}

// kill reports whether the program was killed.
func (h hurt) kill(t *testing.T, bin, call string, when int, want []string) bool {
	home, damaged := h.home(t, bin)
	inject := "inject=" + call + ":signal=KILL:when=" + strconv.Itoa(when)
	repair := h.repair(home, bin)
	strace := append([]string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", inject}, repair.Args...)
	var exit *exec.ExitError
	if err := inHome(home, "strace", strace...).Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit == nil || exit.Exited() { // it came to its end, or strace does not know the call
		return false
	}
	if out, err := h.repair(home, bin).CombinedOutput(); !mended(err) {
		t.Errorf("again: %v\n%s", err, out)
	}
	if now := digests(t, home)["box"]; !slices.Equal(now, want) {
		t.Errorf("got %v, want %v", now, want)
	}
	if !h.isKept(home, damaged) {
		t.Error("the original is not kept whole")
	}
	if t.Failed() {
		t.Fatalf("killed at %s number %d", call, when)
	}
	return true
}

// home makes a home directory with a damaged mailbox, and returns the octets of
// the damaged file.
func (h hurt) home(t *testing.T, bin string) (home string, damaged []byte) {
	t.Helper()
	home = killHome(t, bin, h.format)
	path := filepath.Join(home, "box", h.name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged = h.damage(slices.Clone(text))
	if bytes.Equal(damaged, text) {
		t.Fatal("no damage was done")
	}
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	return home, damaged
}

func (h hurt) repair(home, bin string) *exec.Cmd {
	return inHome(home, bin, "repair", filepath.Join(home, "box"))
}

// isKept reports whether the damaged file is beside the mailbox, as it was.
func (h hurt) isKept(home string, damaged []byte) bool {
	kept, _ := filepath.Glob(filepath.Join(home, "box.orig-*", h.name))
	return slices.ContainsFunc(kept, func(path string) bool {
		text, err := os.ReadFile(path)
		return err == nil && bytes.Equal(text, damaged)
	})
}

// mended reports whether a repair ended with a sound mailbox.
func mended(err error) bool {
	var exit *exec.ExitError
	return err == nil || errors.As(err, &exit) && exit.ExitCode() == exitPartly
}
