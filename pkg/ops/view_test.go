package ops_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
	"mailutil/pkg/search"
)

// reader is a session in an empty home directory.
func reader(t *testing.T) *ops.Session {
	t.Helper()
	home := t.TempDir()
	env := &mailbox.Env{
		User: "alice", Home: home, Spool: filepath.Join(home, "spool"), Host: "hh", Dir: home, LockTimeout: -1,
		Now: time.Now, Notify: func(mailbox.Level, string) {}, LockDir: home, StateDir: filepath.Join(home, "state"),
		Config: mailbox.DefaultConfig(),
	}
	return &ops.Session{Env: env, Drivers: all.Drivers(env)}
}

func view(t *testing.T, s *ops.Session, name string, f ops.Filter) *ops.View {
	t.Helper()
	v, err := s.View(context.Background(), name, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// What cat prints with --crlf has the size that the index says, and without it
// each line end less one octet.
func TestCatIsExact(t *testing.T) {
	files, err := filepath.Glob("../../testdata/*/*.mb*")
	if err != nil || len(files) == 0 {
		t.Fatal("no mailboxes", err)
	}
	for _, file := range files {
		if strings.Contains(file, "corrupt") {
			continue
		}
		s := reader(t)
		copyTo(t, file, filepath.Join(s.Env.Home, "box"))
		v, err := s.View(context.Background(), "box", ops.Filter{})
		if err != nil {
			continue // what no driver opens, the drivers' own tests say
		}
		for m, err := range v.Messages(context.Background()) {
			if err != nil {
				t.Errorf("%s: %v", file, err)
				break
			}
			var wire, lines bytes.Buffer
			if err := v.WriteText(&wire, m, ops.CatOptions{CRLF: true}); err != nil || int64(wire.Len()) != m.Size {
				t.Errorf("%s, message %d: %d octets, %v, want %d", file, m.Seq, wire.Len(), err, m.Size)
			}
			if err := v.WriteText(&lines, m, ops.CatOptions{}); err != nil {
				t.Errorf("%s, message %d: %v", file, m.Seq, err)
			}
			text := wire.String()
			if !strings.Contains(text, "\r\r") && lines.String() != strings.ReplaceAll(text, "\r\n", "\n") {
				t.Errorf("%s, message %d: with LF %q, with CR LF %q", file, m.Seq, lines.String(), text)
			}
		}
		v.Close()
	}
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// All corpora can be listed, searched and printed.
func TestReadCorpora(t *testing.T) {
	dir := os.Getenv("MAILUTIL_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	criteria, err := search.Parse("text nowhere-to-be-found", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	err = filepath.WalkDir(filepath.Join(dir, "corpora"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		s := reader(t)
		for _, f := range []ops.Filter{{}, {Criteria: criteria}, {Octets: []byte("nowhere-to-be-found")}} {
			v, err := s.View(context.Background(), path, f)
			if err != nil {
				return nil // the drivers' own tests say which
			}
			for e, err := range v.List(context.Background(), "From", "Subject") {
				if err == nil {
					var b bytes.Buffer
					err = v.WriteText(&b, e.Message, ops.CatOptions{CRLF: true})
				}
				if err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
			if err := v.Close(); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			read++
		}
		return nil
	})
	if err != nil || read == 0 {
		t.Skip("no corpora: ", err)
	}
}

// Octets are found across the pieces in which a text is read.
func TestOctetsAreFoundAcrossPieces(t *testing.T) {
	if !ops.FindOctets(iotest.OneByteReader(strings.NewReader("abcabcd")), "abcd") {
		t.Error("abcd is in abcabcd")
	}
	if ops.FindOctets(iotest.OneByteReader(strings.NewReader("abcabc")), "abcd") {
		t.Error("abcd is not in abcabc")
	}
}

func TestCatFileNeverOverwrites(t *testing.T) {
	s := reader(t)
	copyTo(t, "../../testdata/mail/src", filepath.Join(s.Env.Home, "src"))
	dir := filepath.Join(s.Env.Home, "out")
	v := view(t, s, "src", ops.Filter{})
	m := mailbox.Message{}
	for m = range v.Messages(context.Background()) {
		break
	}
	path, err := v.CatFile(dir, m, ops.CatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := v.CatFile(dir, m, ops.CatOptions{}); !os.IsExist(err) {
		t.Errorf("got %v, want a file that exists", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "mine" {
		t.Errorf("the file is %q now", b)
	}
}
