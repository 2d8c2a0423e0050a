package deptest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// A rule says what a package may import of this module and of others; the
// standard library is free but for what forbidden names. Patterns are those
// of path.Match. The first rule that fits a package holds.
type rule struct {
	pkg       string
	may       []string
	forbidden []string // also through others
}

// unlikely is what nothing below the commands needs.
var unlikely = []string{"net/http", "github.com/spf13/cobra", "log"}

// heavy is what a program with privileges must not have in it: too much to be
// read by who installs it, and too slow to start.
var heavy = append([]string{
	"net", "os/exec", "crypto/tls", "crypto/sha256", "crypto/rand", "encoding/json", "regexp", "text/template", "golang.org/x/text/transform",
	"github.com/schollz/progressbar/v3",
}, unlikely...)

var rules = []rule{
	{
		"mailutil/cmd/mailutil",
		[]string{
			"mailutil/pkg/ops", "mailutil/pkg/mailbox", "mailutil/pkg/search", "mailutil/pkg/driver/all",
			"mailutil/pkg/identity", "mailutil/pkg/remote", "mailutil/pkg/imap", "mailutil/pkg/pop3", "mailutil/pkg/serve", "mailutil/pkg/driver/stream", "golang.org/x/text/width",
			"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/schollz/progressbar/v3", "golang.org/x/term",
		},
		nil,
	},
	{"mailutil/cmd/tmail", []string{"mailutil/pkg/deliver", "mailutil/pkg/exit"}, heavy},
	{"mailutil/cmd/dmail", []string{"mailutil/pkg/deliver", "mailutil/pkg/exit"}, heavy},
	{"mailutil/cmd/mlock", []string{"golang.org/x/sys/unix"}, heavy},
	{
		"mailutil/pkg/deliver",
		[]string{
			"mailutil/pkg/mailbox", "mailutil/pkg/driver/all", "mailutil/pkg/exit", "mailutil/pkg/identity", "mailutil/pkg/lock",
			"mailutil/pkg/internal/*", "golang.org/x/sys/unix",
		},
		heavy,
	},
	{"mailutil/pkg/identity", []string{"mailutil/pkg/internal/spawn"}, heavy},
	{"mailutil/pkg/exit", nil, heavy},
	{"mailutil/pkg/mailbox", []string{"mailutil/pkg/internal/spawn"}, append([]string{"net", "regexp"}, unlikely...)},
	{"mailutil/pkg/mailbox/mailboxtest", []string{"mailutil/pkg/mailbox"}, nil},
	{"mailutil/pkg/rfc822", []string{"mailutil/pkg/charset"}, unlikely}, // whose tables are too large for drivers, see there
	{"mailutil/pkg/charset", []string{"golang.org/x/text/*", "golang.org/x/text/*/*"}, unlikely},
	{
		"mailutil/pkg/search",
		[]string{"mailutil/pkg/mailbox", "mailutil/pkg/rfc822", "mailutil/pkg/charset", "golang.org/x/text/*", "golang.org/x/text/*/*"},
		unlikely,
	},
	{"mailutil/pkg/lock", []string{"mailutil/pkg/internal/spawn", "golang.org/x/sys/unix"}, unlikely},
	{
		"mailutil/pkg/ops",
		[]string{
			"mailutil/pkg/mailbox", "mailutil/pkg/rfc822", "mailutil/pkg/search", "mailutil/pkg/lock", "mailutil/pkg/internal/*",
		},
		unlikely,
	},
	{
		"mailutil/pkg/remote",
		[]string{"mailutil/pkg/mailbox", "mailutil/pkg/internal/sasl"},
		unlikely,
	},
	{
		"mailutil/pkg/imap",
		[]string{
			"mailutil/pkg/mailbox", "mailutil/pkg/rfc822", "mailutil/pkg/charset", "mailutil/pkg/search", "mailutil/pkg/remote",
			"mailutil/pkg/internal/*", "golang.org/x/sys/unix",
		},
		unlikely,
	},
	{
		"mailutil/pkg/pop3",
		[]string{"mailutil/pkg/mailbox", "mailutil/pkg/rfc822", "mailutil/pkg/remote", "mailutil/pkg/internal/*"},
		unlikely,
	},
	{
		"mailutil/pkg/serve",
		[]string{"mailutil/pkg/imap", "mailutil/pkg/pop3", "mailutil/pkg/mailbox", "mailutil/pkg/ops", "mailutil/pkg/internal/*"},
		unlikely,
	},
	{"mailutil/pkg/driver/all", []string{"mailutil/pkg/mailbox", "mailutil/pkg/driver/*"}, unlikely},
	{
		"mailutil/pkg/driver/stream", // not for delivery agents
		[]string{"mailutil/pkg/mailbox", "mailutil/pkg/internal/*", "github.com/klauspost/compress/zstd"},
		[]string{"mailutil/pkg/charset", "net/http", "github.com/spf13/cobra"}, // zstd has package log
	},
	{
		"mailutil/pkg/driver/*",
		[]string{
			"mailutil/pkg/mailbox", "mailutil/pkg/rfc822", "mailutil/pkg/lock", "mailutil/pkg/internal/*", "golang.org/x/sys/unix",
		},
		append([]string{"mailutil/pkg/charset", "net", "crypto/tls"}, unlikely...),
	},
	{"mailutil/pkg/internal/mbox", []string{"mailutil/pkg/mailbox", "mailutil/pkg/internal/*"}, unlikely},
	{"mailutil/pkg/internal/numbered", []string{"mailutil/pkg/mailbox", "mailutil/pkg/lock", "mailutil/pkg/internal/*"}, unlikely},
	{"mailutil/pkg/internal/msgtext", []string{"mailutil/pkg/mailbox", "mailutil/pkg/internal/*"}, unlikely},
	{
		"mailutil/pkg/internal/packed",
		[]string{"mailutil/pkg/mailbox", "github.com/klauspost/compress/zstd", "github.com/ulikunitz/xz"},
		[]string{"mailutil/pkg/charset", "net/http", "github.com/spf13/cobra"}, // zstd has package log
	},
	{"mailutil/pkg/internal/node", []string{"mailutil/pkg/mailbox", "mailutil/pkg/internal/*", "golang.org/x/sys/unix"}, unlikely},
	{
		"mailutil/pkg/internal/flocked",
		[]string{"mailutil/pkg/mailbox", "mailutil/pkg/lock", "mailutil/pkg/internal/*", "golang.org/x/sys/unix"},
		unlikely,
	},
	{"mailutil/pkg/internal/mboxfile", []string{"mailutil/pkg/mailbox", "mailutil/pkg/lock", "mailutil/pkg/internal/*"}, unlikely},
	{"mailutil/pkg/internal/mailtxt", []string{"mailutil/pkg/mailbox", "mailutil/pkg/lock", "mailutil/pkg/internal/*"}, unlikely},
	{
		"mailutil/pkg/internal/inspect",
		[]string{"mailutil/pkg/mailbox", "mailutil/pkg/lock", "mailutil/pkg/internal/*", "golang.org/x/sys/unix"},
		unlikely,
	},
	{"mailutil/pkg/internal/tree", []string{"mailutil/pkg/mailbox", "mailutil/pkg/ops"}, unlikely},
	{"mailutil/pkg/internal/session/sessiontest", []string{"mailutil/pkg/mailbox", "mailutil/pkg/ops", "mailutil/pkg/driver/*", "mailutil/pkg/internal/*"}, nil},
	{"mailutil/pkg/internal/session", []string{"mailutil/pkg/mailbox", "mailutil/pkg/internal/tree"}, unlikely},
	{"mailutil/pkg/internal/mend", []string{"mailutil/pkg/mailbox", "mailutil/pkg/lock", "mailutil/pkg/internal/*", "golang.org/x/sys/unix"}, unlikely},
	{"mailutil/pkg/internal/sysbits", []string{"mailutil/pkg/mailbox"}, unlikely},
	{"mailutil/pkg/internal/msgtext", []string{"mailutil/pkg/mailbox", "mailutil/pkg/internal/*"}, unlikely},
	{"mailutil/pkg/internal/*", []string{"mailutil/pkg/internal/*", "golang.org/x/sys/unix"}, unlikely},
	{"mailutil/pkg/internal/mend/*", []string{"mailutil/pkg/mailbox", "mailutil/pkg/internal/*", "mailutil/pkg/internal/*/*"}, nil}, // for tests
	{"mailutil/pkg/internal/*/*", []string{"mailutil/pkg/internal/*"}, nil},                                                         // for tests
	{"mailutil/pkg/deptest", nil, nil},
}

