package mailtxt

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// flagField returns the twelve digits of each record.
func (w *world) flagField(b *box) (out []string) {
	data := w.read(b.Name)
	for i := range b.index {
		off := b.d.format.patch(&b.index[i])
		out = append(out, string(data[off:off+flagsLen]))
	}
	return out
}

// TestUnnamedKeywords keeps the keyword bits that have no name, which the
// original erases.
func TestUnnamedKeywords(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		n := w.golden("keywords") // Work, Later, and all three
		w.env.Config.Keywords = []string{"Work"}
		b := w.open(n, mailbox.ReadWrite)
		if err := b.Store(mailbox.All, mailbox.Replace, mailbox.FlagList{System: mailbox.Answered}); err != nil {
			t.Fatal(err)
		}
		if got, want := w.flagField(b), []string{"000000000030", "200000000030", "300000000030"}; !slices.Equal(got, want) {
			t.Errorf("flags replaced: got %q, want %q", got, want)
		}
		if err := b.Store(mailbox.One(2), mailbox.Add, mailbox.FlagList{Keywords: []string{"WORK"}}); err != nil {
			t.Fatal(err)
		}
		if got := w.flagField(b)[1]; got != "600000000030" {
			t.Errorf("keyword added: got %s", got)
		}
		err := b.Store(mailbox.All, mailbox.Add, mailbox.FlagList{System: mailbox.Seen, Keywords: []string{"Later"}})
		if !errors.Is(err, mailbox.ErrUnsupported) || err.Error() != "Unknown flag: Later" {
			t.Errorf("a keyword without a name: got %v", err)
		}
		if err := b.Store(mailbox.All, mailbox.Remove, mailbox.FlagList{Keywords: []string{"Later", "Work"}}); err != nil {
			t.Error(err)
		}
		if got, want := w.flagField(b), []string{"000000000030", "200000000030", "300000000030"}; !slices.Equal(got, want) {
			t.Errorf("keywords removed: got %q, want %q", got, want)
		}
	})
}

// TestStrangeDigits reads and changes flags that are not octal.
func TestStrangeDigits(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		eol := f.EOL
		n := w.file("box", []byte(" 1-Jul-2001 02:03:04 -0700,1;400090000099"+eol+"x"+"1-Jul-2001 02:03:04 -0700, +01;777777777777"+eol+"y"))
		b := w.open(n, mailbox.ReadWrite)
		if got := b.index[0]; got.keywords != 1<<18 || got.flags != (9*8+9)&bitsKnown || b.index[1].size != 1 {
			t.Errorf("got %+v", b.index)
		}
		if err := b.Store(mailbox.One(1), mailbox.Add, mailbox.FlagList{System: mailbox.Draft}); err != nil {
			t.Fatal(err)
		}
		if got := w.flagField(b); got[0] != "000000400061" || got[1] != "777777777777" {
			t.Errorf("got %q", got)
		}
	})
}

// TestUIDs are made up, and ascend as long as a session lasts.
func TestUIDs(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		n := w.golden("flags")
		b := w.open(n, mailbox.ReadWrite)
		if _, err := b.Expunge(mailbox.One(8)); err != nil {
			t.Fatal(err)
		}
		w.deliver(n, mailbox.AppendOptions{}, item("A: b\r\n\r\n"))
		if changed, err := b.Ping(); !changed || err != nil {
			t.Errorf("Ping: got %v, %v", changed, err)
		}
		st := b.Status()
		if b.index[7].uid != 9 || b.index[0].uid != 1 || st.UIDNext != 10 || st.UIDValidity != 1700000000 || st.Recent != 1 {
			t.Errorf("got %+v, %+v", st, b.index)
		}
		w.now = w.now.Add(time.Hour)
		c := w.open(n, mailbox.ReadOnly)
		if st := c.Status(); c.index[7].uid != 8 || st.UIDNext != 9 || st.UIDValidity != 1700003600 || st.Recent != 0 {
			t.Errorf("another session: got %+v, %+v", st, c.index)
		}
	})
}

