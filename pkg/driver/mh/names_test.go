package mh

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
)

// TestNames says what is a mailbox.
func TestNames(t *testing.T) {
	w := newWorld(t)
	for _, file := range []string{"inbox/1", "a/b/1", "a/12/1", "a/.hidden/1", "full/3"} {
		w.write(file, "Subject: x\n\nx\n")
	}
	if err := os.Mkdir(filepath.Join(w.home, "plain"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.home, "plain", "1"), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.Create(ctx, mailbox.Name{Text: "marked", Path: filepath.Join(w.home, "marked")}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"#mh/a": true, "#MH/a/b": true, "#mh/a/b/": true, "#mhinbox": true, "#MhInbox": true, "#mh/inbox": true, "#mh/full": true,
		"#mh/none": false, "#mh/": false, "#mh/full/3": false, "INBOX": false,
		"MHMail/a": true, "MHMail/a/b": true, "MHMail": false, "MHMail/": false, "MHMail/none": false, "MHMail/full/3": false,
		"plain": false, "marked": true, "none": false,
	} {
		if got, err := w.Probe(w.name(name)); got != want || err != nil {
			t.Errorf("probe %s: got %v, %v, want %v", name, got, err, want)
		}
	}
	w.env.Config.MHAllowInbox = true
	if got, err := w.Probe(w.name("INBOX")); !got || err != nil {
		t.Errorf("INBOX that may be: got %v, %v", got, err)
	}
	if len(w.heard) > 0 {
		t.Errorf("heard %q", w.heard)
	}
}

func TestNoProfile(t *testing.T) {
	w := newWorld(t)
	w.write("a/1", "x\n")
	if err := os.Remove(filepath.Join(w.home, ".mh_profile")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := w.Probe(w.name("#mh/a")); got || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		if got, err := w.Probe(w.name("MHMail/a")); got || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	}
	if want := w.home + "/.mh_profile not found, mh format names disabled"; len(w.heard) != 1 || w.heard[0] != want {
		t.Errorf("heard %q, want once %q", w.heard, want)
	}
	if err := w.Create(ctx, w.name("#mh/new")); !errors.Is(err, mailbox.ErrName) {
		t.Errorf("create: got %v, want %v", err, mailbox.ErrName)
	}
}

func TestCreateBadNames(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[string]string{
		"#mh/12":    "Can't create mailbox #mh/12: invalid MH-format name",
		"#mh/a/7/b": "Can't create mailbox #mh/a/7/b: invalid MH-format name",
		"#mh/":      "Can't create #mh/: invalid name",
	} {
		if err := w.Create(ctx, w.name(name)); err == nil || err.Error() != want {
			t.Errorf("create %s: got %v, want %s", name, err, want)
		}
	}
}

func TestList(t *testing.T) {
	w := newWorld(t)
	for _, file := range []string{"inbox/1", "a/b/1", "a/12/1", "a/.hidden/1", "ab/3", "top"} {
		w.write(file, "x\n")
	}
	if err := os.Symlink(".", w.path("loop")); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]string{
		"#mh/": "#mh/a #mh/a/b #mh/ab #mh/inbox", "#mh": "#mh/a #mh/a/b #mh/ab #mh/inbox #mhinbox", "#MH/a/": "#mh/a/b",
		"#mh/a": "#mh/a #mh/a/b #mh/ab", "#mhinbox": "#mhinbox", "#mh/none": "", "x": "",
	} {
		var got []string
		for e, err := range w.List(ctx, mailbox.Name{Text: prefix, Space: "mh"}) {
			if err != nil || !e.Selectable {
				t.Fatal(e, err)
			}
			got = append(got, e.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("list %s\n got %s\nwant %s", prefix, got, want)
		}
	}
	for range w.List(ctx, mailbox.Name{Text: "#mh/", Space: "mh"}) { // one may stop
		break
	}
}

func TestPart(t *testing.T) {
	d := newWorld(t).Driver
	for entry, want := range map[string]bool{
		"1": true, "007": true, ",2": true, ".mh_sequences": true, "..mh_sequences.journal": true, ".mailutil-plan": true, ".mh_sequence": true,
		"sub": false, ",x": false, ".x": false, "1a": false,
	} {
		if got := d.Part(entry); got != want {
			t.Errorf("%s: got %v, want %v", entry, got, want)
		}
	}
}

// Where other mailboxes are below, the directory stays.
func TestDelete(t *testing.T) {
	w := newWorld(t)
	for _, file := range []string{"a/1", "a/,2", "a/.mh_sequences", "a/b/1", "c/1", "c/.mh_sequence"} {
		w.write(file, "x\n")
	}
	if err := w.Delete(ctx, w.name("#mh/a")); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(w.path("a/*")); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
	if want := "Can't delete mailbox #mh/a: Directory not empty"; len(w.heard) != 1 || w.heard[0] != want {
		t.Errorf("heard %q, want %q", w.heard, want)
	}
	if err := w.Delete(ctx, w.name("#mh/c")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(w.path("c")); err == nil {
		t.Error("c is still there")
	}
}

// TestSequences reads and changes the file of other programs.
func TestSequences(t *testing.T) {
	w := newWorld(t)
	for _, n := range []string{"1", "2", "3", "4", "7"} {
		w.write("box/"+n, "Subject: "+n+"\n\nx\n")
	}
	w.write("box/.mh_sequences", "cur: 3\nunseen: 2-3\n 7\nreplied: 1 x\nflagged: 1-4\nMine: 4 9\nnonsense\n$Label1:\n")
	mb, err := w.Open(ctx, w.name("#mh/box"), mailbox.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	want := []string{`[\Answered \Flagged \Seen]`, `[\Flagged]`, `[\Flagged]`, `[Mine \Flagged \Seen]`, `[]`}
	for i, m := range see(t, mb) {
		if got := "[" + strings.Join(m.Flags, " ") + "]"; got != want[i] {
			t.Errorf("message %d: got %s, want %s", i+1, got, want[i])
		}
	}
	if st := mb.Status(); strings.Join(st.Keywords, " ") != "Mine $Label1" || st.Recent != 0 || st.Unseen != 3 {
		t.Errorf("Status: got %+v", st)
	}
	list := mailbox.FlagList{System: mailbox.Seen | mailbox.Deleted, Keywords: []string{"mine", "Later"}}
	if err := mb.Store(mailbox.Range(2, 3), mailbox.Add, list); err != nil {
		t.Fatal(err)
	}
	if got, want := w.read("box/.mh_sequences"), "cur: 3\nunseen: 7\nreplied: 1 x\nflagged: 1-4\nMine: 2-4\nnonsense\n$Label1:\n"+
		"mailutilknown: 1-4 7\ndeleted: 2-3\nLater: 2-3\n"; got != want {
		t.Errorf("sequences\n got %q\nwant %q", got, want)
	}
	for _, k := range []string{"unseen", "FLAGGED", "a:b", "12", "cur"} {
		if err := mb.Store(mailbox.One(1), mailbox.Add, mailbox.FlagList{Keywords: []string{k}}); !errors.Is(err, mailbox.ErrUnsupported) {
			t.Errorf("keyword %s: got %v, want %v", k, err, mailbox.ErrUnsupported)
		}
	}
}

// A number that another program gives again is another message: what a session
// knew of it must not be done to that.
func TestNumberComesAgain(t *testing.T) {
	w := newWorld(t)
	w.write("box/1", "Subject: old\n\nx\n")
	w.write("box/2", "Subject: old\n\nx\n")
	mb, err := w.Open(ctx, w.name("#mh/box"), mailbox.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	w.write("box/,2", "Subject: new, and longer\n\nx\n")
	if err := os.Rename(w.path("box/,2"), w.path("box/2")); err != nil {
		t.Fatal(err)
	}
	if _, err := mb.Open(2); !errors.Is(err, mailbox.ErrChanged) {
		t.Errorf("open: got %v, want %v", err, mailbox.ErrChanged)
	}
	if err := mb.Store(mailbox.One(2), mailbox.Add, mailbox.FlagList{System: mailbox.Deleted}); err != nil {
		t.Error(err)
	}
	if n, err := mb.Expunge(mailbox.Range(1, 2)); n != 1 || err != nil {
		t.Errorf("expunge: got %d, %v, want 1", n, err)
	}
	if changed, err := mb.Ping(); !changed || err != nil {
		t.Errorf("ping: got %v, %v", changed, err)
	}
	got := see(t, mb)
	if len(got) != 1 || got[0].UID != 2 || len(got[0].Flags) != 0 || mb.Status().Unseen != 1 {
		t.Errorf("got %+v, want the new message 2, not seen", got)
	}
}

// FuzzSequences reads any file; what was read is written, and read the same.
func FuzzSequences(f *testing.F) {
	for _, s := range []string{"", "cur: 1\n", "unseen: 1-3 5\n 7\nx\n:\n a\n", "a: 5 3-4 1 1-9 x 0 7-2 99999999999\n", "a:1\ra:2\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		seqs, _ := parseSequences(b)
		out := printSequences(seqs)
		again, _ := parseSequences(out)
		if got := printSequences(again); string(got) != string(out) {
			t.Errorf("%q: written %q, read and written %q", b, out, got)
		}
		for i := range seqs {
			last := int64(-1)
			for _, s := range seqs[i].spans {
				if int64(s.lo) <= last+1 && last >= 0 || s.hi < s.lo || s.lo == 0 {
					t.Errorf("%q: spans %v", b, seqs[i].spans)
				}
				last = int64(s.hi)
			}
		}
	})
}

// FuzzProfile reads any profile.
func FuzzProfile(f *testing.F) {
	f.Add("Path: Mail\nUnseen-Sequence: unseen, new\n")
	f.Add("path:/x\nPath: y\nUnseen-Sequence: ,\n")
	f.Fuzz(func(t *testing.T, s string) {
		var p profile
		p.read(s)
		if strings.ContainsAny(p.path+p.unseen, "\n") {
			t.Errorf("%q: %+v", s, p)
		}
	})
}
