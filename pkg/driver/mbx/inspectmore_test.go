package mbx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
)

// doubts lists the doubts among findings as "code@offset".
func doubts(all []mailbox.Finding) (out []string) {
	for _, f := range all {
		if f.Severity == mailbox.Doubt {
			out = append(out, fmt.Sprintf("%s@%d", f.Code, f.Off))
		}
	}
	return out
}

// What readers accept without a word is found as well.
func TestInspectAccepted(t *testing.T) {
	for name, want := range map[string]string{
		"base":                  "",
		"body-zeroed-block":     "mbx.nuls@3963 mbx.bare-lf@4475",
		"date-bad-but-expunged": "mbx.date@3396 mbx.expunged@3396",
		"keyword-too-long":      "mbx.keyword-long@25 mbx.keyword-unnamed@2270",
		"keywords-zeroed":       "mbx.keyword-unnamed@2270",
		"size-trailing-junk":    "mbx.line-loose@3126",
	} {
		w := newWorld(t)
		_, all := w.inspectAll(w.golden("mbx-corrupt/" + name + ".mbx"))
		if got := strings.Join(doubts(all), " "); got != want {
			t.Errorf("%s: got doubts %s, want %s", name, got, want)
		}
	}
}

// recordOf returns an internal line and its text.
func recordOf(line, text string) string {
	return fmt.Sprintf(" 1-Jul-2001 02:03:04 -0700,%d;%s\r\n%s", len(text), line, text)
}

func TestInspectRecords(t *testing.T) {
	const good, x = "000000000010-00000001", "A: b\r\n\r\nx\r\n"
	second := recordOf("000000000010-00000002", x)
	n := len(recordOf(good, x))
	for _, tt := range []struct {
		name, records string
		damage, doubt string
	}{
		{"sound", recordOf(good, x) + second, "", ""},
		{"no messages", "", "", ""},
		{"unknown flags", recordOf("000000000110-00000001", x), "", "mbx.flags-unknown@2048"},
		{"old without UID", recordOf("000000000010-00000000", x), "", "mbx.old-without-uid@2048"},
		{"UID behind none", recordOf("000000000000-00000000", x) + second, fmt.Sprintf("mbx.uid-order@%d", 2048+n), ""},
		{"no name", recordOf("400000000010-00000001", x), "", "mbx.keyword-unnamed@2048"},
		{"upper case", strings.Replace(recordOf("000000000010-0000000a", x), "0a\r", "0A\r", 1), "mbx.uidlast-low@15", "mbx.line-loose@2048"},
		{"no header", recordOf(good, "x y\r\n"), "", "mbx.text-start@2048"},
		{"long line", recordOf(good, "A: b\r\n\r\n"+strings.Repeat("x", 70<<10)+"\r\n") + second, "", ""},
		{"two faults", recordOf(good, x) + "\r\n\r\n" + second + "junk", fmt.Sprintf("mbx.gap@%d mbx.junk-tail@%d", 2048+n, 2048+2*n+4), ""},
		{
			"two bad lines", recordOf("00000000001g-00000001", x) + recordOf("000000000010-0000000g", x) + recordOf("000000000010-00000003", x),
			fmt.Sprintf("mbx.flags@2048 mbx.uid@%d", 2048+n), "",
		},
		{"torn, nothing behind", recordOf(good, x) + second[:20], fmt.Sprintf("mbx.torn-tail@%d", 2048+n), ""},
	} {
		w := newWorld(t)
		k := block{validity: 9, uidLast: 9}
		head, _ := k.print()
		_, all := w.inspectAll(w.file("box", append(head, tt.records...)))
		damage, doubt := strings.Join(damages(all), " "), strings.Join(doubts(all), " ")
		if damage != tt.damage || !strings.HasPrefix(doubt, strings.TrimSuffix(tt.doubt, "@2048")) || tt.doubt == "" && doubt != "" {
			t.Errorf("%s\n got damage %q, doubts %q\nwant damage %q, doubts %q", tt.name, damage, doubt, tt.damage, tt.doubt)
		}
	}
}

// Pieces cover a file without gaps or overlaps, whatever is in it.
func coverage(t *testing.T, data []byte) {
	t.Helper()
	w := newWalker(bytes.NewReader(data), 0, int64(len(data)), 100)
	end := int64(0)
	for {
		p, ok, err := w.step()
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if !ok {
			break
		}
		if p.off != end || p.end <= p.off || p.kind == isMessage && (p.text < p.off || p.text > p.end) {
			t.Fatalf("%q: a piece %+v behind octet %d", data, p, end)
		}
		end = p.end
	}
	if end != int64(len(data)) {
		t.Fatalf("%q: pieces end at %d of %d", data, end, len(data))
	}
}

func FuzzInspect(f *testing.F) {
	for _, dir := range []string{"mbx", "mbx-corrupt"} {
		files, err := filepath.Glob(filepath.Join(testdata, dir, "*.mbx"))
		if err != nil || len(files) == 0 {
			f.Fatal(files, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(t)
		n := w.file("box", b)
		_, err := w.Inspect(context.Background(), n, func(g mailbox.Finding) error {
			if g.Off > int64(len(b)) || g.Off >= 0 && g.Line < 1 || g.Text == "" || !strings.HasPrefix(g.Code, "mbx.") {
				t.Errorf("%q: %+v", b, g)
			}
			return nil
		})
		if err != nil && !errors.Is(err, mailbox.ErrFormat) {
			t.Errorf("%q: %v", b, err)
		}
		coverage(t, b)
	})
}

func BenchmarkInspect(b *testing.B) {
	text := "A: b\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 280)
	k := block{validity: 9, uidLast: 1000}
	data, err := k.print()
	if err != nil {
		b.Fatal(err)
	}
	for uid := range 1000 { // 20 MB
		data = append(data, recordOf(fmt.Sprintf("000000000010-%08x", uid+1), text)...)
	}
	path := filepath.Join(b.TempDir(), "box")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	d := New(&mailbox.Env{Config: mailbox.DefaultConfig(), LockDir: b.TempDir()}, nil)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		in, err := d.Inspect(context.Background(), mailbox.Name{Path: path}, nil)
		if err != nil || in.Messages != 1000 || !in.Sound() {
			b.Fatal(in, err)
		}
	}
}
