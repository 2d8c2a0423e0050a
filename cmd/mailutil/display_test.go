package main

import (
	"bytes"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		in    string
		n     int
		right bool
		want  string
	}{
		{"abc", 5, false, "abc  "},
		{"12", 5, true, "   12"},
		{"abcdef", 4, false, "abc…"},
		{"日本語", 6, false, "日本語"},
		{"日本語", 4, false, "日… "},
		{"e\u0301e\u0301e\u0301", 2, false, "e\u0301…"},
		{"abc", 1, false, "…"},
	} {
		if got := fit(tt.in, tt.n, tt.right); got != tt.want {
			t.Errorf("fit %q to %d: got %q, want %q", tt.in, tt.n, got, tt.want)
		}
	}
}

// On a terminal no line is wider than it is.
func TestTableFitsTheScreen(t *testing.T) {
	var out bytes.Buffer
	fields, err := parseFields(listFields)
	if err != nil {
		t.Fatal(err)
	}
	tab := (&cli{out: &out, err: &out}).newTable(fields, false)
	tab.screen = 100
	st := mailbox.Status{Messages: 7, UIDNext: 9}
	tab.begin(st)
	r := row{status: &st, headers: []string{"From", "Subject"}}
	r.Entry = ops.Entry{Message: mailbox.Message{Seq: 7, UID: 8, Size: 123456}, Header: []string{strings.Repeat("日", 90), strings.Repeat("x\x1b", 90)}}
	if err := tab.row(&r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || strings.Contains(out.String(), "\x1b") {
		t.Fatalf("got %q", out.String())
	}
	for _, line := range lines {
		if textWidth(line) > 100 {
			t.Errorf("%d columns: %s", textWidth(line), line)
		}
	}
	if !strings.HasSuffix(lines[1], " 121k") {
		t.Errorf("the size is not at the end of %q", lines[1])
	}
}
