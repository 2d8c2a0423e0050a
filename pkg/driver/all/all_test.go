package all_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

func at(env *mailbox.Env, name string) mailbox.Name {
	if name == "INBOX" {
		return mailbox.Name{Text: name, Inbox: true}
	}
	return mailbox.Name{Text: name, Path: filepath.Join(env.Home, name)}
}

// Whose is what.
func TestFind(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	ds := all.Drivers(env)
	ctx := context.Background()
	for _, format := range []string{"unix", "mbx", "mix", "maildir", "mx", "mh"} {
		if err := ds.Named(format).(mailbox.Creator).Create(ctx, at(env, format)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"mtx": " 1-Jul-2001 02:03:04 -0700,2;000000000000\r\n\r\n", "tenex": " 1-Jul-2001 02:03:04 -0700,1;000000000000\n\n",
		"empty": "", "junk": "junk\n", "LF": "\n", "cut": "*mbx*\r\n", "blanks": "\n\nFrom a@b Wed Jan  1 01:02:03 2020\n\n",
		"mmdf": "\x01\x01\x01\x01\nFrom a@b Wed Jan  1 01:02:03 2020\n\nx\n\x01\x01\x01\x01\n", "five": "\x01\x01\x01\x01\x01\nA: b\n\nx\n",
	} {
		if err := os.WriteFile(at(env, name).Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(at(env, "dir").Path, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"unix": "unix", "mbx": "mbx", "maildir": "maildir", "maildir/cur": "dummy", "mtx": "mtx", "tenex": "tenex", "empty": "dummy", "junk": "phile", "LF": "phile", "cut": "phile", "blanks": "unix",
		"mmdf": "mmdf", "five": "phile", "mix": "mix", "mix/.mixindex": "dummy", "mx": "mx", "mh": "mh",
		"dir": "dummy", "INBOX": "dummy",
	} {
		d, err := ds.Find(at(env, name))
		if err != nil || d.Name() != want {
			t.Errorf("%s: got %v, %v, want %s", name, d, err, want)
		}
	}
	if err := os.Rename(at(env, "mx").Path, filepath.Join(env.Home, "INBOX")); err != nil {
		t.Fatal(err)
	}
	if d, err := ds.Find(at(env, "INBOX")); err != nil || d.Name() != "mx" {
		t.Errorf("INBOX that is a directory with an index: got %v, %v, want mx", d, err)
	}
	if d, err := ds.Find(mailbox.Name{Text: "#mh/mh", Space: "mh"}); !errors.Is(err, mailbox.ErrNotExist) {
		t.Errorf("#mh/mh without a profile: got %v, %v, want %v", d, err, mailbox.ErrNotExist)
	}
	if d, err := ds.Find(at(env, "none")); !errors.Is(err, mailbox.ErrNotExist) {
		t.Errorf("none: got %v, %v, want %v", d, err, mailbox.ErrNotExist)
	}
}

// The first mail of an empty mailbox gives it the format of the configuration.
func TestFirstMail(t *testing.T) {
	for _, tt := range []struct{ format, want string }{
		{"unix", "unix"}, {"mbx", "mbx"}, {"mtx", "mtx"}, {"tenex", "tenex"}, {"mmdf", "mmdf"}, {"maildir", "maildir"}, {"mx", "mx"}, {mailbox.SameAsInbox, "unix"}, {mailbox.InvalidFormat, ""}, {"dummy", ""}, {"phile", ""},
	} {
		for _, name := range []string{"empty", "INBOX"} {
			env := mailboxtest.NewEnv(t)
			env.Config.EmptyFormat = tt.format
			ds := all.Drivers(env)
			if err := os.WriteFile(at(env, "empty").Path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			err := add(ds, at(env, name), "Subject: first\r\n\r\nbody\r\n")
			// An empty file cannot become an mbx mailbox, as in the original, nor
			// a directory.
			if tt.want == "" || (tt.want == "mbx" || tt.want == "maildir" || tt.want == "mx") && name == "empty" {
				if !errors.Is(err, mailbox.ErrFormat) {
					t.Errorf("%s, %s: got %v, want %v", tt.format, name, err, mailbox.ErrFormat)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s, %s: %v", tt.format, name, err)
				continue
			}
			mb, err := ds.Open(context.Background(), at(env, name), mailbox.ReadOnly)
			if err != nil {
				t.Errorf("%s, %s: %v", tt.format, name, err)
				continue
			}
			if st := mb.Status(); st.Driver != tt.want || st.Messages != 1 {
				t.Errorf("%s, %s: got %+v, want 1 message, %s", tt.format, name, st, tt.want)
			}
			mb.Close()
		}
	}
}

// add appends a message by the driver whose mailbox it is.
func add(ds mailbox.Drivers, n mailbox.Name, text string) error {
	d, err := ds.Find(n)
	if err != nil {
		return err
	}
	del, err := d.(mailbox.Appender).Append(context.Background(), n, mailbox.AppendOptions{})
	if err != nil {
		return err
	}
	defer del.Abort()
	if _, err := del.Add(mailbox.Item{Message: mailbox.Message{Size: int64(len(text))}, Text: strings.NewReader(text)}); err != nil {
		return err
	}
	_, err = del.Commit()
	return err
}

// octets of mailboxes with one message.
const (
	unixMail  = "From a@b Wed Jan  1 01:02:03 2020\nSubject: u\n\nunix\n\n"
	mmdfMail  = "\x01\x01\x01\x01\nFrom a@b Wed Jan  1 01:02:03 2020\nSubject: d\n\nmmdf\n\x01\x01\x01\x01\n"
	mtxMail   = " 1-Jul-2001 02:03:04 -0700,2;000000000000\r\n\r\n"
	tenexMail = " 1-Jul-2001 02:03:04 -0700,1;000000000000\n\n"
)

// Where INBOX is, as the files of the home directory and the spool have it, and
// whether new mail goes there from the spool.
func TestInbox(t *testing.T) {
	mbx, err := os.ReadFile("../../../testdata/mbx/empty-created.mbx")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name         string
		files        map[string]string // in the home directory, but for spool
		driver, file string
		moves        bool
	}{
		{"nothing", nil, "dummy", "spool", false},
		{"spool", map[string]string{"spool": unixMail}, "unix", "spool", false},
		{"empty spool", map[string]string{"spool": ""}, "dummy", "spool", false},
		{"mmdf spool", map[string]string{"spool": mmdfMail}, "mmdf", "spool", false},
		{"mbox", map[string]string{"mbox": unixMail, "spool": unixMail}, "mbox", "mbox", true},
		{"empty mbox", map[string]string{"mbox": "", "spool": unixMail}, "mbox", "mbox", true},
		{"mbox without a spool", map[string]string{"mbox": unixMail}, "mbox", "mbox", false},
		{"mbox of no format", map[string]string{"mbox": "junk\n", "spool": unixMail}, "unix", "spool", false},
		{"mbox, mmdf spool", map[string]string{"mbox": "", "spool": mmdfMail}, "mmdf", "spool", false},
		{"mbox before mbx", map[string]string{"mbox": "", "INBOX": string(mbx), "spool": unixMail}, "mbox", "mbox", true},
		{"mbx", map[string]string{"INBOX": string(mbx), "spool": unixMail}, "mbx", "INBOX", true},
		{"mbx before tenex", map[string]string{"INBOX": string(mbx), "mail.txt": tenexMail, "spool": unixMail}, "mbx", "INBOX", true},
		{"tenex", map[string]string{"mail.txt": tenexMail, "spool": unixMail}, "tenex", "mail.txt", true},
		{"empty mail.txt", map[string]string{"mail.txt": "", "spool": unixMail}, "tenex", "mail.txt", true},
		{"tenex in INBOX", map[string]string{"INBOX": tenexMail, "spool": unixMail}, "tenex", "INBOX", true},
		{"tenex before mtx", map[string]string{"mail.txt": "", "INBOX.MTX": mtxMail, "spool": unixMail}, "tenex", "mail.txt", true},
		{"mtx", map[string]string{"INBOX.MTX": mtxMail, "spool": unixMail}, "mtx", "INBOX.MTX", true},
		{"empty INBOX.MTX", map[string]string{"INBOX.MTX": "", "spool": unixMail}, "mtx", "INBOX.MTX", true},
		{"mtx in INBOX", map[string]string{"INBOX": mtxMail, "spool": unixMail}, "mtx", "INBOX", true},
		{"unix in INBOX does not count", map[string]string{"INBOX": unixMail, "spool": unixMail}, "unix", "spool", false},
		{"empty INBOX does not count", map[string]string{"INBOX": "", "spool": unixMail}, "unix", "spool", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := mailboxtest.NewEnv(t)
			env.Spool = filepath.Join(env.Home, "spool")
			for name, text := range tt.files {
				if err := os.WriteFile(filepath.Join(env.Home, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			ds := all.Drivers(env)
			inbox := at(env, "INBOX")
			d, err := ds.Find(inbox)
			if err != nil || d.Name() != tt.driver {
				t.Fatalf("got %v, %v; want %s", d, err, tt.driver)
			}
			mb, err := d.Open(context.Background(), inbox, mailbox.ReadWrite)
			if err != nil {
				t.Fatal(err)
			}
			st := mb.Status()
			if got := filepath.Base(st.Path); got != tt.file {
				t.Errorf("got the file %s, want %s", got, tt.file)
			}
			if err := mb.Close(); err != nil {
				t.Fatal(err)
			}
			if left := mailIn(t, ds, env); tt.moves == (left > 0) && tt.files["spool"] != "" && tt.file != "spool" {
				t.Errorf("%d messages are left in the spool, moves: %v", left, tt.moves)
			}
			if want := uint32(total(tt.files, tt.file, tt.moves)); st.Messages != want {
				t.Errorf("got %d messages, want %d", st.Messages, want)
			}
		})
	}
}

// mailIn counts the messages of the spool.
func mailIn(t *testing.T, ds mailbox.Drivers, env *mailbox.Env) uint32 {
	t.Helper()
	mb, err := ds.Open(context.Background(), mailbox.Name{Text: "spool", Path: env.Spool}, mailbox.ReadOnly)
	if errors.Is(err, mailbox.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	return mb.Status().Messages
}

// total is how many messages the INBOX in file has: one, if there is any, and
// that of the spool.
func total(files map[string]string, file string, moves bool) (n int) {
	if text := files[file]; text != "" && !strings.HasPrefix(text, "*mbx*") {
		n++
	}
	if moves {
		n++
	}
	return n
}
