package maildir

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// golden is testdata/maildir/MANIFEST.json: how Dovecot and Courier read what
// is in the archives.
type golden struct {
	Mailboxes []goldenArchive
}

type goldenArchive struct {
	Name, Archive string
	Mailboxes     []goldenBox
}

type goldenBox struct {
	Path        string
	UIDValidity uint32
	UIDLast     uint32
	Keywords    []string
	Messages    []goldenMessage
}

type goldenMessage struct {
	UID          uint32
	InternalDate string
	Flags        []string
	Recent       bool
	Keywords     []string
	Size         int64 `json:"rfc822_size"`
	SHA256       string
}

const goldenDir = "../../../testdata/maildir"

func goldenArchives(t *testing.T) []goldenArchive {
	t.Helper()
	b, err := os.ReadFile(goldenDir + "/MANIFEST.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g.Mailboxes
}

// unpack unpacks an archive, times included.
func unpack(t *testing.T, archive, to string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else {
			b, rerr := io.ReadAll(r)
			if rerr != nil {
				t.Fatal(rerr)
			}
			if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
				err = os.WriteFile(path, b, 0o600)
			}
		}
		if err == nil && h.Typeflag != tar.TypeDir {
			err = os.Chtimes(path, h.ModTime, h.ModTime)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// goldenName is the name by which we know a folder: INBOX.A.B of Courier, A.B
// of Dovecot.
func goldenName(env *mailbox.Env, path string) mailbox.Name {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "INBOX"), ".")
	n := mailbox.Name{Text: path, Path: filepath.Join(env.Home, "Maildir")}
	if path != "" {
		n.Path += "/" + strings.ReplaceAll(path, ".", "/")
	}
	return n
}

// readBox reads a mailbox as the manifest describes it.
func readBox(t *testing.T, env *mailbox.Env, n mailbox.Name, mode mailbox.Mode) goldenBox {
	t.Helper()
	return readWith(t, New(env), n, mode)
}

func readWith(t *testing.T, d *Driver, n mailbox.Name, mode mailbox.Mode) (g goldenBox) {
	t.Helper()
	mb, err := d.Open(context.Background(), n, mode)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := mb.Close(); err != nil {
			t.Error(err)
		}
	}()
	st := mb.Status()
	g = goldenBox{UIDValidity: st.UIDValidity, UIDLast: st.UIDNext - 1, Keywords: slices.Sorted(slices.Values(st.Keywords))}
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		c, err := mb.Open(m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		size, err := io.Copy(sum, c)
		if err != nil || size != m.Size {
			t.Errorf("message %d: %d octets, size %d, %v", m.Seq, size, m.Size, err)
		}
		k := mailbox.Flags{Keywords: m.Flags.Keywords}.Names(st.Keywords)
		f := mailbox.Flags{System: m.Flags.System &^ mailbox.Recent}.Names(nil)
		slices.Sort(k)
		slices.Sort(f)
		g.Messages = append(g.Messages, goldenMessage{
			UID: m.UID, InternalDate: m.Date.Time().UTC().Format("2006-01-02T15:04:05+00:00"), Flags: f, Keywords: k,
			Recent: m.Flags.System&mailbox.Recent != 0, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil)),
		})
	}
	return g
}

func TestGolden(t *testing.T) {
	for _, a := range goldenArchives(t) {
		env := mailboxtest.NewEnv(t)
		unpack(t, filepath.Join(goldenDir, a.Archive), env.Home)
		for _, want := range a.Mailboxes {
			t.Run(a.Name+"/"+want.Path, func(t *testing.T) {
				want.adjust(a.Name)
				n := goldenName(env, want.Path)
				for _, mode := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite, mailbox.ReadOnly} {
					got := readBox(t, env, n, mode)
					got.Path = want.Path
					if a.Name == "plain" { // the UIDVALIDITY is made up
						got.UIDValidity = want.UIDValidity
					}
					if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
						t.Errorf("mode %d (-want +got):\n%s", mode, d)
					}
					if mode == mailbox.ReadWrite {
						for i := range want.Messages {
							want.Messages[i].Recent = false
						}
					}
				}
			})
		}
	}
}

// adjust makes the reading of a program into what the files alone say.
func (g *goldenBox) adjust(archive string) {
	slices.Sort(g.Keywords)
	for i := range g.Messages {
		m := &g.Messages[i]
		if m.UID == 0 { // a program would give it one
			g.UIDLast++
			m.UID = g.UIDLast
		}
		slices.Sort(m.Keywords)
		slices.Sort(m.Flags)
		if archive == "dovecot" && len(m.Flags) > 0 { // known as recent to its index only
			m.Recent = false
		}
	}
}

// Opening a mailbox read-write keeps what other programs have written, and
// takes mail from new.
func TestGoldenFiles(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	unpack(t, filepath.Join(goldenDir, "dovecot.tar"), env.Home)
	list := filepath.Join(env.Home, "Maildir/.Archive.2024/dovecot-uidlist")
	before, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	readBox(t, env, goldenName(env, "Archive.2024"), mailbox.ReadWrite)
	if after, _ := os.ReadFile(list); string(after) != string(before) {
		t.Errorf("list of UIDs:\n got %q\nwant %q", after, before)
	}
	readBox(t, env, goldenName(env, "Archive"), mailbox.ReadWrite)
	want := filepath.Join(env.Home, "Maildir/.Archive/cur/1795406195.M133058P16598.vm,S=44,W=48:2,")
	if _, err := os.Stat(want); err != nil {
		t.Error(err)
	}
}

// What is old in tmp goes; what is not stays, whatever its date.
func TestStaleTmp(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	unpack(t, filepath.Join(goldenDir, "plain.tar"), env.Home)
	tmp := filepath.Join(env.Home, "Maildir/tmp/1600000010.1243.mail.example.org")
	readBox(t, env, goldenName(env, ""), mailbox.ReadWrite)
	if _, err := os.Stat(tmp); err != nil {
		t.Errorf("a file of now, with the date of a message: %v", err)
	}
	now := env.Now().Add(staleTmp + time.Minute)
	env.Now = func() time.Time { return now }
	readBox(t, env, goldenName(env, ""), mailbox.ReadWrite)
	if _, err := os.Stat(tmp); !os.IsNotExist(err) {
		t.Errorf("a file of 36 hours ago: %v", err)
	}
}

// tree lists the files below a directory with their sizes and times.
func tree(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
		if err == nil {
			out = append(out, path+" "+fi.Mode().String()+" "+fi.ModTime().String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
