package mix

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

	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
)

const testdata = "../../../testdata/mix"

// A world is a driver with a home directory of its own.
type world struct {
	*Driver
	t     *testing.T
	home  string
	heard []string // notices of level Warn
	told  []string // notices of level Info
	now   time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldAt(t, t.TempDir())
}

func newWorldAt(t *testing.T, home string) *world {
	t.Helper()
	w := &world{t: t, home: home, now: time.Unix(1900000000, 0).UTC()}
	env := &mailbox.Env{
		User: "alice", Home: w.home, Spool: filepath.Join(w.home, "spool"), Host: "localhost", Dir: w.home,
		Now: func() time.Time { return w.now },
		Notify: func(l mailbox.Level, text string) {
			if l == mailbox.Warn {
				w.heard = append(w.heard, text)
			} else {
				w.told = append(w.told, text)
			}
		},
		LockTimeout: -1, LockDir: home, StateDir: filepath.Join(w.home, "state"),
		Config: mailbox.DefaultConfig(),
	}
	w.Driver = New(env, nil)
	return w
}

// name returns the name of a mailbox in the home directory.
func (w *world) name(base string) mailbox.Name {
	return mailbox.Name{Text: base, Path: filepath.Join(w.home, base)}
}

// golden unpacks an archive of the original's.
func (w *world) golden(name string) mailbox.Name {
	w.t.Helper()
	fsxtest.Unpack(w.t, filepath.Join(testdata, name+".tar"), w.home)
	return w.name(name)
}

// files returns the files of a mailbox by name.
func (w *world) files(n mailbox.Name) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	all, err := os.ReadDir(n.Path)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range all {
		if e.Type().IsRegular() {
			b, err := os.ReadFile(filepath.Join(n.Path, e.Name()))
			if err != nil {
				w.t.Fatal(err)
			}
			out[e.Name()] = string(b)
		}
	}
	return out
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
	UID      uint32
	Date     string `json:"internaldate"`
	Flags    []string
	Recent   bool
	Keywords []string
	Size     int64   `json:"rfc822_size"`
	Header   int64   `json:"header_size"`
	SHA256   *string // nil where the original cannot read it
}

type goldenView struct {
	UIDValidity uint32
	UIDLast     uint32
	Keywords    []string
	Messages    []goldenMessage
}

type goldenBox struct {
	Name  string
	Fault string
	Boxes []struct {
		Path       string
		View       *goldenView
		ReadOnly   *goldenView      `json:"readonly_view"`
		ReadOnlyIn []string         `json:"readonly_cclient_log"`
		Log        []string         `json:"cclient_log"`
		After      map[string]int64 `json:"files_after_one_readwrite_open_and_close"`
	} `json:"mailboxes"`
}

func manifest(t *testing.T) []goldenBox {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testdata, "MANIFEST.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Mailboxes []goldenBox }
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m.Mailboxes
}

