package mbx

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
)

// inspectAll returns all findings about n.
func (w *world) inspectAll(n mailbox.Name) (mailbox.Inspection, []mailbox.Finding) {
	w.t.Helper()
	var all []mailbox.Finding
	in, err := w.Inspect(context.Background(), n, func(f mailbox.Finding) error {
		all = append(all, f)
		return nil
	})
	if err != nil {
		w.t.Fatalf("%s: %v", n.Text, err)
	}
	return in, all
}

// damages lists the damage among findings as "code@offset".
func damages(all []mailbox.Finding) (out []string) {
	for _, f := range all {
		if f.Severity == mailbox.Damage {
			out = append(out, fmt.Sprintf("%s@%d", f.Code, f.Off))
		}
	}
	return out
}

func TestInspectGolden(t *testing.T) {
	for _, g := range manifest[struct{ Files []goldenFile }](t, "mbx").Files {
		w := newWorld(t)
		in, all := w.inspectAll(w.golden("mbx/" + g.File))
		if got := damages(all); len(got) > 0 || int(in.Messages) != len(g.Messages) {
			t.Errorf("%s: got %d messages, %q; want %d, no damage", g.File, in.Messages, got, len(g.Messages))
		}
		for _, f := range all {
			t.Logf("%s: %v", g.File, f)
		}
	}
}

// corrupt is what is wrong with each damaged file, and how many messages are
// found in it.
var corrupt = map[string]struct {
	want     string
	messages uint32
}{}

func TestInspectCorrupt(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata, "mbx-corrupt", "*.mbx"))
	if err != nil || len(files) != 58 {
		t.Fatalf("got %d files, %v; want 58", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".mbx")
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			in, all := w.inspectAll(w.golden("mbx-corrupt/" + name + ".mbx"))
			c, ok := corrupt[name]
			if got := strings.Join(damages(all), " "); !ok || got != c.want || in.Messages != c.messages {
				t.Errorf("got %d messages, %s\nwant %d, %s", in.Messages, got, c.messages, c.want)
			}
			for _, f := range all {
				t.Log(f)
			}
		})
	}
}
