package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// lazy is the real file system without its slow part: what is durable, the
// Recorder knows.
type lazy struct{ fsx.OS }

type lazyFile struct{ fsx.File }

func (lazy) SyncDir(string) error { return nil }
func (lazyFile) Sync() error      { return nil }
func lazily(d *Driver) *Driver    { return &Driver{env: d.env, fs: lazy{}} }

func (l lazy) OpenFile(name string, flag int, perm fs.FileMode) (fsx.File, error) {
	f, err := l.OS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return lazyFile{f}, nil
}

// A writer is something that changes the Maildir of a golden archive, or the
// mailbox "new" beside it.
type writer struct {
	name    string
	archive string
	at      string // mailbox that is looked at: "Maildir" or "new"
	do      func(d *Driver, box, fresh mailbox.Name) error
}

func inSession(change func(mb mailbox.Mailbox) error) func(*Driver, mailbox.Name, mailbox.Name) error {
	return func(d *Driver, n, _ mailbox.Name) error {
		mb, err := d.Open(context.Background(), n, mailbox.ReadWrite)
		if err != nil {
			return err
		}
		if mb.Status().ReadOnly {
			return errors.Join(mailbox.ErrReadOnly, mb.Close())
		}
		return errors.Join(change(mb), mb.Close())
	}
}

func store(s mailbox.Set, f mailbox.FlagList) func(*Driver, mailbox.Name, mailbox.Name) error {
	return inSession(func(mb mailbox.Mailbox) error { return mb.Store(s, mailbox.Add, f) })
}

func expunge(s mailbox.Set) func(*Driver, mailbox.Name, mailbox.Name) error {
	return inSession(func(mb mailbox.Mailbox) error {
		_, err := mb.Expunge(s)
		return err
	})
}

func adding(d *Driver, n mailbox.Name, o mailbox.AppendOptions, count int, f mailbox.Flags) error {
	del, err := d.Append(context.Background(), n, o)
	if err != nil {
		return err
	}
	for i := range count {
		text := fmt.Sprintf("Subject: added %d\r\n\r\n%s", i, strings.Repeat("a line\r\n", i*200))
		it := mailbox.Item{Message: mailbox.Message{Size: int64(len(text)), UID: uint32(i + 10)}, Text: strings.NewReader(text)}
		if i%2 == 1 {
			it.Flags = f
		}
		if _, err := del.Add(it); err != nil {
			return errors.Join(err, del.Abort())
		}
	}
	_, err = del.Commit()
	return errors.Join(err, del.Abort())
}

func writers() []writer {
	bearing := mailbox.Flags{System: mailbox.Seen, Keywords: 1}
	add := func(o mailbox.AppendOptions, count int) func(*Driver, mailbox.Name, mailbox.Name) error {
		return func(d *Driver, n, fresh mailbox.Name) error {
			if o.New {
				n = fresh
			}
			return adding(d, n, o, count, bearing)
		}
	}
	return []writer{
		{"append one", "dovecot", "Maildir", add(mailbox.AppendOptions{}, 1)},
		{"append several", "dovecot", "Maildir", add(mailbox.AppendOptions{Keywords: []string{"work"}}, 3)},
		{"append with a new keyword", "dovecot", "Maildir", add(mailbox.AppendOptions{Keywords: []string{"New"}}, 2)},
		{"append to Courier's", "courier", "Maildir", add(mailbox.AppendOptions{Keywords: []string{"New"}}, 2)},
		{"new", "dovecot", "new", add(mailbox.AppendOptions{New: true, Keywords: []string{"k"}}, 3)},
		{"new with UIDs", "dovecot", "new", add(mailbox.AppendOptions{New: true, UIDValidity: 77}, 2)},
		{"append from a Maildir", "dovecot", "Maildir", fromUnsynced(mailbox.AppendOptions{})},
		{"new from a Maildir", "dovecot", "new", fromUnsynced(mailbox.AppendOptions{New: true})},
		{"create", "dovecot", "new", func(d *Driver, _, fresh mailbox.Name) error { return d.Create(context.Background(), fresh) }},
		{"flag of one", "dovecot", "Maildir", store(mailbox.One(2), mailbox.FlagList{System: mailbox.Draft})},
		{"flags", "dovecot", "Maildir", store(mailbox.All, mailbox.FlagList{System: mailbox.Flagged | mailbox.Answered})},
		{"keyword", "dovecot", "Maildir", store(mailbox.Range(1, 3), mailbox.FlagList{Keywords: []string{"$Later"}})},
		{"keyword of Courier's", "courier", "Maildir", store(mailbox.One(3), mailbox.FlagList{Keywords: []string{"$Later"}})},
		{"expunge one", "dovecot", "Maildir", expunge(mailbox.One(1))},
		{"expunge some", "dovecot", "Maildir", expunge(mailbox.Range(2, 4))},
		{"expunge all", "dovecot", "Maildir", expunge(mailbox.All)},
		{"give UIDs", "plain", "Maildir", inSession(func(mailbox.Mailbox) error { return nil })},
		{"delete", "dovecot", "Maildir/.Archive", func(d *Driver, n, _ mailbox.Name) error {
			n.Path += "/Archive"
			return d.Delete(context.Background(), n)
		}},
		{"rename", "courier", "Maildir/.Archive.2024", func(d *Driver, n, fresh mailbox.Name) error {
			n.Path += "/Archive/2024"
			fresh.Path = filepath.Dir(fresh.Path) + "/Maildir/Other/Place"
			return d.Rename(context.Background(), n, fresh)
		}},
	}
}

