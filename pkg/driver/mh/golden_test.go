package mh

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

// A world is a driver with a home directory of its own, whose profile says that
// mailboxes are below MHMail.
type world struct {
	*Driver
	t     *testing.T
	home  string
	heard []string // notices of level Warn
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return worldAt(t, t.TempDir())
}

func worldAt(t *testing.T, home string) *world {
	t.Helper()
	w := &world{t: t, home: home}
	if err := os.WriteFile(filepath.Join(home, ".mh_profile"), []byte("Editor: vi\npath: MHMail\nPath: other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Driver = New(&mailbox.Env{
		User: "alice", Home: w.home, Spool: filepath.Join(w.home, "spool"), Host: "localhost", Dir: w.home,
		Now: func() time.Time { return time.Unix(1795406096, 0).UTC() },
		Notify: func(l mailbox.Level, text string) {
			if l == mailbox.Warn {
				w.heard = append(w.heard, text)
			}
		},
		LockTimeout: -1, LockDir: t.TempDir(), StateDir: filepath.Join(w.home, "state"),
		Config: mailbox.DefaultConfig(),
	}, nil)
	return w
}

// name resolves a name as a user writes it.
func (w *world) name(text string) mailbox.Name {
	w.t.Helper()
	n, err := w.env.Resolve(text)
	if err != nil {
		w.t.Fatal(text, err)
	}
	return n
}

// golden unpacks a mailbox of the original.
func (w *world) golden(name string) mailbox.Name {
	w.t.Helper()
	fsxtest.Unpack(w.t, filepath.Join(testdata, "mh", name+".tar"), w.home)
	return w.name("#mh/" + name)
}

// path is a file below the directory of all mailboxes.
func (w *world) path(name string) string { return filepath.Join(w.home, "MHMail", name) }

func (w *world) write(name, text string) {
	w.t.Helper()
	err := os.MkdirAll(filepath.Dir(w.path(name)), 0o700)
	if err == nil {
		err = os.WriteFile(w.path(name), []byte(text), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read(name string) string {
	w.t.Helper()
	b, err := os.ReadFile(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

type viewed struct {
	UID          uint32
	InternalDate string
	Flags        []string
	Size         int64 `json:"rfc822_size"`
	SHA256       string
}

type manifest struct {
	Mailboxes []struct {
		Name      string
		Mailboxes []struct {
			Path string
			View struct{ Messages []viewed }
		}
	}
}

// see reads a mailbox.
func see(t *testing.T, mb mailbox.Mailbox) (out []viewed) {
	t.Helper()
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
		g.Flags = m.Flags.Names(mb.Status().Keywords)
		slices.Sort(g.Flags)
		out = append(out, g)
	}
	return out
}

// TestGolden reads what the original wrote, as it does, as long as no program
// that knows sequences has come by.
func TestGolden(t *testing.T) {
	var m manifest
	b, err := os.ReadFile(filepath.Join(testdata, "mh", "MANIFEST.json"))
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil || len(m.Mailboxes) == 0 {
		t.Fatal(err)
	}
	for _, box := range m.Mailboxes {
		for _, mode := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite, mailbox.ReadOnly} {
			w := newWorld(t)
			w.golden(box.Name)
			for _, sub := range box.Mailboxes {
				for _, m := range sub.View.Messages { // the archive has no access times
					path := w.path(strings.TrimPrefix(sub.Path, "#mh/") + fmt.Sprint("/", m.UID))
					fi, err := os.Stat(path)
					if err != nil {
						t.Fatal(err)
					}
					at := fi.ModTime()
					if slices.Contains(m.Flags, `\Seen`) {
						at = at.Add(time.Hour)
					}
					if err := os.Chtimes(path, at, fi.ModTime()); err != nil {
						t.Fatal(err)
					}
				}
				mb, err := w.Open(ctx, w.name(sub.Path), mode)
				if err != nil {
					t.Fatal(sub.Path, err)
				}
				got := see(t, mb)
				if box.Name == "mhholes" { // it has sequences: "unseen: 3"
					for i := range got {
						got[i].Flags = sub.View.Messages[i].Flags
					}
				}
				if g, w := fmt.Sprint(got), fmt.Sprint(sub.View.Messages); g != w {
					t.Errorf("%s\n got %s\nwant %s", sub.Path, g, w)
				}
				if err := mb.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// The same messages, appended by us, make the same files.
func TestGoldenAppend(t *testing.T) {
	w := newWorld(t)
	src, err := w.Open(ctx, w.golden("mhbasic"), mailbox.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if err := w.Create(ctx, w.name("#mh/copy")); err != nil {
		t.Fatal(err)
	}
	del, err := w.Append(ctx, w.name("#mh/copy"), mailbox.AppendOptions{})
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
	for i := 1; i <= 7; i++ {
		a, b := fmt.Sprint("mhbasic/", i), fmt.Sprint("copy/", i)
		if w.read(a) != w.read(b) {
			t.Errorf("%s\n got %q\nwant %q", b, w.read(b), w.read(a))
		}
		x, err := os.Stat(w.path(a))
		if err != nil {
			t.Fatal(err)
		}
		if y, err := os.Stat(w.path(b)); err != nil || !x.ModTime().Equal(y.ModTime()) || x.Mode() != y.Mode() {
			t.Errorf("%s: %v; want %v, %v", b, y, x.ModTime(), x.Mode())
		}
	}
}
