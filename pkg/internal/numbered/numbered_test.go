package numbered

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
)

func TestNumber(t *testing.T) {
	for name, want := range map[string]uint32{
		"1": 1, "10": 10, "2147483647": MaxNumber,
		"0": 0, "": 0, "01": 0, "007": 0, "2147483648": 0, "4294967296": 0, "99999999999999999999": 0, "-1": 0, "+1": 0, "1a": 0, " 1": 0, ".1": 0, ",1": 0,
	} {
		if got, ok := Number(name); got*b2u(ok) != want || ok != (want > 0) {
			t.Errorf("%q: got %d, %v, want %d", name, got, ok, want)
		}
	}
}

func TestBadName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": false, "12": true, "a/45/b": true, "1/": true, "a/b1": false, "#mh/12": true, "#mh/a/7/b": true,
		"/home/1000/x": false, "/home/1000": true, "./2024/x": false, "./2024": true, "~/2024/": true, "~12/x": false,
	} {
		if got := BadName(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

func b2u(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// TestList sorts the names of a directory.
func TestList(t *testing.T) {
	d := Dir{fsx.OS{}, t.TempDir()}
	for _, name := range []string{"2", "10", "1", "007", "x", ".x", ",3", ".mailutil-plan", ".mailutil-a.1", ".mailutil-a.12"} {
		if err := os.WriteFile(filepath.Join(d.Path, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for old, name := range map[string]string{"2": "5", "none": "6", ".": "7"} {
		if err := os.Symlink(old, filepath.Join(d.Path, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(d.Path, "8"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(l.Numbers, len(l.Strays), len(l.Hidden), l.Plan, l.staged("a")); got != "[1 2 5 10] 4 2 true [1 12]" {
		t.Errorf("got %s, %+v", got, l)
	}
}

// nobody keeps nothing.
type nobody struct{}

func (nobody) Placed([]byte, uint32, uint32, uint32) error { return nil }
func (nobody) Removed([]uint32) error                      { return nil }

// TestPutBack finishes an expunge that was not decided, though somebody has
// taken a number meanwhile.
func TestPutBack(t *testing.T) {
	d := Dir{fsxtest.Unsynced{}, t.TempDir()}
	for name, text := range map[string]string{
		"1": "one", "3": "theirs", ".mailutil-tag.3": "three", ".mailutil-tag.2": "two", ".mailutil-plan": "mailutil plan 1\nundo tag\nend\n",
	} {
		if err := os.WriteFile(filepath.Join(d.Path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	did, err := d.Finish(nobody{})
	if err != nil || did == "" {
		t.Fatal(did, err)
	}
	var got []string
	entries, _ := os.ReadDir(d.Path)
	for _, e := range entries {
		text, _ := os.ReadFile(filepath.Join(d.Path, e.Name()))
		got = append(got, e.Name()+" "+string(text))
	}
	if want := "1 one, 2 two, 3 theirs, 4 three"; strings.Join(got, ", ") != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if did, err := d.Finish(nobody{}); did != "" || err != nil {
		t.Errorf("again: %s, %v", did, err)
	}
}

func TestCreateDirInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "box")
	n, err := CreateDir(fsx.OS{}, path, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CreateDir(fsx.OS{}, path, 0o700); !errors.Is(err, fsx.ErrInUse) {
		t.Errorf("while another makes it: got %v, want %v", err, fsx.ErrInUse)
	}
	n.held.Close() // as if it were killed
	if err := os.WriteFile(filepath.Join(n.Path, "1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := CreateDir(fsx.OS{}, path, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(again.Publish(), again.Abort()); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(path); len(entries) != 0 || err != nil {
		t.Errorf("got %v, %v", entries, err)
	}
	if _, err := CreateDir(fsx.OS{}, path, 0o700); !errors.Is(err, fs.ErrExist) {
		t.Errorf("where one is: got %v, want %v", err, fs.ErrExist)
	}
}

// A message that is cut while it is read is an error, not a shorter message; a
// fifo in its place does not make us wait.
func TestTextsChanged(t *testing.T) {
	d := Dir{fsx.OS{}, t.TempDir()}
	s := Stage{Dir: d, Mode: 0o640}
	now := time.Unix(1e9, 0)
	size, err := s.Add(1, now, now, func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Repeat("a line\n", 100_000))
		return err
	})
	if err = errors.Join(err, s.Sync(), s.PlaceOne(7)); err != nil || size != 700_000 {
		t.Fatal(size, err)
	}
	fi, err := os.Stat(d.File(7))
	if err != nil || !fi.ModTime().Equal(now) || fi.Mode() != 0o640 {
		t.Fatal(fi, err)
	}
	texts := Texts{Dir: d, CRLF: true}
	defer texts.Close()
	c, err := texts.Open(7)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.File(7), 200_000); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); !errors.Is(err, mailbox.ErrChanged) {
		t.Errorf("got %v, want %v", err, mailbox.ErrChanged)
	}
	if _, err := texts.Open(8); !errors.Is(err, mailbox.ErrChanged) {
		t.Errorf("a message that is not there: got %v, want %v", err, mailbox.ErrChanged)
	}
}

// FuzzPlan reads any plan; one that is read is written as it was.
func FuzzPlan(f *testing.F) {
	for _, s := range []string{
		"", "mailutil plan 1\nadd 1-2-3 7 1\n.: 1 3\nend\n", "mailutil plan 1\nremove t\nend\n", "mailutil plan 1\nundo a/b\nend\n",
		"mailutil plan 1\nadd t 99999999999 1\nend\n", "mailutil plan 1\nadd t 1 1\nend", "mailutil plan 2\nundo t\nend\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parsePlan(b)
		if !ok {
			return
		}
		again, ok := parsePlan(p.print())
		if !ok || fmt.Sprint(again) != fmt.Sprint(p) || strings.ContainsAny(p.Tag, "/\n ") {
			t.Errorf("%q: read %+v, then %+v, %v", b, p, again, ok)
		}
	})
}
