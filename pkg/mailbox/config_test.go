package mailbox

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestReadConfig(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     func(*Config)
		warnings string
	}{
		{"empty", "", func(c *Config) {}, ""},
		{"no line of ours", "I accept the risk\n\n# set from-widget header-only\nset\n", func(c *Config) {}, ""},
		{
			"T62", "set new-folder-format mbx\nset mail-subdirectory Mail\nset nonsense x\n",
			func(c *Config) { c.NewFormat, c.Subdir = "mbx", "Mail" }, "",
		},
		{
			"T63", "set new-folder-format nosuch\nset empty-folder-format nosuch\n", func(c *Config) {},
			"Unknown new mailbox format in c-client.cf: nosuch|Unknown empty mailbox format in c-client.cf: nosuch",
		},
		{"any case, blanks, tabs, CRLF", "SET\tNew-Mailbox-Format \t MBX \r\n", func(c *Config) { c.NewFormat = "mbx" }, ""},
		{"no line end", "set from-widget header-only", func(c *Config) { c.FromHeaderOnly = true }, ""},
		{"from-widget of another sort", "set from-widget all\n", func(c *Config) {}, ""},
		{"standard", "set new-folder-format mbx\nset new-folder-format system-standard\n", func(c *Config) {}, ""},
		{
			"same as INBOX", "set new-folder-format same-as-inbox\nset empty-folder-format same-as-inbox\n",
			func(c *Config) { c.NewFormat, c.EmptyFormat = SameAsInbox, SameAsInbox }, "",
		},
		{"invalid is for empty", "set empty-mailbox-format invalid\n", func(c *Config) { c.EmptyFormat = InvalidFormat }, ""},
		{
			"invalid is not for new", "set new-mailbox-format invalid\n", func(c *Config) {},
			"Unknown new mailbox format in c-client.cf: invalid",
		},
		{
			"modes are decimal", "set mailbox-protection 432\nset directory-protection 504\nset lock-protection 384\n",
			func(c *Config) { c.MailboxMode, c.DirMode, c.LockMode = 0o660, 0o770, 0o600 }, "",
		},
		{
			"locks", "set dot-lock-file-timeout 7\nset disable-lock-warning 1\n",
			func(c *Config) { c.DotLockTimeout, c.NoLockWarning = 7*time.Minute, true }, "",
		},
		{"restrict", "set restrict-mailbox-access root otherusers\n", func(c *Config) { c.Restricted = true }, ""},
		{
			"boxes", "set black-box-directory /box\nset black-box-default-home-directory /box/guest\n",
			func(c *Config) { c.BlackBoxDir, c.BlackBoxHome = "/box", "/box/guest" }, "",
		},
		{"inbox", "set system-inbox /mail/alice\n", func(c *Config) { c.SystemInbox = "/mail/alice" }, ""},
		{
			"mh", "set mh-path Mail/mh\nset MH-allow-inbox 1\n",
			func(c *Config) { c.MHPath, c.MHAllowInbox = "Mail/mh", true }, "",
		},
		{"no mh INBOX", "set mh-allow-inbox 1\nset mh-allow-inbox 0\n", func(c *Config) {}, ""},
		{
			"news", "set news-active-file /n/active\nset news-spool-directory /n/spool\nset news-state-file /n/rc\n",
			func(c *Config) { c.NewsActive, c.NewsSpool, c.NewsState = "/n/active", "/n/spool", "/n/rc" }, "",
		},
		{
			"keywords", "set keywords $Work, Later  x(y\n",
			func(c *Config) { c.Keywords = []string{"$Work", "Later"} }, "Invalid keyword in c-client.cf: x(y",
		},
	} {
		want := DefaultConfig()
		tt.want(&want)
		var warnings []string
		got, err := ReadConfig(strings.NewReader(tt.in), "c-client.cf", func(s string) { warnings = append(warnings, s) })
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: ReadConfig(%q)\n got %+v, %v\nwant %+v", tt.name, tt.in, got, err, want)
		}
		if got := strings.Join(warnings, "|"); got != tt.warnings {
			t.Errorf("%s: ReadConfig(%q): warnings\n got %s\nwant %s", tt.name, tt.in, got, tt.warnings)
		}
	}
}

func TestReadConfigTooManyKeywords(t *testing.T) {
	warnings := 0
	c, err := ReadConfig(strings.NewReader("set keywords"+strings.Repeat(" k", 32)+"\n"), "f", func(string) { warnings++ })
	if err != nil || len(c.Keywords) != 30 || warnings != 2 {
		t.Errorf("32 keywords: got %d, %d warnings, %v; want 30 and 2", len(c.Keywords), warnings, err)
	}
}

