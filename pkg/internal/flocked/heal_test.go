package flocked

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// testLines are lines "#SIZE\n".
var testLines = Lines{EOL: "\n", Most: 16, EndingAt: testLine}

func testLine(b []byte, end int) (start int, size int64) {
	start = bytes.LastIndexByte(b[:end-1], '\n') + 1
	if n, err := fmt.Sscanf(string(b[start:end]), "#%d\n", &size); n != 1 || err != nil {
		return -1, 0
	}
	return start, size
}

func TestEndsWhole(t *testing.T) {
	record := func(text string) string { return fmt.Sprintf("#%d\n%s", len(text), text) }
	big := strings.Repeat("a line of text\n", 20000)
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"nothing", "", true},
		{"one", record("x\n"), true},
		{"two", record("x\n") + record("y"), true},
		{"torn", record("x\n") + "#5\nab", false},
		{"line only", record("x\n") + "#5\n", false},
		{"torn line", record("x\n") + "#5", false},
		{"junk behind", record("x\n") + "\x00\x00\x00", false},
		{"empty last line", record("x\n\n\n"), true},
		{"a record inside", record("x\n#1\nyz"), false}, // the walk tells
		{"large", record(big), true},
		{"large, torn", record("x") + record(big)[:100000], false},
		{"larger than is looked at", record(strings.Repeat(big, 20)), false},
		{"line across windows", record(strings.Repeat("x", tailWindow-4)), true},
	} {
		got, err := testLines.endsWhole(strings.NewReader(tt.text), int64(len(tt.text)))
		if got != tt.want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
	for n := tailWindow - 20; n < tailWindow+20; n++ { // wherever the line lies
		text := record("first\n") + record(strings.Repeat("y", n))
		if got, err := testLines.endsWhole(strings.NewReader(text), int64(len(text))); !got || err != nil {
			t.Errorf("%d octets: got %v, %v, want true", n, got, err)
		}
	}
}
