package deptest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mlockLines is how long the program may be that is to be read whole before it
// gets its privileges.
const mlockLines = 200

// Mlock is one file, beside its documentation.
func TestMlockIsShort(t *testing.T) {
	all, err := filepath.Glob("../../cmd/mlock/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		switch n := bytes.Count(text, []byte("\n")); filepath.Base(path) {
		case "doc.go":
		case "main.go":
			if n > mlockLines {
				t.Errorf("%s has %d lines, not %d at most", path, n, mlockLines)
			}
		default:
			t.Errorf("%s: all of mlock is in main.go", path)
		}
	}
}

// agentSize is how many octets a delivery agent may have: 3 MiB. The runtime and
// what starts programs take more than half of it; the rest is what twelve formats
// need to take mail and to finish what was interrupted.
//
// The linker leaves out what nothing that is reached names. A method is reached
// where its name and signature are those of a method that is called through an
// interface, and its type is in an interface, or in a field of one that is, at any
// depth: a Close or a String of what a delivery only has in a field is in the
// program with all that it calls. So is what a function in a field calls.
//
// What it costs, in octets, to use somewhere in a driver: fmt.Sscanf 90,000, io.Copy
// 50,000, os/exec 40,000, errors.As 20,000, strings.NewReplacer 16,000, os.ReadDir
// 13,000, io.Pipe 10,000, and slices.SortFunc up to 18,000 for each type that is
// sorted, where sort.Slice has one piece of code for all. fsx.Copy, package spawn,
// errors.AsType and fsx.ReadDir are what there is instead.
const agentSize = 3 << 20

// collector is the setting by which the Makefile chooses the collector of the
// agents, where the compiler has the choice.
func collector(t *testing.T, makefile string) string {
	t.Helper()
	setting := regexp.MustCompile(`shell (GOEXPERIMENT=\w+) \$\(GO\) env`).FindStringSubmatch(makefile)
	if setting == nil {
		t.Fatal("the Makefile does not say which collector the agents have")
	}
	cmd := exec.Command("go", "env", "GOEXPERIMENT")
	cmd.Env = append(os.Environ(), setting[1])
	if cmd.Run() != nil {
		return "GOEXPERIMENT="
	}
	return setting[1]
}

// The agents, as the Makefile builds them, stay small.
func TestAgentsAreSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles all that the agents need in another way")
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`build (-trimpath \S+) -ldflags '(.*) -X .*AGENTS`).FindStringSubmatch(string(makefile))
	if flags == nil {
		t.Fatal("the Makefile does not say how the agents are built")
	}
	dir := t.TempDir()
	args := append([]string{"build"}, strings.Fields(flags[1])...)
	cmd := exec.Command("go", append(args, "-ldflags", flags[2], "-o", dir, "mailutil/cmd/tmail", "mailutil/cmd/dmail")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", collector(t, string(makefile)))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"tmail", "dmail"} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if fi.Size() > agentSize {
			t.Errorf("%s has %d octets, not %d at most", name, fi.Size(), agentSize)
		}
	}
}
