package deptest

import (
	"bytes"
	"os"
	"path/filepath"
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
