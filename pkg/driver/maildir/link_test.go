package maildir

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

var linkDate = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

// sized is the name of a file with the sizes of a text.
func sized(sub, unique, text, info string) string {
	return fmt.Sprintf("%s/%s,S=%d,W=%d%s", sub, unique, len(text), len(text)+strings.Count(text, "\n"), info)
}

// linkable makes the Maildir dir of messages that can be taken with their files,
// all but the first, and dates them.
func linkable(t *testing.T, dir string, also map[string]string) {
	t.Helper()
	first, second := "Subject: 1\n\nfirst\n", "Subject: 2\n\nsecond\n"
	files := map[string]string{sized("new", "1.a", first, ""): first, sized("cur", "2.b", second, ":2,FS"): second}
	maps.Copy(files, also)
	put(t, dir, files)
	for name := range files {
		if err := os.Chtimes(dir+"/"+name, linkDate, linkDate); err != nil {
			t.Fatal(err)
		}
	}
}

// linkAll copies a mailbox, message by message, with their files where that can
// be, and returns how many could.
func linkAll(d *Driver, src, dst mailbox.Name, o mailbox.AppendOptions) (linked int, err error) {
	from, err := d.Open(context.Background(), src, mailbox.ReadOnly)
	if err != nil {
		return 0, err
	}
	defer from.Close() // only read
	to, err := d.Append(context.Background(), dst, o)
	if err != nil {
		return 0, err
	}
	for m, err := range from.Messages(mailbox.All) {
		if err != nil {
			return linked, errors.Join(err, to.Abort())
		}
		_, ok, err := to.(mailbox.Linker).Link(from, mailbox.Item{Message: m})
		if ok {
			linked++
		} else if err == nil {
			var text mailbox.Content
			if text, err = from.Open(m.Seq); err == nil {
				_, err = to.Add(mailbox.Item{Message: m, Text: text})
			}
		}
		if err != nil {
			return linked, errors.Join(err, to.Abort())
		}
	}
	_, err = to.Commit()
	return linked, errors.Join(err, to.Abort())
}

// refusing is a file system on which messages get no second names.
type refusing struct {
	fsx.OS
	why error
}

func (r refusing) Link(old, new string) error {
	if !slices.Contains(parts[:], filepath.Base(filepath.Dir(new))) {
		return r.OS.Link(old, new)
	}
	return &os.LinkError{Op: "link", Old: old, New: new, Err: r.why}
}

// A message is taken with its file where a new one would be the same, and is
// read and written otherwise: the copy tells the same of it.
func TestLink(t *testing.T) {
	third := "Subject: 3\n\nthird\n"
	name := sized("cur", "3.c", third, ":2,S")
	with := func(name, text string) map[string]string { return map[string]string{name: text} }
	for _, tt := range []struct {
		name   string
		also   map[string]string // a third message
		change func(file string) error
		fs     fsx.FS
		want   int // messages of three
	}{
		{name: "as it should be", also: with(name, third), want: 2},
		{name: "CRLF", also: with("cur/3.c,S=21,W=21:2,", "Subject: 3\r\n\r\nthird\r\n"), want: 2},
		{name: "no sizes", also: with("cur/3.c:2,", third), want: 1},
		{name: "S= alone", also: with("cur/3.c,S=18:2,", third), want: 2},
		{name: "wrong S=", also: with("cur/3.c,S=17,W=21:2,", third), want: 1},
		{name: "wrong W=", also: with("cur/3.c,S=18,W=99:2,", third), want: 2},
		{name: "packed", also: with("cur/3.c,S=18,W=21:2,", string(gzipped(t, third))), want: 1},
		{name: "lost date", also: with(name, third), want: 1, change: func(file string) error { return os.Chtimes(file, time.Unix(0, 0), time.Unix(0, 0)) }},
		{name: "other mode", also: with(name, third), want: 1, change: func(file string) error { return os.Chmod(file, 0o640) }},
		{name: "symbolic link", also: with(name, third), want: 1, change: func(file string) error {
			away := filepath.Dir(filepath.Dir(filepath.Dir(file))) + "/away"
			return errors.Join(os.Rename(file, away), os.Symlink(away, file))
		}},
		{name: "second name", also: with(name, third), want: 2, change: func(file string) error { return os.Link(file, filepath.Dir(file)+"/../away") }},
		{name: "no links here", also: with(name, third), fs: refusing{why: syscall.EPERM}},
		{name: "other file system", also: with(name, third), fs: refusing{why: syscall.EXDEV}},
		{name: "too many links", also: with(name, third), fs: refusing{why: syscall.EMLINK}},
	} {
		for _, exists := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, exists %v", tt.name, exists), func(t *testing.T) {
				env := mailboxtest.NewEnv(t)
				env.Unpacker = unpacker
				src, dst := under(env, "src"), under(env, "dst")
				linkable(t, src.Path, tt.also)
				for file := range tt.also {
					if tt.change == nil {
						break
					}
					if err := tt.change(src.Path + "/" + file); err != nil {
						t.Fatal(err)
					}
				}
				d := New(env)
				if tt.fs != nil {
					d.fs = tt.fs
				}
				if exists {
					put(t, dst.Path, nil)
				}
				got, err := linkAll(d, src, dst, mailbox.AppendOptions{New: !exists})
				if got != tt.want || err != nil {
					t.Fatalf("got %d linked, %v, want %d", got, err, tt.want)
				}
				compareCopies(t, d, src, dst)
			})
		}
	}
}

