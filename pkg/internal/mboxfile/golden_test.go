package mboxfile

import (
	"bytes"
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

	"github.com/google/go-cmp/cmp"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/mailbox"
)

// golden is testdata/unix/MANIFEST.json: how the original reads each file, and
// what it makes of it by opening it read-write and closing it.
type golden struct {
	Files []goldenFile
}

type goldenFile struct {
	File, Driver string
	UIDValidity  *uint32
	UIDLast      uint32
	Keywords     []string
	Messages     []goldenMessage
	Log          []goldenLog
	RW           struct {
		Crashed, Changed bool
		Result           string
	} `json:"rw_open_close"`
}

type goldenMessage struct {
	UID          uint32
	InternalDate string
	Flags        []string
	Keywords     []string
	Size         int64  `json:"rfc822_size"`
	SHA256       string `json:"sha256_rfc822"`
}

type goldenLog struct{ Level, Text string }

// goldenDir has the golden files of a format.
func goldenDir(f mbox.Format) string { return "../../../testdata/" + f.Name() }

// both are the formats, for which nearly all tests run.
var both = []mbox.Format{mbox.Unix, mbox.MMDF}

// formatOf tells the format of a golden file, or of a mailbox, by the octets.
func formatOf(b []byte) mbox.Format {
	if ok, err := mbox.MMDF.Probe(bytes.NewReader(b)); ok && err == nil {
		return mbox.MMDF
	}
	return mbox.Unix
}

// driverOf is the driver of the mailbox n, unix where there is none.
func driverOf(t testing.TB, env *mailbox.Env, n mailbox.Name) *Driver {
	t.Helper()
	f, err := fsx.OpenQuiet(fsx.OS{}, n.Path)
	if errors.Is(err, os.ErrNotExist) {
		return New(mbox.Unix, env)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, len(mbox.Delimiter))
	n1, _ := f.ReadAt(b, 0)
	return New(formatOf(b[:n1]), env)
}

// readExceptions are the files that we read differently, and why.
var readExceptions = map[string]string{
	"foreign-bare-cr.mbox":         "a bare CR is kept",
	"after-bare-cr.mbox":           "a bare CR is kept",
	"foreign-cr-blank-header.mbox": "a bare CR is kept",
	"after-cr-blank-header.mbox":   "a bare CR is kept",
	"foreign-nul.mbox":             "NUL in a field name stays NUL",
	"foreign-truncated-header.mbox": "the original presents a line end, or octets of another message, " +
		"where the file ends in a header line",
	"foreign-pseudo-hijack.mbox": "X-IMAP alone does not make a message the pseudo-message",

	"foreign-nul.mmdf":                   "NUL in a field name stays NUL",
	"foreign-crlf-inside.mmdf":           "a bare CR is kept",
	"foreign-delimiter-at-line-end.mmdf": "the original announces an octet more than it gives",
	"after-delimiter-at-line-end.mmdf":   "the original announces an octet more than it gives",
}

// writeExceptions are the files that we write differently, and why.
var writeExceptions = map[string]string{
	"foreign-bare-cr.mbox":         "a bare CR is kept",
	"foreign-cr-blank-header.mbox": "a bare CR is kept",
	"foreign-nul.mbox":             "NUL in a field name stays NUL",
	"foreign-pseudo-hijack.mbox":   "X-IMAP alone does not make a message the pseudo-message",

	"foreign-nul.mmdf":         "NUL in a field name stays NUL",
	"foreign-crlf-inside.mmdf": "a bare CR is kept",
}

