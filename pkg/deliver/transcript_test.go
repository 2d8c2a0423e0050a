package deliver_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTranscripts plays the sessions in testdata/script/deliver: lines that
// begin with "$ " are commands for the shell, of alice, or of NAME after "(as
// NAME) "; "1> " and "2> " are what they print. Those that begin with "#" are
// comments. What changes from run to run has names in angle brackets.
func TestTranscripts(t *testing.T) {
	needWorld(t)
	files, err := filepath.Glob("../../testdata/script/deliver/*.txt")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("no transcripts")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			clean(t, 0o1777)
			for _, name := range []string{"src", "kw"} {
				b := read(t, "../../testdata/mail/"+name)
				must(t, os.WriteFile("/home/alice/"+name, []byte(b), 0o644))
				must(t, os.Chown("/home/alice/"+name, aliceUID, aliceUID))
			}
			text := read(t, file)
			got := play(t, text)
			switch {
			case got == text:
			case *update:
				must(t, os.WriteFile(file, []byte(got), 0o644))
			default:
				t.Errorf("%s: want -, got +\n%s", file, cmp.Diff(text, got))
			}
		})
	}
}

func play(t *testing.T, text string) string {
	var got strings.Builder
	for _, line := range strings.SplitAfter(text, "\n") {
		shell, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			if strings.HasPrefix(line, "#") || line == "\n" {
				got.WriteString(line)
			}
			continue
		}
		got.WriteString(line)
		who := "alice"
		if rest, ok := strings.CutPrefix(shell, "(as "); ok {
			who, shell, _ = strings.Cut(rest, ") ")
		}
		cmd := command(who, "bash", "-c", strings.TrimSuffix(shell, "\n"))
		if who == "root" {
			cmd.Dir = "/home/alice"
		}
		r := do(t, cmd, "")
		writeLines(&got, "1> ", mask(r.out))
		writeLines(&got, "2> ", mask(r.err))
		if r.code != 0 {
			got.WriteString("exit " + strconv.Itoa(r.code) + "\n")
		}
	}
	return got.String()
}

func writeLines(to *strings.Builder, prefix, text string) {
	for line := range strings.Lines(text) {
		to.WriteString(strings.TrimRight(prefix+strings.TrimRight(line, "\r\n"), " ") + "\n")
	}
}

var masks = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d? [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d [+-]\d{4}`), "<NOW>"},
	{regexp.MustCompile(`(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d \d{4}`), "<CTIME>"},
	{regexp.MustCompile(`/home/alice`), "$$HOME"},
	{regexp.MustCompile(`\d{10}`), "<UIDV>"},
}

func mask(text string) string {
	if host, err := os.Hostname(); err == nil {
		text = strings.ReplaceAll(text, "@"+host, "@<HOST>")
	}
	for _, m := range masks {
		text = m.re.ReplaceAllString(text, m.to)
	}
	return text
}
