package ops_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
)

const sep = "From a@b Mon Jan  1 10:00:00 2024\n"

// stateOf lists flags and keywords of all messages of a mailbox.
func stateOf(t *testing.T, s *ops.Session, name string) (out []string) {
	t.Helper()
	v, err := s.View(t.Context(), name, ops.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for m, err := range v.Messages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		m.Flags.System &^= 1 << 5 // Recent
		out = append(out, strings.Join(m.Flags.Names(v.Status().Keywords), " "))
	}
	return out
}

func TestOrigins(t *testing.T) {
	for _, tt := range []struct {
		name   string
		origin ops.Origin
		in     string
		want   []string
		mapped ops.Mapped
	}{
		{
			"takeout", ops.Takeout,
			sep + "X-Gmail-Labels: Inbox,Unread,Work stuff\n\n1\n\n" +
				sep + "X-Gmail-Labels: =?UTF-8?Q?Ge=C3=B6ffnet,Markiert,Reise_K=C3=B6ln?=\n\n2\n\n" +
				sep + "Subject: no labels\nStatus: R\n\n3\n\n" +
				sep + "X-Gmail-Labels: Archived,\"work stuff\",\n Entwurf\n\n4\n\n",
			[]string{"Inbox Work_stuff", `\Seen \Flagged Reise_K&APY-ln`, `\Seen`, `\Seen \Draft Work_stuff Archived`},
			ops.Mapped{Messages: 3, Seen: 2, Flagged: 1, Drafts: 1, Keywords: 5, Names: []string{"Inbox", "Work_stuff", "Reise_K&APY-ln", "Archived"}},
		},
		{
			"thunderbird", ops.Thunderbird,
			sep + "X-Mozilla-Status: 0001\nX-Mozilla-Status2: 00000000\nX-Mozilla-Keys: $label1 work                  \n\n1\n\n" +
				sep + "X-Mozilla-Status: 100b\nX-Mozilla-Keys:    \n\n2\n\n" +
				sep + "X-Mozilla-Status: 0004\nStatus: RO\n\n3\n\n" +
				sep + "X-Mozilla-Status: zzzz\nStatus: R\n\n4\n\n",
			[]string{`\Seen $label1 work`, `\Seen \Answered \Deleted $Forwarded`, `\Flagged`, `\Seen`},
			ops.Mapped{Messages: 3, Seen: 2, Answered: 1, Flagged: 1, Deleted: 1, Keywords: 3, Names: []string{"$label1", "work", "$Forwarded"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := mailboxtest.NewEnv(t)
			if err := os.WriteFile(filepath.Join(env.Home, "src"), []byte(tt.in), 0o600); err != nil {
				t.Fatal(err)
			}
			s := &ops.Session{Env: env, Drivers: all.Drivers(env)}
			acc, err := s.Copy(t.Context(), "src", "#driver.mbx/new", ops.CopyOptions{Create: true, Verify: true, Origin: tt.origin})
			if err != nil || acc.Altered.Any() {
				t.Fatalf("got %+v, %v", acc, err)
			}
			if got := stateOf(t, s, "new"); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
			if !reflect.DeepEqual(acc.Mapped, tt.mapped) {
				t.Errorf("mapped\n got %+v\nwant %+v", acc.Mapped, tt.mapped)
			}
			if _, err := s.Copy(t.Context(), "src", "plain", ops.CopyOptions{Create: true, Origin: tt.origin, Keywords: ops.Drop}); err != nil {
				t.Error(err)
			}
			for _, state := range stateOf(t, s, "plain") {
				if strings.Contains(state, "ork") {
					t.Errorf("keywords were left out, but there is %s", state)
				}
			}
		})
	}
}

// More labels than a mailbox can hold are counted, and the copy goes on.
func TestManyLabels(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	var in strings.Builder
	for i := range 70 {
		in.WriteString(sep + "X-Gmail-Labels: " + strings.Repeat("long ", 15) + strings.Repeat("x", i) + ",L" + string(rune('A'+i%26)) + string(rune('a'+i/26)) + "\n\nx\n\n")
	}
	if err := os.WriteFile(filepath.Join(env.Home, "src"), []byte(in.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &ops.Session{Env: env, Drivers: all.Drivers(env)}
	acc, err := s.Copy(t.Context(), "src", "#driver.mbx/new", ops.CopyOptions{Create: true, Origin: ops.Takeout, Verify: true})
	if err != nil || acc.Copied != 70 || acc.Altered.Keywords == 0 {
		t.Errorf("got %+v, %v; want 70 copied, keywords dropped", acc, err)
	}
}
