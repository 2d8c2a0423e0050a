package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/exit"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args  string
		err   string
		check func(*line) bool
	}{
		{"-D -f joe alice bob", "", func(l *line) bool {
			return l.options.Debug && l.options.From == "joe" && l.options.HasFrom && slices.Equal(l.recipients, []string{"alice", "bob"}) &&
				slices.Equal(l.options.Again, []string{"--several", "-D", "-f", "joe"})
		}},
		{"-fxyz joe alice", "", func(l *line) bool { return l.options.From == "joe" }}, // the second character alone counts
		{"-p5 -p -7 alice", "", func(l *line) bool { return l.options.Precedence == "-7" }},
		{"-d -s x alice", "", func(l *line) bool { return slices.Equal(l.recipients, []string{"alice"}) }},
		{"-D -- -alice", "", func(l *line) bool {
			return slices.Equal(l.recipients, []string{"-alice"}) && slices.Equal(l.options.Again, []string{"--several", "-D"})
		}},
		{"alice -D", "", func(l *line) bool { return !l.options.Debug && len(l.recipients) == 2 }},
		{"--compat --delivered-to alice", "", func(l *line) bool { return l.compat && l.options.DeliveredTo }},
		{"", shortUsage, nil},
		{"-", "unknown switch", nil},
		{"-x", "unknown switch", nil},
		{"--nosuch", "unknown switch", nil},
		{"-f", "missing argument to -f or -r", nil},
		{"-I", "missing argument to -I", nil},
		{"-b nosuch", "unknown format to -b", nil},
		{"-b imap", "invalid format to -b", nil},
		{"-b news", "invalid format to -b", nil},
		{"-b mbx -I x a", "duplicate -b or -I", nil},
		{"-p x a", "missing argument to -p", nil},
	} {
		l, err := parse(strings.Fields(tt.args))
		switch {
		case tt.err != "" && (err == nil || err.Error() != tt.err):
			t.Errorf("%q: got %v, want %s", tt.args, err, tt.err)
		case tt.err == "" && err != nil:
			t.Errorf("%q: got %v", tt.args, err)
		case tt.err == "" && !tt.check(l):
			t.Errorf("%q: got %+v", tt.args, l)
		}
	}
}

func TestCompat(t *testing.T) {
	for s, want := range map[exit.Status]int{exit.OK: 0, exit.Usage: 75, exit.NoUser: 75, exit.CantCreate: 73, exit.TempFail: 75} {
		if got := (&line{compat: true}).status(s); got != want {
			t.Errorf("%d: got %d, want %d", s, got, want)
		}
		if got := (&line{}).status(s); got != int(s) {
			t.Errorf("%d: got %d", s, got)
		}
	}
}

// Without any argument, not even a name of the program.
func TestNoArguments(t *testing.T) {
	var out, stderr bytes.Buffer
	if code := run(nil, strings.NewReader(""), &out, &stderr); code != 64 || stderr.String() != shortUsage+"\n" {
		t.Errorf("got status %d, %s", code, stderr.String())
	}
}

func TestHelp(t *testing.T) {
	var out, stderr bytes.Buffer
	if code := run([]string{"tmail", "--help"}, nil, &out, &stderr); code != 0 || !strings.HasPrefix(out.String(), "usage: tmail") {
		t.Errorf("got status %d, %s", code, out.String())
	}
}
