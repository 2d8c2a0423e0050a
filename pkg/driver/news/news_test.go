package news

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

var ctx = context.Background()

func newDriver(t *testing.T) (*Driver, *mailbox.Env) {
	env := mailboxtest.NewEnv(t)
	env.Config.NewsActive = filepath.Join(env.Home, "active")
	env.Config.NewsSpool = filepath.Join(env.Home, "news")
	return New(env), env
}

func name(group string) mailbox.Name { return mailbox.Name{Text: "#news." + group, Space: "news"} }

// post makes articles of a group, and the group.
func post(t *testing.T, env *mailbox.Env, group string, numbers ...int) {
	t.Helper()
	dir := filepath.Join(env.Config.NewsSpool, strings.ReplaceAll(group, ".", "/"))
	err := os.MkdirAll(dir, 0o700)
	for _, n := range numbers {
		err = errors.Join(err, os.WriteFile(fmt.Sprint(dir, "/", n), fmt.Appendf(nil, "Subject: %d\n\nbody %d\nA\r\n", n, n), 0o600))
	}
	f, oerr := os.OpenFile(env.Config.NewsActive, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err = errors.Join(err, oerr); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "%s 0000000012 0000000001 y\n", group)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	mailboxtest.Run(t, mailboxtest.Harness{
		New: func(t *testing.T) (mailbox.Driver, *mailbox.Env) { return newDriver(t) },
		Name: func(_ *mailbox.Env, s string) mailbox.Name {
			return name(s)
		},
		Fixture: func(t *testing.T, env *mailbox.Env, n mailbox.Name) []string {
			post(t, env, strings.TrimPrefix(n.Text, "#news."), 3, 4)
			return []string{"Subject: 3\r\n\r\nbody 3\r\nA\r\n", "Subject: 4\r\n\r\nbody 4\r\nA\r\n"}
		},
	})
}

func TestGroups(t *testing.T) {
	d, env := newDriver(t)
	post(t, env, "comp.lang.c", 1)
	post(t, env, "comp.lang", 1)
	post(t, env, "alt.x")
	if err := os.MkdirAll(filepath.Join(env.Config.NewsSpool, "dead"), 0o700); err != nil {
		t.Fatal(err)
	}
	for group, want := range map[string]bool{
		"comp.lang.c": true, "comp.lang": true, "comp": false, "dead": false, "none": false, "": false,
		"comp/lang": false, "comp..lang": false, ".comp.lang": false, "comp.lang.": false, "alt.x": true,
	} {
		if got, err := d.Probe(name(group)); got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", group, got, err, want)
		}
	}
	for prefix, want := range map[string]string{
		"#news.": "#news.alt.x #news.comp.lang #news.comp.lang.c", "#news.comp.lang.": "#news.comp.lang.c", "#news.x": "",
	} {
		var got []string
		for e, err := range d.List(ctx, mailbox.Name{Text: prefix, Space: "news"}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("list %s\n got %s\nwant %s", prefix, got, want)
		}
	}
}

