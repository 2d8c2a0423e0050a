package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mailutil/pkg/mailbox"
)

// The scripts run this test binary under the name mailutil, as a user without
// privileges, in a home and with a spool of their own.

var update = flag.Bool("update", false, "write what the commands print into the scripts (then review it)")

// Who the commands run as where the tests run as root.
const plainUID, plainGID = 65534, 65534

// programDir has the program of the scripts.
var programDir string

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "mailutil" {
		newEnv = scriptEnv
		if os.Getenv("SHOW_PROGRESS") != "" {
			progressAfter = 0
		}
		os.Exit(runWithSignals(os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	flag.Parse()
	os.Exit(withProgram(m.Run))
}

// withProgram makes the program, readable for everybody, for as long as f runs.
func withProgram(f func() int) int {
	dir, err := os.MkdirTemp("", "mailutil-script")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mailutil"), program, 0o755); err != nil {
		panic(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		panic(err)
	}
	programDir = dir
	return f()
}

// scriptEnv is alice on the host hh.
func scriptEnv() (*mailbox.Env, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	home := os.Getenv("HOME")
	work := filepath.Dir(home)
	return &mailbox.Env{
		User: "alice", Home: home, Spool: filepath.Join(work, "spool/alice"), Host: "hh", Dir: dir,
		Now: time.Now, Notify: func(mailbox.Level, string) {}, Config: mailbox.DefaultConfig(),
		LockDir: filepath.Join(work, "locks"), StateDir: filepath.Join(home, ".local/state/mailutil"),
	}, nil
}

const scriptDir = "../../testdata/script/mailutil"

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   scriptDir,
		Setup: prepareHome,
		Cmds:  map[string]func(ts *testscript.TestScript, neg bool, args []string){"session": runSession},
	})
}

// prepareHome makes the home directory of a script.
func prepareHome(e *testscript.Env) error {
	if os.Getuid() == 0 {
		if err := os.Chmod(filepath.Dir(e.WorkDir), 0o755); err != nil {
			return err
		}
	}
	return makeHome(e.WorkDir)
}

// makeHome makes a home directory with two mailboxes in it, and a spool, and
// gives them to the user that commands run as.
func makeHome(work string) error {
	for _, dir := range []string{"home", "spool", "locks"} {
		if err := os.MkdirAll(filepath.Join(work, dir), 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"src", "kw"} {
		b, err := os.ReadFile(filepath.Join("../../testdata/mail", name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(work, "home", name), b, 0o644); err != nil {
			return err
		}
	}
	if os.Getuid() != 0 {
		return nil
	}
	return filepath.Walk(work, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, plainUID, plainGID)
	})
}

// runSession is the script command "session FILE".
func runSession(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: session FILE")
	}
	text := ts.ReadFile(args[0])
	got, err := playSession(text, ts.MkAbs("home"))
	ts.Check(err)
	if got == text {
		return
	}
	if *update {
		path := filepath.Join(scriptDir, ts.Name()+".txtar")
		script, err := os.ReadFile(path)
		ts.Check(err)
		ts.Check(os.WriteFile(path, []byte(strings.Replace(string(script), text, got, 1)), 0o644))
		return
	}
	ts.Fatalf("session %s: want -, got +\n%s", args[0], diff(text, got))
}
