package mbx

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

	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox"
)

// A change is something that writers do to a mailbox.
type change struct {
	name  string
	setup func(w *world) mailbox.Name
	do    func(w *world, n mailbox.Name) error
	mixed bool // some messages may be changed and others not, keywords before flags
	twice bool // messages may be there twice
}

func golden(file string) func(w *world) mailbox.Name {
	return func(w *world) mailbox.Name { return w.golden(file) }
}

var text = strings.Repeat("Many octets, so that they do not fit into a sector.\r\n", 40)

// deliverAll is deliver with an error.
func deliverAll(w *world, n mailbox.Name, o mailbox.AppendOptions, items ...mailbox.Item) (err error) {
	d, err := w.Append(context.Background(), n, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Abort()) }()
	for _, it := range items {
		it.Text = strings.NewReader(text[:it.Size])
		if _, err := d.Add(it); err != nil {
			return err
		}
	}
	_, err = d.Commit()
	return err
}

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

var changes = []change{
	{name: "append", setup: golden("mbx/flags.mbx"), do: func(w *world, n mailbox.Name) error {
		return deliverAll(w, n, mailbox.AppendOptions{}, twoItems()...)
	}},
	{name: "append with keywords", setup: golden("mbx/keywords.mbx"), do: func(w *world, n mailbox.Name) error {
		return deliverAll(w, n, mailbox.AppendOptions{Keywords: []string{"Fresh"}}, twoItems()...)
	}},
	{name: "append to a torn mailbox", setup: golden("mbx-corrupt/truncated-mid.mbx"), do: func(w *world, n mailbox.Name) error {
		return deliverAll(w, n, mailbox.AppendOptions{}, twoItems()...)
	}},
	{
		name: "new", setup: func(w *world) mailbox.Name { return w.name("new") },
		do: func(w *world, n mailbox.Name) error {
			return deliverAll(w, n, mailbox.AppendOptions{New: true, Keywords: []string{"Fresh"}}, twoItems()...)
		},
	},
	{name: "first session", setup: golden("mbx/append-uid0.mbx"), do: func(w *world, n mailbox.Name) error {
		return session(w, n, func(mailbox.Mailbox) error { return nil })
	}},
	{name: "store", setup: golden("mbx/flags.mbx"), mixed: true, do: func(w *world, n mailbox.Name) error {
		return session(w, n, func(b mailbox.Mailbox) error {
			return b.Store(mailbox.Range(1, 4), mailbox.Replace, mailbox.FlagList{System: mailbox.Draft, Keywords: []string{"Fresh"}})
		})
	}},
	{name: "expunge", setup: golden("mbx/flags.mbx"), do: func(w *world, n mailbox.Name) error {
		return session(w, n, expunge(1, 4, 8))
	}},
	{name: "expunge all", setup: golden("mbx/flags.mbx"), do: func(w *world, n mailbox.Name) error {
		return session(w, n, expunge(1, 2, 3, 4, 5, 6, 7, 8))
	}},
	{name: "mark", setup: golden("mbx/flags.mbx"), do: func(w *world, n mailbox.Name) error {
		other, err := New(w.env, nil).Open(context.Background(), n, mailbox.ReadOnly)
		if err != nil {
			return err
		}
		return errors.Join(session(w, n, expunge(1, 4, 8)), other.Close())
	}},
	{name: "reclaim", setup: golden("mbx/expunged-unburped.mbx"), do: func(w *world, n mailbox.Name) error {
		return session(w, n, func(mailbox.Mailbox) error { return nil })
	}},
	{name: "rename", setup: golden("mbx/flags.mbx"), twice: true, do: func(w *world, n mailbox.Name) error {
		return w.Rename(context.Background(), n, w.name("d/new"))
	}},
	{name: "delete", setup: golden("mbx/flags.mbx"), do: func(w *world, n mailbox.Name) error {
		return w.Delete(context.Background(), n)
	}},
	{
		name: "snarf", twice: true,
		setup: func(w *world) mailbox.Name {
			w.deliver(inbox, mailbox.AppendOptions{New: true}, item(text[:50]))
			w.deliver(w.name("spool"), mailbox.AppendOptions{New: true}, twoItems()...)
			return inbox
		},
		do: func(w *world, n mailbox.Name) error {
			spool := New(w.env, nil)
			spool.FS = w.FS
			w.Driver.spool = spool
			defer func() { w.Driver.spool = nil }()
			return session(w, n, func(mailbox.Mailbox) error { return nil })
		},
	},
}

