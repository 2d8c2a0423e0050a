package mix

import (
	"context"
	"errors"
	"fmt"
	"os"
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

// codes lists findings as "code@offset", doubts in brackets.
func codes(all []mailbox.Finding) string {
	var out []string
	for _, f := range all {
		if f.Code == "mix.nuls" && f.Off > 45 || f.Code == "mix.bare-lf" && f.Off > 45 {
			continue // the last message of the golden ones is like that
		}
		s := fmt.Sprintf("%s@%d", strings.TrimPrefix(f.Code, "mix."), f.Off)
		if f.Severity == mailbox.Doubt {
			s = "(" + s + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// found is what there is to find in each golden mailbox.
var found = map[string]string{
	"unburped":                   "(expunged@202)",
	"crash-data-only":            "unlisted@2394",
	"crash-meta":                 "unlisted@2394",
	"crash-index-extended":       "(index-unfinished@473) unlisted@2394",
	"crash-no-status":            "status-lacking@-1",
	"index-truncated-at-record":  "(status-unlisted@151) (status-unlisted@186) unlisted@1835 unlisted@2230",
	"index-empty":                "",
	"index-torn":                 "index-torn@396 (status-unlisted@186) unlisted@2230",
	"index-missing":              "",
	"status-missing":             "status-missing@-1",
	"status-empty":               "status-empty@0",
	"meta-keywords-unterminated": "meta-open@44",
	"uidlast-low":                "uidlast-low@242 uidlast-low@319 uidlast-low@396",
	"data-short":                 "data-short@2374",
	"data-token-damaged":         "token@202",
	"data-missing":               "data-missing@-1",
}

func TestInspectGolden(t *testing.T) {
	for _, g := range manifest(t) {
		t.Run(g.Name, func(t *testing.T) {
			w := newWorld(t)
			n := w.golden(g.Name)
			before := w.files(n)
			in, all := w.inspectAll(n)
			want := found[g.Name]
			switch g.Name {
			case "index-empty", "index-missing":
				if g.Name == "index-missing" {
					want = "index-missing@-1 "
				}
				for k := range 6 {
					want += fmt.Sprintf("(status-unlisted@%d) ", seqLen+statusLen*k)
				}
				want += "unlisted@0 unlisted@202 unlisted@524 unlisted@623 unlisted@1835 unlisted@2230"
			}
			if got := codes(all); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
			for _, f := range all {
				t.Log(f)
			}
			if sound := !strings.Contains(strings.ReplaceAll(want, "(", " ("), "@") || strings.HasPrefix(want, "("+"expunged"); in.Sound() != sound {
				t.Errorf("sound: got %v, want %v", in.Sound(), sound)
			}
			if after := w.files(n); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Error("inspecting changed files")
			}
		})
	}
}

// TestInspectDamage breaks a sound mailbox in ways that the golden ones are not.
func TestInspectDamage(t *testing.T) {
	replace := func(file, old, new string) func(dir string) error {
		return func(dir string) error {
			path := filepath.Join(dir, file)
			b, err := os.ReadFile(path)
			if err == nil && !strings.Contains(string(b), old) {
				err = fmt.Errorf("%s lacks %q", file, old)
			}
			if err == nil {
				err = os.WriteFile(path, []byte(strings.Replace(string(b), old, new, 1)), 0o600)
			}
			return err
		}
	}
	const data = ".mix6b03b909"
	for _, tt := range []struct {
		name string
		do   func(dir string) error
		want string
	}{
		{"metadata gone", func(dir string) error { return os.Remove(filepath.Join(dir, metaName)) }, "meta-missing@-1 unlisted"},
		{"sequence", replace(metaName, "S6b", "X6b"), "meta-sequence@0"},
		{"UIDVALIDITY", replace(metaName, "V6b03b909", "V00000000"), "meta-validity@11"},
		{"UIDLAST", replace(metaName, "L0000", "Lx000"), "meta-uidlast@22"},
		{"new file", replace(metaName, "N6b", "Nzz"), "meta-new@33"},
		{"keywords", replace(metaName, "Work $", "Work  $"), "meta-keywords@44"},
		{"unknown key", replace(metaName, "N6b", "Q12345678\r\nN6b"), "meta-record@33"},
		{"LF", replace(metaName, "\r\n", "\n"), "meta-sequence@0"},
		{"no UIDVALIDITY", replace(metaName, "V6b03b909\r\n", ""), "(validity-missing@0) (meta-loose@0)"},
		{"index sequence", replace(indexName, "S6b", "T6b"), "index-sequence@0"},
		{"index record", replace(indexName, ":00000002:2008", ":00000002:2xx8"), "index-record@88"},
		{"index junk", replace(indexName, ":00000002:", "00000002:"), "index-record@88"},
		{"index LF", replace(indexName, "91:\r\n", "91:\n"), "(index-loose@11)"},
		{"UID twice", replace(indexName, ":00000003:", ":00000002:"), "uid-twice@165 token-uid@524"},
		{"UID order", replace(indexName, ":00000003:", ":00000001:"), "uid-order@165 token-uid@524"},
		{"size", replace(indexName, ":00000036:", ":00000035:"), "(index-loose@165) token-size@524 junk@622"},
		{"header size", replace(indexName, ":000000d9:", ":000000d8:"), "header-size@-1"},
		{"place", replace(indexName, ":0000020c:", ":0000020d:"), "token@525"},
		{"status sequence", replace(statusName, "S6b", "T6b"), "status-sequence@0"},
		{"status record", replace(statusName, ":00000002:", ":0000000x:"), "status-record@46"},
		{"status twice", replace(statusName, ":00000002:", ":00000001:"), "(status-twice@46)"},
		{"flags", replace(statusName, ":0011:", ":4011:"), "(flags-unknown@11)"},
		{"keyword bits", replace(statusName, ":00000003:001c", ":00000013:001c"), "(keyword-unnamed@46)"},
		{"bare LF", replace(data, "Hello one.\r\n", "Hello one.\n\n"), "(bare-lf@45)"},
		{"NUL", replace(data, "Hello one.\r\n", "Hello\x00one.\r\n"), "(nuls@45)"},
		{"junk", func(dir string) error {
			f, err := os.OpenFile(filepath.Join(dir, data), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString(":msg:00000007:torn")
			return err
		}, "junk@2394"},
		{"left over", func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, lostName), []byte("x"), 0o600),
				os.WriteFile(filepath.Join(dir, ".mixup"), nil, 0o600))
		}, "(lost@-1) (stray@-1)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			n := w.golden("basic")
			if err := tt.do(n.Path); err != nil {
				t.Fatal(err)
			}
			_, all := w.inspectAll(n)
			if got := codes(all); !strings.HasPrefix(got+" ", strings.TrimSuffix(tt.want, "unlisted")) {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Nothing is wrong with a message whose line is read in two pieces.
func TestInspectLarge(t *testing.T) {
	w := newWorld(t)
	w.FS = hasty{}
	n := w.name("large")
	first := "Subject: x\r\n\r\n"
	first += strings.Repeat("x", windowSize-tokenLen-20-len(first)) // the next line begins 20 octets before the window ends
	if err := deliver(w, n, mailbox.AppendOptions{New: true}, item(first), item(text)); err != nil {
		t.Fatal(err)
	}
	if in, all := w.inspectAll(n); in.Doubts+in.Damages > 0 || in.Messages != 2 {
		t.Errorf("got %d messages, %v; want 2 and nothing found", in.Messages, all)
	}
}

func TestInspectForeign(t *testing.T) {
	w := newWorld(t)
	if err := os.Mkdir(w.name("dir").Path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.name("file").Path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"dir": mailbox.ErrNotMailbox, "file": mailbox.ErrFormat, "none": mailbox.ErrNotExist} {
		_, err := w.Inspect(context.Background(), w.name(name), func(mailbox.Finding) error { return errors.New("reported") })
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}
