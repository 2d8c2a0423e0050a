package ops_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
)

const testdata = "../../testdata"

// session returns a session with the given golden files in its home directory.
func session(t *testing.T, files ...string) (*ops.Session, *mailbox.Env) {
	t.Helper()
	env := mailboxtest.NewEnv(t)
	for _, file := range files {
		b, err := os.ReadFile(filepath.Join(testdata, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(env.Home, filepath.Base(file)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &ops.Session{Env: env, Drivers: all.Drivers(env)}, env
}

func TestInspect(t *testing.T) {
	files := []string{"unix/after-pseudo.mbox", "mbx/flags.mbx", "mbx-corrupt/extra-crlf.mbx", "mbx-corrupt/lost-file-header.mbx", "mbx-corrupt/magic-damaged.mbx"}
	s, env := session(t, files...)
	good, err := os.ReadFile(filepath.Join(testdata, files[0]))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "junk": "junk\n", "nuls": "\x00\x00\x00\x00" + string(good), "garbled": "From a@b 1 Jan\nSubject: x\n\nx\n",
	} {
		if err := os.WriteFile(filepath.Join(env.Home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, driver string
		damages      int
	}{
		{"after-pseudo.mbox", "unix", 0},
		{"flags.mbx", "mbx", 0},
		{"extra-crlf.mbx", "mbx", 1},
		{"lost-file-header.mbx", "mbx", 1},
		{"magic-damaged.mbx", "mbx", 1},
		{"empty", "dummy", 0},
		{"junk", "phile", 0},
		{"nuls", "unix", 1},
		{"garbled", "unix", 1},
	} {
		found := 0
		in, err := s.Inspect(context.Background(), tt.name, func(f mailbox.Finding) error {
			if f.Severity == mailbox.Damage {
				found++
			}
			return nil
		})
		if err != nil || in.Driver != tt.driver || in.Damages != tt.damages || found != in.Damages {
			t.Errorf("%s: got %+v, %v, %d reported; want %s, %d damages", tt.name, in, err, found, tt.driver, tt.damages)
		}
	}
	if _, err := s.Inspect(context.Background(), "none", nil); !errors.Is(err, mailbox.ErrNotExist) {
		t.Errorf("no mailbox: got %v", err)
	}
}

// What the caller returns ends it; so does its context.
func TestInspectStops(t *testing.T) {
	s, _ := session(t, "mbx-corrupt/concatenated.mbx", "unix/foreign-base-bad.mbox")
	stop := errors.New("stop")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, name := range []string{"concatenated.mbx", "foreign-base-bad.mbox"} {
		calls := 0
		_, err := s.Inspect(context.Background(), name, func(mailbox.Finding) error {
			calls++
			return stop
		})
		if !errors.Is(err, stop) || calls != 1 {
			t.Errorf("%s: got %v after %d calls; want %v after 1", name, err, calls, stop)
		}
		if _, err := s.Inspect(ctx, name, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want %v", name, err, context.Canceled)
		}
	}
}

// A trace is all that looking at a file could change.
type trace struct {
	octets              string
	access, data, inode time.Time
	dirs                [2]string // names in the directories, and when they changed
}

// traceOf takes the times first: to read the octets changes them.
func traceOf(t *testing.T, env *mailbox.Env, name string) (tr trace) {
	t.Helper()
	path := filepath.Join(env.Home, name)
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	tr.access, tr.data, tr.inode = time.Unix(st.Atim.Unix()), time.Unix(st.Mtim.Unix()), time.Unix(st.Ctim.Unix())
	for i, dir := range []string{env.Home, env.LockDir} {
		fi, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		tr.dirs[i] = fmt.Sprint(fi.ModTime(), list)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|noAtime, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	tr.octets = string(b)
	return tr
}

// Inspect leaves no trace: no octet, no time stamp, no name.
func TestInspectWritesNothing(t *testing.T) {
	s, env := session(t, "unix/foreign-uid-missing.mbox", "mbx/recent-mixed.mbx", "mbx-corrupt/extra-crlf.mbx", "mbx-corrupt/magic-damaged.mbx")
	for _, name := range []string{"foreign-uid-missing.mbox", "recent-mixed.mbx", "extra-crlf.mbx", "magic-damaged.mbx"} {
		// Read long ago, written since: the next read would change the access time.
		old := time.Unix(1600000000, 0)
		if err := os.Chtimes(filepath.Join(env.Home, name), old, old.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		before := traceOf(t, env, name)
		if _, err := s.Inspect(context.Background(), name, nil); err != nil {
			t.Fatal(err)
		}
		if after := traceOf(t, env, name); after != before {
			t.Errorf("%s: got %+v\nwant %+v", name, after, before)
		}
	}
}

// Findings in a file that grows meanwhile may be due to that.
func TestInspectChanged(t *testing.T) {
	s, env := session(t, "mbx-corrupt/extra-crlf.mbx")
	grow := func(mailbox.Finding) error {
		f, err := os.OpenFile(filepath.Join(env.Home, "extra-crlf.mbx"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("more")
		return errors.Join(err, f.Close())
	}
	if _, err := s.Inspect(context.Background(), "extra-crlf.mbx", grow); !errors.Is(err, mailbox.ErrChanged) {
		t.Errorf("got %v, want %v", err, mailbox.ErrChanged)
	}
}
