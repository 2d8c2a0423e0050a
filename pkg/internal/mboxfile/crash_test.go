package mboxfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/mailbox"
)

// A writer is something that changes the mailbox "box".
type writer struct {
	name string
	file string      // golden file that is there before, "" for none
	to   mbox.Format // of the mailbox that is made where there is none
	do   func(d *Driver, n mailbox.Name) error
}

func inSession(change func(mb mailbox.Mailbox) error) func(*Driver, mailbox.Name) error {
	return func(d *Driver, n mailbox.Name) error {
		mb, err := d.Open(context.Background(), n, mailbox.ReadWrite)
		if err != nil {
			return err
		}
		return errors.Join(change(mb), mb.Close())
	}
}

func adding(o mailbox.AppendOptions, flags mailbox.Flags) func(*Driver, mailbox.Name) error {
	return func(d *Driver, n mailbox.Name) error {
		del, err := d.Append(context.Background(), n, o)
		if err != nil {
			return err
		}
		defer del.Abort()
		for i := range 3 {
			text := fmt.Sprintf("Subject: added %d\r\n\r\nbody %s\r\n", i, strings.Repeat("x", 300*i))
			it := mailbox.Item{Message: mailbox.Message{Size: int64(len(text)), Flags: flags}, Text: strings.NewReader(text)}
			if _, err := del.Add(it); err != nil {
				return err
			}
		}
		_, err = del.Commit()
		return err
	}
}

func writers() []writer {
	keyword := mailbox.AppendOptions{Keywords: []string{"$New"}}
	bearing := mailbox.Flags{System: mailbox.Seen, Keywords: 1}
	expunge := func(s mailbox.Set) func(*Driver, mailbox.Name) error {
		return inSession(func(mb mailbox.Mailbox) error { _, err := mb.Expunge(s); return err })
	}
	store := func(f mailbox.FlagList) func(*Driver, mailbox.Name) error {
		return inSession(func(mb mailbox.Mailbox) error { return mb.Store(mailbox.Range(2, 3), mailbox.Add, f) })
	}
	return []writer{
		{"append", "native-flags-append.mbox", mbox.Unix, adding(mailbox.AppendOptions{}, mailbox.Flags{})},
		{"append with a new keyword", "native-keywords.mbox", mbox.Unix, adding(keyword, bearing)},
		{"append to an open end", "foreign-no-final-newline.mbox", mbox.Unix, adding(mailbox.AppendOptions{}, mailbox.Flags{})},
		{"append to a torn header", "foreign-truncated-header.mbox", mbox.Unix, adding(mailbox.AppendOptions{}, mailbox.Flags{})},
		{"new", "", mbox.Unix, adding(mailbox.AppendOptions{New: true, Keywords: []string{"k"}}, bearing)},
		{"create", "", mbox.Unix, func(d *Driver, n mailbox.Name) error { return d.Create(context.Background(), n) }},
		{"flags", "native-flags-append.mbox", mbox.Unix, store(mailbox.FlagList{System: mailbox.Flagged})},
		{"keyword", "native-pseudo-3msgs.mbox", mbox.Unix, store(mailbox.FlagList{Keywords: []string{"$Later"}})},
		{"expunge the first", "native-flags-append.mbox", mbox.Unix, expunge(mailbox.One(1))},
		{"expunge some", "native-pseudo-3msgs.mbox", mbox.Unix, expunge(mailbox.One(2))},
		{"expunge the last", "native-flags-append.mbox", mbox.Unix, expunge(mailbox.One(8))},
		{"expunge all", "native-flags-append.mbox", mbox.Unix, expunge(mailbox.All)},
		{"close", "foreign-from-variants.mbox", mbox.Unix, inSession(func(mailbox.Mailbox) error { return nil })},
		{"close, with CRs", "foreign-crlf.mbox", mbox.Unix, inSession(func(mailbox.Mailbox) error { return nil })},
		{"mmdf: append", "native-flags-append.mmdf", mbox.MMDF, adding(mailbox.AppendOptions{}, mailbox.Flags{})},
		{"mmdf: append with a new keyword", "native-keywords.mmdf", mbox.MMDF, adding(keyword, bearing)},
		{"mmdf: append without a delimiter before", "foreign-no-final-delimiter.mmdf", mbox.MMDF, adding(mailbox.AppendOptions{}, mailbox.Flags{})},
		{"mmdf: new", "", mbox.MMDF, adding(mailbox.AppendOptions{New: true, Keywords: []string{"k"}}, bearing)},
		{"mmdf: create", "", mbox.MMDF, func(d *Driver, n mailbox.Name) error { return d.Create(context.Background(), n) }},
		{"mmdf: flags", "native-flags-append.mmdf", mbox.MMDF, store(mailbox.FlagList{System: mailbox.Flagged})},
		{"mmdf: keyword", "native-pseudo-3msgs.mmdf", mbox.MMDF, store(mailbox.FlagList{Keywords: []string{"$Later"}})},
		{"mmdf: expunge the first", "native-flags-append.mmdf", mbox.MMDF, expunge(mailbox.One(1))},
		{"mmdf: expunge some", "native-pseudo-3msgs.mmdf", mbox.MMDF, expunge(mailbox.One(2))},
		{"mmdf: expunge all", "native-flags-append.mmdf", mbox.MMDF, expunge(mailbox.All)},
		{"mmdf: close", "foreign-shared-delimiter.mmdf", mbox.MMDF, inSession(func(mailbox.Mailbox) error { return nil })},
		{"mmdf: close, with CRs", "foreign-crlf-inside.mmdf", mbox.MMDF, inSession(func(mailbox.Mailbox) error { return nil })},
	}
}

