package mailbox

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

func testEnv() *Env {
	return &Env{
		User: "alice", Home: "/home/alice", Spool: "/var/mail/alice", Dir: "/work/here",
		Notify: func(Level, string) {}, Config: DefaultConfig(),
	}
}

func TestResolve(t *testing.T) {
	root, err := user.Lookup("root")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 256)
	for _, tt := range []struct {
		name, in string
		want     string // path, "INBOX", or the kind of error
	}{
		{"bare", "x", "/home/alice/x"},
		{"below", "x/y", "/home/alice/x/y"},
		{"directory", "x/", "/home/alice/x/"},
		{"dots inside", "x/../y", "/home/alice/x/../y"},
		{"home", "~/x", "/home/alice/x"},
		{"home itself", "~/", "/home/alice/"},
		{"tilde alone", "~", "no such mailbox"},
		{"user", "~root/x", root.HomeDir + "/x"},
		{"user alone", "~root", root.HomeDir + "/"},
		{"no such user", "~no-such-user/x", "no such mailbox"},
		{"option-like user", "~-x/x", "no such mailbox"},
		{"absolute", "/abs", "/abs"},
		{"INBOX", "INBOX", "INBOX"},
		{"inbox", "InBoX", "INBOX"},
		{"below inbox", "INBOX/x", "/home/alice/INBOX/x"},
		{"file inbox", "~/INBOX", "/home/alice/INBOX"},
		{"here", "./x", "/work/here/x"},
		{"parent", "../x", "/work/here/../x"},
		{"here itself", ".", "/work/here/."},
		{"parent itself", "..", "/work/here/.."},
		{"hidden", ".x", "/home/alice/.x"},
		{"three dots", "...", "/home/alice/..."},
		{"empty", "", "no such mailbox"},
		{"longest", long, "/home/alice/" + long},
		{"too long", long + "x", "no such mailbox"},
		{"LF", "a\nb", "mailbox with such a name"},
		{"CR", "a\rb", "mailbox with such a name"},
		{"NUL", "a\x00b", "mailbox with such a name"},
		{"8-bit", "a\xe9b", "/home/alice/a\xe9b"},
		{"not UTF-7", "a&b", "/home/alice/a&b"},
		{"driver prefix", "#driver.unix/x", "no such mailbox"},
		{"unknown namespace", "#foo/x", "no such mailbox"},
		{"mh", "#mh/x", "mh: "},
		{"mh in any case", "#MH/x/y", "mh: "},
		{"mh inbox", "#MHinbox", "mh: "},
		{"all of mh", "#mh/", "mh: "},
		{"mh alone", "#mh", "no such mailbox"},
		{"like mh", "#mhfoo", "no such mailbox"},
		{"mh above", "#mh/../x", "no such mailbox"},
		{"mh root", "#mh//x", "no such mailbox"},
		{"mh user", "#mh/~root", "no such mailbox"},
		{"news", "#news.x.y", "news: "},
		{"news has one case", "#News.x", "no such mailbox"},
		{"ftp", "#ftp/x", "the ftp namespace is not supported"},
		{"remote", "{host}x", "{host/imap}x"},
		{"bad remote", "{host", "invalid remote specification"},
	} {
		n, err := testEnv().Resolve(tt.in)
		if got := place(n, err); got != tt.want {
			t.Errorf("%s: Resolve(%q)\n got %s\nwant %s", tt.name, tt.in, got, tt.want)
		}
		if err == nil && n.Text != tt.in {
			t.Errorf("%s: Resolve(%q): Text\n got %q\nwant %q", tt.name, tt.in, n.Text, tt.in)
		}
	}
}

// place tells a result in a word.
func place(n Name, err error) string {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Err.Error()
	case err != nil:
		return "not an *Error: " + err.Error()
	case n.Inbox && n.Path == "":
		return "INBOX"
	case n.Remote != (Remote{}):
		return n.Remote.Canonical()
	case n.Space != "":
		return n.Space + ": " + n.Path
	}
	return n.Path
}

