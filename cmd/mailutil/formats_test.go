package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailutil/pkg/mailbox"
)

// The formats that README.md and the manual tell of are those that there are,
// and what the table says of writing is what their drivers can do.
func TestFormatsAreTold(t *testing.T) {
	c := testFlags()
	drivers, err := c.drivers(&mailbox.Env{Config: mailbox.DefaultConfig(), Notify: func(mailbox.Level, string) {}})
	if err != nil {
		t.Fatal(err)
	}
	writes := map[string]bool{}
	for _, d := range drivers {
		_, writes[d.Name()] = d.(mailbox.Appender)
	}
	writes["phile"] = false // it appends only to say why not
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(line, " | ")
		if name, ok := strings.CutPrefix(cells[0], "| `"); ok && len(cells) == 4 {
			table[strings.TrimSuffix(name, "`")] = !strings.HasPrefix(cells[3], "no")
		}
	}
	if d := cmp.Diff(writes, table); d != "" {
		t.Errorf("README.md: drivers -, table +\n%s", d)
	}
	var told []string
	section := ""
	for _, line := range manual(t) {
		if s, ok := strings.CutPrefix(line, ".Ss "); ok {
			section = s
		}
		if name, ok := strings.CutPrefix(line, ".It Li "); ok && section == "Formats" {
			told = append(told, name)
		}
	}
	slices.Sort(told)
	if d := cmp.Diff(slices.Sorted(maps.Keys(writes)), told); d != "" {
		t.Errorf("mailutil(1): drivers -, page +\n%s", d)
	}
}
