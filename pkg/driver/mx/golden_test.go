package mx

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
)

const testdata = "../../../testdata"

var ctx = context.Background()

// A world is a driver with a home directory of its own.
type world struct {
	*Driver
	t     *testing.T
	home  string
	heard []string // notices of level Warn
	now   time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, home: t.TempDir(), now: time.Unix(1795406096, 0).UTC()}
	w.Driver = New(&mailbox.Env{
		User: "alice", Home: w.home, Spool: filepath.Join(w.home, "spool"), Host: "localhost", Dir: w.home,
		Now: func() time.Time { return w.now },
		Notify: func(l mailbox.Level, text string) {
			if l == mailbox.Warn {
				w.heard = append(w.heard, text)
			}
		},
		LockTimeout: -1, LockDir: t.TempDir(), StateDir: filepath.Join(w.home, "state"),
		Config: mailbox.DefaultConfig(),
	})
	return w
}

func (w *world) name(base string) mailbox.Name {
	return mailbox.Name{Text: base, Path: filepath.Join(w.home, base)}
}

// golden unpacks a mailbox of the original.
func (w *world) golden(name string) mailbox.Name {
	w.t.Helper()
	fsxtest.Unpack(w.t, filepath.Join(testdata, "mx", name+".tar"), w.home)
	return w.name(name)
}

func (w *world) index(n mailbox.Name) string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(n.Path, indexName))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// A view is how the original sees a mailbox.
type view struct {
	UIDValidity uint32
	UIDLast     uint32
	Keywords    []string
	Messages    []viewed
}

type viewed struct {
	UID          uint32
	InternalDate string
	Flags        []string
	Keywords     []string
	Size         int64 `json:"rfc822_size"`
	SHA256       string
}

type manifest struct {
	Mailboxes []struct {
		Name      string
		Mailboxes []struct {
			Path string
			View view
		}
	}
}

func readManifest(t *testing.T) (m manifest) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testdata, "mx", "MANIFEST.json"))
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil || len(m.Mailboxes) == 0 {
		t.Fatal(err, len(m.Mailboxes))
	}
	return m
}

// see reads a mailbox.
func see(t *testing.T, mb mailbox.Mailbox) (v view) {
	t.Helper()
	st := mb.Status()
	v = view{UIDValidity: st.UIDValidity, UIDLast: st.UIDNext - 1, Keywords: st.Keywords}
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		c, err := mb.Open(m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		if n, err := io.Copy(sum, c); err != nil || n != m.Size {
			t.Fatalf("message %d: %d octets of %d, %v", m.Seq, n, m.Size, err)
		}
		g := viewed{UID: m.UID, Size: m.Size, SHA256: hex.EncodeToString(sum.Sum(nil))}
		g.InternalDate = m.Date.Time().Format("2006-01-02T15:04:05-07:00")
		m.Flags.System &^= mailbox.Recent
		g.Flags = mailbox.Flags{System: m.Flags.System}.Names(nil)
		g.Keywords = mailbox.Flags{Keywords: m.Flags.Keywords}.Names(st.Keywords)
		v.Messages = append(v.Messages, g)
	}
	return v
}

// plain makes two views comparable.
func (v view) plain() string {
	var b strings.Builder
	fmt.Fprintln(&b, v.UIDLast, v.Keywords)
	for _, m := range v.Messages {
		slices.Sort(m.Flags)
		fmt.Fprintln(&b, m.UID, m.InternalDate, m.Flags, m.Keywords, m.Size, m.SHA256)
	}
	return b.String()
}

// unsettled are the mailboxes for which the original's view was taken after it had
// given them a new UIDVALIDITY and a new UIDLAST.
var unsettled = map[string]bool{"mxempty": true, "mxindexempty": true, "mxindexgarbage": true, "mxstray": true}