func TestResolveSubdir(t *testing.T) {
	for _, sub := range []string{"Mail", "/Mail/"} {
		e := testEnv()
		e.Config.Subdir = sub
		for in, want := range map[string]string{"x": "/home/alice/Mail/x", "~/x": "/home/alice/Mail/x", "/x": "/x", "./x": "/work/here/x"} {
			if got := place(e.Resolve(in)); got != want {
				t.Errorf("subdirectory %s: Resolve(%q)\n got %s\nwant %s", sub, in, got, want)
			}
		}
	}
}

func TestResolveRestricted(t *testing.T) {
	e := testEnv()
	e.Config.Restricted = true
	for in, want := range map[string]string{
		"x": "/home/alice/x", "~/x": "/home/alice/x", "INBOX": "INBOX", "/var/mail/alice": "/var/mail/alice",
	} {
		if got := place(e.Resolve(in)); got != want {
			t.Errorf("Resolve(%q)\n got %s\nwant %s", in, got, want)
		}
	}
	for _, in := range []string{
		"/x", "/home/alice/x", "~root/x", "~root", "~/../x", "../x", "./x", ".", "a..b", "a//b", "x/~y", "/var/mail/alice/../bob",
	} {
		if got := place(e.Resolve(in)); got != ErrNotExist.Error() {
			t.Errorf("Resolve(%q)\n got %s\nwant %v", in, got, ErrNotExist)
		}
		if _, err := e.ResolveTarget("#driver.unix/" + in); !errors.Is(err, ErrName) {
			t.Errorf("ResolveTarget(%q)\n got %v\nwant %v", in, err, ErrName)
		}
	}
}

// The names are those of transcripts T09, T10, T12 and T17.
func TestResolveNew(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want string // path or error
		format,
		name string // that the error is about, or Text
	}{
		{"x", "/home/alice/x", "", "x"},
		{"#driver.mbx/m", "/home/alice/m", "mbx", "m"},
		{"#DRIVER.mbx/up", "/home/alice/up", "mbx", "up"},
		{"#driver.mbx:col", "/home/alice/col", "mbx", "col"},
		{`#driver.mbx\b`, "/home/alice/b", "mbx", "b"},
		{"#driver.mbx//abs", "/abs", "mbx", "/abs"},
		{"#driver.mbx/./x", "/work/here/x", "mbx", "./x"},
		{"#driver.mbx/INBOX", "INBOX", "mbx", "INBOX"},
		{"#driver.MBX/m", "unknown driver", "", "#driver.MBX/m"},
		{"#driver.foo/m", "unknown driver", "", "#driver.foo/m"},
		{"#driver.unix", "bad driver syntax", "", "#driver.unix"},
		{"#driver.foo.x", "bad driver syntax", "", "#driver.foo.x"},
		{"#driver./m", "bad driver syntax", "", "#driver./m"},
		{"#driver.", "bad driver syntax", "", "#driver."},
		{"#driver.mbx/", "invalid name", "", ""},
		{"#driver.mbx/#driver.mbx/x", "invalid name", "", "#driver.mbx/x"},
		{"#driver/x", "invalid name", "", "#driver/x"},
		{"#driver.unix/a&b", "unterminated modified UTF-7 name", "", "#driver.unix/a&b"},
		{"", "invalid name", "", ""},
		{"~", "invalid name", "", "~"},
		{"#foo/x", "invalid name", "", "#foo/x"},
		{"a&b", "unterminated modified UTF-7 name", "", "a&b"},
		{"&AOk", "unterminated modified UTF-7 name", "", "&AOk"},
		{"x-&", "unterminated modified UTF-7 name", "", "x-&"},
		{"&AO.-", "invalid modified UTF-7 name", "", "&AO.-"},
		{"&A/B,C-", "invalid modified UTF-7 name", "", "&A/B,C-"},
		{"&&-", "invalid modified UTF-7 name", "", "&&-"},
		{"&A\xe9", "invalid modified UTF-7 name", "", "&A\xe9"},
		{"a\xe9b", "mailbox name with 8-bit octet", "", "a\xe9b"},
		{"a&-b", "/home/alice/a&-b", "", "a&-b"},
		{"&AOk-", "/home/alice/&AOk-", "", "&AOk-"},
		{"&A+,-", "/home/alice/&A+,-", "", "&A+,-"},
		{"a%b*", "/home/alice/a%b*", "", "a%b*"},
		{"a&\nb", "mailbox with such a name", "", "a&\nb"},
		{"a\rb", "mailbox with such a name", "", "a\rb"},
	} {
		n, err := testEnv().ResolveNew(tt.in)
		if got := place(n, err); got != tt.want {
			t.Errorf("ResolveNew(%q)\n got %s\nwant %s", tt.in, got, tt.want)
			continue
		}
		name := n.Text
		var e *Error
		if errors.As(err, &e) {
			name = e.Name
			if !errors.Is(err, ErrName) {
				t.Errorf("ResolveNew(%q)\n got %v\nwant an ErrName", tt.in, err)
			}
		}
		if n.Format != tt.format || name != tt.name {
			t.Errorf("ResolveNew(%q)\n got format %q, name %q\nwant %q, %q", tt.in, n.Format, name, tt.format, tt.name)
		}
	}
}

