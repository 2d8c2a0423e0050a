package main

import (
	"io"
	"reflect"
	"strings"
	"testing"
)

func testFlags() *cli { return &cli{prog: "mailutil", out: io.Discard, err: io.Discard} }

func TestParseLine(t *testing.T) {
	for _, tt := range []struct {
		in   string // words between blanks
		want string // what cobra gets, or the error
	}{
		{"", "|--"},
		{"check", "check --"},
		{"check src -v", "check --verbose -- src"},
		{"-- check -x", "check -- -x"},
		{"check -- -d", "check -- -d"},
		{"-- -d check", "-d -- check"},
		{"create -- -- ", "create -- --"},
		{"copy -rw a b -kw", "copy --rwcopy --kwcopy -- a b"},
		{"-rwcopy copy a b -ignore", "copy --rwcopy --ignore -- a b"},
		{"-ig copy -d a -verbose b", "copy --ignore --debug --verbose -- a b"},
		{"--rw --kwcopy copy a b", "copy --rwcopy --kwcopy -- a b"},
		{"-u fred check", "check --user=fred --"},
		{"check -user -v x", "check --user=-v -- x"},
		{"check --user=fred x", "check --user=fred -- x"},
		{"--lock-timeout 5s check --config=f", "check --lock-timeout=5s --config=f --"},
		{"-m suffix=.x copy a b", "copy --merge=suffix=.x -- a b"},
		{"-h", "|--help --"},
		{"--help check -version", "check --help --version --"},
		{"--restrict --quiet check", "check --restrict --quiet --"},

		{"list -0 a b", "list --null -- a b"},
		{"search -l a b c d", "search --mailboxes -- a b c d"},
		{"check a b c --deep", "check --deep -- a b c"},
		{"check a b c", "unknown argument: c"},
		{"list a b c", "unknown argument: c"},

		{"-foo", "unknown switch: -foo"},
		{"--foo", "unknown switch: --foo"},
		{"-", "unknown switch: -"},
		{"-V", "unknown switch: -V"},
		{"-RW copy a b", "unknown switch: -RW"},
		{"-vd", "unknown switch: -vd"},
		{"-restrict", "unknown switch: -restrict"},
		{"-config f", "unknown switch: -config"},
		{"-user=fred", "unknown switch: -user=fred"},
		{"---rw", "unknown switch: ---rw"},
		{"-u", "unknown switch: -u"},
		{"-merge", "unknown switch: -merge"},
		{"--config", "unknown switch: --config"},
		{"copy a b c", "unknown argument: c"},
		{"copy -- a b -c", "unknown argument: -c"},
		{"-merge foo transfer a b", "unknown merge option: foo"},
		{"-m suffix= transfer a b", "unknown merge option: suffix="},
		{"-m PROMPT transfer a b", "unknown merge option: PROMPT"},
		{"-kw -ig copy a b", exclusive},
		{"-kwcopy check -ignore", exclusive},
		{"-ig -kw -foo", exclusive},
		{"-foo -ig -kw", "unknown switch: -foo"},
	} {
		l, err := parseLine(strings.Fields(tt.in), allFlags(testFlags().root()))
		got := strings.Join(l.cobra(), " ")
		if l.command == "" {
			got = "|" + strings.TrimPrefix(got, " ")
		}
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("parse %q\n got %s\nwant %s", tt.in, got, tt.want)
		}
	}
}

func TestParseLineKeepsEmptyWords(t *testing.T) {
	l, err := parseLine([]string{"prune", "", ""}, allFlags(testFlags().root()))
	want := commandLine{command: "prune", args: []string{"", ""}}
	if err != nil || !reflect.DeepEqual(l, want) {
		t.Errorf("got %+v, %v, want %+v", l, err, want)
	}
}

// Every option that is written with one dash is one of some command, or one
// that commands to come will have.
func TestSwitchesHaveOptions(t *testing.T) {
	known := allFlags(testFlags().root())
	for word, option := range switches {
		if option != "merge" && known.Lookup(option) == nil {
			t.Errorf("-%s stands for --%s, which no command has", word, option)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	for _, s := range []string{"check -v", "copy -rw a b", "--\n--", "-u\nx", "--=\n-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := parseLine(strings.Split(s, "\n"), allFlags(testFlags().root()))
		if err == nil && len(l.args) > 2 && !takesMany(l.command, strings.Split(s, "\n")) {
			t.Errorf("%q: got %+v", s, l)
		}
	})
}
