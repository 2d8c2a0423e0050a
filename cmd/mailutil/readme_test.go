package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestReadme runs the commands in the console blocks of README.md, all but
// make, and compares what they print, both outputs together, with what is
// there. The reader's copy of the source is /home/alice/mailutil.
func TestReadme(t *testing.T) {
	const readme = "../../README.md"
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	tree := readmeTree(t)
	var got strings.Builder
	inside := false
	for _, line := range strings.SplitAfter(string(b), "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console\n"
			got.WriteString(line)
		case !inside:
			got.WriteString(line)
		case strings.HasPrefix(line, "$ "):
			got.WriteString(line)
			if !strings.HasPrefix(line, "$ make ") {
				got.WriteString(readmeCommand(t, line[2:], tree))
			}
		}
	}
	switch {
	case got.String() == string(b):
	case *update:
		if err := os.WriteFile(readme, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("README.md: want -, got +\n%s", diff(string(b), got.String()))
	}
}

// readmeTree makes what the commands need of the source, built.
func readmeTree(t *testing.T) string {
	t.Helper()
	tree := filepath.Join(testHome(t), "tree")
	err := os.MkdirAll(filepath.Join(tree, "bin"), 0o755)
	if err == nil {
		err = os.CopyFS(filepath.Join(tree, "testdata/mail"), os.DirFS("../../testdata/mail"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(programDir, "mailutil"), filepath.Join(tree, "bin/mailutil")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(tree, 0o777); err != nil {
		t.Fatal(err)
	}
	return tree
}

// status is how the last command of the readme ended, for "echo $?".
var status int

func readmeCommand(t *testing.T, command, tree string) string {
	t.Helper()
	if command == "echo $?\n" {
		return strconv.Itoa(status) + "\n"
	}
	cmd := shell("exec 2>&1; "+command, filepath.Dir(tree))
	cmd.Dir = tree
	out, err := cmd.Output()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	status = cmd.ProcessState.ExitCode()
	return strings.ReplaceAll(string(out), tree, "/home/alice/mailutil")
}