// compareCopies compares what two mailboxes tell of their messages, UIDs and
// Recent aside, and looks whether the names tell the sizes.
func compareCopies(t *testing.T, d *Driver, src, dst mailbox.Name) {
	t.Helper()
	want, got := readWith(t, d, src, mailbox.ReadOnly), readWith(t, d, dst, mailbox.ReadOnly)
	want.Path, want.UIDValidity = got.Path, got.UIDValidity
	for i := range want.Messages {
		want.Messages[i].Recent = got.Messages[i].Recent
	}
	if !sameBox(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	err := d.readMessages(dst.Path, func(file string) {
		fi, err := os.Stat(dst.Path + "/" + file)
		if disk, _ := sizes([]byte(baseOf(file))); err != nil || disk != fi.Size() {
			t.Errorf("%s: %d octets, %v", file, fi.Size(), err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A directory that gives its files rights that their modes do not tell gets no
// file that was made elsewhere.
func TestLinkACL(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	src, dst := under(env, "src"), under(env, "dst")
	linkable(t, src.Path, nil)
	put(t, dst.Path, nil)
	acl := []byte("\x02\x00\x00\x00" + // version; tag, rights and identity of each entry:
		"\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\x01\x00\x00\x00" + // owner, user 1,
		"\x04\x00\x00\x00\xff\xff\xff\xff" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff") // group, mask, others
	if err := unix.Lsetxattr(dst.Path+"/tmp", "system.posix_acl_default", acl, 0); err != nil {
		t.Skip("no access control lists here: ", err)
	}
	if got, err := linkAll(New(env), src, dst, mailbox.AppendOptions{}); got != 0 || err != nil {
		t.Errorf("got %d linked, %v", got, err)
	}
}

// A proof of what was taken with its file fails where that file is another, or
// has changed.
func TestLinkProof(t *testing.T) {
	for name, change := range map[string]func(file string) error{
		"nothing": func(string) error { return nil },
		"octets":  func(file string) error { return os.WriteFile(file, []byte("Subject: 2\n\nSECOND\n"), 0o600) },
		"length":  func(file string) error { return os.Truncate(file, 3) },
		"replaced": func(file string) error {
			return errors.Join(os.Remove(file), os.WriteFile(file, []byte("Subject: 2\n\nsecond\n"), 0o600))
		},
		"gone": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			env := mailboxtest.NewEnv(t)
			src, dst := under(env, "src"), under(env, "dst")
			linkable(t, src.Path, nil)
			d := New(env)
			mb, err := d.Open(ctx, src, mailbox.ReadOnly)
			if err != nil {
				t.Fatal(err)
			}
			defer mb.Close()
			to, err := d.Append(ctx, dst, mailbox.AppendOptions{New: true})
			if err != nil {
				t.Fatal(err)
			}
			defer to.Abort()
			w := mb.(mailbox.Witness)
			w.Witness()
			for m, err := range mb.Messages(mailbox.All) {
				if err != nil {
					t.Fatal(err)
				}
				text, err := mb.Open(m.Seq)
				if err != nil {
					t.Fatal(err)
				}
				if m.Seq == 1 {
					_, err = to.Add(mailbox.Item{Message: m, Text: text})
				} else if _, ok, e := to.(mailbox.Linker).Link(mb, mailbox.Item{Message: m}); !ok {
					err = errors.Join(e, errors.New("not linked"))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			files, err := filepath.Glob(src.Path + "/cur/2.b*")
			if err != nil || len(files) != 1 {
				t.Fatal(files, err)
			}
			if err := change(files[0]); err != nil {
				t.Fatal(err)
			}
			read, err := w.Witnessed()
			now, err2 := w.Prove()
			same := err == nil && err2 == nil && read.Digest == now.Digest && read.Size == now.Size
			if want := name == "nothing"; same != want {
				t.Errorf("got %v, want %v: %+v, %v, %+v, %v", same, want, read, err, now, err2)
			}
		})
	}
}

// fromUnsynced is a copy of a Maildir whose texts nobody has made durable.
func fromUnsynced(o mailbox.AppendOptions) func(d *Driver, n, fresh mailbox.Name) error {
	return func(d *Driver, n, fresh mailbox.Name) error {
		src := fresh
		src.Path += "src"
		if err := errors.Join(d.removeTree(src.Path), d.fs.Mkdir(src.Path, 0o700)); err != nil {
			return err
		}
		for _, part := range parts {
			if err := d.fs.Mkdir(src.Path+"/"+part, 0o700); err != nil {
				return err
			}
		}
		for i := range 3 {
			text := fmt.Sprintf("Subject: added %d\n\n%s", i, strings.Repeat("a line\n", i*200))
			if err := writeUnsynced(d.fs, src.Path+"/"+sized("cur", fmt.Sprintf("%d.x", i+1), text, ":2,S"), text); err != nil {
				return err
			}
		}
		if o.New {
			n = fresh
		}
		linked, err := linkAll(d, src, n, o)
		if _, breaks := d.fs.(*fsxtest.Faulty); err == nil && linked != 2 && !breaks {
			err = fmt.Errorf("%d messages are linked", linked)
		}
		return err
	}
}

func writeUnsynced(fsys fsx.FS, path, text string) error {
	f, err := fsys.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(text), 0)
	return errors.Join(err, f.Close())
}
