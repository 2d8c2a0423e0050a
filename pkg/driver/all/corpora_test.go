package all_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
)

// reading is how the original reads a mailbox.
type reading struct {
	File, Driver string
	Open         bool
	NMsgs        int
	Keywords     []string
	UIDValidity  uint32 `json:"uid_validity"`
	UIDLast      uint32 `json:"uid_last"`
	Log          []string
	Messages     []readMessage
}

type readMessage struct {
	UID    uint32
	Date   string
	Flags  []string
	Size   int64
	SHA256 string
}

// corpusExceptions are the files that we read differently, and why.
var corpusExceptions = map[string]string{
	"neomutt/fig.mbox": "a delimiter alone is no message",
	"twisted-pipermail/twisted-web-2004-2005H1.txt": "a bare CR in the text of message 40 is kept",
}

// TestCorpora reads real mail and compares with the original's reading. The
// mail is too much to be kept here: it is a directory of mailboxes, each with
// FILE.oracle.json beside it, beside this project or where MAILUTIL_CORPORA
// says.
func TestCorpora(t *testing.T) {
	root := os.Getenv("MAILUTIL_CORPORA")
	if root == "" {
		root = "../../../../shared/corpora"
	}
	if _, err := os.Stat(root); err != nil {
		t.Skip("no corpora: ", err)
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		file, ok := strings.CutSuffix(path, ".oracle.json")
		if err != nil || !ok {
			return err
		}
		name, _ := filepath.Rel(root, file)
		t.Run(name, func(t *testing.T) { readCorpus(t, name, file) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readCorpus(t *testing.T, name, file string) {
	b, err := os.ReadFile(file + ".oracle.json")
	if err != nil {
		t.Fatal(err)
	}
	var want reading
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	env := corpusEnv(t)
	n := mailbox.Name{Text: "box", Path: filepath.Join(env.Home, "box")}
	putCorpus(t, env, file, n.Path)
	ds := all.Drivers(env)
	if ds.Named(want.Driver) == nil {
		t.Skipf("no driver %s", want.Driver)
	}
	d, err := ds.Find(n)
	if err != nil || d.Name() != want.Driver {
		t.Fatalf("%v, %v; the original says %s", d, err, want.Driver)
	}
	mb, err := d.Open(context.Background(), n, mailbox.ReadOnly)
	if err != nil {
		if want.Open {
			t.Fatal(err)
		}
		return
	}
	defer mb.Close()
	if reason, ok := corpusExceptions[name]; ok {
		readAll(t, mb)
		t.Skip(reason)
	}
	st := mb.Status()
	if int(st.Messages) != want.NMsgs || st.UIDNext != want.UIDLast+1 || !slices.Equal(st.Keywords, want.Keywords) {
		t.Errorf("%d messages, UIDNEXT %d, keywords %q; want %d, %d, %q",
			st.Messages, st.UIDNext, st.Keywords, want.NMsgs, want.UIDLast+1, want.Keywords)
	}
	for i := range want.Messages {
		slices.Sort(want.Messages[i].Flags)
	}
	got := readAll(t, mb)
	if want.Driver == "mh" { // what was seen is told by access times, which archives have not
		for i := range got {
			got[i].Flags = want.Messages[i].Flags
		}
	}
	if want.Driver == "phile" { // its header has the path of the file
		for i := range got {
			got[i].Size, got[i].SHA256 = want.Messages[i].Size, want.Messages[i].SHA256
		}
	}
	if d := cmp.Diff(want.Messages, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("messages (-want +got):\n%s", d)
	}
}

// putCorpus puts a mailbox where it is read. Directories come as archives.
func putCorpus(t *testing.T, env *mailbox.Env, file, path string) {
	t.Helper()
	if strings.HasSuffix(file, ".tar") {
		env.Config.MHPath = env.Home
		fsxtest.Unpack(t, file, path)
		return
	}
	b, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	then := time.Unix(1000000000, 0)
	if err == nil {
		err = os.Chtimes(path, then, then)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func corpusEnv(t *testing.T) *mailbox.Env {
	dir := t.TempDir()
	return &mailbox.Env{
		User: "games", Home: dir, Spool: filepath.Join(dir, "spool"), Host: "mail.example.org", Dir: dir,
		Now:     func() time.Time { return time.Unix(1700000000, 0).UTC() },
		Notify:  func(mailbox.Level, string) {},
		LockDir: dir, Config: mailbox.DefaultConfig(),
	}
}

func readAll(t *testing.T, mb mailbox.Mailbox) (out []readMessage) {
	keywords := mb.Status().Keywords
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		g := readMessage{UID: m.UID, Date: m.Date.String(), Size: m.Size}
		g.Flags = append([]string{}, m.Flags.Names(keywords)...)
		slices.Sort(g.Flags)
		c, err := mb.Open(m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		size, err := io.Copy(sum, c)
		if err != nil || size != m.Size {
			t.Errorf("message %d: %d octets, size %d, %v", m.Seq, size, m.Size, err)
		}
		g.SHA256 = hex.EncodeToString(sum.Sum(nil))
		out = append(out, g)
	}
	return out
}
