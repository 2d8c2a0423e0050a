package ops_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
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

// A message is in one folder, whatever its labels are.
func TestFolders(t *testing.T) {
	for labels, want := range map[string]string{
		"Inbox,Work":                           "Inbox",
		"Work,Opened,Trash,Inbox":              "Trash",
		"Work,Reise":                           "Work",
		"Archived,Work/Plans":                  "Work/Plans",
		"Archiviert,Wichtig":                   "Archiviert",
		"Unread,Category Updates":              "Archived",
		"Kategorie: Werbung,Posteingang":       "Posteingang",
		"Categoryless":                         "Categoryless",
		"=?UTF-8?Q?Messages_envoy=C3=A9s?=":    "Messages envoy&AOk-s",
		"=?UTF-8?B?5Y+X5L+h44OI44Os44Kk?=,x":   "&U9dP4TDIMOwwpA-",
		"../../etc/x":                          "_./_./etc/x",
		"#driver.mbx/y,z":                      "_driver.mbx/y",
		"~root,z":                              "_root",
		"a//b ":                                "a/_/b",
		`"Smith, Jones",Opened`:                "Smith, Jones",
		`5" screen,Work`:                       `5" screen`,
		"R&D":                                  "R&-D",
		"":                                     "Archived",
		"tab\tinside":                          "tab_inside",
		strings.Repeat("x", 300) + "/" + "sub": strings.Repeat("x", 200) + "/sub",
	} {
		if got := ops.FolderOf([]byte("X-Gmail-Labels: " + labels + "\r\n\r\n")); got != want {
			t.Errorf("%s: got %q, want %q", labels, got, want)
		}
	}
	if got := ops.FolderOf([]byte("Subject: x\r\n\r\n")); got != "Archived" {
		t.Errorf("without labels: got %q", got)
	}
}

// Keywords that the fields say and the format has no room for stop a conversion,
// unless they may stay in their fields, where they are anyway.
func TestConvertManyLabels(t *testing.T) {
	s, home := homeSession(t)
	var in strings.Builder
	for i := range 40 {
		fmt.Fprintf(&in, "%sX-Gmail-Labels: L%d,All\n\nx\n\n", sep, i)
	}
	if err := os.WriteFile(filepath.Join(home, "src"), []byte(in.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Convert(t.Context(), "src", ops.ConvertOptions{To: "maildir", Origin: ops.Takeout}); !errors.Is(err, mailbox.ErrUnsupported) {
		t.Errorf("got %v, want %v", err, mailbox.ErrUnsupported)
	}
	c, err := s.Convert(t.Context(), "src", ops.ConvertOptions{To: "maildir", Origin: ops.Takeout, KeywordFields: true})
	if err != nil || c.Copied != 40 || !c.Verified || c.Mapped.Messages != 40 || c.Altered.Any() {
		t.Errorf("got %+v, %v", c, err)
	}
	state := stateOf(t, s, "src")
	if state[0] != `\Seen L0 All` || state[39] != `\Seen All` {
		t.Errorf("got %q", state)
	}
	if got := tellAll(t, s, "src", false); !strings.Contains(got, "X-Gmail-Labels: L39,All") || strings.Contains(got, "X-Keywords") {
		t.Errorf("got %s", got)
	}
}

// A source that is not as it was when it was sorted is not copied.
func TestFolderChanged(t *testing.T) {
	s, home := homeSession(t)
	write := func(labels ...string) {
		var in strings.Builder
		for _, l := range labels {
			in.WriteString(sep + "X-Gmail-Labels: " + l + "\n\nx\n\n")
		}
		if err := os.WriteFile(filepath.Join(home, "src"), []byte(in.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a", "b", "a")
	h, err := s.Hierarchy(t.Context(), "src", "d/", ops.HierarchyOptions{Origin: ops.Takeout, ByLabel: true})
	if err != nil || len(h.Transfers) != 2 || h.Transfers[0].Target != "d/a" {
		t.Fatalf("got %+v, %v", h, err)
	}
	write("b", "a", "a")
	acc, err := s.Copy(t.Context(), "src", "d/a", ops.CopyOptions{Create: true, Origin: ops.Takeout, Where: h.Transfers[0].Where, Folder: h.Transfers[0].Folder})
	if !errors.Is(err, mailbox.ErrChanged) || acc.Copied != 0 {
		t.Errorf("got %+v, %v", acc, err)
	}
}