// place returns the names that a writer works on.
func (w writer) places(home string) (box, fresh, at mailbox.Name) {
	named := func(s string) mailbox.Name { return mailbox.Name{Text: s, Path: filepath.Join(home, s)} }
	return named("Maildir"), named("new"), named(w.at)
}

// lookAt reads a mailbox as the next user would; nothing where there is none.
// Dates are left out, which the recorder does not keep, and Recent.
func (w writer) lookAt(t *testing.T, env *mailbox.Env) (g goldenBox) {
	t.Helper()
	_, _, at := w.places(env.Home)
	if is, err := lazily(New(env)).Probe(at); !is || err != nil {
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	g = readWith(t, lazily(New(env)), at, mailbox.ReadOnly)
	g.Path = "is there"
	g.UIDValidity = 0
	for i := range g.Messages {
		g.Messages[i].InternalDate, g.Messages[i].Recent = "", false
	}
	if used := g.used(); w.name != "create" && !strings.HasPrefix(w.name, "new") { // unused names may come before the mail
		g.Keywords = used
	}
	return g
}

func (g goldenBox) used() (out []string) {
	for _, m := range g.Messages {
		out = append(out, m.Keywords...)
	}
	return out
}

func sameBox(a, b goldenBox) bool { return cmp.Equal(a, b, cmpopts.EquateEmpty()) }

func (w writer) env(t *testing.T) *mailbox.Env {
	env := mailboxtest.NewEnv(t)
	env.Notify = func(mailbox.Level, string) {}
	unpack(t, filepath.Join(goldenDir, w.archive+".tar"), env.Home)
	// What is not looked at only takes time.
	others, err := filepath.Glob(env.Home + "/Maildir/.[A-Za-z&]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range others {
		if !strings.HasSuffix(dir, "/"+filepath.Base(w.at)) {
			os.RemoveAll(dir)
		}
	}
	return env
}

// states returns what the mailbox holds before and after w.
func (w writer) states(t *testing.T) (before, after goldenBox) {
	env := w.env(t)
	box, fresh, _ := w.places(env.Home)
	before = w.lookAt(t, env)
	if err := w.do(lazily(New(env)), box, fresh); err != nil {
		t.Fatal(err)
	}
	after = w.lookAt(t, env)
	if sameBox(before, after) && w.name != "give UIDs" {
		t.Fatal("nothing changes")
	}
	return before, after
}

// inMemory has the thousands of mailboxes made in memory, where that can be:
// what a power cut leaves of them is not up to the file system here.
func inMemory(t *testing.T) {
	if dir, err := os.MkdirTemp("/dev/shm", "mailutil-*"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		t.Setenv("TMPDIR", dir)
	}
}

func TestCrash(t *testing.T) {
	inMemory(t)
	for _, w := range writers() {
		t.Run(w.name, func(t *testing.T) {
			before, after := w.states(t)
			env := w.env(t)
			box, fresh, _ := w.places(env.Home)
			rec := fsxtest.Record(t, env.Home)
			if err := w.do(&Driver{env: env, fs: rec}, box, fresh); err != nil {
				t.Fatal(err)
			}
			rec.Crashes(t, func(t *testing.T, dir string, done bool) {
				env := *env
				env.Home = dir
				got := w.lookAt(t, &env)
				if !sameBox(got, after) && (done || !sameBox(got, before)) {
					t.Fatalf("neither old nor new (-new +got):\n%s", cmp.Diff(after, got, cmpopts.EquateEmpty()))
				}
				if sameBox(got, after) {
					return
				}
				box, fresh, _ := w.places(dir)
				if err := w.do(lazily(New(&env)), box, fresh); err != nil {
					t.Fatalf("again: %v", err)
				}
				if got := w.lookAt(t, &env); !sameBox(got, after) {
					t.Fatalf("again (-new +got):\n%s", cmp.Diff(after, got, cmpopts.EquateEmpty()))
				}
			})
		})
	}
}

func TestFaults(t *testing.T) {
	inMemory(t)
	for _, w := range writers() {
		errnos := []syscall.Errno{syscall.EIO, syscall.ENOSPC}
		if testing.Short() {
			errnos = errnos[:1]
		}
		for _, errno := range errnos {
			t.Run(fmt.Sprintf("%s, %v", w.name, errno), func(t *testing.T) {
				before, after := w.states(t)
				for n := 1; w.fault(t, n, errno, before, after); n++ {
				}
			})
		}
	}
}

// fault runs w with its n-th call failing; false when it has fewer calls.
func (w writer) fault(t *testing.T, n int, errno syscall.Errno, before, after goldenBox) bool {
	env := w.env(t)
	defer os.RemoveAll(env.Home)
	box, fresh, _ := w.places(env.Home)
	bad := &fsxtest.Faulty{FS: lazy{}, N: n, Err: errno, Sticky: errno == syscall.ENOSPC}
	err := w.do(&Driver{env: env, fs: bad}, box, fresh)
	if !bad.Fired() {
		return false
	}
	got := w.lookAt(t, env)
	switch {
	case sameBox(got, after):
	case err == nil:
		t.Fatalf("call %d: success, but (-new +got):\n%s", n, cmp.Diff(after, got, cmpopts.EquateEmpty()))
	case !sameBox(got, before):
		t.Fatalf("call %d: %v: neither old nor new (-new +got):\n%s", n, err, cmp.Diff(after, got, cmpopts.EquateEmpty()))
	case errors.Is(err, errUnfinished) && w.archive != "courier": // where its keywords may be ours and the mail not there
		t.Fatalf("call %d: %v, but old", n, err)
	}
	if strings.HasPrefix(w.name, "append") && err != nil && sameBox(got, after) {
		t.Fatalf("call %d: %v, but the mail is there", n, err)
	}
	return true
}
