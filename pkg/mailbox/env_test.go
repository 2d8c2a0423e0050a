package mailbox

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"testing"
)

func TestNewEnv(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	home, state := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_STATE_HOME", state)
	t.Setenv("MAIL", "/elsewhere")
	e, err := NewEnv()
	if err != nil {
		t.Fatal(err)
	}
	wantHome, wantState := home, state+"/mailutil"
	if os.Getuid() == 0 {
		wantHome, wantState = me.HomeDir, me.HomeDir+"/.local/state/mailutil"
	}
	if e.User != me.Username || e.Home != wantHome || e.StateDir != wantState {
		t.Errorf("got %s, %s, %s\nwant %s, %s, %s", e.User, e.Home, e.StateDir, me.Username, wantHome, wantState)
	}
	if filepath.Base(e.Spool) != me.Username || len(e.Host) == 0 || len(e.Host) > 80 || !filepath.IsAbs(e.Dir) {
		t.Errorf("got spool %s, host %s, directory %s", e.Spool, e.Host, e.Dir)
	}
	if e.Now().IsZero() || e.LockDir != "/tmp" || e.Config.NewFormat != "unix" {
		t.Errorf("got %+v", e)
	}
	e.Notify(Warn, "heard by nobody")

	t.Setenv("HOME", home+"/none")
	if e, err := NewEnv(); err != nil || e.Home != me.HomeDir {
		t.Errorf("$HOME missing: got %v, %v\nwant home %s", e, err, me.HomeDir)
	}
}

func TestEnvOfNobody(t *testing.T) {
	if _, err := EnvOf(&user.User{Username: "x"}); err == nil {
		t.Error("a user without a home directory: got no error")
	}
}

func TestLookupUserUnknown(t *testing.T) {
	for _, name := range []string{"", "-x", "a:b", "a\nb", "no-such-user"} {
		_, err := LookupUser(name)
		if !errors.As(err, new(user.UnknownUserError)) || errors.Is(err, ErrTemporary) {
			t.Errorf("LookupUser(%q)\n got %v\nwant an UnknownUserError", name, err)
		}
	}
}

// A directory service that is out of order must never look like a user who
// does not exist.
func TestGetent(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		home         string // "" for an error
		unknown      bool
	}{
		{"found", `echo "$2:x:1000:1000:A B,,:/home/$2:/bin/sh"`, "/home/alice", false},
		{"not found", "exit 2", "", true},
		{"service down", "exit 1", "", false},
		{"killed", "kill -9 $$", "", false},
		{"nothing said", "exit 0", "", false},
		{"half a line", "echo alice:x:10", "", false},
		{"no home", "echo alice:x:1:1:::", "", false},
		{"bad id", "echo alice:x:-1:1::/home/alice:", "", false},
	} {
		program := filepath.Join(t.TempDir(), "getent")
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		unknown := user.UnknownUserError("alice")
		u, err := getent(program, "alice", unknown)
		switch {
		case tt.home != "":
			if err != nil || u.HomeDir != tt.home || u.Username != "alice" || u.Uid != "1000" {
				t.Errorf("%s: got %+v, %v", tt.name, u, err)
			}
		case tt.unknown != errors.Is(err, unknown) || tt.unknown == errors.Is(err, ErrTemporary):
			t.Errorf("%s: got %v; want unknown %v", tt.name, err, tt.unknown)
		}
	}
	if _, err := getent(filepath.Join(t.TempDir(), "none"), "alice", user.UnknownUserError("alice")); !errors.As(err, new(user.UnknownUserError)) {
		t.Errorf("no getent: got %v; want an UnknownUserError", err)
	}
}

func TestFindUser(t *testing.T) {
	const text = "root:x:0:0:root:/root:/bin/sh\nbad:x:y:0::/:\n+nis::1:1:::\nhalf:x:7\nalice:x:1000:1001:A B,,:/home/alice:/bin/sh\nlast:x:1002:1002::/:/bin/a:b"
	for _, tt := range []struct {
		key   string
		field int
		want  string
	}{
		{"root", 0, "root"},
		{"0", 2, "root"},
		{"1000", 2, "alice"},
		{"last", 0, "last"},
		{"1000", 0, ""},
		{"1001", 2, ""},
		{"bad", 0, ""},
		{"+nis", 0, ""},
		{"half", 0, ""},
		{"x", 1, "root"},
		{"nobody", 0, ""},
	} {
		got := ""
		if u := findUser(text, tt.key, tt.field); u != nil {
			got = u.Username
		}
		if got != tt.want {
			t.Errorf("%s in field %d: got %q, want %q", tt.key, tt.field, got, tt.want)
		}
	}
}

// The environment says who we are only where nothing else does.
func TestLookupIgnoresEnvironment(t *testing.T) {
	t.Setenv("USER", "no-such-user")
	t.Setenv("HOME", t.TempDir())
	if u, err := LookupUser("no-such-user"); !errors.As(err, new(user.UnknownUserError)) {
		t.Errorf("got %+v, %v; want an UnknownUserError", u, err)
	}
}