// TestLocks has others hold the locks.
func TestLocks(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		n := w.golden("flags")
		other, err := os.OpenFile(n.Path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		o := lock.Options{Dir: w.env.LockDir, Timeout: -1}
		try := func(mode mailbox.Mode) error {
			mb, err := w.Open(context.Background(), n, mode)
			if err == nil {
				err = mb.Close()
			}
			return err
		}
		temp := func(m lock.Mode) lock.Held {
			held, err := lock.Temp(context.Background(), other, m, o)
			if err != nil {
				t.Fatal(err)
			}
			return held
		}
		held := temp(lock.Shared)
		if err := try(mailbox.ReadOnly); err != nil {
			t.Errorf("a reader beside a reader: %v", err)
		}
		if err := try(mailbox.ReadWrite); !errors.Is(err, mailbox.ErrBusy) {
			t.Errorf("a writer beside a reader of the moment: got %v", err)
		}
		held.Release()
		held = temp(lock.Exclusive)
		if err := try(mailbox.ReadOnly); !errors.Is(err, mailbox.ErrBusy) {
			t.Errorf("a reader beside a writer: got %v", err)
		}
		held.Release()
		if err := lock.TryFlock(other, lock.Shared); err != nil {
			t.Fatal(err)
		}
		b := w.open(n, mailbox.ReadWrite)
		if _, err := b.Expunge(mailbox.One(1)); !errors.Is(err, mailbox.ErrBusy) ||
			err.Error() != "Can't expunge because mailbox is in use by another process" {
			t.Errorf("Expunge: got %v", err)
		}
		if err := w.Delete(context.Background(), n); err == nil || err.Error() != "Mailbox box is in use by another process" {
			t.Errorf("Delete: got %v", err)
		}
		w.compare("refused", n, "flags")
	})
}

// TestShrank tells of a mailbox that somebody cut.
func TestShrank(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		n := w.golden("flags")
		b := w.open(n, mailbox.ReadWrite)
		if err := os.Truncate(n.Path, 100); err != nil {
			t.Fatal(err)
		}
		_, err := b.Ping()
		if !errors.Is(err, mailbox.ErrChanged) || !strings.HasPrefix(err.Error(), "Mailbox shrank from ") || !strings.HasSuffix(err.Error(), " to 100!") {
			t.Errorf("Ping: got %v", err)
		}
		c, err := b.Open(8)
		if err == nil {
			_, err = c.Header()
		}
		if !errors.Is(err, mailbox.ErrChanged) {
			t.Errorf("Header: got %v", err)
		}
		for _, err := range []error{
			b.Store(mailbox.One(1), mailbox.Add, mailbox.FlagList{System: mailbox.Seen}),
			func() error { _, err := b.Expunge(mailbox.One(1)); return err }(),
		} {
			if !errors.Is(err, mailbox.ErrChanged) {
				t.Errorf("a change: got %v", err)
			}
		}
		if got := len(w.read(n)); got != 100 {
			t.Errorf("the file has %d octets now", got)
		}
	})
}

// TestProbe tells the two formats and others apart.
func TestProbe(t *testing.T) {
	const good = " 1-Jul-2001 02:03:04 -0700,47;000000000000"
	for _, tt := range []struct {
		name, file string
		mtx, tenex bool
	}{
		{"mtx", good + "\r\n", true, false},
		{"tenex", good + "\n", false, true},
		{"no end", good, false, false},
		{"empty", "", false, false},
		{"day of one digit", "1-Jul-2001 02:03:04 -0700,4;0\n", false, true},
		{"little more than dashes", "xx-yyy-            ,zz;\n", false, true},
		{"comma too early", "xx-yyy-   ,       zz;\n", false, false},
		{"semicolon too early", "xx-yyy-            ,;zz\n", false, false},
		{"no semicolon", " 1-Jul-2001 02:03:04 -0700,47.000000000000\r\n", false, false},
		{"other dashes", "x-x-yyy            ,zz;\n", false, false},
		{"NUL", "\x00" + good + "\n", false, false},
		{"end behind 64 octets", good + strings.Repeat("0", 30) + "\n", false, false},
		{"CR first", good + "\r0\r\n", false, false},
		{"short", "xx-yyy-\n", false, false},
		{"LF", "\n", false, false},
	} {
		for _, f := range formats {
			w := newWorld(t, f)
			n := w.file("box", []byte(tt.file))
			want := map[string]bool{"mtx": tt.mtx, "tenex": tt.tenex}[f.Name]
			if ok, err := w.Probe(n); ok != want || err != nil {
				t.Errorf("%s: %s: got %v, %v; want %v", f.Name, tt.name, ok, err, want)
			}
		}
	}
}

var inbox = mailbox.Name{Text: "INBOX", Inbox: true}

// TestInboxPlaces is about which file INBOX is.
func TestInboxPlaces(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		probe := func(want bool) {
			t.Helper()
			if ok, err := w.Probe(inbox); ok != want || err != nil {
				t.Errorf("Probe: got %v, %v; want %v", ok, err, want)
			}
		}
		probe(false)
		w.file("INBOX", nil) // which is nobody's
		probe(false)
		if err := w.Create(context.Background(), inbox); err != nil {
			t.Fatal(err)
		}
		own := map[string]string{"mtx": "INBOX.MTX", "tenex": "mail.txt"}[f.Name]
		if fi, err := os.Stat(filepath.Join(w.home, own)); err != nil || fi.Size() != 0 {
			t.Errorf("%s: %v, %v", own, fi, err)
		}
		probe(true)
		w.deliver(inbox, mailbox.AppendOptions{}, item("A: b\r\n\r\n"))
		if got := w.open(inbox, mailbox.ReadOnly).Status(); got.Messages != 1 || filepath.Base(got.Path) != own {
			t.Errorf("got %+v", got)
		}
		w.file("INBOX", w.goldenFile("flags"))
		if got := w.open(inbox, mailbox.ReadOnly).Status(); got.Messages != 8 || filepath.Base(got.Path) != "INBOX" {
			t.Errorf("got %+v", got)
		}
	})
}

