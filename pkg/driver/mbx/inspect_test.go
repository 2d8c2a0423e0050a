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
}{
	"base":                      {"", 8},
	"body-crlf-to-lf":           {"mbx.size-long@3396", 8},
	"body-zeroed-block":         {"", 8},
	"concatenated":              {"mbx.second-block@9819", 16},
	"crash-in-expunge-1":        {"mbx.copies@2288", 6},
	"crash-in-expunge-2":        {"mbx.copies@2558", 6},
	"crash-in-expunge-3":        {"mbx.copies@2773", 6},
	"crlf-garbage-tail":         {"mbx.junk-tail@9819", 8},
	"crlf-lf-tail":              {"mbx.junk-tail@9819", 8},
	"crlf-short-tail":           {"mbx.torn-tail@9819", 8},
	"crlf-to-lf-file":           {"mbx.lf-converted@5", 0},
	"crlf-zero-tail":            {"mbx.junk-tail@9819", 8},
	"date-8bit-first":           {"mbx.date@2048", 8},
	"date-bad-but-expunged":     {"", 7},
	"date-month":                {"mbx.date@3396", 8},
	"date-nul-first":            {"mbx.line-end@2048", 8},
	"date-year":                 {"mbx.date@3396", 8},
	"extra-crlf":                {"mbx.gap@3126", 8},
	"failed-open-left-uids":     {"mbx.junk-tail@10281 mbx.uidlast-low@15", 10},
	"failed-open-left-uids-cut": {"mbx.uidlast-low@15", 10},
	"flags-nonhex":              {"mbx.flags@3126", 8},
	"flags-short":               {"mbx.flags@3126", 8},
	"header-at-eof":             {"mbx.torn-tail@9819", 8},
	"header-lf-only":            {"mbx.line-end@3396", 8},
	"header-no-comma":           {"mbx.line-shape@3126", 8},
	"header-no-semicolon":       {"mbx.line-shape@3126", 8},
	"header-one-byte-extra":     {"mbx.block-shifted@2038", 8},
	"header-one-byte-lost":      {"mbx.keywords@88 mbx.block-shifted@2038", 8},
	"header-truncated":          {"mbx.block-short@1000", 0},
	"header-uids-zeroed":        {"mbx.uidlast-low@15", 8},
	"header-zeroed":             {"mbx.line-wiped@3396", 8},
	"inserted-bytes":            {"mbx.size-short@3396", 8},
	"keyword-too-long":          {"", 8},
	"keywords-zeroed":           {"mbx.keywords@25", 8},
	"lost-bytes":                {"mbx.size-long@3396", 8},
	"lost-file-header":          {"mbx.block-lost@0", 8},
	"magic-damaged":             {"mbx.magic@0", 8},
	"read-header-negsize":       {"mbx.size@9604", 8},
	"size-empty":                {"mbx.size@3126", 8},
	"size-huge-mid":             {"mbx.size-long@2693", 8},
	"size-long-30":              {"mbx.size-long@3396", 8},
	"size-long-swallow":         {"mbx.size-long@2270", 8},
	"size-nonnumeric":           {"mbx.size@3126", 8},
	"size-short-longlines":      {"mbx.size-short@7568", 8},
	"size-short-shortlines":     {"mbx.size-short@3396", 8},
	"size-trailing-junk":        {"", 8},
	"size-zero":                 {"mbx.size@3126", 8},
	"torn-append-then-appends":  {"mbx.size-long@9819", 12},
	"truncated-body":            {"mbx.torn-tail@9604", 8},
	"truncated-mid":             {"mbx.torn-tail@7328", 6},
	"uid-duplicate":             {"mbx.uid-twice@3396", 8},
	"uid-nine-digits":           {"mbx.uid@3126", 8},
	"uid-nodash":                {"mbx.uid@3126", 8},
	"uid-nonhex":                {"mbx.uid@3126", 8},
	"uid-not-ascending":         {"mbx.uid-order@3396", 8},
	"uidlast-low":               {"mbx.uidlast-low@15", 8},
	"uidvalidity-nonhex":        {"mbx.block-digits@10", 8},
	"zeroed-block-over-header":  {"mbx.gap@7328", 6},
}

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
