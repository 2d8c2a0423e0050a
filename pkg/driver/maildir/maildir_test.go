package maildir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

var ctx = context.Background()

// under is the name of a path below the home directory.
func under(env *mailbox.Env, path string) mailbox.Name {
	return mailbox.Name{Text: path, Path: filepath.Join(env.Home, path)}
}

// put makes a Maildir of these files.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for _, part := range parts {
		if err := os.MkdirAll(dir+"/"+part, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(dir+"/"+name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPlace(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	for _, dir := range []string{"M", "M/.A", "M/.A.B", "M/plain", "fs", "fs/sub", "other/M2"} {
		put(t, filepath.Join(env.Home, dir), nil)
	}
	if err := os.MkdirAll(filepath.Join(env.Home, "M/dir"), 0o700); err != nil { // as a mix mailbox
		t.Fatal(err)
	}
	d := New(env)
	for name, want := range map[string]bool{"M/dir/x": false, "M/cur/x": true, "M/A": true, "M/x/y": true, "M/.A/x": true, "M": false, "x": false, "fs/sub/x": false, "M/plain/x": false} {
		if got, err := d.Claims(under(env, name)); got != want || err != nil {
			t.Errorf("%s: claimed: got %v, %v, want %v", name, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"M": "M", "M/A": "M/.A", "M/A/B": "M/.A.B", "M/.A/B": "M/.A.B", "M/.A.B": "M/.A.B", "M/.A": "M/.A",
		"M/C/D/E": "M/.C.D.E", "M/.A.B/C": "M/.A.B.C", "M/plain": "M/plain", "M/plain/x": "M/plain/x", "fs/sub/x/y": "fs/sub/x/y",
		"none/x": "none/x", "other/x": "other/x", "other/M2/x": "other/M2/.x", "M/A/": "M/.A", "M/cur": "M/cur", "M/.x": "M/.x",
		"M/a.b": "", "M/A/b.c": "", "M/dir/x/y.z": "M/dir/x/y.z", "M/cur/x": "M/.cur.x",
	} {
		n := under(env, name)
		got, err := d.place(n)
		if want == "" {
			if !errors.Is(err, mailbox.ErrName) {
				t.Errorf("%s: got %s, %v, want %v", name, got, err, mailbox.ErrName)
			}
			if is, err := d.Probe(n); is || err != nil {
				t.Errorf("%s: probe: got %v, %v", name, is, err)
			}
			continue
		}
		if err != nil || got != filepath.Join(env.Home, want) {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, want)
		}
	}
}

func TestInbox(t *testing.T) {
	inbox := mailbox.Name{Text: "INBOX", Inbox: true}
	for _, tt := range []struct {
		name string
		make func(env *mailbox.Env)
		want bool
	}{
		{"nothing", func(*mailbox.Env) {}, false},
		{"~/Maildir", func(env *mailbox.Env) { put(t, env.Home+"/Maildir", nil) }, true},
		{"~/Maildir and a spool", func(env *mailbox.Env) {
			put(t, env.Home+"/Maildir", nil)
			os.WriteFile(env.Spool, nil, 0o600)
		}, false},
		{"~/Maildir and ~/mbox", func(env *mailbox.Env) {
			put(t, env.Home+"/Maildir", map[string]string{"../mbox": ""})
		}, false},
		{"the spool", func(env *mailbox.Env) { put(t, env.Spool, nil) }, true},
		{"a directory for a spool", func(env *mailbox.Env) {
			put(t, env.Home+"/Maildir", nil)
			os.Mkdir(env.Spool, 0o700)
		}, false},
	} {
		env := mailboxtest.NewEnv(t)
		tt.make(env)
		d := New(env)
		if is, err := d.Probe(inbox); is != tt.want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", tt.name, is, err, tt.want)
		}
		if !tt.want {
			if _, err := d.Open(ctx, inbox, mailbox.ReadOnly); !errors.Is(err, mailbox.ErrNotExist) {
				t.Errorf("%s: open: %v", tt.name, err)
			}
			continue
		}
		if err := adding(d, inbox, mailbox.AppendOptions{}, 2, mailbox.Flags{}); err != nil {
			t.Errorf("%s: append: %v", tt.name, err)
		}
		if g := readBox(t, env, inbox, mailbox.ReadOnly); len(g.Messages) != 2 {
			t.Errorf("%s: got %d messages", tt.name, len(g.Messages))
		}
		if err := errors.Join(d.Delete(ctx, inbox), d.Rename(ctx, inbox, under(env, "x"))); !errors.Is(err, mailbox.ErrUnsupported) {
			t.Errorf("%s: delete, rename: %v", tt.name, err)
		}
	}
}

// brief lists a mailbox as "UID:flags:size".
func brief(t *testing.T, env *mailbox.Env, n mailbox.Name, mode mailbox.Mode) string {
	t.Helper()
	g := readBox(t, env, n, mode)
	var out []string
	for _, m := range g.Messages {
		out = append(out, fmt.Sprintf("%d:%s:%d", m.UID, strings.Join(slices.Concat(m.Flags, m.Keywords), ","), m.Size))
	}
	return strings.Join(out, " ")
}

// Keywords of Courier's become letters when the first is changed, and none is
// lost.
func TestCourierKeywords(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	put(t, env.Home+"/box", map[string]string{
		"cur/1.a:2,S": "x\n", "cur/2.b:2,": "x\n", "cur/3.c:2,F": "x\n",
		"courierimapkeywords/:list":    "One\nTwo\nnot valid\n\n1.a:0 1\n2.b:1 2 7\n4.gone:0\n",
		"courierimapkeywords/.100.2.b": "Three\n", "courierimapkeywords/.099.2.b": "Old\n",
	})
	n := under(env, "box")
	if got, want := brief(t, env, n, mailbox.ReadWrite), `1:\Seen,One,Two:3 2:Three:3 3:\Flagged:3`; got != want {
		t.Fatalf("read: got %s, want %s", got, want)
	}
	mb, err := New(env).Open(ctx, n, mailbox.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if err := mb.Store(mailbox.One(1), mailbox.Remove, mailbox.FlagList{Keywords: []string{"one"}}); err != nil {
		t.Fatal(err)
	}
	if err := mb.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := brief(t, env, n, mailbox.ReadOnly), `1:\Seen,Two:3 2:Three:3 3:\Flagged:3`; got != want {
		t.Errorf("changed: got %s, want %s", got, want)
	}
}

// A delivery with a keyword gives letters to Courier's, but looks at no mail: what
// is new stays so, and nothing has UIDs yet.
func TestDeliveryAdoptsKeywords(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	put(t, env.Home+"/box", map[string]string{
		"cur/1.a:2,S": "x\n", "new/2.b": "x\n", "new/3.c": "x\n",
		"courierimapkeywords/:list": "One\nTwo\n\n1.a:1\n2.b:0 1\n4.gone:0\n",
	})
	n := under(env, "box")
	a, err := New(env).Append(ctx, n, mailbox.AppendOptions{Keywords: []string{"Three"}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Abort()
	for file, want := range map[string]bool{
		"cur/1.a:2,Sa": true, "cur/2.b:2,ab": true, "new/3.c": true, keywordsFile: true, pendingFile: false, uidlistFile: false,
	} {
		if _, err := os.Stat(n.Path + "/" + file); (err == nil) != want {
			t.Errorf("%s: got %v, want it there: %v", file, err, want)
		}
	}
}

// UIDs are those of Dovecot, else of Courier, else of mbsync.
func TestSourcesOfUIDs(t *testing.T) {
	files := map[string]string{
		"cur/1.a,U=7:2,S": "x\n", "cur/2.b,U=5:2,": "x\n", "cur/3.c,U=5:2,": "x\n", "new/4.d": "x\n",
		".uidvalidity": "99\n8\n",
	}
	for _, tt := range []struct{ name, file, text, want string }{
		{"mbsync", "", "", `99: 5::3 7:\Seen:3 9::3 10::3`},
		{"Courier", courierFile, "1 77 30\n3 2.b,U=5\n4 4.d\n", `77: 3::3 4::3 30:\Seen:3 31::3`},
		{"Dovecot", uidlistFile, "3 V55 N6 Gxy Zunknown\n2 :1.a,U=7\n9 W3 Zz :4.d:2,S\n", `55: 2:\Seen:3 9::3 10::3 11::3`},
		{"a list that cannot be read", uidlistFile, "what\n", ""},
	} {
		env := mailboxtest.NewEnv(t)
		n := under(env, "box")
		put(t, n.Path, files)
		if tt.file != "" {
			put(t, n.Path, map[string]string{tt.file: tt.text})
		}
		first := ""
		for _, mode := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite, mailbox.ReadOnly, mailbox.ReadWrite} {
			g := readBox(t, env, n, mode)
			got := fmt.Sprintf("%d: %s", g.UIDValidity, brief(t, env, n, mailbox.ReadOnly))
			if tt.want == "" {
				if mode == mailbox.ReadWrite && first == "" {
					first = got
				}
				if first != "" && got != first {
					t.Errorf("%s: got %s, then %s", tt.name, first, got)
				}
			} else if got != tt.want {
				t.Errorf("%s, mode %d: got %s, want %s", tt.name, mode, got, tt.want)
			}
		}
		list, _ := os.ReadFile(n.Path + "/" + uidlistFile)
		if tt.name == "Dovecot" && !strings.HasPrefix(string(list), tt.text) {
			t.Errorf("the list of Dovecot's was changed: %s", list)
		}
	}
}

// A list is written anew when much of it is dead, and unknown fields stay.
func TestListAnew(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	n := under(env, "box")
	list := "3 V55 N6 Zunknown\n2 :1.a\n"
	for i := range 200 {
		list += fmt.Sprintf("%d :gone%d\n", i+3, i)
	}
	put(t, n.Path, map[string]string{uidlistFile: list + "500 W7 Zq :2.b\n", "cur/1.a": "x", "cur/2.b": "y", "new/3.c": "z"})
	readBox(t, env, n, mailbox.ReadWrite)
	got, err := os.ReadFile(n.Path + "/" + uidlistFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(got), "\n")
	if !strings.HasPrefix(head, "3 V55 N502 G") || !strings.HasSuffix(head, " Zunknown") || rest != "2 :1.a\n500 W7 Zq :2.b\n501 :3.c\n" {
		t.Errorf("got %s", got)
	}
}

// Sizes in names are believed where they fit the file.
func TestSizes(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	n := under(env, "box")
	put(t, n.Path, map[string]string{
		"cur/1.right,S=4,W=6:2,": "a\nb\n", "cur/2.none:2,": "a\nb\n", "cur/3.S,S=4:2,": "a\nb\n", "cur/4.wrong,S=5,W=6:2,": "a\nb\n",
		"cur/5.absurd,S=4,W=3:2,": "a\nb\n", "cur/6.crlf,S=6,W=6:2,": "a\r\nb\r\n", "cur/7.mixed:2,": "a\r\nb\n", "cur/8.big,S=4,W=99999999999999999999:2,": "a\nb\n",
	})
	for range 2 {
		if got, want := brief(t, env, n, mailbox.ReadWrite), "1::6 2::6 3::6 4::6 5::6 6::6 7::6 8::6"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Two messages of one base are two, and both stay.
func TestBaseTwice(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	n := under(env, "box")
	put(t, n.Path, map[string]string{"cur/1.a:2,S": "one\n", "new/1.a": "the other\n", "cur/1.a:2,F": "a third one\n"})
	for _, mode := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite, mailbox.ReadOnly} {
		g := readBox(t, env, n, mode)
		var sizes []int
		for _, m := range g.Messages {
			sizes = append(sizes, int(m.Size))
		}
		if slices.Sort(sizes); !slices.Equal(sizes, []int{5, 11, 13}) {
			t.Errorf("mode %d: got messages of %v octets", mode, sizes)
		}
	}
	all, err := filepath.Glob(n.Path + "/cur/*:2,S")
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	name, _, _ := strings.Cut(filepath.Base(all[0]), ":")
	if err := os.Link(all[0], n.Path+"/new/"+name); err != nil {
		t.Fatal(err)
	}
	if g := readBox(t, env, n, mailbox.ReadOnly); len(g.Messages) != 3 {
		t.Errorf("one file by two names: got %d messages", len(g.Messages))
	}
}

// Nothing that is not ours goes with a mailbox.
func TestDeleteForeign(t *testing.T) {
	for _, name := range []string{"notes.txt", "cur/.keep", "new/dir/x", ".Sub/cur/1.a", "tmp/sub/x"} {
		env := mailboxtest.NewEnv(t)
		n := under(env, "box")
		put(t, n.Path, map[string]string{"cur/1.a": "x", name: "y"})
		if err := New(env).Delete(ctx, n); !errors.Is(err, mailbox.ErrUnsupported) {
			t.Errorf("%s: got %v, want %v", name, err, mailbox.ErrUnsupported)
		}
		for _, f := range []string{name, "cur/1.a"} {
			if _, err := os.Stat(n.Path + "/" + f); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	env := mailboxtest.NewEnv(t)
	put(t, env.Home+"/real", nil)
	if err := os.Symlink("real", env.Home+"/link"); err != nil {
		t.Fatal(err)
	}
	if err := New(env).Delete(ctx, under(env, "link")); !errors.Is(err, mailbox.ErrUnsupported) {
		t.Errorf("a link: got %v", err)
	}
}

// Subfolders go along with a dotted folder.
func TestRenameSubfolders(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	for _, dir := range []string{"M", "M/.A", "M/.A.B", "M/.A.B.C", "M/.AB", "N", "N/.X"} {
		put(t, filepath.Join(env.Home, dir), map[string]string{"cur/1." + strings.ReplaceAll(dir, "/", "_"): "x"})
	}
	d := New(env)
	if err := d.Rename(ctx, under(env, "M/A"), under(env, "M/New/Place")); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"M/New/Place": "1.M_.A", "M/New/Place/B": "1.M_.A.B", "M/New/Place/B/C": "1.M_.A.B.C", "M/AB": "1.M_.AB"} {
		dir, err := d.place(under(env, name))
		if _, serr := os.Stat(dir + "/cur/" + file); err != nil || serr != nil {
			t.Errorf("%s: %v, %v", name, err, serr)
		}
	}
	if _, err := os.Stat(env.Home + "/M/.New.Place/" + folderFile); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(env.Home + "/M/.New.Place/" + uidlistLock); err == nil {
		t.Error("the lock is left over")
	}
	for from, to := range map[string]string{"M/New/Place": "elsewhere", "N": "M/N"} {
		if err := d.Rename(ctx, under(env, from), under(env, to)); !errors.Is(err, mailbox.ErrUnsupported) {
			t.Errorf("%s to %s: got %v", from, to, err)
		}
	}
	if err := d.Rename(ctx, under(env, "N"), under(env, "moved")); err != nil {
		t.Error(err)
	}
}

// A hidden directory that a killed process left is no hindrance; that of a
// living one is respected.
func TestNewBusy(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	d := New(env)
	n := under(env, "box")
	put(t, env.Home+"/.box.new", map[string]string{"tmp/x": "left"})
	del, err := d.Append(ctx, n, mailbox.AppendOptions{New: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Append(ctx, n, mailbox.AppendOptions{New: true}); !errors.Is(err, mailbox.ErrBusy) {
		t.Errorf("second: got %v, want %v", err, mailbox.ErrBusy)
	}
	if err := d.Create(ctx, n); !errors.Is(err, mailbox.ErrBusy) {
		t.Errorf("create: got %v, want %v", err, mailbox.ErrBusy)
	}
	if _, err := del.Commit(); err != nil {
		t.Error(err)
	}
	if g := readBox(t, env, n, mailbox.ReadOnly); len(g.Messages) != 0 {
		t.Errorf("got %d messages", len(g.Messages))
	}
	if left, _ := filepath.Glob(env.Home + "/.*"); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

// A mailbox that we may not write to is read.
func TestReadOnlyPlace(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	env := mailboxtest.NewEnv(t)
	n := under(env, "box")
	put(t, n.Path, map[string]string{"new/1.a": "x"})
	if err := os.Chmod(n.Path, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(n.Path, 0o700)
	mb, err := New(env).Open(ctx, n, mailbox.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if st := mb.Status(); !st.ReadOnly || st.Messages != 1 {
		t.Errorf("got %+v", st)
	}
	mb.Close()
}

func TestProof(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	n := under(env, "box")
	put(t, n.Path, map[string]string{"cur/1.a:2,": "one\n", "cur/2.b:2,": "two\n", "cur/3.c:2,": "three\n"})
	open, err := New(env).Open(ctx, n, mailbox.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	mb := open.(mailbox.Witness)
	mb.Witness()
	for _, seq := range []uint32{3, 1} {
		c, err := open.Open(seq)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.WriteTo(&strings.Builder{}); err != nil {
			t.Fatal(err)
		}
	}
	saw, err := mb.Witnessed()
	if err != nil || saw.Size != 14 {
		t.Errorf("witnessed: got %+v, %v", saw, err)
	}
	if now, err := mb.Prove(); err != nil || now != saw {
		t.Errorf("proof: got %+v, %v, want %+v", now, err, saw)
	}
	put(t, n.Path, map[string]string{"new/4.d": "more\n"})
	if now, err := mb.Prove(); err != nil || now.Digest != saw.Digest || now.Now != saw.Size+5 {
		t.Errorf("more mail: got %+v, %v", now, err)
	}
	put(t, n.Path, map[string]string{"cur/2.b:2,": "twO\n"})
	if now, err := mb.Prove(); err != nil || now.Digest == saw.Digest {
		t.Errorf("other octets: got %+v, %v", now, err)
	}
}

// Dates that a file can have come back; others are told of.
func TestDates(t *testing.T) {
	now := func() time.Time { return time.Unix(1700000000, 5) }
	for _, tt := range []struct {
		d    mailbox.Date
		want int64
		ok   bool
	}{
		{mailbox.Date{}, 1700000000, true},
		{mailbox.Date{Year: 1970, Month: 1, Day: 1}, 1700000000, false},
		{mailbox.Date{Year: 1970, Month: 1, Day: 1, Zone: 60}, -3600, true},
		{mailbox.Date{Year: 1800, Month: 1, Day: 1}, 1700000000, false},
		{mailbox.Date{Year: 2500, Month: 1, Day: 1}, 1700000000, false},
		{mailbox.Date{Year: 2001, Month: 2, Day: 31}, time.Date(2001, 3, 3, 0, 0, 0, 0, time.UTC).Unix(), true},
	} {
		if got, ok := storable(tt.d, now); got.Unix() != tt.want || ok != tt.ok {
			t.Errorf("%v: got %v, %v, want %d, %v", tt.d, got, ok, tt.want, tt.ok)
		}
	}
	env := mailboxtest.NewEnv(t)
	n := under(env, "box")
	put(t, n.Path, map[string]string{"cur/1600000000.a:2,": "x"})
	if err := os.Chtimes(n.Path+"/cur/1600000000.a:2,", time.Now(), time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	if g := readBox(t, env, n, mailbox.ReadOnly); g.Messages[0].InternalDate != "2020-09-13T12:26:40+00:00" {
		t.Errorf("lost date: got %s", g.Messages[0].InternalDate)
	}
}

// A mailbox that is held gives no UIDs to others; mail that is delivered all
// the same has higher ones when it is held again.
func TestHold(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	env.LockTimeout = -1
	n := under(env, "box")
	put(t, n.Path, map[string]string{"new/20.b": "x", "cur/10.a:2,S": "x"})
	d := New(env)
	mb, err := d.Hold(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open(ctx, n, mailbox.ReadWrite); !errors.Is(err, mailbox.ErrBusy) {
		t.Errorf("open: got %v, want %v", err, mailbox.ErrBusy)
	}
	if _, err := d.Hold(ctx, n); !errors.Is(err, mailbox.ErrBusy) {
		t.Errorf("hold: got %v, want %v", err, mailbox.ErrBusy)
	}
	if err := adding(d, n, mailbox.AppendOptions{}, 2, mailbox.Flags{}); !errors.Is(err, mailbox.ErrBusy) {
		t.Errorf("a delivery of two: got %v, want %v", err, mailbox.ErrBusy)
	}
	put(t, n.Path, map[string]string{"new/05.early": "x"})
	if changed, err := mb.Ping(); changed || err != nil {
		t.Errorf("ping: got %v, %v", changed, err)
	}
	next := mb.Status().UIDNext
	if st := mb.Status(); st.Messages != 2 || next != 3 {
		t.Errorf("got %+v", st)
	}
	if err := os.Rename(n.Path, env.Home+"/box.orig"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(mb.Close(), mb.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
	mb, err = d.Hold(ctx, under(env, "box.orig"))
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	for m, err := range mb.Messages(mailbox.Range(3, 9)) {
		if err != nil || m.UID < next {
			t.Errorf("got %+v, %v", m, err)
		}
	}
	if _, err := os.Stat(env.Home + "/box.orig/new/20.b"); err != nil {
		t.Errorf("a message was moved: %v", err)
	}
}
