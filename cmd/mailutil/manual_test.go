package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// manual returns the lines of the manual page.
func manual(t *testing.T) []string { return page(t, "mailutil.1") }

func page(t *testing.T, name string) []string {
	t.Helper()
	b, err := os.ReadFile("../../man/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "\n")
}

// The page, with that of serve, has each option that the program has, in each
// spelling, and no others.
func TestManualOptions(t *testing.T) {
	inPage := map[string]bool{}
	for _, line := range append(manual(t), page(t, "mailutil-serve.1")...) {
		rest, ok := strings.CutPrefix(line, ".It Fl ")
		if !ok {
			continue
		}
		for _, item := range strings.Split(rest, " , Fl ") {
			name, _, _ := strings.Cut(item, " ")
			inPage["-"+name] = true
		}
	}
	if got, want := slices.Sorted(maps.Keys(inPage)), programOptions(); !slices.Equal(got, want) {
		t.Errorf("options: page -, program +\n%s", cmp.Diff(got, want))
	}
}

// programOptions lists the options of all commands, in each spelling.
func programOptions() []string {
	options := map[string]bool{}
	flags := allFlags(testFlags().root())
	flags.VisitAll(func(f *pflag.Flag) { options["--"+f.Name] = true })
	for word, option := range switches {
		if flags.Lookup(option) != nil {
			options["-"+word] = true
		}
		if len(word) == 2 { // the short ones of the original that are not one letter
			options["--"+word] = true
		}
	}
	return slices.Sorted(maps.Keys(options))
}

// The page explains each command, and no others; so does the program.
func TestManualCommands(t *testing.T) {
	var page, program, usage []string
	section := ""
	for _, line := range manual(t) {
		if s, ok := strings.CutPrefix(line, ".Sh "); ok {
			section = s
		}
		if s, ok := strings.CutPrefix(line, ".Ss "); ok {
			section = s
		}
		if rest, ok := strings.CutPrefix(line, ".It Cm "); ok && section == "DESCRIPTION" {
			name, _, _ := strings.Cut(rest, " ")
			page = append(page, name)
		}
	}
	for _, cmd := range testFlags().root().Commands() {
		program = append(program, cmd.Name())
	}
	for _, s := range syntaxes {
		usage = append(usage, s.command)
	}
	slices.Sort(page)
	slices.Sort(program)
	slices.Sort(usage)
	if !slices.Equal(page, program) || !slices.Equal(usage, program) {
		t.Errorf("commands\n   page %v\nprogram %v\n  usage %v", page, program, usage)
	}
}

func TestManualExitStatus(t *testing.T) {
	var got []string
	inside := false
	for _, line := range manual(t) {
		if strings.HasPrefix(line, ".Sh ") {
			inside = line == ".Sh EXIT STATUS"
		}
		if rest, ok := strings.CutPrefix(line, ".It "); ok && inside {
			got = append(got, rest)
		}
	}
	var want []string
	for _, status := range []int{exitDone, exitFailed, exitUsage, exitPartly} {
		want = append(want, fmt.Sprint(status))
	}
	if !slices.Equal(got, want) {
		t.Errorf("exit statuses: page %v, program %v", got, want)
	}
}

// The examples work, in the order of the page.
func TestManualExamples(t *testing.T) {
	home := testHome(t)
	for _, setup := range []string{"cp src archive", "cp src $SPOOL/alice"} {
		if out, err := shell(setup, home).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", setup, err, out)
		}
	}
	runExamples(t, home, manual(t))
}

// So do those about criteria: each finds something.
func TestCriteriaExamples(t *testing.T) { runExamples(t, testHome(t), page(t, "mailutil-criteria.7")) }

func runExamples(t *testing.T, home string, lines []string) {
	t.Helper()
	ran := 0
	for _, line := range lines {
		command, ok := strings.CutPrefix(line, ".Dl $ ")
		if !ok {
			continue
		}
		ran++
		command = strings.NewReplacer(`\(dq`, `"`, `\e`, `\`).Replace(command)
		if out, err := shell(command, home).CombinedOutput(); err != nil || strings.Contains(command, " src '") && len(out) == 0 {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
	if ran == 0 {
		t.Error("the page has no examples")
	}
}

// testHome makes a home directory like those of the scripts, outside of them.
func testHome(t *testing.T) string {
	t.Helper()
	work := t.TempDir()
	for dir := work; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := makeHome(work); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(work, "home")
}