type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string // by the package itself
	Deps       []string // and by those it imports
}

func TestDependencies(t *testing.T) {
	for _, p := range list(t) {
		i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.pkg, p.ImportPath) })
		if i < 0 {
			t.Errorf("%s: there is no rule for this package", p.ImportPath)
			continue
		}
		for _, dep := range p.Imports {
			if !allowed(rules[i], dep) {
				t.Errorf("%s imports %s: it may import the standard library and %v", p.ImportPath, dep, rules[i].may)
			}
		}
		for _, dep := range p.Deps {
			if slices.Contains(rules[i].forbidden, dep) {
				t.Errorf("%s imports %s, directly or through others", p.ImportPath, dep)
			}
		}
	}
}

// The rules can fail.
func TestRulesForbid(t *testing.T) {
	for _, tt := range []struct{ pkg, dep string }{
		{"mailutil/pkg/mailbox", "mailutil/pkg/lock"},
		{"mailutil/pkg/driver/unix", "mailutil/pkg/driver/mbx"},
		{"mailutil/pkg/ops", "mailutil/pkg/driver/all"},
		{"mailutil/cmd/mailutil", "mailutil/pkg/driver/mbx"},
		{"mailutil/cmd/tmail", "net"},
		{"mailutil/cmd/mlock", "mailutil/pkg/lock"},
	} {
		i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.pkg, tt.pkg) })
		if allowed(rules[i], tt.dep) {
			t.Errorf("%s may import %s", tt.pkg, tt.dep)
		}
	}
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Standard,Imports,Deps", "mailutil/...")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("go list: %s", exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// allowed reports whether r lets a package import dep. The standard library
// has no dot in the first element.
func allowed(r rule, dep string) bool {
	first, _, _ := strings.Cut(dep, "/")
	if first != "mailutil" && !strings.Contains(first, ".") {
		return !slices.Contains(r.forbidden, dep)
	}
	return slices.ContainsFunc(r.may, func(p string) bool { return matches(p, dep) })
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
