package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/deliver"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args  string
		err   string
		check func(*deliver.Line) bool
	}{
		{"-D -f joe alice bob", "", func(l *deliver.Line) bool {
			return l.Debug && l.From == "joe" && l.HasFrom && slices.Equal(l.Args, []string{"alice", "bob"}) &&
				slices.Equal(l.Again, []string{"--several", "-D", "-f", "joe"})
		}},
		{"-fxyz joe alice", "", func(l *deliver.Line) bool { return l.From == "joe" }}, // the second character alone counts
		{"-p5 -p -7 alice", "", func(l *deliver.Line) bool { return l.Precedence == "-7" }},
		{"-d -s x alice", "", func(l *deliver.Line) bool { return slices.Equal(l.Args, []string{"alice"}) }},
		{"-D -- -alice", "", func(l *deliver.Line) bool {
			return slices.Equal(l.Args, []string{"-alice"}) && slices.Equal(l.Again, []string{"--several", "-D"})
		}},
		{"alice -D", "", func(l *deliver.Line) bool { return !l.Debug && len(l.Args) == 2 }},
		{"--compat --delivered-to alice", "", func(l *deliver.Line) bool { return l.DeliveredTo }},
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
		l := &deliver.Line{}
		err := parse(l, strings.Fields(tt.args))
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

// Without any argument, not even a name of the program.
func TestNoArguments(t *testing.T) {
	var out, stderr bytes.Buffer
	if code := program().Run(nil, strings.NewReader(""), &out, &stderr); code != 64 || stderr.String() != shortUsage+"\n" {
		t.Errorf("got status %d, %s", code, stderr.String())
	}
}

func TestHelp(t *testing.T) {
	var out, stderr bytes.Buffer
	if code := program().Run([]string{"tmail", "--help"}, nil, &out, &stderr); code != 0 || !strings.HasPrefix(out.String(), "usage: tmail") {
		t.Errorf("got status %d, %s", code, out.String())
	}
}
