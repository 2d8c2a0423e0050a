package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

// openTerminal returns both ends of a new terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, slave, err := newTerminal()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { master.Close() })
	return master, slave
}

// Progress is shown on a terminal, unless it is not wanted, and taken away.
func TestProgressOnATerminal(t *testing.T) {
	for _, tt := range []struct {
		options string
		want    bool
	}{
		{"", true}, {"--quiet", false}, {"--json", false}, {"--no-progress", false}, {"--dry-run", false},
	} {
		home := testHome(t)
		master, slave := openTerminal(t)
		cmd := shell("exec mailutil copy "+tt.options+" src new", home)
		cmd.Env = append(cmd.Env, "SHOW_PROGRESS=1")
		cmd.Stderr = slave
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		slave.Close()
		shown, _ := io.ReadAll(master) // ends with an error when the terminal is gone
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", tt.options, err)
		}
		if got := strings.Contains(string(shown), "src") && strings.Contains(string(shown), "0/3"); got != tt.want {
			t.Errorf("%q: progress %v on the terminal: %q", tt.options, got, shown)
		}
		if !tt.want && len(shown) > 0 {
			t.Errorf("%q: on the terminal: %q", tt.options, shown)
		}
	}
}

func TestNoProgressInAPipe(t *testing.T) {
	cmd := shell("exec mailutil copy src new", testHome(t))
	cmd.Env = append(cmd.Env, "SHOW_PROGRESS=1")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("got %v, %q", err, out)
	}
}

func TestOctets(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9950: "10 kB", 12345: "12 kB", 999_600: "1.0 MB", 3e12: "3.0 TB"} {
		if got := octets(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
