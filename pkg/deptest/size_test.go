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

// agentSize is how many octets a delivery agent may have. The aim is 3,000,000,
// of which the runtime and what starts programs take two thirds; the rest is what
// twelve formats need to take mail and to finish what was interrupted.
//
// What it costs, in octets, to use somewhere in a driver: fmt.Sscanf 90,000,
// strings.NewReplacer 16,000, and slices.SortFunc up to 18,000 for each type
// that is sorted, where sort.Slice has one piece of code for all.
const agentSize = 3_650_000

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
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
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
