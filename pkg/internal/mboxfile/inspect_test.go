package mboxfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/mailbox"
)

// inspectAll returns all findings about n.
func inspectAll(t testing.TB, env *mailbox.Env, n mailbox.Name) (mailbox.Inspection, []mailbox.Finding) {
	t.Helper()
	var all []mailbox.Finding
	in, err := inspectedBy(t, env, n).Inspect(context.Background(), n, func(f mailbox.Finding) error {
		all = append(all, f)
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", n.Text, err)
	}
	return in, all
}

// inspectedBy is the driver that looks at n: of MMDF where there is a delimiter
// in the beginning.
func inspectedBy(t testing.TB, env *mailbox.Env, n mailbox.Name) *Driver {
	t.Helper()
	b, err := os.ReadFile(n.Path)
	if err != nil {
		t.Fatal(err)
	}
	if what, _ := mbox.BeginMMDF(b[:min(len(b), 64<<10)]); what != mbox.Foreign {
		return New(mbox.MMDF, env)
	}
	return New(mbox.Unix, env)
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

	"foreign-no-final-delimiter.mmdf": "mmdf.torn-tail@61",
	"foreign-uid-backwards.mmdf":      "mmdf.uid-order@132",
}

func TestInspectGolden(t *testing.T) {
	for _, format := range both {
		inspectGolden(t, format)
	}
}

func inspectGolden(t *testing.T, format mbox.Format) {
	for _, g := range readGolden(t, format).Files {
		if g.Driver != format.Name() {
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

const fromLine = "From a@b Wed Dec  2 05:53:22 2020 +0000\n"

// mboxOf joins messages, each with its From_ line and an empty line behind it.
func mboxOf(texts ...string) string {
	var b strings.Builder
	for _, text := range texts {
		b.WriteString(fromLine + text + "\n")
	}
	return b.String()
}

func TestInspectFindings(t *testing.T) {
	const n = len(fromLine)
	base := "X-IMAPbase: 5 9\nX-UID: 1\n\nx\n"
	for _, tt := range []struct {
		name, file    string
		damage, doubt string
	}{
		{"sound", mboxOf(base, "A: b\nX-UID: 2\n\ny\n"), "", ""},
		{"no blank line", fromLine + "A: b\n\nx\n" + mboxOf("A: b\n\ny\n"), "", fmt.Sprintf("unix.from-no-blank@%d", n+8)},
		{"no header", mboxOf("A: b\n\nx\n", "\ny\n"), "", fmt.Sprintf("unix.from-no-header@%d", n+9)},
		{"prose", "From here on it is ok: abc def gh ij:kl mnop\nA: b\n\nx\n", "", "unix.from-prose@0"},
		{"undated", "From a@b Wed Dec 32 05:53:22 2020\nA: b\n\nx\n", "", "unix.from-undated@0"},
		{"From_ line inside", mboxOf("Content-Length: 70\n\nx\n", "A: b\n\ny\n"), "", fmt.Sprintf("unix.from-content-length@%d", n+23)},
		{"Content-Length too short", mboxOf("Content-Length: 1\n\nxyz\n"), "", fmt.Sprintf("unix.content-length@%d", n)},
		{"garbled From_ line", mboxOf("A: b\n\nx\n\nFrom a@b 2 Dec\nA: b\n\ny\n"), "", fmt.Sprintf("unix.from-garbled@%d", n+9)},
		{"swallowed", mboxOf("A: b\n" + fromLine + "A: b\n\nx\n"), fmt.Sprintf("unix.from-in-header@%d", n+5), ""},
		{"twice", mboxOf(fromLine + "A: b\n\nx\n"), "", fmt.Sprintf("unix.from-twice@%d", n)},
		{"torn From_ line", mboxOf("A: b\n\nx\n") + strings.TrimSpace(fromLine), fmt.Sprintf("unix.torn-tail@%d", 2*n+7), ""},
		{"torn header", mboxOf("A: b\n\nx\n") + fromLine + "Subj", fmt.Sprintf("unix.torn-tail@%d", 2*n+12), "unix.header-line"},
		{"NULs at the end", mboxOf("A: b\n\nx\n") + strings.Repeat("\x00", 330), fmt.Sprintf("unix.nul-tail@%d", n+9), "unix.no-newline"},
		{"NULs at the end of a message", mboxOf("A: b\n\nx\n"+strings.Repeat("\x00", 330)+"\n", "A: b\n\ny\n"), fmt.Sprintf("unix.nul-end@%d", n+8), ""},
		{"NULs before a From_ line", mboxOf("A: b\n\nx\n") + strings.Repeat("\x00", 9) + mboxOf("A: b\n\ny\n"), fmt.Sprintf("unix.from-glued@%d", n+18), ""},
		{"torn within a line", fromLine + "A: b\n\nx" + fromLine + "A: b\nTo: c\n\ny\n", fmt.Sprintf("unix.from-glued@%d", n+7), ""},
		{"wiped within the header", fromLine + "A: b\nSub" + strings.Repeat("\x00", 20) + " 2020 +0100\nFrom: c\nTo: c\n\ny\n", fmt.Sprintf("unix.header-wiped@%d", n+40), ""},
		{"torn within a header line", fromLine + "Subj" + fromLine + "A: b\nTo: c\n\ny\n", fmt.Sprintf("unix.from-glued-header@%d", n+4), ""},
		{"From_ line quoted", mboxOf("A: b\n\nx\n>" + fromLine + "Date: b\n\n| " + fromLine + "To: c\n"), "", ""},
		{"NULs inside", mboxOf("A: b\n\nx\n" + strings.Repeat("\x00", 330) + "z\n"), "", fmt.Sprintf("unix.nuls@%d", n+8)},
		{"bare CR", mboxOf("A: b\n\nx\ry\n"), "", fmt.Sprintf("unix.bare-cr@%d", n+7)},
		{"CR LF", mboxOf("A: b\n\nx\r\n\r\n"), "", "unix.mixed-lines"},
		{"leading blank", "\n" + mboxOf("A: b\n\nx\n"), "", "unix.leading-blank@0"},
		{"leading junk", "Subject: x\n\ny\n" + mboxOf("A: b\n\nx\n"), "unix.leading-junk@0", ""},
		{"bad From_ line", "From a@b\nA: b\n\nx\n", "unix.from-bad@0", ""},
		{"UID above", mboxOf(base, "X-UID: 12\n\ny\n"), "", "unix.uid-high"},
		{"UID not a number", mboxOf(base, "X-UID: q\n\ny\n"), "unix.uid-bad", ""},
		{"long lines", mboxOf("A: "+strings.Repeat("b", 70<<10)+"\n\n"+strings.Repeat("x", 3<<20)+"\n", "A: b\n\nx\n"), "", ""},
	} {
		env, _ := goldenEnv(t)
		_, all := inspectAll(t, env, putBytes(t, env, "box", []byte(tt.file)))
		damage, doubt := codes(all, mailbox.Damage), codes(all, mailbox.Doubt)
		if !begins(damage, tt.damage) || !begins(doubt, tt.doubt) {
			t.Errorf("%s: %.200q\n got damage %q, doubts %q\nwant damage %q, doubts %q", tt.name, tt.file, damage, doubt, tt.damage, tt.doubt)
		}
	}
}

func TestInspectFindingsMMDF(t *testing.T) {
	const d, n = mbox.Delimiter, len(fromLine)
	one := d + fromLine + "A: b\n\nx\n" + d
	for _, tt := range []struct {
		name, file    string
		damage, doubt string
	}{
		{"sound", one + one, "", ""},
		{"no From_ line", d + "A: b\n\nx\n" + d, "", "mmdf.from-missing@5"},
		{"undated", d + "From a@b Wed Dec 32 05:53:22 2020\nA: b\n\nx\n" + d, "", "mmdf.from-undated@5"},
		{"one delimiter", one + one[5:], "", fmt.Sprintf("mmdf.delimiter-single@%d", n+13)},
		{"three delimiters", one + d + one, "", fmt.Sprintf("mmdf.delimiter-extra@%d", n+13)},
		{"glued", d + fromLine + "A: b\n\nxyz" + d, "", fmt.Sprintf("mmdf.delimiter-glued@%d", n+14)},
		{"no last delimiter", one + d + fromLine + "A: b\n\nx\n", fmt.Sprintf("mmdf.torn-tail@%d", 2*n+30), ""},
		{"torn delimiter", one + d + fromLine + "A: b\n\nx\n\x01\x01\x01\x01", fmt.Sprintf("mmdf.torn-tail@%d", 2*n+34), ""},
		{"torn header", one + d + fromLine + "A: b", "mmdf.torn-tail", ""},
		{"no empty line", d + fromLine + "A: b\n" + d, "", fmt.Sprintf("mmdf.header-only@%d", n+10)},
		{"delimiter with CR", d + fromLine + "A: b\n\nx\n\x01\x01\x01\x01\r\n" + d, fmt.Sprintf("mmdf.delimiter-garbled@%d", n+13), ""},
		{"too few", d + fromLine + "A: b\n\nx\n\x01\x01\x01\n" + one, fmt.Sprintf("mmdf.delimiter-garbled@%d", n+13), ""},
		{"too few, and none lacks", d + fromLine + "A: b\n\nx\n\x01\x01\x01\n" + d + one, "", fmt.Sprintf("mmdf.delimiter-garbled@%d", n+13)},
		{"too few in a text", d + fromLine + "A: b\n\nx\n\x01\x01\x01\ny\n" + d, "", fmt.Sprintf("mmdf.delimiter-garbled@%d", n+13)},
		{"first of two garbled", one + "\x01\x01x\x01\n" + one[5:], fmt.Sprintf("mmdf.delimiter-garbled@%d", n+18), ""},
		{"leading blank", "\n" + one, "mmdf.leading-junk@0", ""},
		{"CR LF all over", strings.ReplaceAll(one, "\n", "\r\n"), "mmdf.delimiter-bad@0", ""},
		{"NULs at the end", one + strings.Repeat("\x00", 330), "mmdf.torn-tail", ""},
		{"From_ in the body", d + fromLine + "A: b\n\n" + fromLine + d, "", ""},
		{"Content-Length", d + fromLine + "Content-Length: 1\n\nxyz\n" + d, "", fmt.Sprintf("mmdf.content-length@%d", 5+n)},
		{"nothing", d, "", ""},
	} {
		env, _ := goldenEnv(t)
		_, all := inspectAll(t, env, putBytes(t, env, "box", []byte(tt.file)))
		damage, doubt := codes(all, mailbox.Damage), codes(all, mailbox.Doubt)
		if !begins(damage, tt.damage) || !begins(doubt, tt.doubt) && tt.damage == "" {
			t.Errorf("%s: %.200q\n got damage %q, doubts %q\nwant damage %q, doubts %q", tt.name, tt.file, damage, doubt, tt.damage, tt.doubt)
		}
	}
}

// begins reports whether got is want, or has an offset, or more, behind it.
func begins(got, want string) bool {
	return got == want || want != "" && strings.HasPrefix(got, want)
}

// What stands beside the file is found too.
func TestInspectSides(t *testing.T) {
	env, _ := goldenEnv(t)
	n := putBytes(t, env, "box", []byte(mboxOf("A: b\n\nx\n")))
	dir := filepath.Dir(n.Path)
	old := env.Now().Add(-time.Hour)
	for _, name := range []string{"box.lock", "box.lost", ".box.journal"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	in, all := inspectAll(t, env, n)
	if got := codes(all, mailbox.Doubt) + " " + codes(all, mailbox.Damage); got != "unix.lock-left@-1 unix.lost@-1 unix.journal@-1" || in.Sound() {
		t.Errorf("got %s, %v", got, in)
	}
	if err := os.Chtimes(filepath.Join(dir, "box.lock"), env.Now(), env.Now()); err != nil {
		t.Fatal(err)
	}
	if _, all = inspectAll(t, env, n); codes(all, mailbox.Doubt) != "unix.lost@-1" {
		t.Errorf("with a lock that is in use: got %s", codes(all, mailbox.Doubt))
	}
}

func FuzzInspect(f *testing.F) {
	for _, format := range both {
		for _, g := range readGolden(f, format).Files {
			f.Add(readFile(f, g.File))
		}
	}
	f.Add([]byte("\x00\x00From a@b 1 Jan\nSubject: x\n\nx\n\nFrom y\nA: b\n"))
	env, _ := goldenEnv(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		n := putBytes(t, env, "box", b)
		d := inspectedBy(t, env, n)
		_, err := d.Inspect(context.Background(), n, func(g mailbox.Finding) error {
			if g.Off > int64(len(b)) || g.Off >= 0 && g.Line < 1 || g.Text == "" || !strings.HasPrefix(g.Code, d.Name()+".") {
				t.Errorf("%q: %+v", b, g)
			}
			return nil
		})
		if err != nil && !errors.Is(err, mailbox.ErrFormat) {
			t.Errorf("%q: %v", b, err)
		}
	})
}

func BenchmarkInspect(b *testing.B) {
	env, _ := goldenEnv(b)
	message := "Subject: x\nX-UID: 1\n\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", 280)
	text := []byte(strings.Repeat(mboxOf(message), 1000)) // 20 MB
	n := putBytes(b, env, "box", text)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		inspectAll(b, env, n)
	}
}