func TestReadConfigErrors(t *testing.T) {
	for in, want := range map[string]string{
		"\nset mailbox-protection x\n":         "f:2: mailbox-protection: x is not a mode in decimal, 0 to 511",
		"set mailbox-protection 0600\n":        "f:1: mailbox-protection: 0600 is not a mode in decimal, 0 to 511",
		"set lock-protection -1\n":             "f:1: lock-protection: -1 is not a mode in decimal, 0 to 511",
		"set directory-protection\n":           "f:1: directory-protection: no value",
		"set dot-lock-file-timeout 5m\n":       "f:1: dot-lock-file-timeout: 5m is not a number of minutes",
		"set disable-lock-warning yes\n":       "f:1: disable-lock-warning: yes is not a number",
		"set restrict-mailbox-access nobody\n": "f:1: restrict-mailbox-access: nobody is none of root, otherusers, all",
		"set system-inbox mail\n":              "f:1: system-inbox: mail is not an absolute path",
		"set black-box-directory box\n":        "f:1: black-box-directory: box is not an absolute path",
	} {
		_, err := ReadConfig(strings.NewReader(in), "f", func(s string) { t.Errorf("warning %q", s) })
		if err == nil || err.Error() != want {
			t.Errorf("ReadConfig(%q)\n got %v\nwant %s", in, err, want)
		}
	}
	bad := io.MultiReader(strings.NewReader("set keywords a\n"), iotest.ErrReader(io.ErrClosedPipe))
	if _, err := ReadConfig(bad, "f", nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a file that cannot be read\n got %v\nwant %v", err, io.ErrClosedPipe)
	}
}

func TestConfigure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c-client.cf")
	e := testEnv()
	if err := e.Configure(file); err != nil {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(file, []byte("set system-inbox /mail/alice\nset new-folder-format nosuch\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var heard []string
	e.Notify = func(l Level, text string) {
		if l == Warn {
			heard = append(heard, text)
		}
	}
	if err := e.Configure(file); err != nil || e.Spool != "/mail/alice" || len(heard) != 1 {
		t.Errorf("got spool %s, heard %q, %v; want /mail/alice, one warning", e.Spool, heard, err)
	}
	if err := e.Configure(t.TempDir()); err == nil {
		t.Error("a directory: got no error")
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add("set new-folder-format mbx\nset keywords a, b\nset mailbox-protection 384")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ReadConfig(strings.NewReader(s), "f", func(string) {})
		if err == nil && (c.MailboxMode > 0o777 || c.DirMode > 0o777 || c.LockMode > 0o777 || len(c.Keywords) > 30) {
			t.Errorf("ReadConfig(%q): got %+v", s, c)
		}
	})
}

// Users who have a box, who have none, and one of whose box nobody can tell.
func TestConfigureBlackBox(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "alice"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "c-client.cf")
	for _, tt := range []struct {
		name, user, also string
		box              string // "" for none
	}{
		{"box", "alice", "", root + "/alice"},
		{"box rather than the common one", "alice", "set black-box-default-home-directory " + root + "/guest\n", root + "/alice"},
		{"common box", "bob", "set black-box-default-home-directory " + root + "/guest\n", root + "/guest"},
		{"no box", "bob", "", ""},
		{"file of that name", "c-client.cf", "", ""},
		{"before system-inbox", "alice", "set system-inbox /mail/alice\n", root + "/alice"},
	} {
		if err := os.WriteFile(file, []byte("set black-box-directory "+root+"/\n"+tt.also), 0o600); err != nil {
			t.Fatal(err)
		}
		e := testEnv()
		e.User = tt.user
		if err := e.Configure(file); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		home, spool, boxes := tt.box, tt.box+"/INBOX", root
		if tt.box == "" {
			home, spool, boxes = "/home/alice", "/var/mail/alice", ""
		}
		if e.Home != home || e.Spool != spool || e.BlackBox != boxes {
			t.Errorf("%s:\n got %s, %s, in %q\nwant %s, %s, in %q", tt.name, e.Home, e.Spool, e.BlackBox, home, spool, boxes)
		}
	}
	e := testEnv()
	e.User = "x"
	e.Config.BlackBoxDir = file // no directory: stat says ENOTDIR
	if err := e.enterBox(); !errors.Is(err, ErrTemporary) {
		t.Errorf("a box that cannot be looked at: got %v, want %v", err, ErrTemporary)
	}
}

func TestResolveBlackBox(t *testing.T) {
	e := testEnv()
	e.BlackBox, e.Home, e.Spool = "/box", "/box/alice", "/box/alice/INBOX"
	for in, want := range map[string]string{
		"x": "/box/alice/x", "~/x": "/box/alice/x", "INBOX": "INBOX", "~/INBOX": "/box/alice/INBOX",
		"/bob/x": "/box/bob/x", "~bob/x": "/box/bob/x", "/bob/INBOX": "/box/bob/INBOX",
		"../bob/x": "no such mailbox", "x/../../y": "no such mailbox", "./x": "no such mailbox", "/../etc/passwd": "no such mailbox",
		"//etc/passwd": "no such mailbox", "~bob/~x": "no such mailbox", "~../x": "no such mailbox", ".": "no such mailbox",
	} {
		n, err := e.Resolve(in)
		if got := place(n, err); got != want {
			t.Errorf("Resolve(%q)\n got %s\nwant %s", in, got, want)
		}
	}
	e.Config.Subdir = "mail"
	e.Config.Restricted = true
	for in, want := range map[string]string{"x": "/box/alice/mail/x", "/bob/x": "no such mailbox", "~bob/x": "no such mailbox"} {
		n, err := e.Resolve(in)
		if got := place(n, err); got != want {
			t.Errorf("restricted: Resolve(%q)\n got %s\nwant %s", in, got, want)
		}
	}
}
