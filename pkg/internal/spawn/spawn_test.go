package spawn

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func shell(script string) Command {
	return Command{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin", "A=1"}, Dir: "/"}
}

func TestOutput(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		both         bool
		out          string
		code         int
	}{
		{"words", "echo $A; echo no >&2; pwd", false, "1\n/\n", 0},
		{"both", "echo a; echo b >&2", true, "a\nb\n", 0},
		{"status", "echo a; exit 73", false, "a\n", 73},
		{"killed", "kill -9 $$", false, "", -1},
		{"no input", "cat; echo end", false, "end\n", 0},
	} {
		out, end, err := shell(tt.script).Output(t.Context(), tt.both)
		if err != nil || string(out) != tt.out || end.ExitCode() != tt.code {
			t.Errorf("%s: got %q, %v, %v; want %q, status %d", tt.name, out, end, err, tt.out, tt.code)
		}
	}
	if _, _, err := (Command{Path: "/none"}).Output(t.Context(), false); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: got %v", err)
	}
}

// lives reports whether a process is there, and no zombie.
func lives(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// At the end of the context the program is killed, and what it has started.
func TestOutputKills(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		b, _ := os.ReadFile(fifo) // it has begun
		if len(b) > 0 {
			cancel()
		}
	}()
	out, end, err := shell("sleep 1000 & echo $!; echo > "+fifo+"; wait").Output(ctx, false)
	if err != nil || end.Success() {
		t.Fatalf("got %q, %v, %v; want one that was killed", out, end, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	for lives(pid) { // until it has done with dying
		runtime.Gosched()
	}
	if _, _, err := shell("true").Output(ctx, false); !errors.Is(err, context.Canceled) {
		t.Errorf("at the end: got %v", err)
	}
}

func TestOutputLimit(t *testing.T) {
	c := shell("sleep 1000")
	c.Limit = time.Millisecond
	_, end, err := c.Output(t.Context(), false)
	if err != nil || end.Success() {
		t.Errorf("got %v, %v; want one that was killed", end, err)
	}
}

// What a program leaves behind does not keep us.
func TestOutputLeftBehind(t *testing.T) {
	out, end, err := shell("sleep 1000 & echo $!").Output(t.Context(), false)
	if err != nil || !end.Success() {
		t.Fatalf("got %q, %v, %v", out, end, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("what it has left: %v", err)
	}
}

// Descriptors are given on in their order, and what is not named is /dev/null.
func TestStart(t *testing.T) {
	dir := t.TempDir()
	out, err := os.Create(dir + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c := shell("echo three >&3; echo one; cat")
	c.Files = []*os.File{nil, nil, nil, out}
	p, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	end, err := p.Wait()
	got, readErr := os.ReadFile(dir + "/out")
	if err != nil || readErr != nil || !end.Success() || string(got) != "three\n" {
		t.Errorf("got %q, %v, %v, %v; want \"three\\n\"", got, end, err, readErr)
	}
}
