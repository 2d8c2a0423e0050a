package mailtxt

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
	mixed bool // some messages may be changed and others not
	twice bool // messages may be there twice
	says  bool // what fails is told, and no error
}

func golden(base string) func(w *world) mailbox.Name {
	return func(w *world) mailbox.Name { return w.golden(base) }
}

// twoItems are messages that do not fit into a sector.
func twoItems() []mailbox.Item {
	text := strings.Repeat("Many octets, so that they do not fit into a sector.\r\n", 40)
	one, two := item(text), item(text[:70])
	one.Flags.Keywords, two.Flags.System = 1, mailbox.Seen
	return []mailbox.Item{one, two}
}

// deliverAll is deliver with an error.
func deliverAll(w *world, n mailbox.Name, isNew bool) (err error) {
	d, err := w.Append(context.Background(), n, mailbox.AppendOptions{New: isNew, Keywords: []string{"Later"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Abort()) }()
	for _, it := range twoItems() {
		if _, err := d.Add(it); err != nil {
			return err
		}
	}
	_, err = d.Commit()
	return err
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

func expunge(seqs ...uint32) func(w *world, n mailbox.Name) error {
	var s mailbox.Set
	for _, seq := range seqs {
		s.Add(seq)
	}
	return func(w *world, n mailbox.Name) error {
		return session(w, n, func(b mailbox.Mailbox) error {
			_, err := b.Expunge(s)
			return err
		})
	}
}

var changes = []change{
	{name: "append", setup: golden("flags"), do: func(w *world, n mailbox.Name) error { return deliverAll(w, n, false) }},
	{name: "append to a torn mailbox", setup: golden("corrupt-trunc"), do: func(w *world, n mailbox.Name) error { return deliverAll(w, n, false) }},
	{
		name: "new", setup: func(w *world) mailbox.Name { return w.name("new") },
		do: func(w *world, n mailbox.Name) error { return deliverAll(w, n, true) },
	},
	{name: "first session", setup: golden("append-new"), do: func(w *world, n mailbox.Name) error {
		return session(w, n, func(mailbox.Mailbox) error { return nil })
	}},
	{name: "store", setup: golden("flags"), mixed: true, do: func(w *world, n mailbox.Name) error {
		return session(w, n, func(b mailbox.Mailbox) error {
			return b.Store(mailbox.Range(1, 4), mailbox.Replace, mailbox.FlagList{System: mailbox.Draft, Keywords: []string{"Later"}})
		})
	}},
	{name: "expunge", setup: golden("flags"), do: expunge(1, 4, 8)},
	{name: "expunge all", setup: golden("flags"), do: expunge(1, 2, 3, 4, 5, 6, 7, 8)},
	{name: "rename", setup: golden("flags"), twice: true, do: func(w *world, n mailbox.Name) error {
		return w.Rename(context.Background(), n, w.name("d/new"))
	}},
	{name: "delete", setup: golden("flags"), do: func(w *world, n mailbox.Name) error { return w.Delete(context.Background(), n) }},
	{
		name: "snarf", twice: true, says: true,
		setup: func(w *world) mailbox.Name {
			w.deliver(inbox, mailbox.AppendOptions{New: true}, item("X: 1\r\n\r\n"))
			w.deliver(w.name("spool"), mailbox.AppendOptions{New: true}, twoItems()...)
			return inbox
		},
		do: func(w *world, n mailbox.Name) error {
			spool := New(w.format, w.env, nil)
			spool.FS = w.FS
			w.Driver.spool = spool
			defer func() { w.Driver.spool = nil }()
			return session(w, n, func(mailbox.Mailbox) error { return nil })
		},
	},
}

// torn changes begin with a mailbox that can be read only afterwards.
func (c change) torn() bool { return strings.Contains(c.name, "torn") }

// tell tells every message of every mailbox in a directory.
func tell(t *testing.T, f Format, dir string) (out []string) {
	w := newWorld(t, f)
	w.env.Home, w.env.StateDir, w.home = dir, filepath.Join(dir, "state"), dir
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	more, _ := filepath.Glob(filepath.Join(dir, "d", "*"))
	for _, path := range append(files, more...) {
		if filepath.Base(path)[0] == '.' || strings.HasSuffix(path, ".lost") {
			continue
		}
		n := mailbox.Name{Text: path, Path: path}
		if ok, err := w.Probe(n); err != nil {
			t.Fatal(err)
		} else if !ok {
			continue
		}
		b := w.open(n, mailbox.ReadOnly)
		for _, g := range observe(t, b) {
			out = append(out, fmt.Sprintf("%s %s %s %d-%s", g.Date, strings.Join(g.Flags, "+")+".", strings.Join(g.Keywords, "+")+".", g.Size, g.SHA256[:8]))
		}
		b.Close()
	}
	for _, said := range w.heard {
		if !strings.HasPrefix(said, "finished an interrupted change") {
			t.Errorf("said %q", said)
		}
	}
	return out
}

// TestCrashes cuts the power at every instant of every change.
func TestCrashes(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		for _, c := range changes {
			if c.torn() {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				w := newWorld(t, f)
				n := c.setup(w)
				before := tell(t, f, w.home)
				r := fsxtest.Record(t, w.home)
				w.FS = r
				if err := c.do(w, n); err != nil {
					t.Fatal(err)
				}
				after := tell(t, f, w.home)
				r.Crashes(t, func(t *testing.T, dir string, done bool) {
					if done {
						before = after
					}
					if err := c.allowed(tell(t, f, dir), before, after); err != nil {
						t.Error(err)
					}
				})
			})
		}
	})
}

