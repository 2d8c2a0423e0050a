package lock

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func TestParsePID(t *testing.T) {
	for in, want := range map[string]int{
		"4711": 4711, "4711\n": 4711, "     4711\n": 4711, "2": 2, "2147483647": 2147483647,
		"": 0, "0": 0, "1": 0, "-5": 0, "+5": 0, "4711:host": 0, "4711 4712": 0, "4 711": 0,
		"2147483648": 0, "99999999999999999999": 0, "12\x00": 0, "1_0": 0, "0x10": 0,
	} {
		if got := parsePID(in); got != want {
			t.Errorf("%q: got %d, want %d", in, got, want)
		}
	}
}

func FuzzParsePID(f *testing.F) {
	f.Add("4711\n")
	f.Fuzz(func(t *testing.T, s string) {
		if pid := parsePID(s); pid < 0 || pid == 1 || pid > 1<<31-1 {
			t.Errorf("%q: got %d", s, pid)
		}
	})
}

func TestHolderString(t *testing.T) {
	for _, tt := range []struct {
		in   Holder
		want string
	}{
		{Holder{}, "another process"},
		{Holder{Command: "x", Since: time.Minute}, "another process since 60 s"},
		{Holder{PID: 4711}, "pid 4711"},
		{Holder{4711, "procmail", 12500 * time.Millisecond}, "pid 4711 (procmail) since 12 s"},
	} {
		if got := tt.in.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// Locks of all kinds show, those of one process once.
func TestHolders(t *testing.T) {
	f, dir := mailbox(t), t.TempDir()
	path := f.Name()
	if got := Holders(path, Options{Dir: dir}); len(got) != 0 {
		t.Errorf("free: got %v", got)
	}
	if got := Holders(filepath.Join(dir, "missing"), Options{Dir: dir}); len(got) != 0 {
		t.Errorf("missing: got %v", got)
	}
	session := start(t, "session", path, dir, "stubborn")
	session.expect("held")
	file := start(t, "hold", "file", "exclusive", path, dir)
	file.expect("held")
	got := Holders(path, Options{Dir: dir})
	if len(got) != 2 || got[0].PID != file.cmd.Process.Pid || got[1].PID != session.cmd.Process.Pid {
		t.Errorf("got %+v, want pids %d and %d", got, file.cmd.Process.Pid, session.cmd.Process.Pid)
	}
	file.end()
	session.end()
	if got := Holders(path, Options{Dir: dir}); len(got) != 0 {
		t.Errorf("free again: got %v", got)
	}
	// A lock of a program that does not say who it is.
	if err := os.WriteFile(path+".lock", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := Holders(path, Options{Dir: dir}); len(got) != 1 || got[0].PID != 0 {
		t.Errorf("empty dot lock: got %v, want one of no pid", got)
	}
}

// A lock file that a killed process left is no holder.
func TestHoldersStale(t *testing.T) {
	f, dir := mailbox(t), t.TempDir()
	if err := os.WriteFile(sessionName(t, f, dir), []byte(strconv.Itoa(deadPID(t))), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := Holders(f.Name(), Options{Dir: dir}); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
}
