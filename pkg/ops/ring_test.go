package ops_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
)

// A relic is what is left of a message on its way through the formats.
type relic struct {
	Text     string
	Date     time.Time // the moment: some formats have no zones
	Flags    string
	Keywords string // where the format has any
}

// ring are the formats in the order of the way, and those that lose keywords
// that were not configured.
var ring = []string{"mmdf", "mtx", "tenex", "mbx", "mix", "mx", "mh", "maildir", "unix"}

// What every format can hold comes home from a way through all of them, octet
// for octet, with its dates and flags; keywords as far as the formats have them.
func TestRing(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	env.Config.Keywords = []string{"Work", "Later"} // mtx and tenex have none of their own
	var box strings.Builder
	for i := range 40 {
		fmt.Fprintf(&box, "From a@example.com Mon Jul  2 00:%02d:00 2001 +0100\nSubject: =?UTF-8?Q?K=C3=B6ln?= %d\nStatus: %s\nX-Status: %s\n",
			i, i, []string{"R", "O", "", "RO"}[i%4], []string{"A", "F", "D", "T", "AF"}[i%5])
		if i == 0 {
			box.WriteString("X-IMAPbase: 994032000 40 Work Later\n")
		}
		fmt.Fprintf(&box, "X-Keywords: %s\n\nText \xe4\xf6 with 8 bits,\n\ta tab, \x7f and .\n.\n%s\n\n", []string{"", "Work", "Later", "Work Later"}[i%4], strings.Repeat("long ", i*30))
	}
	if err := os.WriteFile(filepath.Join(env.Home, "start"), []byte(box.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &ops.Session{Env: env, Drivers: all.Drivers(env)}
	want := relics(t, s, "start")
	from := "start"
	for _, format := range ring {
		to := "in-" + format
		acc, err := s.Copy(t.Context(), from, "#driver."+format+"/"+to, ops.CopyOptions{Create: true, Verify: true})
		if err != nil || !acc.Balanced() || acc.Copied != 40 || acc.Altered.Any() {
			t.Fatalf("%s to %s: got %+v, %v", from, format, acc, err)
		}
		if st, err := s.Check(t.Context(), to); err != nil || st.Driver != format {
			t.Fatalf("%s: got format %s, %v", to, st.Driver, err)
		}
		if d := cmp.Diff(want, relics(t, s, to)); d != "" {
			t.Fatalf("behind %s: want -, got +\n%s", format, d)
		}
		from = to
	}
}

func relics(t *testing.T, s *ops.Session, name string) (out []relic) {
	t.Helper()
	_, all := lettersIn(t, s, name)
	for _, l := range all {
		out = append(out, relic{
			Text: string(l.text), Date: l.Date.Time().UTC(), Flags: strings.Join(mailbox.Flags{System: l.Flags.System}.Names(nil), " "),
			Keywords: strings.Join(l.keywords, " "),
		})
	}
	return out
}
