package dummy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailutil/pkg/driver/dummy"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// a test's driver, with a home directory and what takes mail.
type fixture struct {
	*testing.T
	env *mailbox.Env
	mem *mailboxtest.Memory
	d   *dummy.Driver
}

func newFixture(t *testing.T) fixture {
	env := mailboxtest.NewEnv(t)
	mem := mailboxtest.NewMemory(env, "unix")
	return fixture{t, env, mem, dummy.New(env, func() mailbox.Driver { return mem })}
}

// name resolves a name, with ~ for the home directory in results.
func (f fixture) name(s string) mailbox.Name {
	if strings.EqualFold(s, "INBOX") {
		return mailbox.Name{Text: s, Inbox: true}
	}
	return mailbox.Name{Text: s, Path: filepath.Clean(f.env.Home) + "/" + s}
}

func (f fixture) write(path, text string) {
	f.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.Fatal(err)
	}
}

// says compares the text of an error, with the home directory as ~.
func (f fixture) says(what string, err error, want string) {
	f.Helper()
	got := "<nil>"
	if err != nil {
		got = strings.ReplaceAll(err.Error(), f.env.Home, "~")
	}
	if got != want {
		f.Errorf("%s\n got %s\nwant %s", what, got, want)
	}
}

func TestContract(t *testing.T) {
	for name, named := range map[string]func(env *mailbox.Env, name string) mailbox.Name{
		"file": nil,
		"inbox": func(env *mailbox.Env, name string) mailbox.Name {
			if name == "own" {
				return mailbox.Name{Text: "INBOX", Inbox: true}
			}
			return mailbox.Name{Text: name, Path: filepath.Join(env.Home, name)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			mailboxtest.Run(t, mailboxtest.Harness{
				New: func(t *testing.T) (mailbox.Driver, *mailbox.Env) {
					f := newFixture(t)
					return f.d, f.env
				},
				Name: named,
				Fixture: func(t *testing.T, env *mailbox.Env, n mailbox.Name) []string {
					if n.Inbox {
						return nil // there is none: it is empty
					}
					if err := os.WriteFile(n.Path, nil, 0o600); err != nil {
						t.Fatal(err)
					}
					return nil
				},
			})
		})
	}
}

func TestOpen(t *testing.T) {
	f := newFixture(t)
	f.write(f.env.Home+"/z", "")
	f.write(f.env.Home+"/jk", "junk\n")
	os.Mkdir(f.env.Home+"/d", 0o700)
	for name, want := range map[string]string{
		"INBOX": "<nil>", "z": "<nil>",
		"d":   "Can't open d: not a selectable mailbox",
		"d/":  "Can't open d/: not a selectable mailbox",
		"jk":  "Can't open jk (file ~/jk): not in valid mailbox format",
		"non": "open non: no such mailbox",
	} {
		_, err := f.d.Open(t.Context(), f.name(name), mailbox.ReadOnly)
		f.says("open "+name, err, want)
	}
	f.write(f.env.Spool, "junk\n")
	_, err := f.d.Open(t.Context(), f.name("inbox"), mailbox.ReadOnly)
	if want := "Can't open inbox (file " + f.env.Spool + "): not in valid mailbox format"; err == nil || err.Error() != want {
		t.Errorf("INBOX of junk\n got %v\nwant %s", err, want)
	}
}

