package maildir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mend/mendtest"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// place makes a Maildir of these files, and returns it.
func place(t *testing.T, home string, files map[string]string) mendtest.World {
	t.Helper()
	w := worldAt(t, home, fsx.OS{})
	for _, part := range parts {
		if err := os.MkdirAll(w.Dir+"/"+part, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(w.Dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func worldAt(t *testing.T, home string, fsys fsx.FS) mendtest.World {
	env := mailboxtest.NewEnv(t)
	env.Home = home
	d := New(env)
	d.fs = fsys
	return mendtest.World{Driver: d, Name: mailbox.Name{Text: "box", Path: home + "/box"}, Dir: home + "/box", Home: home}
}

// shape tells the names of the messages, and the lists of UIDs and keywords.
func shape(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	for _, part := range parts {
		entries, err := os.ReadDir(dir + "/" + part)
		if err != nil {
			t.Error(err)
		}
		for _, e := range entries {
			all = append(all, part+"/"+e.Name())
		}
	}
	for _, name := range []string{uidlistFile, keywordsFile} {
		if b, err := os.ReadFile(dir + "/" + name); err == nil {
			all = append(all, string(b))
		}
	}
	return strings.Join(all, " ")
}

const head = "3 V9 N9 G00112233445566778899aabbccddeeff\n"

func TestRepair(t *testing.T) {
	for _, tt := range []struct {
		name          string
		files         map[string]string
		want, account string
	}{
		{
			"flags",
			map[string]string{"cur/1.a:2,SFF": "a", "cur/2.a:2,XSa?": "b", "cur/3.a:1,x": "c", "cur/4.a;2,S": "d", "cur/5.a:2,FS,x=y": "e", keywordsFile: "0 Work\n"},
			"cur/1.a:2,FS cur/2.a:2,Sa cur/3.a:2, cur/4.a:2,S cur/5.a:2,FS,x=y 0 Work\n", "5 messages: 5 intact",
		},
		{
			"flags in new",
			map[string]string{"new/1.a:2,S": "a", "new/2.a:2,": "b", "new/3.a": "c"},
			"new/2.a new/3.a cur/1.a:2,S", "3 messages: 3 intact",
		},
		{
			"sizes",
			map[string]string{"cur/1.a,S=9,W=12:2,S": "x\n", "new/2.a,W=4,S=1": "y\r\n", uidlistFile: head + "4 W3 :1.a,S=9,W=12\n7 :2.a,W=4,S=1\n"},
			"new/2.a,W=3,S=3 cur/1.a,S=2,W=3:2,S " + head + "4 W3 :1.a,S=2,W=3\n7 :2.a,W=3,S=3\n", "2 messages: 0 intact, 2 whose size was wrong",
		},
		{
			"the same message twice",
			map[string]string{"cur/1.a:2,S": "x", "new/1.a": "x", uidlistFile: head + "4 :1.a\n"},
			"cur/1.a:2,S " + head + "4 :1.a\n", "1 message: 1 intact",
		},
		{
			"twice with other flags",
			map[string]string{"cur/1.a:2,FST": "x", "cur/1.a:2,RS": "x", uidlistFile: head + "4 :1.a\n"},
			"cur/1.a:2,FRS " + head + "4 :1.a\n", "1 message: 1 intact, 1 without their flags",
		},
		{
			"keywords",
			map[string]string{"cur/1.a:2,ab": "x", keywordsFile: "0 Work\n0 Twice\nx y z\n"},
			"cur/1.a:2,ab 0 Work\n1 unknown-1\n", "1 message: 1 intact, 1 name of a keyword made up, 12 octets set aside",
		},
		{
			"a keyword whose number is lost",
			map[string]string{"cur/1.a:2,ab": "x", keywordsFile: "0 Work\n? Home\n"},
			"cur/1.a:2,ab 0 Work\n1 Home\n", "1 message: 1 intact, 1 name of a keyword made up, 6 octets set aside",
		},
		{
			"header of the list",
			map[string]string{"cur/1.a": "x", uidlistFile: "3 V9 N? G00112233445566778899aabbccddeeff\n4 :1.a\n"},
			"cur/1.a 3 V9 N5 G00112233445566778899aabbccddeeff\n4 :1.a\n", "1 message: 1 intact",
		},
		{
			"a torn line",
			map[string]string{"cur/1.a": "x", "cur/2000000.b": "y", "new/3.c": "z", uidlistFile: head + "4 :1.a\n5 :2000000."},
			"new/3.c cur/1.a cur/2000000.b " + head + "4 :1.a\n5 :2000000.b\n", "3 messages: 3 intact",
		},
		{
			"a torn UID",
			map[string]string{"cur/1.a": "x", "cur/2.b": "y", uidlistFile: head + "4 :1.a\n1"},
			"cur/1.a cur/2.b " + head[:5] + "N10" + head[7:] + "4 :1.a\n9 :2.b\n", "2 messages: 2 intact, 1 with a guessed or new UID, 1 octet set aside",
		},
		{
			"UIDs out of order",
			map[string]string{"cur/1.a": "x", "cur/2.b": "y", "cur/3.c": "z", uidlistFile: head + "4 :1.a\n400 :2.b\n6 :3.c\n"},
			"cur/1.a cur/2.b cur/3.c " + head + "4 :1.a\n5 :2.b\n6 :3.c\n", "3 messages: 3 intact, 1 with a guessed or new UID",
		},
		{
			"lines swapped",
			map[string]string{"cur/1.a": "x", "cur/2.b": "y", "cur/3.c": "z", uidlistFile: head + "6 :3.c\n4 :1.a\n5 :2.b\n"},
			"cur/1.a cur/2.b cur/3.c " + head + "4 :1.a\n5 :2.b\n6 :3.c\n", "3 messages: 3 intact",
		},
		{
			"line ends lost",
			map[string]string{"cur/1.a": "x", "cur/2.b": "y", "cur/3.c": "z", uidlistFile: head + "4 :1.a5 :2.b\x006 :3.c\n"},
			"cur/1.a cur/2.b cur/3.c " + head + "4 :1.a\n5 :2.b\n6 :3.c\n", "3 messages: 3 intact",
		},
		{
			"a UID twice",
			map[string]string{"cur/1.a": "x", "cur/2.b": "y", "cur/3.c": "z", uidlistFile: head + "4 :1.a\n4 :2.b\n6 :3.c\n6 :1.a\n"},
			"cur/1.a cur/2.b cur/3.c " + head + "4 :1.a\n5 :2.b\n6 :3.c\n", "3 messages: 3 intact, 1 with a guessed or new UID, 7 octets set aside",
		},
		{
			"Courier's list",
			map[string]string{"cur/1.a": "x", "cur/2.b": "y", courierFile: "1 5 9\n4 1.a\n?\n8 2.b\n"},
			"", "2 messages: 2 intact, 2 octets set aside",
		},
		{
			"what is no message",
			map[string]string{"cur/.hidden": "Subject: x\n\nx\n", "cur/1.a": "x"},
			"cur/1.a", "1 message: 1 intact, 14 octets set aside",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := place(t, t.TempDir(), tt.files)
			before := mendtest.Octets(t, w.Dir)
			r, made, err := mendtest.Repair(t, w.Driver, w.Name, mailbox.RepairOptions{})
			if err != nil || !r.Needed() {
				t.Fatalf("needed %v, %v", err == nil, err)
			}
			if got := shape(t, w.Dir); got != tt.want && tt.want != "" {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if got := r.Account().String(); got != tt.account {
				t.Errorf("account: got %s, want %s", got, tt.account)
			}
			if _, err := os.Stat(made.Original); err != nil {
				t.Errorf("the original: %v", err)
			}
			mendtest.Sound(t, w.Driver, w.Name)
			// With the files that were kept in the place of those they became all is
			// as it was.
			restore(t, w, made.Original)
			if got := mendtest.Octets(t, w.Dir); got != before && !strings.Contains(tt.name, "Courier") {
				t.Errorf("restored:\n%s\nwas:\n%s", got, before)
			}
		})
	}
}

// restore takes the repaired files away of which the original was kept, and puts
// it in their place.
func restore(t *testing.T, w mendtest.World, original string) {
	t.Helper()
	inodes := map[uint64]bool{}
	var kept []string
	err := filepath.WalkDir(original, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			fi, err := e.Info()
			inodes[inode(fi)] = true
			kept = append(kept, path)
			return err
		}
		return err
	})
	for _, part := range []string{"cur", "new"} {
		entries, _ := os.ReadDir(w.Dir + "/" + part)
		for _, e := range entries {
			if fi, ierr := e.Info(); ierr == nil && inodes[inode(fi)] {
				err = errors.Join(err, os.Remove(w.Dir+"/"+part+"/"+e.Name()))
			}
		}
	}
	for _, path := range kept {
		err = errors.Join(err, os.Rename(path, w.Dir+strings.TrimPrefix(path, original)))
	}
	for _, name := range []string{uidlistFile, keywordsFile} {
		if _, serr := os.Stat(original + "/" + name); serr != nil && !slices.ContainsFunc(kept, func(k string) bool { return filepath.Base(k) == name }) {
			err = errors.Join(err, ignoreGone(os.Remove(w.Dir+"/"+name)))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What is sound stays as it is, to the octet and the time; one archive is not.
func TestRepairGolden(t *testing.T) {
	for _, a := range goldenArchives(t) {
		env := mailboxtest.NewEnv(t)
		unpack(t, filepath.Join(goldenDir, a.Archive), env.Home)
		before := mendtest.Tree(t, env.Home+"/Maildir")
		steps := 0
		for _, box := range a.Mailboxes {
			r, _, err := mendtest.Repair(t, New(env), goldenName(env, box.Path), mailbox.RepairOptions{})
			if err != nil {
				t.Errorf("%s, %s: %v", a.Archive, box.Path, err)
				continue
			}
			for s := range r.Steps() {
				steps++
				t.Logf("%s, %s: %v", a.Archive, box.Path, s)
			}
		}
		if after := mendtest.Tree(t, env.Home+"/Maildir"); (steps > 0 || after != before) != (a.Name == "plain") {
			t.Errorf("%s: %d steps, changed %v", a.Archive, steps, after != before)
		}
	}
}
