package mailtxt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
)

const testdata = "../../../testdata"

// formats are what each test is for.
var formats = []Format{MTX, Tenex}

// each runs a test for both formats.
func each(t *testing.T, test func(t *testing.T, f Format)) {
	for _, f := range formats {
		t.Run(f.Name, func(t *testing.T) { test(t, f) })
	}
}

// A world is a driver with a home directory of its own.
type world struct {
	*Driver
	t     testing.TB
	home  string
	heard []string // notices of level Warn
	now   time.Time
}

func newWorld(t testing.TB, f Format) *world {
	t.Helper()
	w := &world{t: t, home: t.TempDir(), now: time.Unix(1700000000, 0).UTC()}
	env := &mailbox.Env{
		User: "alice", Home: w.home, Spool: filepath.Join(w.home, "spool"), Host: "localhost", Dir: w.home,
		Now: func() time.Time { return w.now },
		Notify: func(l mailbox.Level, text string) {
			if l == mailbox.Warn {
				w.heard = append(w.heard, text)
			}
		},
		LockTimeout: -1, LockDir: t.TempDir(), StateDir: filepath.Join(w.home, "state"),
		Config: mailbox.DefaultConfig(),
	}
	env.Config.Keywords = []string{"Work", "Later", "$Forwarded"} // as the originals had
	w.Driver = New(f, env, nil)
	return w
}

// name returns the name of a file in the home directory.
func (w *world) name(base string) mailbox.Name {
	return mailbox.Name{Text: base, Path: filepath.Join(w.home, base)}
}

// goldenFile is what the original wrote.
func (w *world) goldenFile(base string) []byte {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(testdata, w.format.Name, base+"."+w.format.Name))
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// golden puts a copy of a golden file there.
func (w *world) golden(base string) mailbox.Name {
	w.t.Helper()
	return w.file("box", w.goldenFile(base))
}