// A session of an empty mailbox may be read-write, and has nothing to do.
func TestReadWrite(t *testing.T) {
	f := newFixture(t)
	f.write(f.env.Home+"/z", "")
	mb, err := f.d.Open(t.Context(), f.name("z"), mailbox.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if st := mb.Status(); st.ReadOnly || st.Messages != 0 || st.UIDValidity == 0 || st.UIDNext != 1 {
		t.Errorf("Status: got %+v", st)
	}
	if n, err := mb.Expunge(mailbox.All); n != 0 || err != nil {
		t.Errorf("expunge: got %d, %v", n, err)
	}
	if err := mb.Store(mailbox.All, mailbox.Add, mailbox.FlagList{System: mailbox.Seen}); err != nil {
		t.Errorf("store: got %v", err)
	}
	if changed, err := mb.Ping(); changed || err != nil {
		t.Errorf("ping: got %v, %v", changed, err)
	}
	f.write(f.env.Home+"/z", "From a@b Wed Jan  1 01:02:03 2020\n\n")
	if _, err := mb.Ping(); !errors.Is(err, mailbox.ErrChanged) {
		t.Errorf("ping after mail came: got %v, want %v", err, mailbox.ErrChanged)
	}
}

// append tries to append, and returns whether the default driver got it.
func (f fixture) append(d *dummy.Driver, n mailbox.Name, o mailbox.AppendOptions) error {
	del, err := d.Append(f.Context(), n, o)
	if err != nil {
		return err
	}
	defer del.Abort()
	text := "Subject: x\r\n\r\n"
	if _, err := del.Add(mailbox.Item{Message: mailbox.Message{Size: int64(len(text))}, Text: strings.NewReader(text)}); err != nil {
		return err
	}
	_, err = del.Commit()
	return err
}

func TestAppend(t *testing.T) {
	f := newFixture(t)
	f.write(f.env.Home+"/z", "")
	f.write(f.env.Home+"/jk", "junk\n")
	os.Mkdir(f.env.Home+"/d", 0o700)
	if err := f.mem.Create(t.Context(), f.name("z")); err != nil { // the empty file, as that driver sees it
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		new  bool
		want string
	}{
		{"z", false, "<nil>"},
		{"INBOX", false, "<nil>"}, // was missing
		{"INBOX", false, "<nil>"}, // and is there now
		{"u", true, "<nil>"},
		{"z", true, "append z: mailbox already exists"},
		{"non", false, "append non: no such mailbox"},
		{"jk", false, "Indeterminate mailbox format: jk"},
		{"d", false, "Indeterminate mailbox format: d"},
	} {
		f.says("append to "+tt.name, f.append(f.d, f.name(tt.name), mailbox.AppendOptions{New: tt.new}), tt.want)
	}
	if got := f.mem.String(); strings.Count(got, "1 messages") != 2 || !strings.Contains(got, "INBOX: 2 messages") {
		t.Errorf("the default driver has\n%s", got)
	}
}

func TestAppendWithoutFormat(t *testing.T) {
	f := newFixture(t)
	f.write(f.env.Home+"/z", "")
	none := dummy.New(f.env, func() mailbox.Driver { return nil })
	f.says("invalid", f.append(none, f.name("z"), mailbox.AppendOptions{}), "Indeterminate mailbox format: z")
	var self *dummy.Driver
	self = dummy.New(f.env, func() mailbox.Driver { return self })
	f.says("itself", f.append(self, f.name("z"), mailbox.AppendOptions{}), "Indeterminate mailbox format: z")
}

func TestCreateDeleteRename(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	for _, tt := range []struct{ do, a, b, want string }{
		{"create", "m9", "", "<nil>"},
		{"create", "m9", "", "Can't create mailbox node ~/m9: File exists"},
		{"create", "m9/x", "", "Can't create mailbox node ~/m9/: File exists"},
		{"create", "dir/", "", "<nil>"},
		{"create", "dir/", "", "Can't create mailbox node ~/dir/: File exists"},
		{"create", "a/b/c/", "", "<nil>"},
		{"create", "a/b/d/e", "", "<nil>"},
		{"create", "INBOX", "", "Can't create INBOX: invalid name"},
		{"delete", "non", "", "delete non: no such mailbox"},
		{"delete", "INBOX", "", "Can't delete INBOX"},
		{"delete", "a", "", "Can't delete mailbox a: Directory not empty"},
		{"delete", "a/b/c", "", "<nil>"},
		{"delete", "dir/", "", "<nil>"},
		{"rename", "non", "y", "rename non: no such mailbox"},
		{"rename", "m9", "nd/", "Can't rename m9 to nd/: invalid name"},
		{"rename", "m9", "a/b/d/e", "Can't rename mailbox m9 to a/b/d/e: File exists"},
		{"rename", "a/b", "m9", "Can't rename mailbox a/b to m9: File exists"},
		{"rename", "m9", "x/y/z", "<nil>"},
		{"rename", "a/b", "q", "<nil>"},
		{"rename", "INBOX", "new", "<nil>"},
		{"delete", "a", "", "<nil>"},
	} {
		var err error
		switch tt.do {
		case "create":
			err = f.d.Create(ctx, f.name(tt.a))
		case "delete":
			err = f.d.Delete(ctx, f.name(tt.a))
		case "rename":
			err = f.d.Rename(ctx, f.name(tt.a), f.name(tt.b))
		}
		f.says(tt.do+" "+tt.a+" "+tt.b, err, tt.want)
	}
	want := "new q q/d q/d/e x x/y x/y/z"
	var got []string
	filepath.WalkDir(f.env.Home, func(path string, e os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(f.env.Home, path); rel != "." {
			got = append(got, rel)
		}
		return err
	})
	if got := strings.Join(got, " "); got != want {
		t.Errorf("files\n got %s\nwant %s", got, want)
	}
	// An empty INBOX that exists is renamed.
	f.write(f.env.Spool, "")
	f.says("rename INBOX", f.d.Rename(ctx, f.name("INBOX"), f.name("inbox2")), "<nil>")
	if _, err := os.Stat(f.env.Spool); !os.IsNotExist(err) {
		t.Errorf("the spool is still there: %v", err)
	}
}

func TestErrorKinds(t *testing.T) {
	f := newFixture(t)
	f.write(f.env.Home+"/z", "")
	if err := f.d.Create(t.Context(), f.name("z")); !errors.Is(err, mailbox.ErrExist) {
		t.Errorf("create: got %v, want %v", err, mailbox.ErrExist)
	}
	f.write(f.env.Home+"/y", "")
	if err := f.d.Rename(t.Context(), f.name("z"), f.name("y")); !errors.Is(err, mailbox.ErrExist) {
		t.Errorf("rename: got %v, want %v", err, mailbox.ErrExist)
	}
	if err := os.Symlink("loop", f.env.Home+"/loop"); err != nil {
		t.Fatal(err)
	}
	if ok, err := f.d.Probe(f.name("loop")); ok || err == nil || !mailbox.IsTemporary(err) {
		t.Errorf("probe of a loop of links: got %v, %v, want an error that is not final", ok, err)
	}
}