// TestRenameInbox leaves an empty INBOX.
func TestRenameInbox(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		w.deliver(inbox, mailbox.AppendOptions{New: true}, item("A: 0\r\n\r\n"))
		if err := w.Rename(context.Background(), inbox, w.name("old")); err != nil {
			t.Fatal(err)
		}
		if got := w.open(w.name("old"), mailbox.ReadOnly).Status().Messages; got != 1 {
			t.Errorf("renamed: got %d messages", got)
		}
		if ok, err := w.Probe(inbox); !ok || err != nil || w.open(inbox, mailbox.ReadOnly).Status().Messages != 0 {
			t.Errorf("the new INBOX: %v, %v", ok, err)
		}
	})
}

// TestSnarf takes mail from a spool, which for once is of our own format.
func TestSnarf(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		w.Driver.spool = New(f, w.env, nil)
		two := []mailbox.Item{item("A: 1\r\n\r\n"), item("A: 2\r\n\r\n")}
		two[0].Flags = mailbox.Flags{System: mailbox.Flagged, Keywords: 1}
		w.deliver(w.name("spool"), mailbox.AppendOptions{New: true, Keywords: []string{"Work"}}, two...)
		if err := w.Create(context.Background(), inbox); err != nil {
			t.Fatal(err)
		}
		count := func(want uint32) {
			t.Helper()
			if st, err := w.Count(context.Background(), inbox); err != nil || st.Messages != want {
				t.Errorf("Count: got %+v, %v; want %d messages", st, err, want)
			}
		}
		count(2)
		b := w.open(inbox, mailbox.ReadWrite)
		if st := b.Status(); st.Messages != 2 || st.Recent != 2 || st.UIDNext != 3 {
			t.Errorf("INBOX: got %+v", st)
		}
		if got := b.index; got[0].keywords != 0 || got[0].flags != bitFlagged|bitOld {
			t.Errorf("INBOX: got %+v", got)
		}
		w.deliver(w.name("spool"), mailbox.AppendOptions{}, item("A: 3\r\n\r\n"))
		ping := func(want bool) {
			t.Helper()
			if changed, err := b.Ping(); changed != want || err != nil {
				t.Errorf("Ping: got %v, %v; want %v", changed, err, want)
			}
		}
		ping(false) // not every time
		w.now = w.now.Add(time.Minute)
		ping(true)
		count(3)
		w.deliver(w.name("spool"), mailbox.AppendOptions{}, item("A: 4\r\n\r\n"))
		w.file("spool", append(w.read(w.name("spool")), "damage"...))
		w.now = w.now.Add(time.Minute)
		ping(false)
		if len(w.heard) != 1 || !strings.HasPrefix(w.heard[0], "Can't copy new mail: ") {
			t.Errorf("warnings %q", w.heard)
		}
	})
}

// TestTimes are those of the original.
func TestTimes(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		n := w.golden("append-new")
		old := time.Unix(1600000000, 0)
		reset := func() {
			if err := os.Chtimes(n.Path, old, old); err != nil {
				t.Fatal(err)
			}
		}
		check := func(what string, mtimeKept bool) {
			t.Helper()
			fi, err := os.Stat(n.Path)
			if err != nil || fi.ModTime().Equal(old) != mtimeKept {
				t.Errorf("%s: mtime %v, %v; want it kept: %v", what, fi.ModTime(), err, mtimeKept)
			}
		}
		reset()
		w.open(n, mailbox.ReadOnly)
		check("read-only session", true)
		w.deliver(n, mailbox.AppendOptions{}, item("A: b\r\n\r\n"))
		check("append", true)
		w.open(n, mailbox.ReadWrite)
		check("first read-write session", false)
		reset()
		b := w.open(n, mailbox.ReadWrite)
		if err := b.Store(mailbox.One(1), mailbox.Add, mailbox.FlagList{System: mailbox.Deleted}); err != nil {
			t.Fatal(err)
		}
		check("store", false)
	})
}

// TestWitness digests the same octets by reading texts as by reading the file.
func TestWitness(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		w := newWorld(t, f)
		b := w.open(w.golden("long-lines"), mailbox.ReadOnly)
		want, err := b.Prove()
		if err != nil {
			t.Fatal(err)
		}
		b.Witness()
		observe(t, b)
		got, err := b.Witnessed()
		if err != nil || got.Size != want.Size || got.Digest != want.Digest || want.Size == 0 {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	})
}