// observe tells a message as the manifest does.
func observe(t *testing.T, b *box, m mailbox.Message) goldenMessage {
	t.Helper()
	got := goldenMessage{
		UID: m.UID, Date: m.Date.Time().Format("2006-01-02T15:04:05-07:00"), Recent: m.Flags.System&mailbox.Recent != 0,
		Size: m.Size, Header: b.view[m.Seq-1].header,
	}
	m.Flags.System &^= mailbox.Recent
	for _, name := range m.Flags.Names(b.Status().Keywords) {
		if strings.HasPrefix(name, `\`) {
			got.Flags = append(got.Flags, name)
		} else {
			got.Keywords = append(got.Keywords, name)
		}
	}
	slices.Sort(got.Flags)
	c, err := b.Open(m.Seq)
	if err != nil {
		if !errors.Is(err, mailbox.ErrCorrupt) {
			t.Fatal(err)
		}
		return got
	}
	sum := sha256.New()
	if n, err := io.Copy(sum, c); err != nil || n != m.Size {
		t.Fatalf("message %d: got %d octets, %v; want %d", m.Seq, n, err, m.Size)
	}
	digest := hex.EncodeToString(sum.Sum(nil))
	got.SHA256 = &digest
	return got
}

func (g goldenMessage) String() string {
	digest := "unreadable"
	if g.SHA256 != nil {
		digest = (*g.SHA256)[:16]
	} else {
		g.Header = 0 // the original tells none then
	}
	slices.Sort(g.Flags)
	return fmt.Sprint(g.UID, g.Date, g.Flags, g.Recent, g.Keywords, g.Size, g.Header, digest)
}

func compare(t *testing.T, b *box, g *goldenView) {
	t.Helper()
	st := b.Status()
	if st.UIDValidity != g.UIDValidity || st.UIDNext != g.UIDLast+1 || int(st.Messages) != len(g.Messages) ||
		!slices.Equal(st.Keywords, g.Keywords) {
		t.Errorf("Status: got %+v\nwant %d messages, UIDVALIDITY %d, UIDLAST %d, keywords %q",
			st, len(g.Messages), g.UIDValidity, g.UIDLast, g.Keywords)
	}
	for m, err := range b.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		if int(m.Seq) > len(g.Messages) {
			break
		}
		if got, want := observe(t, b, m).String(), g.Messages[m.Seq-1].String(); got != want {
			t.Errorf("message %d\n got %s\nwant %s", m.Seq, got, want)
		}
	}
}

// sounds are the lines of a log of the original's that a user sees.
func sounds(log []string) (out []string) {
	for _, line := range log {
		if text, ok := strings.CutPrefix(line, "WARN: "); ok {
			out = append(out, text)
		} else if text, ok := strings.CutPrefix(line, "ERROR: "); ok {
			out = append(out, text)
		}
	}
	return out
}

// TestGolden reads every mailbox that the original wrote, or had to read, and
// leaves it as it was.
func TestGolden(t *testing.T) {
	for _, g := range manifest(t) {
		for _, x := range g.Boxes {
			t.Run(x.Path, func(t *testing.T) {
				want, log := x.View, x.Log
				if g.Fault != "" && (x.ReadOnly != nil || x.ReadOnlyIn != nil) {
					want, log = x.ReadOnly, x.ReadOnlyIn
				}
				if g.Name == "uidlast-low" { // the original opens it for writing only
					want, log = nil, []string{"ERROR: mix index invalid UID (00000004 < 00000003)"}
				}
				w := newWorld(t)
				w.golden(g.Name)
				n := w.name(x.Path)
				before := w.files(n)
				if ok, err := w.Probe(n); !ok || err != nil {
					t.Fatalf("Probe: got %v, %v; want true", ok, err)
				}
				readGolden(t, w, n, want, log)
				if after := w.files(n); fmt.Sprint(after) != fmt.Sprint(before) {
					t.Errorf("reading changed files\n got %q\nwant %q", after, before)
				}
			})
		}
	}
}

// also is what we say and the original does not.
var also = map[string][]string{
	"index-empty": {"open index-empty: octet 0: mailbox is damaged: .mix6b03b909 has a message of UID 1 " +
		"that the index does not list: run mailutil repair before anything is written to the mailbox"},
}

func readGolden(t *testing.T, w *world, n mailbox.Name, want *goldenView, log []string) {
	mb, err := w.Open(context.Background(), n, mailbox.ReadOnly)
	if err == nil {
		defer mb.Close()
		if want == nil {
			t.Fatalf("opened, want %q", log)
		}
		if strings.HasPrefix(n.Text, "data-short") { // we give what is there, and say so
			want.Messages[5].Size, want.Messages[5].SHA256 = 99, nil
			m := observe(t, mb.(*box), mailbox.Message{Seq: 6, Size: 99})
			want.Messages[5].SHA256 = m.SHA256
			w.heard = nil
			compareShort(t, mb.(*box), want)
			return
		}
		compare(t, mb.(*box), want)
	} else {
		w.heard = append(w.heard, err.Error())
		var e *mailbox.Error
		if !errors.Is(err, mailbox.ErrCorrupt) || !errors.As(err, &e) || e.Off < 0 {
			t.Errorf("got error %#v, want an ErrCorrupt with an offset", err)
		}
		if want != nil {
			t.Fatalf("open: %v", err)
		}
	}
	says := append(sounds(log), also[n.Text]...)
	if n.Text == "index-torn" { // the original goes on reading in the line before
		says[1] = "Error in size in mix index file: 0000007"
	}
	for i := range w.heard {
		w.heard[i] = strings.ReplaceAll(w.heard[i], w.home+"/", "")
	}
	if strings.HasPrefix(n.Text, "data-token") {
		says = nil // said by the error of the read
	}
	if !slices.Equal(w.heard, says) {
		t.Errorf("said\n got %q\nwant %q", w.heard, says)
	}
}

func compareShort(t *testing.T, b *box, want *goldenView) {
	if got := len(b.view); got != len(want.Messages) || b.view[5].size != 99 {
		t.Errorf("got %d messages, the last of %d octets", got, b.view[5].size)
	}
}

// refused are the mailboxes that are not opened for writing: the original
// would throw messages away.
var refused = map[string]string{
	"index-empty":               ".mix6b03b909 has a message of UID 1 that the index does not list",
	"index-truncated-at-record": ".mix6b03b909 has a message of UID 5 that the index does not list",
	"crash-data-only":           ".mix6b03b909 has a message of UID 7 that the index does not list",
	"crash-index-extended":      ".mix6b03b909 has a message of UID 7 that the index does not list",
}

// TestNothingUnlistedGoes opens all of them for writing, adds mail and
// expunges: no text may vanish that the index does not list.
func TestNothingUnlistedGoes(t *testing.T) {
	for _, g := range manifest(t) {
		t.Run(g.Name, func(t *testing.T) {
			w := newWorld(t)
			n := w.golden(g.Name)
			before := w.files(n)
			mb, err := w.Open(context.Background(), n, mailbox.ReadWrite)
			if err == nil {
				defer mb.Close()
			}
			text, refuse := refused[g.Name]
			readable := g.Boxes[0].View != nil
			if refuse || !readable {
				if !errors.Is(err, mailbox.ErrCorrupt) || refuse && (!strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "mailutil repair")) {
					t.Errorf("open: got %v, want ErrCorrupt, %s", err, text)
				}
				if err := deliver(w, n, mailbox.AppendOptions{}, item("x: y\r\n\r\nz\r\n")); !errors.Is(err, mailbox.ErrCorrupt) {
					t.Errorf("append: got %v, want ErrCorrupt", err)
				}
				if after := w.files(n); fmt.Sprint(after) != fmt.Sprint(before) {
					t.Errorf("it was written to\n got %q\nwant %q", after, before)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := deliver(w, n, mailbox.AppendOptions{}, item("x: y\r\n\r\nz\r\n")); err != nil {
				t.Errorf("append: %v", err)
			}
			if _, err := mb.Expunge(mailbox.One(1)); err != nil {
				t.Errorf("expunge: %v", err)
			}
		})
	}
}

// item is a message of the given text.
func item(text string) mailbox.Item {
	return mailbox.Item{Message: mailbox.Message{Size: int64(len(text)), Date: mailbox.Date{
		Year: 2021, Month: 2, Day: 5, Hour: 6, Minute: 7, Second: 8, Zone: -90,
	}}, Text: strings.NewReader(text)}
}

// deliver appends items.
func deliver(w *world, n mailbox.Name, o mailbox.AppendOptions, items ...mailbox.Item) (err error) {
	d, err := w.Append(context.Background(), n, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Abort()) }()
	for _, it := range items {
		if _, err := d.Add(it); err != nil {
			return err
		}
	}
	_, err = d.Commit()
	return err
}
