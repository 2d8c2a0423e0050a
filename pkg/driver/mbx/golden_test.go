package mbx

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
	"slices"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
)

const testdata = "../../../testdata"

// A world is a driver with a home directory of its own.
type world struct {
	*Driver
	t     testing.TB
	home  string
	heard []string // notices of level Warn
	now   time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, home: t.TempDir(), now: time.Unix(1700000000, 0).UTC()}
	locks := t.TempDir()
	env := &mailbox.Env{
		User: "alice", Home: w.home, Spool: filepath.Join(w.home, "spool"), Host: "localhost", Dir: w.home,
		Now: func() time.Time { return w.now },
		Notify: func(l mailbox.Level, text string) {
			if l == mailbox.Warn {
				w.heard = append(w.heard, text)
			}
		},
		LockTimeout: -1, LockDir: locks, StateDir: filepath.Join(w.home, "state"),
		Config: mailbox.DefaultConfig(),
	}
	w.Driver = New(env, nil)
	w.Driver.PID = 0x4711
	return w
}

// name returns the name of a file in the home directory.
func (w *world) name(base string) mailbox.Name {
	return mailbox.Name{Text: base, Path: filepath.Join(w.home, base)}
}

// golden puts a copy of a golden file there.
func (w *world) golden(file string) mailbox.Name {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(testdata, file))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.file(filepath.Base(file), data)
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

type goldenFile struct {
	File        string
	UIDValidity uint32
	UIDLast     uint32
	Messages    []goldenMessage
	Recent      uint32
	Keywords    []string
}

func manifest[T any](t *testing.T, dir string) (m T) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testdata, dir, "MANIFEST.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGolden reads every mailbox that the original wrote, and leaves it as it
// was.
func TestGolden(t *testing.T) {
	for _, g := range manifest[struct{ Files []goldenFile }](t, "mbx").Files {
		t.Run(g.File, func(t *testing.T) {
			w := newWorld(t)
			n := w.golden("mbx/" + g.File)
			before := w.read(n)
			if ok, err := w.Probe(n); !ok || err != nil {
				t.Fatalf("Probe: got %v, %v; want true", ok, err)
			}
			compareGolden(t, w.open(n, mailbox.ReadOnly), g)
			if string(w.read(n)) != string(before) {
				t.Error("reading changed the file")
			}
			if len(w.heard) > 0 {
				t.Errorf("warnings %q", w.heard)
			}
		})
	}
}

func compareGolden(t *testing.T, b *box, g goldenFile) {
	t.Helper()
	st := b.Status()
	if st.UIDValidity != g.UIDValidity || st.UIDNext != g.UIDLast+1 || st.Recent != g.Recent ||
		int(st.Messages) != len(g.Messages) || !slices.Equal(st.Keywords, g.Keywords) {
		t.Errorf("Status: got %+v\nwant %d messages, %d recent, UIDVALIDITY %d, UIDLAST %d, keywords %q",
			st, len(g.Messages), g.Recent, g.UIDValidity, g.UIDLast, g.Keywords)
	}
	for m, err := range b.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		want := g.Messages[m.Seq-1]
		got := observe(t, b, m)
		slices.Sort(want.Flags)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("message %d\n got %+v\nwant %+v", m.Seq, got, want)
		}
	}
}

// observe tells a message as the manifest does.
func observe(t testing.TB, b *box, m mailbox.Message) goldenMessage {
	t.Helper()
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
	return got
}

type corruptFile struct {
	File     string
	Message  *string  `json:"original_message"`
	RW       []string `json:"original_message_rw"`
	Off      *float64 `json:"offset"`
	Opens    bool     `json:"original_opens"`
	Driver   string   `json:"original_driver"`
	Modifies bool     `json:"rw_open_modifies_file"`
	Messages []any    `json:"original_messages"`
	Truth    []string `json:"sha256_before_damage"`
}

// octets undoes the manifest's way of writing 8-bit octets.
func octets(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

// errOff is where our error says something else than the original's.
var errOff = map[string]int64{
	"read-header-negsize.mbx": 9604, // the line that has the size; the original names where it would lead
}

// TestCorrupt says of every damaged mailbox what the original says.
func TestCorrupt(t *testing.T) {
	for _, g := range manifest[struct{ Files []corruptFile }](t, "mbx-corrupt").Files {
		for _, mode := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite} {
			t.Run(fmt.Sprint(g.File, mode), func(t *testing.T) { openCorrupt(t, g, mode) })
		}
	}
}

func openCorrupt(t *testing.T, g corruptFile, mode mailbox.Mode) {
	w := newWorld(t)
	n := w.golden("mbx-corrupt/" + g.File)
	before := string(w.read(n))
	ok, err := w.Probe(n)
	if err != nil || ok != (g.Driver == "mbx") {
		t.Fatalf("Probe: got %v, %v; want driver %s", ok, err, g.Driver)
	}
	if !ok {
		return
	}
	var want []string
	if g.Message != nil {
		want = []string{octets(*g.Message)}
	}
	if g.RW != nil {
		want = g.RW
	}
	mb, err := w.Open(context.Background(), n, mode)
	said := w.heard
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n") // as the manifest was made
		said = append(said, line)
		var e *mailbox.Error
		if !errors.Is(err, mailbox.ErrCorrupt) || !errors.As(err, &e) || e.Off < blockSize {
			t.Errorf("got error %#v, want an ErrCorrupt with an offset", err)
		}
		if want, ok := errOff[g.File]; !ok && g.Off != nil {
			if e.Off != int64(*g.Off) {
				t.Errorf("got offset %d, want %v", e.Off, *g.Off)
			}
		} else if ok && e.Off != want {
			t.Errorf("got offset %d, want %v", e.Off, want)
		}
	}
	if !slices.Equal(said, want) {
		t.Errorf("said\n got %q\nwant %q", said, want)
	}
	if (err == nil) != g.Opens {
		t.Fatalf("opens: got %v, want %v", err, g.Opens)
	}
	if err != nil {
		if string(w.read(n)) != before {
			t.Error("a mailbox that cannot be read was changed")
		}
		return
	}
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		got := observe(t, mb.(*box), m)
		uid, sum := g.Messages[m.Seq-1], any(nil)
		if pair, ok := uid.([]any); ok {
			uid, sum = pair[0], pair[1]
		} else {
			sum = g.Truth[m.Seq-1]
		}
		if uid != float64(got.UID) || sum != got.SHA256 {
			t.Errorf("message %d: got UID %d, %s; want %v, %v", m.Seq, got.UID, got.SHA256, uid, sum)
		}
	}
	if got := int(mb.Status().Messages); got != len(g.Messages) {
		t.Errorf("got %d messages, want %d", got, len(g.Messages))
	}
	if err := mb.Close(); err != nil {
		t.Error(err)
	}
	if changed := string(w.read(n)) != before; mode == mailbox.ReadOnly && changed || mode == mailbox.ReadWrite && changed != g.Modifies {
		t.Errorf("changed: got %v, want %v", changed, g.Modifies)
	}
}