func (w *world) file(base string, data []byte) mailbox.Name {
	w.t.Helper()
	n := w.name(base)
	if err := os.WriteFile(n.Path, data, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) read(n mailbox.Name) []byte {
	w.t.Helper()
	data, err := os.ReadFile(n.Path)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// open opens n and closes it at the end of the test.
func (w *world) open(n mailbox.Name, m mailbox.Mode) *box {
	w.t.Helper()
	mb, err := w.Open(context.Background(), n, m)
	if err != nil {
		w.t.Fatalf("%s: %v", n.Text, err)
	}
	w.t.Cleanup(func() { mb.Close() })
	return mb.(*box)
}

type goldenMessage struct {
	UID        uint32
	Date       string `json:"internaldate"`
	Flags      []string
	Recent     bool
	Keywords   []string
	Size       int64 `json:"rfc822_size"`
	HeaderSize int   `json:"header_size"`
	SHA256     string
	Offset     int64
	LineLength int `json:"internal_header_size"`
}

type manifest struct {
	Files []struct {
		File     string
		Driver   string
		UIDLast  uint32
		Messages []goldenMessage
		Recent   uint32
		Keywords []string
	}
	Corrupt []struct {
		File  string
		Opens bool
		Log   []string `json:"original_log"`
		Base  []string `json:"base_sha256s"`
	}
}

func readManifest(t *testing.T, f Format) (m manifest) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testdata, f.Name, "MANIFEST.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// observe tells the messages as the manifest does.
func observe(t testing.TB, b *box) (out []goldenMessage) {
	t.Helper()
	for m, err := range b.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		c, err := b.Open(m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		h, err := c.Header()
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		if n, err := io.Copy(sum, c); err != nil || n != m.Size {
			t.Fatalf("message %d: got %d octets, %v; want %d", m.Seq, n, err, m.Size)
		}
		r := b.index[m.Seq-1]
		got := goldenMessage{
			UID: m.UID, Date: m.Date.Time().Format("2006-01-02T15:04:05-07:00"), Recent: m.Flags.System&mailbox.Recent != 0,
			Size: m.Size, HeaderSize: len(h), SHA256: hex.EncodeToString(sum.Sum(nil)), Offset: r.off, LineLength: int(r.length),
		}
		m.Flags.System &^= mailbox.Recent
		for _, name := range m.Flags.Names(b.Status().Keywords) {
			if name, ok := strings.CutPrefix(name, `\`); ok {
				got.Flags = append(got.Flags, name)
			} else {
				got.Keywords = append(got.Keywords, name)
			}
		}
		slices.Sort(got.Flags)
		out = append(out, got)
	}
	return out
}

// TestGolden reads every mailbox that the original wrote, and leaves it as it
// was.
func TestGolden(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		for _, g := range readManifest(t, f).Files {
			w := newWorld(t, f)
			base := strings.TrimSuffix(g.File, "."+f.Name)
			n := w.golden(base)
			if ok, err := w.Probe(n); ok != (g.Driver == f.Name) || err != nil {
				t.Errorf("%s: Probe: got %v, %v; want driver %s", g.File, ok, err, g.Driver)
			}
			b := w.open(n, mailbox.ReadOnly)
			st := b.Status()
			if st.UIDValidity != 1700000000 || st.UIDNext != g.UIDLast+1 || st.Recent != g.Recent ||
				g.Driver == f.Name && !slices.Equal(st.Keywords, g.Keywords) {
				t.Errorf("%s: Status: got %+v\nwant %d recent, UIDLAST %d, keywords %q", g.File, st, g.Recent, g.UIDLast, g.Keywords)
			}
			got := observe(t, b)
			for i := range g.Messages {
				slices.Sort(g.Messages[i].Flags)
			}
			if fmt.Sprint(got) != fmt.Sprint(g.Messages) {
				t.Errorf("%s\n got %+v\nwant %+v", g.File, got, g.Messages)
			}
			if string(w.read(n)) != string(w.goldenFile(base)) {
				t.Errorf("%s: reading changed the file", g.File)
			}
			if len(w.heard) > 0 {
				t.Errorf("%s: warnings %q", g.File, w.heard)
			}
		}
	})
}

// octets undoes the manifest's way of writing 8-bit octets.
func octets(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

// TestCorrupt says of every damaged mailbox what the original says, and writes
// nothing.
func TestCorrupt(t *testing.T) {
	at := regexp.MustCompile(`at (\d+)`)
	each(t, func(t *testing.T, f Format) {
		for _, g := range readManifest(t, f).Corrupt {
			for _, mode := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite} {
				w := newWorld(t, f)
				base := strings.TrimSuffix(g.File, "."+f.Name)
				n := w.golden(base)
				mb, err := w.Open(context.Background(), n, mode)
				if g.Opens {
					if err != nil {
						t.Errorf("%s: %v", g.File, err)
						continue
					}
					for i, m := range observe(t, mb.(*box)) {
						if m.SHA256 != g.Base[i] {
							t.Errorf("%s: message %d: another text", g.File, i+1)
						}
					}
					mb.Close()
					continue
				}
				want := octets(strings.TrimPrefix(g.Log[0], "LOG[2] "))
				var e *mailbox.Error
				if !errors.Is(err, mailbox.ErrCorrupt) || !errors.As(err, &e) || err.Error() != want {
					t.Errorf("%s\n got %v\nwant %s", g.File, err, want)
				} else if off, _ := strconv.ParseInt(at.FindStringSubmatch(want)[1], 10, 64); e.Off != off {
					t.Errorf("%s: got offset %d, want %d", g.File, e.Off, off)
				}
				if string(w.read(n)) != string(w.goldenFile(base)) {
					t.Errorf("%s: a mailbox that cannot be read was changed", g.File)
				}
			}
		}
	})
}

// TestLostBlock reads an mbx mailbox that has lost its file block, which is
// taken for one of ours.
func TestLostBlock(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(testdata, "mbx-corrupt", "lost-file-header.mbx"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, MTX)
	n := w.file("box", data)
	if ok, err := w.Probe(n); !ok || err != nil {
		t.Errorf("Probe: got %v, %v", ok, err)
	}
	_, err = w.Open(context.Background(), n, mailbox.ReadWrite)
	const want = "Unable to parse internal header elements at 0:  1-Jul-2001 02:03:04 -0700,168;000000000010-00000001"
	if err == nil || err.Error() != want {
		t.Errorf("Open: got %v, want %s", err, want)
	}
	d, err := w.Append(context.Background(), n, mailbox.AppendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Abort()
	if _, err := d.Add(item("A: b\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(); !errors.Is(err, mailbox.ErrCorrupt) || string(w.read(n)) != string(data) {
		t.Errorf("append: got %v, or the file changed", err)
	}
}