// TestState reads and writes a state file.
func TestState(t *testing.T) {
	for _, tt := range []struct {
		name, rc string
		flags    string // S seen, r recent, of 3, 4, 7, 12
		after    string // when 3 and 7 are seen, and no other
	}{
		{"no file", "", "r r r r", "g: 1-3,7-11\n"},
		{"no line", "a: 1\ngg: 2\n", "r r r r", "a: 1\ngg: 2\ng: 1-3,7-11\n"},
		{"no line end", "a: 1", "r r r r", "a: 1\ng: 1-3,7-11\n"},
		{"CRLF", "g: 1-4\r\na! 5\r\n", "S S r r", "g: 1-3,7-11\r\na! 5\r\n"},
		{"left", "a: 1\ng! 1,3-5,12\nb: 2\n", "S S - S", "a: 1\ng! 1-3,7-11\nb: 2\n"},
		{"empty list", "g:\n", "r r r r", "g: 1-3,7-11\n"},
		{"bogus", "g: 1-3,x,4-12\n", "S r r r", "g: 1-3,7-11\n"},
	} {
		d, env := newDriver(t)
		post(t, env, "g", 3, 4, 7, 12)
		rc := filepath.Join(env.Home, ".newsrc")
		if tt.rc != "" {
			if err := os.WriteFile(filepath.Join(env.Home, "real"), []byte(tt.rc), 0o640); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("real", rc); err != nil {
				t.Fatal(err)
			}
		}
		mb, err := d.Open(ctx, name("g"), mailbox.ReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		if got := flags(t, mb); got != tt.flags {
			t.Errorf("%s: flags: got %s, want %s", tt.name, got, tt.flags)
		}
		for _, err := range []error{
			mb.Store(mailbox.All, mailbox.Remove, mailbox.FlagList{System: mailbox.Seen}),
			mb.Store(mailbox.One(1).Union(mailbox.One(3)), mailbox.Add, mailbox.FlagList{System: mailbox.Seen}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(rc); string(got) != tt.after || err != nil {
			t.Errorf("%s: file\n got %q, %v\nwant %q", tt.name, got, err, tt.after)
		}
		if fi, err := os.Lstat(rc); tt.rc != "" && (err != nil || fi.Mode().IsRegular()) {
			t.Errorf("%s: the link is gone: %v", tt.name, err)
		}
		if fi, err := os.Stat(rc); tt.rc != "" && (err != nil || fi.Mode() != 0o640) {
			t.Errorf("%s: mode %v, %v", tt.name, fi.Mode(), err)
		}
		for _, op := range []mailbox.FlagOp{mailbox.Add, mailbox.Replace} {
			if err := mb.Store(mailbox.All, op, mailbox.FlagList{System: mailbox.Flagged}); !errors.Is(err, mailbox.ErrUnsupported) {
				t.Errorf("%s: store of another flag: got %v, want %v", tt.name, err, mailbox.ErrUnsupported)
			}
		}
		if err := mb.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func flags(t *testing.T, mb mailbox.Mailbox) string {
	t.Helper()
	var out []string
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		f := "-"
		if m.Flags.System&mailbox.Recent != 0 {
			f = "r"
		}
		if m.Flags.System&mailbox.Seen != 0 {
			f = "S"
		}
		out = append(out, f)
	}
	return strings.Join(out, " ")
}

func TestStateCrash(t *testing.T) {
	const before, after = "a: 1\ng: 1-2\nb! 7\n", "a: 1\ng: 1-12\nb! 7\n"
	d, env := newDriver(t)
	post(t, env, "g", 3, 4, 7, 12)
	dir := t.TempDir()
	env.Config.NewsState = filepath.Join(dir, "rc")
	if err := os.WriteFile(env.Config.NewsState, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	rec := fsxtest.Record(t, dir)
	d.FS = rec
	see := func(d *Driver) {
		t.Helper()
		mb, err := d.Open(ctx, name("g"), mailbox.ReadWrite)
		if err == nil {
			err = mb.Store(mailbox.All, mailbox.Replace, mailbox.FlagList{System: mailbox.Seen})
		}
		if err != nil {
			t.Fatal(err)
		}
		mb.Close()
	}
	see(d)
	rec.Crashes(t, func(t *testing.T, dir string, done bool) {
		rc := filepath.Join(dir, "rc")
		got, err := os.ReadFile(rc)
		if err != nil || string(got) != after && (done || string(got) != before) {
			t.Fatalf("got %q, %v", got, err)
		}
		again := New(env)
		env.Config.NewsState = rc
		see(again)
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("left over: %v", left)
		}
	})
}

// FuzzState changes the line of a group in any file: all other octets stay.
func FuzzState(f *testing.F) {
	for _, s := range []string{"", "g: 1-3,5\n", "a: 1\r\ng! 3\r\n", "g", "g:\rh: 2\r", "gg: 1\ng:4-2,,-,99999999999"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before, list, after, known := cutState(b, "g")
		if got := slices.Concat(before, list, after); string(got) != string(b) {
			t.Fatalf("%q: cut to %q, %q, %q", b, before, list, after)
		}
		spans, _ := parseList(list)
		s := state{spans: spans}
		articles := []uint32{2, 3, 5, 9, 10, 1 << 30}
		next := putState(b, "g", printList(articles, s.has))
		_, list, rest, now := cutState(next, "g")
		if !now || known && string(rest) != string(after) {
			t.Fatalf("%q: became %q", b, next)
		}
		spans, bogus := parseList(list)
		again := state{spans: spans}
		for _, n := range articles {
			if bogus != "" || again.has(n) != s.has(n) {
				t.Fatalf("%q: became %q, of which %d is read otherwise", b, next, n)
			}
		}
	})
}

// FuzzActive reads any active file.
func FuzzActive(f *testing.F) {
	f.Add("a.b 1 2 y\n\nc\n d\n" + strings.Repeat("x", 5000) + " 1\ne 1")
	f.Fuzz(func(t *testing.T, s string) {
		err := readActive(strings.NewReader(s), func(group string) bool {
			if group == "" || strings.ContainsAny(group, " \n") {
				t.Errorf("%q: group %q", s, group)
			}
			return true
		})
		if err != nil {
			t.Error(err)
		}
	})
}
