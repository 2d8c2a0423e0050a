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
	for _, format := range []string{"unix", "mbx"} {
		if err := ds.Named(format).(mailbox.Creator).Create(ctx, at(env, format)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"mtx": " 1-Jul-2001 02:03:04 -0700,2;000000000000\r\n\r\n", "tenex": " 1-Jul-2001 02:03:04 -0700,1;000000000000\n\n",
		"empty": "", "junk": "junk\n", "LF": "\n", "cut": "*mbx*\r\n", "blanks": "\n\nFrom a@b Wed Jan  1 01:02:03 2020\n\n",
	} {
		if err := os.WriteFile(at(env, name).Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(at(env, "dir").Path, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"unix": "unix", "mbx": "mbx", "mtx": "mtx", "tenex": "tenex", "empty": "dummy", "junk": "phile", "LF": "phile", "cut": "phile", "blanks": "unix",
		"dir": "dummy", "INBOX": "dummy",
	} {
		d, err := ds.Find(at(env, name))
		if err != nil || d.Name() != want {
			t.Errorf("%s: got %v, %v, want %s", name, d, err, want)
		}
	}
	if d, err := ds.Find(at(env, "none")); !errors.Is(err, mailbox.ErrNotExist) {
		t.Errorf("none: got %v, %v, want %v", d, err, mailbox.ErrNotExist)
	}
}

// The first mail of an empty mailbox gives it the format of the configuration.
func TestFirstMail(t *testing.T) {
	for _, tt := range []struct{ format, want string }{
		{"unix", "unix"}, {"mbx", "mbx"}, {"mtx", "mtx"}, {"tenex", "tenex"}, {mailbox.SameAsInbox, "unix"}, {mailbox.InvalidFormat, ""}, {"dummy", ""}, {"phile", ""},
	} {
		for _, name := range []string{"empty", "INBOX"} {
			env := mailboxtest.NewEnv(t)
			env.Config.EmptyFormat = tt.format
			ds := all.Drivers(env)
			if err := os.WriteFile(at(env, "empty").Path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			err := add(ds, at(env, name), "Subject: first\r\n\r\nbody\r\n")
			// An empty file cannot become an mbx mailbox, as in the original.
			if tt.want == "" || tt.want == "mbx" && name == "empty" {
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
