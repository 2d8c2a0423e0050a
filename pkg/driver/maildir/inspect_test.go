package maildir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// codes inspects a Maildir of these files, "tmp/", "new/" and "cur/" aside, and
// returns what was found.
func codes(t *testing.T, env *mailbox.Env, files map[string]string) (found []string, in mailbox.Inspection) {
	t.Helper()
	n := mailbox.Name{Text: "box", Path: filepath.Join(env.Home, "box")}
	for _, part := range parts {
		if err := os.MkdirAll(n.Path+"/"+part, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(n.Path+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in, err := New(env).Inspect(context.Background(), n, func(f mailbox.Finding) error {
		found = append(found, strings.TrimPrefix(f.Code, "maildir."))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if in.Doubts+in.Damages != len(found) {
		t.Errorf("%d findings, summed up as %+v", len(found), in)
	}
	slices.Sort(found)
	return found, in
}

func TestInspect(t *testing.T) {
	const good = "3 V1 N9\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
		sound bool
	}{
		{"sound", map[string]string{"cur/1.a,S=3,W=4:2,FS": "x\n\n"[:2] + "y", "new/2.b": "\r\n", uidlistFile: good + "1 :1.a,S=3,W=4\n", "dovecot-uidlist.lock": "1:x"}, "", true},
		{"S=", map[string]string{"cur/1.a,S=5:2,": "xy\n"}, "size-wrong", false},
		{"W=", map[string]string{"cur/1.a,S=3,W=3:2,": "xy\n"}, "size-wrong", false},
		{"W= of CRLF", map[string]string{"cur/1.a,S=4,W=4:2,": "xy\r\n"}, "", true},
		{"info", map[string]string{"cur/1.a:1,x": "x", "cur/2.a:2,SF": "x", "cur/3.a:2,SX": "x", "cur/4.a:": "x", "cur/5.a;2,S": "x"}, "info-bad info-bad info-bad info-bad info-bad", true},
		{"keyword", map[string]string{"cur/1.a:2,b": "x", keywordsFile: "0 a\nx\n1\n99 z\n0 b\n"}, "keyword-unknown keywords-line keywords-line keywords-line", true},
		{"base twice", map[string]string{"cur/1.a:2,S": "x", "new/1.a": "y"}, "base-twice", false},
		{"header", map[string]string{uidlistFile: "4 V1 N1\n1 :1.a\n", "cur/1.a": "x"}, "uidlist-header", false},
		{"no header", map[string]string{uidlistFile: ""}, "uidlist-header", false},
		{"lines", map[string]string{uidlistFile: good + "x\n1 1.a\n1 :1.a\n1 :1.b\n2 :1.a\n3 W5 :1.b\n4 :1.", "cur/1.a": "x", "cur/1.b": "x"}, "uid-order uid-twice uidlist-line uidlist-line uidlist-torn", false},
		{"Courier", map[string]string{courierFile: "1 5 9\n1 1.a\n2\n", "cur/1.a": "x"}, "uidlist-line", false},
		{"empty", map[string]string{"cur/1.a:2,S": ""}, "empty", true},
		{"foreign", map[string]string{"cur/.hidden": "", "new/:list": "", "cur/.nfs1": ""}, "foreign foreign", true},
		{"pending", map[string]string{pendingFile: "half"}, "pending", false},
	} {
		found, in := codes(t, mailboxtest.NewEnv(t), tt.files)
		if got := strings.Join(found, " "); got != tt.want || in.Sound() != tt.sound {
			t.Errorf("%s: got %s, sound %v, want %s, %v", tt.name, got, in.Sound(), tt.want, tt.sound)
		}
	}
}

// What is old, or has no date, or is not whole.
func TestInspectAges(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	now := time.Now().Add(staleTmp + time.Hour)
	env.Now = func() time.Time { return now }
	found, _ := codes(t, env, map[string]string{"tmp/1.a": "x", uidlistLock: "1:x", "cur/1.a": "x"})
	if want := []string{"lock-left", "tmp-stale"}; !slices.Equal(found, want) {
		t.Errorf("got %s, want %s", found, want)
	}
	if err := os.Chtimes(env.Home+"/box/cur/1.a", time.Now(), time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	found, _ = codes(t, env, nil)
	if want := []string{"lock-left", "no-date", "tmp-stale"}; !slices.Equal(found, want) {
		t.Errorf("got %s, want %s", found, want)
	}
	if err := errors.Join(os.Mkdir(env.Home+"/box/cur/dir", 0o700), syscall.Mkfifo(env.Home+"/box/new/fifo", 0o600)); err != nil {
		t.Fatal(err)
	}
	found, in := codes(t, env, nil)
	if want := []string{"foreign", "foreign", "lock-left", "no-date", "tmp-stale"}; !slices.Equal(found, want) || in.Messages != 1 {
		t.Errorf("got %s, want %s; %+v", found, want, in)
	}
	if err := errors.Join(os.Remove(env.Home+"/box/cur/dir"), os.Remove(env.Home+"/box/new/fifo")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(env.Home + "/box/tmp"); err != nil {
		t.Fatal(err)
	}
	n := mailbox.Name{Text: "box", Path: env.Home + "/box"}
	in, err := New(env).Inspect(context.Background(), n, nil)
	if err != nil || in.Damages != 0 || in.Doubts != 3 || in.Messages != 1 {
		t.Errorf("without tmp: got %+v, %v", in, err)
	}
	if err := os.Rename(n.Path+"/cur", n.Path+"/tmp"); err != nil {
		t.Fatal(err)
	}
	if in, err := New(env).Inspect(context.Background(), n, nil); err != nil || in.Damages != 1 {
		t.Errorf("without cur: got %+v, %v", in, err)
	}
	n.Path += "/new"
	if _, err := New(env).Inspect(context.Background(), n, nil); !errors.Is(err, mailbox.ErrFormat) {
		t.Errorf("another directory: got %v, want %v", err, mailbox.ErrFormat)
	}
}

// The golden mailboxes are sound, and inspecting them leaves no trace.
func TestInspectGolden(t *testing.T) {
	for _, a := range goldenArchives(t) {
		env := mailboxtest.NewEnv(t)
		unpack(t, filepath.Join(goldenDir, a.Archive), env.Home)
		before := tree(t, env.Home)
		for _, b := range a.Mailboxes {
			in, err := New(env).Inspect(context.Background(), goldenName(env, b.Path), nil)
			if err != nil || !in.Sound() || int(in.Messages) != len(b.Messages) {
				t.Errorf("%s/%s: got %+v, %v", a.Name, b.Path, in, err)
			}
		}
		if d := cmp.Diff(before, tree(t, env.Home)); d != "" {
			t.Errorf("%s: files changed:\n%s", a.Name, d)
		}
	}
}