// Mail may be added to a mailbox that some other program named badly.
func TestResolveTargetTakesOldNames(t *testing.T) {
	for _, in := range []string{"a\xe9b", "a&b", "&AO.-"} {
		if got, want := place(testEnv().ResolveTarget(in)), "/home/alice/"+in; got != want {
			t.Errorf("ResolveTarget(%q)\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestHint(t *testing.T) {
	e := testEnv()
	e.Home, e.Dir = t.TempDir(), t.TempDir()
	for _, path := range []string{e.Home + "/both", e.Dir + "/both", e.Dir + "/here", e.Dir + "/inbox"} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for in, want := range map[string]string{
		"here":                       "here exists in the current directory: write ./here",
		"both":                       "",
		"nowhere":                    "",
		"./here":                     "",
		"inbox":                      "",
		"":                           "",
		filepath.Join(e.Dir, "here"): "",
	} {
		if got := e.Hint(in); got != want {
			t.Errorf("Hint(%q)\n got %q\nwant %q", in, got, want)
		}
	}
	e.Config.Restricted = true
	if got := e.Hint("here"); got != "" {
		t.Errorf("Hint when restricted\n got %q\nwant nothing: ./ names are refused", got)
	}
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{"", "x", "~", "~/x", "/x", "./x", "..", "INBOX", "#driver.mbx/x", "#driver.", "{h}x", "#mh/x", "a&b", "a//b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1 && s[0] == '~' && s[1] != '/' {
			return // asks the system for users
		}
		free, jail := testEnv(), testEnv()
		jail.Config.Restricted = true
		for _, resolve := range []func(*Env) (Name, error){
			func(e *Env) (Name, error) { return e.Resolve(s) },
			func(e *Env) (Name, error) { return e.ResolveTarget(s) },
			func(e *Env) (Name, error) { return e.ResolveNew(s) },
		} {
			if strings.Contains(s, "/~") { // "#driver.x/~user"
				continue
			}
			n, err := resolve(free)
			m, jailErr := resolve(jail)
			if err != nil && jailErr == nil {
				t.Errorf("name %q: restricted %v, free %v", s, m, err)
			}
			for _, n := range []Name{n, m} {
				if n.Inbox != (n.Path == "") && n != (Name{}) && n.Space == "" || strings.ContainsAny(n.Path, "\r\n\x00") {
					t.Errorf("name %q: got %+v", s, n)
				}
			}
			if jailErr == nil && m.Space != "" && m.Remote == (Remote{}) && strings.Contains(m.Text, "..") {
				t.Errorf("name %q: got %+v", s, m)
			}
			if jailErr == nil && !m.Inbox && m.Space == "" && m.Path != jail.Spool &&
				!strings.HasPrefix(filepath.Clean(m.Path)+"/", jail.Home+"/") {
				t.Errorf("name %q escapes to %s", s, m.Path)
			}
		}
	})
}