func TestGolden(t *testing.T) {
	for _, box := range readManifest(t).Mailboxes {
		for _, mode := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite} {
			w := newWorld(t)
			w.golden(box.Name)
			for _, sub := range box.Mailboxes {
				n := w.name(sub.Path)
				if ok, err := w.Probe(n); !ok || err != nil {
					t.Fatalf("%s: probe: %v, %v", sub.Path, ok, err)
				}
				mb, err := w.Open(ctx, n, mode)
				if err != nil {
					t.Fatal(sub.Path, err)
				}
				got, want := see(t, mb), sub.View
				if unsettled[box.Name] {
					want.UIDLast = got.UIDLast
				} else if got.UIDValidity != want.UIDValidity {
					t.Errorf("%s: UIDVALIDITY %d, want %d", sub.Path, got.UIDValidity, want.UIDValidity)
				}
				if g, w := got.plain(), want.plain(); g != w {
					t.Errorf("%s\n got %s\nwant %s", sub.Path, g, w)
				}
				if err := mb.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// What the original wrote and nothing is wrong with stays as it is, octet for
// octet; what cannot be read whole is as if it had been, afterwards.
func TestGoldenStays(t *testing.T) {
	want := newWorld(t)
	whole := want.index(want.golden("mxbasic"))
	for _, name := range []string{"mxbasic", "mxexpunged", "mxdual", "mxindextorn", "mxstray"} {
		w := newWorld(t)
		n := w.golden(name)
		before := w.index(n)
		mb, err := w.Open(ctx, n, mailbox.ReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		if err := mb.Close(); err != nil {
			t.Fatal(err)
		}
		after := w.index(n)
		switch name {
		case "mxindextorn":
			before = whole
		case "mxstray":
			before = strings.Replace(whole, "L00000007", "L00000009", 1) + "M00000009;00000000.0000"
		}
		if after != before {
			t.Errorf("%s: index\n got %q\nwant %q", name, after, before)
		}
	}
}

// The same messages, appended by us, make the same files.
func TestGoldenAppend(t *testing.T) {
	w := newWorld(t)
	from := w.golden("mxbasic")
	src, err := w.Open(ctx, from, mailbox.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	to := w.name("copy")
	o := mailbox.AppendOptions{New: true, UIDValidity: src.Status().UIDValidity, Keywords: src.Status().Keywords}
	del, err := w.Append(ctx, to, o)
	if err != nil {
		t.Fatal(err)
	}
	defer del.Abort()
	for m, err := range src.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		c, err := src.Open(m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		if alt, err := del.Add(mailbox.Item{Message: m, Text: c}); err != nil || alt.Any() {
			t.Fatal(alt, err)
		}
	}
	if _, err := del.Commit(); err != nil {
		t.Fatal(err)
	}
	mb, err := w.Open(ctx, to, mailbox.ReadWrite) // then nothing is new
	if err != nil {
		t.Fatal(err)
	}
	if err := mb.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := files(t, to.Path), files(t, from.Path); got != want {
		t.Errorf("copy\n got %s\nwant %s", got, want)
	}
}

// files lists a directory with content, mode and time.
func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		fi, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		at := fi.ModTime().Unix()
		if e.Name() == indexName {
			at = 0
		}
		fmt.Fprintf(&b, "%s %v %d %q\n", e.Name(), fi.Mode(), at, text)
	}
	return b.String()
}

// FuzzIndex reads any index. What was read is written, and read as the same.
func FuzzIndex(f *testing.F) {
	for _, s := range []string{
		"", "garbage", "V6b03b910L00000007K$Forwarded\nKWork\nM00000001;00000000.0001M00000002;00000003.000c",
		"V1L2M1;0.0001M1;0.0000M0;0.1", "K\nKa", "V00000001L00000002M00000001;0000\x00\x00\x00\x00M00000002;00000000.0000",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ix, flaws := parse(b)
		last := -1
		for _, fl := range flaws {
			if fl.off < 0 || fl.end > len(b) || fl.off > fl.end {
				t.Errorf("flaw %+v of %d octets", fl, len(b))
			}
		}
		for _, r := range ix.records {
			if int(r.uid) <= last {
				t.Errorf("UID %d after %d", r.uid, last)
			}
			last = int(r.uid)
		}
		out := ix.print()
		again, flaws := parse(out)
		if len(flaws) > 0 || !again.plain || again.validity != ix.validity || again.last != ix.last ||
			!slices.Equal(again.keywords, ix.keywords) || !slices.Equal(again.records, ix.records) {
			t.Errorf("%q: read as %+v, written %q, then read as %+v, %+v", b, ix, out, again, flaws)
		}
		if ix.plain && string(out) != string(b) {
			t.Errorf("%q is said to be as it would be written: %q", b, out)
		}
	})
}
