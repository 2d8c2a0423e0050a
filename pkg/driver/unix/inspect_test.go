package unix

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
)

// inspectAll returns all findings about n.
func inspectAll(t testing.TB, env *mailbox.Env, n mailbox.Name) (mailbox.Inspection, []mailbox.Finding) {
	t.Helper()
	var all []mailbox.Finding
	in, err := New(env).Inspect(context.Background(), n, func(f mailbox.Finding) error {
		all = append(all, f)
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", n.Text, err)
	}
	return in, all
}

// codes lists findings as "code@offset".
func codes(all []mailbox.Finding, s mailbox.Severity) string {
	var out []string
	for _, f := range all {
		if f.Severity == s {
			out = append(out, fmt.Sprintf("%s@%d", f.Code, f.Off))
		}
	}
	return strings.Join(out, " ")
}

// damaged are the golden files in which something is broken, most of all the
// UIDs, by intention.
var damaged = map[string]string{
	"after-header-only.mbox":        "unix.from-in-header@202",
	"foreign-base-bad.mbox":         "unix.base-bad@40",
	"foreign-header-only.mbox":      "unix.from-in-header@111",
	"foreign-pseudo-hijack.mbox":    "unix.uid-order@168",
	"foreign-pseudo-lowercase.mbox": "unix.pseudo-bad@0",
	"foreign-truncated-header.mbox": "unix.torn-tail@112",
	"foreign-two-pseudos.mbox":      "unix.uid-order@801",
	"foreign-uid-backwards.mbox":    "unix.uid-order@118",
	"foreign-uid-duplicate.mbox":    "unix.uid-twice@74",
	"foreign-uid-missing.mbox":      "unix.uid-order@162",
	"foreign-uid-zero.mbox":         "unix.uid-bad@65",
}

func TestInspectGolden(t *testing.T) {
	for _, g := range readGolden(t).Files {
		if g.Driver != "unix" {
			continue
		}
		t.Run(g.File, func(t *testing.T) {
			env, log := goldenEnv(t)
			in, all := inspectAll(t, env, put(t, env, g.File))
			if got := codes(all, mailbox.Damage); got != damaged[g.File] {
				t.Errorf("got %s\nwant %s", got, damaged[g.File])
			}
			if readExceptions[g.File] == "" && int(in.Messages) != len(g.Messages) {
				t.Errorf("got %d messages, want %d", in.Messages, len(g.Messages))
			}
			if len(*log) > 0 {
				t.Errorf("notices %v", *log)
			}
			for _, f := range all {
				t.Log(f)
			}
		})
	}
}