// tell tells every message of every mailbox in a directory, by what a change
// of numbers leaves alone.
func tell(t *testing.T, dir string) (out []string) {
	w := newWorld(t)
	w.env.Home, w.env.StateDir = dir, filepath.Join(dir, "state")
	w.home = dir
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	more, _ := filepath.Glob(filepath.Join(dir, "d", "*"))
	for _, path := range append(files, more...) {
		if filepath.Base(path)[0] == '.' {
			continue
		}
		n := mailbox.Name{Text: path, Path: path}
		ok, err := w.Probe(n)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			continue
		}
		b := w.open(n, mailbox.ReadOnly)
		for m := range b.Messages(mailbox.All) {
			g := observe(t, b, m)
			out = append(out, fmt.Sprintf("%s %s %s %d-%s", g.Date, strings.Join(g.Flags, "+")+".", strings.Join(g.Keywords, "+")+".", g.Size, g.SHA256[:8]))
		}
		b.Close()
	}
	for _, said := range w.heard {
		if !strings.HasPrefix(said, "finished an interrupted change") && !strings.HasSuffix(said, ", rebuilding UIDs") {
			t.Errorf("said %q", said)
		}
	}
	return out
}

// torn setups cannot be read before.
func (c change) before(t *testing.T, w *world) []string {
	if strings.Contains(c.name, "torn") {
		return nil
	}
	return tell(t, w.home)
}

func TestCrashes(t *testing.T) {
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			if strings.Contains(c.name, "torn") {
				t.Skip("the mailbox can be read only afterwards")
			}
			w := newWorld(t)
			n := c.setup(w)
			before := tell(t, w.home)
			r := fsxtest.Record(t, w.home)
			w.FS = r
			if err := c.do(w, n); err != nil {
				t.Fatal(err)
			}
			after := tell(t, w.home)
			r.Crashes(t, func(t *testing.T, dir string, done bool) {
				got := tell(t, dir)
				if done {
					before = after
				}
				if err := c.allowed(got, before, after); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// allowed says what is wrong with a state between before and after.
func (c change) allowed(got, before, after []string) error {
	ok := slices.Equal(got, before) || slices.Equal(got, after)
	if c.mixed && !ok {
		ok = len(got) == len(before)
		for i := range got {
			old, now, is := strings.Fields(before[i]), strings.Fields(after[i]), strings.Fields(got[i])
			for k := range is {
				ok = ok && (is[k] == old[k] || is[k] == now[k])
			}
		}
	}
	if c.twice && !ok {
		slices.Sort(got)
		once := slices.Compact(got)
		want := slices.Clone(after)
		slices.Sort(want)
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
	for _, c := range changes {
		for _, fault := range []struct {
			err    syscall.Errno
			sticky bool
		}{{syscall.EIO, false}, {syscall.ENOSPC, true}} {
			t.Run(fmt.Sprint(c.name, " ", fault.err), func(t *testing.T) {
				w := newWorld(t)
				if err := c.do(w, c.setup(w)); err != nil {
					t.Fatal(err)
				}
				after := tell(t, w.home)
				for n := 1; c.failAt(t, n, fault.err, fault.sticky, after); n++ {
				}
			})
		}
	}
}

// failAt does the change with the n-th call failing, if there are so many.
func (c change) failAt(t *testing.T, n int, errno syscall.Errno, sticky bool, after []string) bool {
	w := newWorld(t)
	name := c.setup(w)
	before := c.before(t, w)
	y := &fsxtest.Faulty{FS: w.FS, N: n, Err: errno, Sticky: sticky}
	w.FS = y
	err := c.do(w, name)
	if !y.Fired() {
		return false
	}
	if strings.Contains(c.name, "torn") && err != nil {
		return true
	}
	got := tell(t, w.home)
	if err == nil && c.name != "reclaim" && c.name != "snarf" { // those say so and go on
		before = after
	}
	if bad := c.allowed(got, before, after); bad != nil {
		t.Errorf("call %d fails (said %v): %v", n, err, bad)
	}
	if left, _ := filepath.Glob(filepath.Join(w.home, ".*")); len(left) > 0 && err == nil {
		for _, path := range left {
			if fi, _ := os.Stat(path); fi != nil {
				t.Errorf("call %d fails: left over: %s", n, path)
			}
		}
	}
	return true
}