func readGolden(t testing.TB, f mbox.Format) (g golden) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(goldenDir(f), "MANIFEST.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// goldenEnv is where and when the golden files were made.
func goldenEnv(t testing.TB) (*mailbox.Env, *[]goldenLog) {
	t.Helper()
	dir := t.TempDir()
	var log []goldenLog
	return &mailbox.Env{
		User: "uwgold", Home: dir, Spool: filepath.Join(dir, "spool"), Host: "mail.example.org", Dir: dir,
		Now: func() time.Time { return time.Unix(1700000000, 0).UTC() },
		Notify: func(l mailbox.Level, text string) {
			log = append(log, goldenLog{[...]string{"info", "warn"}[l], text})
		},
		LockTimeout: time.Second, LockDir: dir, Config: mailbox.DefaultConfig(),
	}, &log
}

// put copies a golden file into the home of env.
func put(t testing.TB, env *mailbox.Env, file string) mailbox.Name {
	t.Helper()
	return putBytes(t, env, file, readFile(t, file))
}

// readFile returns a golden file; its name tells the format.
func readFile(t testing.TB, file string) []byte {
	t.Helper()
	f := mbox.Unix
	if strings.HasSuffix(file, ".mmdf") {
		f = mbox.MMDF
	}
	b, err := os.ReadFile(filepath.Join(goldenDir(f), file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func putBytes(t testing.TB, env *mailbox.Env, file string, b []byte) mailbox.Name {
	t.Helper()
	path := filepath.Join(env.Home, file)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Unix(1699999950, 0)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	return mailbox.Name{Text: file, Path: path}
}

func open(t testing.TB, env *mailbox.Env, n mailbox.Name, m mailbox.Mode) mailbox.Mailbox {
	t.Helper()
	mb, err := driverOf(t, env, n).Open(context.Background(), n, m)
	if err != nil {
		t.Fatal(err)
	}
	return mb
}

// messages reads everything there is.
func messages(t testing.TB, mb mailbox.Mailbox) (out []goldenMessage) {
	t.Helper()
	keywords := mb.Status().Keywords
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		g := goldenMessage{UID: m.UID, Size: m.Size, InternalDate: m.Date.Time().Format("2006-01-02T15:04:05-07:00")}
		if m.Date.MinusZero {
			g.InternalDate = strings.TrimSuffix(g.InternalDate, "+00:00") + "-00:00"
		}
		for _, f := range m.Flags.Names(keywords) {
			if strings.HasPrefix(f, `\`) {
				g.Flags = append(g.Flags, f)
			} else {
				g.Keywords = append(g.Keywords, f)
			}
		}
		text := text(t, mb, m.Seq)
		if int64(len(text)) != m.Size {
			t.Errorf("message %d: size %d, but %d octets", m.Seq, m.Size, len(text))
		}
		sum := sha256.Sum256(text)
		g.SHA256 = hex.EncodeToString(sum[:])
		slices.Sort(g.Flags)
		slices.Sort(g.Keywords)
		out = append(out, g)
	}
	return out
}

func text(t testing.TB, mb mailbox.Mailbox, seq uint32) []byte {
	t.Helper()
	c, err := mb.Open(seq)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenRead(t *testing.T) {
	for _, format := range both {
		goldenRead(t, format)
	}
}

func goldenRead(t *testing.T, format mbox.Format) {
	for _, f := range readGolden(t, format).Files {
		t.Run(f.File, func(t *testing.T) {
			env, log := goldenEnv(t)
			n := put(t, env, f.File)
			is, err := New(format, env).Probe(n)
			if err != nil || is != (f.Driver == format.Name()) {
				t.Fatalf("Probe %v, %v; the original says %s", is, err, f.Driver)
			}
			if !is {
				return
			}
			before, _ := os.Stat(n.Path)
			mb := open(t, env, n, mailbox.ReadOnly)
			defer mb.Close()
			if reason, ok := readExceptions[f.File]; ok {
				messages(t, mb)
				t.Log(reason)
				return
			}
			st := mb.Status()
			if f.UIDValidity != nil && (st.UIDValidity != *f.UIDValidity || st.UIDNext != f.UIDLast+1) {
				t.Errorf("UIDVALIDITY %d, UIDNEXT %d; want %d, %d", st.UIDValidity, st.UIDNext, *f.UIDValidity, f.UIDLast+1)
			}
			if !slices.Equal(st.Keywords, f.Keywords) {
				t.Errorf("keywords %q, want %q", st.Keywords, f.Keywords)
			}
			for i := range f.Messages {
				slices.Sort(f.Messages[i].Flags)
				slices.Sort(f.Messages[i].Keywords)
			}
			if d := cmp.Diff(f.Messages, messages(t, mb), equateEmpty); d != "" {
				t.Errorf("messages (-want +got):\n%s", d)
			}
			if d := cmp.Diff(f.Log, *log, equateEmpty); d != "" {
				t.Errorf("warnings (-want +got):\n%s", d)
			}
			after, _ := os.Stat(n.Path)
			if !after.ModTime().Equal(before.ModTime()) {
				t.Error("a read-only session changed the file")
			}
		})
	}
}

var equateEmpty = cmp.FilterValues(func(x, y any) bool {
	return isEmpty(x) && isEmpty(y)
}, cmp.Comparer(func(_, _ any) bool { return true }))

func isEmpty(v any) bool {
	switch v := v.(type) {
	case []string:
		return len(v) == 0
	case []goldenLog:
		return len(v) == 0
	case []goldenMessage:
		return len(v) == 0
	}
	return false
}

func TestGoldenRewrite(t *testing.T) {
	for _, format := range both {
		goldenRewrite(t, format)
	}
}

func goldenRewrite(t *testing.T, format mbox.Format) {
	for _, f := range readGolden(t, format).Files {
		if f.Driver != format.Name() || f.RW.Result == "" && f.RW.Changed && !f.RW.Crashed || strings.HasPrefix(f.File, "native") || strings.HasPrefix(f.File, "after") {
			continue
		}
		t.Run(f.File, func(t *testing.T) {
			env, _ := goldenEnv(t)
			n := put(t, env, f.File)
			before, _ := os.ReadFile(n.Path)
			mb := open(t, env, n, mailbox.ReadWrite)
			want := messages(t, mb)
			if err := mb.Close(); err != nil {
				t.Fatal(err)
			}
			got, _ := os.ReadFile(n.Path)
			checkStable(t, env, n, want, f.RW.Crashed)
			if f.RW.Crashed {
				return // the original dies of this file
			}
			if reason, ok := writeExceptions[f.File]; ok {
				t.Log(reason)
				return
			}
			result := before
			if f.RW.Changed {
				result = readFile(t, f.RW.Result)
			}
			if d := cmp.Diff(string(result), string(got)); d != "" {
				t.Errorf("file (-want +got):\n%s", d)
			}
		})
	}
}

// checkStable reads a rewritten mailbox again: the messages must be the same,
// but for line ends that were missing, and no longer recent; and another
// session has nothing to write.
func checkStable(t *testing.T, env *mailbox.Env, n mailbox.Name, want []goldenMessage, grows bool) {
	t.Helper()
	before, _ := os.ReadFile(n.Path)
	mb := open(t, env, n, mailbox.ReadWrite)
	got := messages(t, mb)
	if err := mb.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		want[i].Flags = slices.DeleteFunc(want[i].Flags, func(f string) bool { return f == `\Recent` })
		if i < len(got) && want[i].InternalDate == "2023-11-14T22:12:30+00:00" { // of the file
			got[i].InternalDate = want[i].InternalDate
		}
		if i < len(got) && (grows || got[i].Size == want[i].Size+2 || got[i].Size == want[i].Size+4) {
			got[i].Size, got[i].SHA256 = want[i].Size, want[i].SHA256
		}
	}
	if d := cmp.Diff(want, got, equateEmpty); d != "" {
		t.Errorf("read again (-before +after):\n%s", d)
	}
	after, _ := os.ReadFile(n.Path)
	if !bytes.Equal(before, after) {
		t.Error("a second session rewrote the file")
	}
}

// Every native file is written again by appending what is in it to a new
// mailbox: all that a message has must come back.
func TestGoldenCopy(t *testing.T) {
	for _, format := range both {
		for _, to := range both {
			t.Run(format.Name()+" to "+to.Name(), func(t *testing.T) { goldenCopy(t, format, to) })
		}
	}
}

func goldenCopy(t *testing.T, format, to mbox.Format) {
	for _, f := range readGolden(t, format).Files {
		if f.Driver != format.Name() {
			continue
		}
		t.Run(f.File, func(t *testing.T) {
			env, _ := goldenEnv(t)
			src := open(t, env, put(t, env, f.File), mailbox.ReadOnly)
			defer src.Close()
			n := mailbox.Name{Text: "copy", Path: filepath.Join(env.Home, "copy")}
			altered := copyAll(t, New(to, env), src, n)
			dst := open(t, env, n, mailbox.ReadOnly)
			defer dst.Close()
			want, got := messages(t, src), messages(t, dst)
			for i := range want {
				if i >= len(got) {
					break
				}
				want[i].UID = got[i].UID
				want[i].Flags, got[i].Flags = noRecent(want[i].Flags), noRecent(got[i].Flags)
				if altered[i].Any() {
					want[i].SHA256, want[i].Size = got[i].SHA256, got[i].Size
				}
			}
			if d := cmp.Diff(want, got, equateEmpty); d != "" {
				t.Errorf("copy (-want +got):\n%s", d)
			}
		})
	}
}

func noRecent(flags []string) []string {
	return slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return f == `\Recent` })
}

// copyAll copies src to the new mailbox n.
func copyAll(t testing.TB, to *Driver, src mailbox.Mailbox, n mailbox.Name) (altered []mailbox.Altered) {
	t.Helper()
	d, err := to.Append(context.Background(), n, mailbox.AppendOptions{New: true, Keywords: src.Status().Keywords})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Abort()
	for m := range src.Messages(mailbox.All) {
		sender, err := src.(mailbox.Enveloper).Sender(m.Seq)
		c, oerr := src.Open(m.Seq)
		if err := errors.Join(err, oerr); err != nil {
			t.Fatal(err)
		}
		a, err := d.Add(mailbox.Item{Message: m, Sender: sender, Text: c})
		if err != nil {
			t.Fatal(fmt.Errorf("message %d: %w", m.Seq, err))
		}
		altered = append(altered, a)
	}
	if _, err := d.Commit(); err != nil {
		t.Fatal(err)
	}
	return altered
}