// box puts the mailbox of w into the home of env.
func (w writer) box(t *testing.T, env *mailbox.Env) mailbox.Name {
	n := mailbox.Name{Text: "box", Path: filepath.Join(env.Home, "box")}
	if w.file == "" {
		return n
	}
	return putBytes(t, env, "box", readFile(t, w.file))
}

// driver is the driver of the mailbox of w.
func (w writer) driver(t *testing.T, env *mailbox.Env, fsys fsx.FS) *Driver {
	f := w.to
	if w.file != "" {
		f = formatOf(readFile(t, w.file))
	}
	d := New(f, env)
	d.FS = fsys
	return d
}

// states returns what the mailbox holds before and after w.
func (w writer) states(t *testing.T) (before, after []goldenMessage) {
	env, _ := goldenEnv(t)
	n := w.box(t, env)
	before = look(t, env, n)
	if err := w.do(w.driver(t, env, fsx.OS{}), n); err != nil {
		t.Fatal(err)
	}
	return before, look(t, env, n)
}

// look opens a mailbox as the next user would and reads it. UIDs and Recent
// may be made up by each session, and line ends be added at the end: they are
// left out.
func look(t *testing.T, env *mailbox.Env, n mailbox.Name) []goldenMessage {
	t.Helper()
	is, err := driverOf(t, env, n).Probe(n)
	if err != nil {
		t.Fatal(err)
	}
	if !is {
		if fi, err := os.Stat(n.Path); err == nil && fi.Size() > 0 {
			t.Fatalf("not a mailbox any more, %d octets", fi.Size())
		}
		return nil
	}
	mb := open(t, env, n, mailbox.ReadOnly)
	defer mb.Close()
	msgs := messages(t, mb)
	for i := range msgs {
		msgs[i].UID, msgs[i].Flags = 0, noRecent(msgs[i].Flags)
	}
	return msgs
}

func sameMail(a, b []goldenMessage) bool {
	return slices.EqualFunc(a, b, func(x, y goldenMessage) bool { return cmp.Equal(x, y, equateEmpty) })
}

// shortWriters are those that run in short mode: all of unix, and of mmdf what
// it does in a way of its own.
func shortWriters() []writer {
	all := writers()
	if !testing.Short() {
		return all
	}
	return slices.DeleteFunc(all, func(w writer) bool {
		return w.to == mbox.MMDF && !strings.Contains(w.name, "append") && !strings.Contains(w.name, "some") && !strings.HasSuffix(w.name, "close")
	})
}

func TestCrash(t *testing.T) {
	for _, w := range shortWriters() {
		t.Run(w.name, func(t *testing.T) {
			before, after := w.states(t)
			env, _ := goldenEnv(t)
			env.LockDir = t.TempDir()
			n := w.box(t, env)
			rec := fsxtest.Record(t, env.Home)
			if err := w.do(w.driver(t, env, rec), n); err != nil {
				t.Fatal(err)
			}
			rec.Crashes(t, func(t *testing.T, dir string, done bool) {
				env := *env
				env.Home, env.LockDir = dir, t.TempDir()
				n := mailbox.Name{Text: "box", Path: filepath.Join(dir, "box")}
				got := look(t, &env, n)
				if !sameMail(got, after) && (done || !sameMail(got, before)) {
					t.Fatalf("neither old nor new (-new +got):\n%s", cmp.Diff(after, got, equateEmpty))
				}
				again(t, w, &env, n, got, before, after)
			})
		})
	}
}

// again runs what was interrupted once more where it had not been done: it
// must come to the same end.
func again(t *testing.T, w writer, env *mailbox.Env, n mailbox.Name, got, before, after []goldenMessage) {
	t.Helper()
	if _, err := os.Stat(n.Path); w.file == "" && err == nil || sameMail(got, after) {
		return
	}
	if err := w.do(w.driver(t, env, fsx.OS{}), n); err != nil {
		t.Fatalf("again: %v", err)
	}
	if got := look(t, env, n); !sameMail(got, after) {
		t.Fatalf("again (-new +got):\n%s", cmp.Diff(after, got, equateEmpty))
	}
}

func TestFaults(t *testing.T) {
	for i, w := range shortWriters() {
		for k, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO, syscall.EINTR} {
			if testing.Short() && k != i%3 {
				continue
			}
			t.Run(fmt.Sprintf("%s, %v", w.name, errno), func(t *testing.T) {
				before, after := w.states(t)
				for n := 1; ; n++ {
					if !w.fault(t, n, errno, before, after) {
						break
					}
				}
			})
		}
	}
}

// fault runs w with its n-th call failing; false when it has fewer calls.
func (w writer) fault(t *testing.T, n int, errno syscall.Errno, before, after []goldenMessage) bool {
	env, _ := goldenEnv(t)
	env.LockDir = t.TempDir()
	name := w.box(t, env)
	bad := &fsxtest.Faulty{FS: fsx.OS{}, N: n, Err: errno, Sticky: errno == syscall.ENOSPC}
	err := w.do(w.driver(t, env, bad), name)
	if !bad.Fired() {
		return false
	}
	got := look(t, env, name)
	switch {
	case sameMail(got, after):
	case err == nil:
		t.Fatalf("call %d: success, but (-new +got):\n%s", n, cmp.Diff(after, got, equateEmpty))
	case !sameMail(got, before):
		t.Fatalf("call %d: %v: neither old nor new (-new +got):\n%s", n, err, cmp.Diff(after, got, equateEmpty))
	case errors.Is(err, journal.ErrUnfinished):
		t.Fatalf("call %d: %v, but old", n, err)
	}
	return true
}
