package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exampleHome is what the mailboxes of the examples are made by.
const exampleHome = `mkdir -p 2025 && cp $ARCHIVE old.mbox && cp $ARCHIVE $SPOOL/alice && gzip -c old.mbox >archive.gz &&
mailutil copy ./old.mbox '#driver.mbx/kept' && mailutil create 2025/inbox && mailutil create lists && mailutil copy kept work`

// Each command has two examples, and they work.
func TestExamples(t *testing.T) {
	archive, err := filepath.Abs("../../testdata/mail/archive")
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range testFlags().root().Commands() {
		if len(examples[cmd.Name()]) < 2 {
			t.Errorf("%s has %d examples, want two", cmd.Name(), len(examples[cmd.Name()]))
		}
		for _, example := range examples[cmd.Name()] {
			work := t.TempDir()
			if err := os.Chmod(filepath.Dir(work), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := makeHome(work); err != nil {
				t.Fatal(err)
			}
			home := filepath.Join(work, "home")
			text, err := os.ReadFile(archive)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(work, "archive"), text, 0o644); err != nil {
				t.Fatal(err)
			}
			setup := strings.ReplaceAll(exampleHome, "$ARCHIVE", filepath.Join(work, "archive"))
			if cmd.Name() == "create" {
				setup = "true"
			}
			if out, err := shell(setup, home).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if out, err := shell(example, home).CombinedOutput(); err != nil {
				t.Errorf("%s\n%v\n%s", example, err, out)
			}
		}
	}
}
