package deliver_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var helpOption = regexp.MustCompile(`(?m)(?:^|[\[| ])-(-?[A-Za-z][a-z-]*)`)

// The manual pages have the options that the programs take, and no others; and
// the examples in them work.
func TestManuals(t *testing.T) {
	for _, name := range []string{"tmail", "dmail"} {
		page := read(t, "../../man/"+name+".1")
		synopsis, _, _ := strings.Cut(page, ".Sh DESCRIPTION")
		source := read(t, "../../cmd/"+name+"/main.go")
		_, help, _ := strings.Cut(source, "const help = `")
		help, _, _ = strings.Cut(help, "`")
		inPage := options(regexp.MustCompile(`Fl (-?[A-Za-z][A-Za-z-]*)`), synopsis)
		inHelp := options(helpOption, strings.SplitN(help, "\n\n", 2)[0])
		inHelp = append(inHelp, "-help", "-version")
		if name == "tmail" || name == "dmail" {
			inPage = append(inPage, "-version") // it stands behind a bar
		}
		slices.Sort(inPage)
		slices.Sort(inHelp)
		if !slices.Equal(slices.Compact(inPage), slices.Compact(inHelp)) {
			t.Errorf("%s: options\n    page %v\n program %v", name, inPage, inHelp)
		}
	}
}

func options(re *regexp.Regexp, text string) (all []string) {
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

func TestManualExamples(t *testing.T) {
	needWorld(t)
	for _, name := range []string{"tmail", "dmail", "mlock"} {
		ran := 0
		for line := range strings.Lines(read(t, "../../man/"+name+".1")) {
			who, shell := "alice", ""
			if rest, ok := strings.CutPrefix(line, ".Dl $ "); ok {
				shell = rest
			} else if rest, ok := strings.CutPrefix(line, ".Dl # "); ok {
				who, shell = "root", rest
			} else {
				continue
			}
			clean(t, 0o2775)
			spoolBox(t, "alice")
			must(t, os.WriteFile("/home/alice/message", []byte(mail("example")), 0o644))
			do(t, command("alice", "mailutil", "create", "lists"), "")
			cmd := command(who, "bash", "-c", shell)
			cmd.Dir = "/home/alice"
			if r := do(t, cmd, ""); r.code != 0 || strings.Contains(r.err, "vulnerable") {
				t.Errorf("%s: status %d, %s", shell, r.code, r.err)
			}
			ran++
		}
		if ran == 0 {
			t.Errorf("%s(1) has no examples", name)
		}
	}
}