// allowed says what is wrong with a state between before and after.
func (c change) allowed(got, before, after []string) error {
	ok := slices.Equal(got, before) || slices.Equal(got, after)
	if c.mixed && !ok && len(got) == len(before) {
		ok = true
		for i := range got {
			old, now, is := strings.Fields(before[i]), strings.Fields(after[i]), strings.Fields(got[i])
			for k := range is {
				ok = ok && (is[k] == old[k] || is[k] == now[k])
			}
		}
	}
	if c.twice && !ok {
		once := slices.Compact(slices.Sorted(slices.Values(got)))
		ok = slices.Equal(once, slices.Sorted(slices.Values(after)))
	}
	if ok {
		return nil
	}
	return fmt.Errorf("\n   got %q\nbefore %q\n after %q", got, before, after)
}

// TestFaults lets each file call of every change fail.
func TestFaults(t *testing.T) {
	each(t, func(t *testing.T, f Format) {
		for _, c := range changes {
			for _, sticky := range []bool{false, true} {
				t.Run(fmt.Sprint(c.name, sticky), func(t *testing.T) {
					w := newWorld(t, f)
					if err := c.do(w, c.setup(w)); err != nil {
						t.Fatal(err)
					}
					after := tell(t, f, w.home)
					for n := 1; c.failAt(t, f, n, sticky, after); n++ {
					}
				})
			}
		}
	})
}

// failAt does the change with the n-th call failing, if there are so many.
func (c change) failAt(t *testing.T, f Format, n int, sticky bool, after []string) bool {
	w := newWorld(t, f)
	name := c.setup(w)
	var before []string
	if !c.torn() {
		before = tell(t, f, w.home)
	}
	y := &fsxtest.Faulty{FS: w.FS, N: n, Err: syscall.ENOSPC, Sticky: sticky}
	w.FS = y
	err := c.do(w, name)
	if !y.Fired() {
		return false
	}
	if c.torn() && err != nil {
		return true
	}
	got := tell(t, f, w.home)
	if err == nil && !c.says {
		before = after
	}
	if bad := c.allowed(got, before, after); bad != nil {
		t.Errorf("call %d fails (said %v): %v", n, err, bad)
	}
	if left, _ := filepath.Glob(filepath.Join(w.home, ".*")); err == nil && !c.says {
		for _, path := range left {
			if fi, _ := os.Stat(path); fi != nil {
				t.Errorf("call %d fails: left over: %s", n, path)
			}
		}
	}
	return true
}
