package mix

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
)

// A writing is something that writers do to a mailbox.
type writing struct {
	name  string
	setup func(w *world) mailbox.Name
	do    func(w *world, n mailbox.Name) error
	mixed bool // some messages may be changed and others not, keywords before flags
	twice bool // messages may be there twice
	left  bool // what a failure leaves is for the next session
	long  bool // too much for a short test
}

func golden(name string) func(w *world) mailbox.Name {
	return func(w *world) mailbox.Name { return w.golden(name) }
}

var text = strings.Repeat("Many octets, so that they do not fit into a sector.\r\n", 40)

func twoItems() []mailbox.Item {
	one, two := item(text), item(text[:70])
	one.Flags.Keywords, two.Flags.System = 1, mailbox.Seen
	return []mailbox.Item{one, two}
}

// session does something in a read-write session.
func session(w *world, n mailbox.Name, do func(b mailbox.Mailbox) error) (err error) {
	b, err := w.Open(context.Background(), n, mailbox.ReadWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return do(b)
}

func nothing(mailbox.Mailbox) error { return nil }

func expunge(seqs ...uint32) func(mailbox.Mailbox) error {
	var s mailbox.Set
	for _, seq := range seqs {
		s.Add(seq)
	}
	return func(b mailbox.Mailbox) error {
		_, err := b.Expunge(s)
		return err
	}
}

// shared does something while another session has the mailbox open.
func shared(do func(mailbox.Mailbox) error) func(w *world, n mailbox.Name) error {
	return func(w *world, n mailbox.Name) error {
		other, err := New(w.env, nil).Open(context.Background(), n, mailbox.ReadOnly)
		if err != nil {
			return err
		}
		return errors.Join(session(w, n, do), other.Close())
	}
}

// full makes a mailbox of which the data file for new mail is full.
func full(w *world) mailbox.Name {
	n := w.golden("basic")
	if err := deliver(w, n, mailbox.AppendOptions{}, item(strings.Repeat(text, fullFile/len(text)))); err != nil {
		w.t.Fatal(err)
	}
	return n
}

var writings = []writing{
	{name: "append", setup: golden("basic"), do: func(w *world, n mailbox.Name) error {
		return deliver(w, n, mailbox.AppendOptions{}, twoItems()...)
	}},
	{name: "append to an empty mailbox", setup: golden("empty"), do: func(w *world, n mailbox.Name) error {
		return deliver(w, n, mailbox.AppendOptions{}, twoItems()...)
	}},
	{name: "append with keywords", long: true, setup: golden("basic"), do: func(w *world, n mailbox.Name) error {
		return deliver(w, n, mailbox.AppendOptions{Keywords: []string{"Fresh"}}, twoItems()...)
	}},
	{name: "append to the next file", long: true, setup: full, do: func(w *world, n mailbox.Name) error {
		return deliver(w, n, mailbox.AppendOptions{}, twoItems()...)
	}},
	{
		name: "new", setup: func(w *world) mailbox.Name { return w.name("new") },
		do: func(w *world, n mailbox.Name) error {
			return deliver(w, n, mailbox.AppendOptions{New: true, Keywords: []string{"Fresh"}}, twoItems()...)
		},
	},
	{
		name: "new in a directory", setup: func(w *world) mailbox.Name {
			w.golden("dual")
			return w.name("dual/folder")
		},
		do: func(w *world, n mailbox.Name) error {
			return deliver(w, n, mailbox.AppendOptions{New: true, Keywords: []string{"Fresh"}}, twoItems()...)
		},
	},
	{name: "first session", setup: golden("fresh"), mixed: true, do: func(w *world, n mailbox.Name) error {
		return session(w, n, nothing)
	}},
	{name: "store", setup: golden("basic"), mixed: true, do: func(w *world, n mailbox.Name) error {
		return session(w, n, func(b mailbox.Mailbox) error {
			return b.Store(mailbox.Range(1, 4), mailbox.Replace, mailbox.FlagList{System: mailbox.Draft, Keywords: []string{"Fresh"}})
		})
	}},
	{name: "store without status", long: true, setup: golden("status-empty"), do: func(w *world, n mailbox.Name) error {
		return session(w, n, func(b mailbox.Mailbox) error {
			return b.Store(mailbox.Range(1, 4), mailbox.Replace, mailbox.FlagList{System: mailbox.Draft})
		})
	}},
	{name: "expunge", setup: golden("basic"), do: func(w *world, n mailbox.Name) error {
		return session(w, n, expunge(1, 4))
	}},
	{name: "expunge the last", setup: golden("basic"), do: func(w *world, n mailbox.Name) error {
		return session(w, n, expunge(5, 6))
	}},
	{name: "expunge all", long: true, setup: golden("basic"), do: func(w *world, n mailbox.Name) error {
		return session(w, n, expunge(1, 2, 3, 4, 5, 6))
	}},
	{name: "expunge in two files", long: true, setup: func(w *world) mailbox.Name {
		n := full(w)
		if err := deliver(w, n, mailbox.AppendOptions{}, twoItems()...); err != nil {
			w.t.Fatal(err)
		}
		return n
	}, do: func(w *world, n mailbox.Name) error { return session(w, n, expunge(1, 3, 7, 8)) }},
	{name: "expunge while shared", setup: golden("basic"), left: true, do: shared(expunge(1, 4, 6))},
	{name: "reclaim", setup: golden("unburped"), left: true, do: func(w *world, n mailbox.Name) error {
		return session(w, n, nothing)
	}},
	{name: "UIDLAST", setup: golden("uidlast-low"), left: true, do: func(w *world, n mailbox.Name) error {
		return session(w, n, nothing)
	}},
	{name: "rename", setup: golden("dual"), do: func(w *world, n mailbox.Name) error {
		return w.Rename(context.Background(), n, w.name("d/new"))
	}},
	{name: "delete", setup: golden("basic"), left: true, do: func(w *world, n mailbox.Name) error {
		return w.Delete(context.Background(), n)
	}},
	{name: "delete above others", long: true, setup: golden("dual"), left: true, do: func(w *world, n mailbox.Name) error {
		return w.Delete(context.Background(), n)
	}},
	{
		name: "rename INBOX", twice: true, left: true, setup: func(w *world) mailbox.Name {
			n := w.golden("dual")
			if err := os.Rename(n.Path, filepath.Join(w.home, "INBOX")); err != nil {
				w.t.Fatal(err)
			}
			return mailbox.Name{Text: "INBOX", Inbox: true}
		},
		do: func(w *world, n mailbox.Name) error { return w.Rename(context.Background(), n, w.name("old")) },
	},
}

// hasty does not wait for the disk: what is only looked at may be lost.
type hasty struct{ fsx.OS }

type hastyFile struct{ fsx.File }

func (hastyFile) Sync() error { return nil }

func (h hasty) OpenFile(name string, flag int, perm fs.FileMode) (fsx.File, error) {
	f, err := h.OS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return hastyFile{f}, nil
}

func (hasty) SyncDir(string) error { return nil }

// tell tells every message of every mailbox in a directory. It opens them for
// writing where the state is one that an interruption left.
func tell(t *testing.T, dir string, m mailbox.Mode) (out []string) {
	w := newWorldAt(t, dir)
	w.FS = hasty{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() || strings.HasSuffix(path, ".new") {
			return err
		}
		n := mailbox.Name{Text: path, Path: path}
		if ok, err := w.Probe(n); !ok || err != nil {
			return err
		}
		mb, err := w.Open(context.Background(), n, m)
		if err != nil {
			return err
		}
		for m := range mb.Messages(mailbox.All) {
			g := observe(t, mb.(*box), m)
			digest := "-"
			if g.SHA256 != nil {
				digest = (*g.SHA256)[:8]
			}
			out = append(out, fmt.Sprintf("%d %s %s. %s. %d-%s", g.UID, g.Date, strings.Join(g.Flags, "+"), strings.Join(g.Keywords, "+"), g.Size, digest))
		}
		return mb.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range w.heard {
		if !strings.HasPrefix(said, "finished an interrupted change") && !strings.Contains(said, "was interrupted, and none of them is there") &&
			!strings.HasPrefix(said, "Truncated mix index record: ") && !strings.HasPrefix(said, "Truncated mix status record: ") &&
			!strings.HasPrefix(said, "Error in mix status file message record: ") && !strings.HasSuffix(said, ", repaired") {
			t.Errorf("said %q", said)
		}
	}
	slices.Sort(out)
	return out
}

func TestCrashes(t *testing.T) {
	for _, c := range writings {
		if c.long && testing.Short() {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			n := c.setup(w)
			before := tell(t, copyOf(t, w.home), mailbox.ReadWrite)
			r := fsxtest.Record(t, w.home)
			w.FS = r
			if err := c.do(w, n); err != nil {
				t.Fatal(err)
			}
			after := tell(t, copyOf(t, w.home), mailbox.ReadWrite)
			r.Crashes(t, func(t *testing.T, dir string, done bool) {
				mode := mailbox.ReadWrite
				got := tell(t, dir, mode)
				if done {
					before = after
				}
				if err := c.allowed(got, before, after); err != nil {
					t.Error(err)
				}
				// What is left must not come back, nor get in the way.
				if again := tell(t, dir, mailbox.ReadOnly); !slices.Equal(again, got) {
					t.Errorf("opened again\n got %s\nwant %s", strings.Join(again, "\n     "), strings.Join(got, "\n     "))
				}
				use(t, dir, n, len(got))
			})
		})
	}
}

// copyOf copies a directory, for looks that change it.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// use adds mail to n, which is made where it is gone.
func use(t *testing.T, dir string, n mailbox.Name, messages int) {
	w := newWorldAt(t, dir)
	w.FS = hasty{}
	n.Path = filepath.Join(dir, n.Text)
	ok, err := w.Probe(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := deliver(w, n, mailbox.AppendOptions{New: !ok}, item("Subject: used\r\n\r\n")); err != nil {
		t.Errorf("append: %v", err)
	}
	if got := len(tell(t, dir, mailbox.ReadOnly)); got != messages+1 {
		t.Errorf("after one more append: got %d messages, want %d", got, messages+1)
	}
}

// allowed says what is wrong with a state between before and after.
func (c writing) allowed(got, before, after []string) error {
	ok := slices.Equal(got, before) || slices.Equal(got, after)
	if c.mixed && !ok {
		ok = len(got) == len(before)
		for i := 0; ok && i < len(got); i++ {
			old, now, is := strings.Fields(before[i]), strings.Fields(after[i]), strings.Fields(got[i])
			for k := range is {
				ok = ok && (is[k] == old[k] || is[k] == now[k])
			}
		}
	}
	if c.twice && !ok {
		once, want := slices.Compact(slices.Clone(got)), slices.Compact(slices.Clone(after))
		ok = slices.Equal(once, want)
	}
	if ok {
		return nil
	}
	return fmt.Errorf("neither old nor new\n got %s\n old %s\n new %s", strings.Join(got, "\n     "),
		strings.Join(before, "\n     "), strings.Join(after, "\n     "))
}

// TestFaults fails each call in turn: what is said to be done is done, what is
// said to have failed is not, or is finished later.
func TestFaults(t *testing.T) {
	for _, c := range writings {
		for _, fault := range []struct {
			err    syscall.Errno
			sticky bool
		}{{syscall.EIO, false}, {syscall.ENOSPC, true}} {
			if testing.Short() && (c.long || fault.sticky) {
				continue
			}
			t.Run(fmt.Sprint(c.name, " ", fault.err), func(t *testing.T) {
				w := newWorld(t)
				w.FS = hasty{}
				if err := c.do(w, c.setup(w)); err != nil {
					t.Fatal(err)
				}
				after := tell(t, w.home, mailbox.ReadWrite)
				for n := 1; c.failAt(t, n, fault.err, fault.sticky, after); n++ {
				}
			})
		}
	}
}

// failAt does the writing with the n-th call failing, if there are so many.
func (c writing) failAt(t *testing.T, n int, errno syscall.Errno, sticky bool, after []string) bool {
	w := newWorld(t)
	w.FS = hasty{}
	name := c.setup(w)
	before := tell(t, copyOf(t, w.home), mailbox.ReadWrite)
	y := &fsxtest.Faulty{FS: hasty{}, N: n, Err: errno, Sticky: sticky}
	w.FS = y
	w.now = w.now.Add(time.Second)
	err := c.do(w, name)
	if !y.Fired() {
		return false
	}
	got := tell(t, w.home, mailbox.ReadWrite)
	if err == nil && !c.left {
		before = after
	}
	if bad := c.allowed(got, before, after); bad != nil {
		t.Errorf("call %d fails (said %v): %v", n, err, bad)
	}
	if left, _ := filepath.Glob(filepath.Join(w.home, ".*")); len(left) > 0 && err == nil && !c.left {
		t.Errorf("call %d fails: left over: %s", n, left)
	}
	return true
}
