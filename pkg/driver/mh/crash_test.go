package mh

import (
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
	name string
	at   string // the mailbox
	do   func(w *world) error
}

func (w *world) session(do func(b mailbox.Mailbox) error) (err error) {
	b, err := w.Open(ctx, w.name("#mh/box"), mailbox.ReadWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return do(b)
}

var changes = []change{
	{"append one", "box", func(w *world) error { return w.deliver("box", mailbox.AppendOptions{}, 1) }},
	{"append three", "box", func(w *world) error {
		return w.deliver("box", mailbox.AppendOptions{Keywords: []string{"Mine", "Fresh"}}, 3)
	}},
	{"new", "a/new", func(w *world) error {
		return w.deliver("a/new", mailbox.AppendOptions{New: true, UIDValidity: 9, Keywords: []string{"Mine"}}, 3)
	}},
	{"create", "a/new", func(w *world) error { return w.Create(ctx, w.name("#mh/a/new")) }},
	{"expunge two", "box", func(w *world) error {
		return w.session(func(b mailbox.Mailbox) error {
			_, err := b.Expunge(mailbox.Range(2, 3))
			return err
		})
	}},
	{"store", "box", func(w *world) error {
		return w.session(func(b mailbox.Mailbox) error {
			return b.Store(mailbox.Range(1, 2), mailbox.Add, mailbox.FlagList{System: mailbox.Answered, Keywords: []string{"Fresh"}})
		})
	}},
}

// deliver adds count messages; the later ones have flags.
func (w *world) deliver(name string, o mailbox.AppendOptions, count int) (err error) {
	d, err := w.Append(ctx, w.name("#mh/"+name), o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Abort()) }()
	for i := range count {
		text := fmt.Sprintf("Subject: %d\r\n\r\n%s", i, strings.Repeat("Many octets, more than a sector.\r\n", 30*i))
		it := mailbox.Item{Text: strings.NewReader(text)}
		it.Size, it.UID = int64(len(text)), uint32(10*i+1)
		it.Flags = mailbox.Flags{System: mailbox.SystemFlags(i), Keywords: uint64(i) & (1<<len(o.Keywords) - 1)}
		if _, err := d.Add(it); err != nil {
			return err
		}
	}
	_, err = d.Commit()
	return err
}

// start makes the mailbox box with three messages and sequences.
func (w *world) start() {
	w.t.Helper()
	for _, n := range []string{"1", "2", "5"} {
		w.write("box/"+n, "Subject: "+n+"\n\nx\n")
	}
	w.write("box/.mh_sequences", "cur: 2\nunseen: 2\nMine: 1-2\nmailutilknown: 1-5\n")
}

// tell reads the mailbox of a change, one line a message; nil where there is none.
func (c change) tell(t *testing.T, w *world) []string {
	t.Helper()
	mb, err := w.Open(ctx, w.name("#mh/"+c.at), mailbox.ReadOnly)
	if errors.Is(err, mailbox.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	out := []string{"mailbox"}
	for _, m := range see(t, mb) {
		out = append(out, fmt.Sprint(m.UID, m.Flags, m.Size, m.SHA256[:8]))
	}
	return out
}

func wrong(got, before, after []string) string {
	if slices.Equal(got, before) || slices.Equal(got, after) {
		return ""
	}
	return fmt.Sprintf("neither old nor new\n got %s\n old %s\n new %s",
		strings.Join(got, "\n     "), strings.Join(before, "\n     "), strings.Join(after, "\n     "))
}

// TestCrash has the machine fail at any point of each change.
func TestCrash(t *testing.T) {
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.start()
			before := c.tell(t, w)
			rec := fsxtest.Record(t, w.home)
			w.FS = rec
			if err := c.do(w); err != nil {
				t.Fatal(err)
			}
			after := c.tell(t, w)
			if slices.Equal(before, after) {
				t.Fatal("nothing was changed")
			}
			rec.Crashes(t, func(t *testing.T, dir string, done bool) {
				w := worldAt(t, dir)
				w.FS = fsxtest.Unsynced{}
				got := c.tell(t, w)
				if bad := wrong(got, before, after); bad != "" || done && !slices.Equal(got, after) {
					t.Fatal(bad, done)
				}
				// Whoever did not hear that it was done does it again.
				if slices.Equal(got, before) {
					if err := c.do(w); err != nil {
						t.Fatal("again:", err)
					}
				}
				if cur, err := os.ReadFile(w.path("box/.mh_sequences")); err != nil || !strings.HasPrefix(string(cur), "cur: 2\n") {
					t.Errorf("sequences: %q, %v", cur, err)
				}
			})
		})
	}
}

// TestFaults has each call fail in turn: what is said to be done is done, what
// failed has not happened.
func TestFaults(t *testing.T) {
	for _, c := range changes {
		for _, fault := range []struct {
			err    syscall.Errno
			sticky bool
		}{{syscall.EIO, false}, {syscall.ENOSPC, true}} {
			if testing.Short() && fault.sticky && !strings.HasPrefix(c.name, "append") {
				continue
			}
			t.Run(fmt.Sprint(c.name, " ", fault.err), func(t *testing.T) {
				w := newWorld(t)
				w.FS = fsxtest.Unsynced{}
				w.start()
				before := c.tell(t, w)
				if err := c.do(w); err != nil {
					t.Fatal(err)
				}
				after := c.tell(t, w)
				for n := 1; c.failAt(t, n, fault.err, fault.sticky, before, after); n++ {
				}
			})
		}
	}
}

// failAt does the change with the n-th call failing, if there are so many.
func (c change) failAt(t *testing.T, n int, errno syscall.Errno, sticky bool, before, after []string) bool {
	t.Helper()
	w := newWorld(t)
	w.start()
	y := &fsxtest.Faulty{FS: fsxtest.Unsynced{}, N: n, Err: errno, Sticky: sticky}
	w.FS = y
	err := c.do(w)
	if !y.Fired() {
		return false
	}
	w.FS = y.FS
	got := c.tell(t, w)
	want := after
	if err != nil {
		want = before
	}
	if err != nil && c.name == "store" { // it may be done all the same
		want = got
	}
	unfinished := err != nil && strings.Contains(err.Error(), "will be finished")
	if bad := wrong(got, before, after); bad != "" {
		t.Errorf("call %d fails (said %v): %s", n, err, bad)
	} else if !slices.Equal(got, want) && !unfinished {
		t.Errorf("call %d fails: said %v, but it is done: %v", n, err, slices.Equal(got, after))
	}
	left, _ := filepath.Glob(w.path("*/.mailutil-*"))
	if more, _ := filepath.Glob(w.path("*/.*.new")); err == nil && len(left)+len(more) > 0 {
		t.Errorf("call %d fails: left over: %s %s", n, left, more)
	}
	return true
}

// The original takes numbers without a lock: the messages of a delivery get those
// that are free.
func TestNumbersTaken(t *testing.T) {
	w := newWorld(t)
	w.start()
	taken := false
	w.FS = rival{fsxtest.Unsynced{}, func(name string) {
		if !taken && filepath.Base(name) == "7" {
			taken = true
			w.write("box/7", "Subject: theirs\n\nx\n")
		}
	}}
	if err := w.deliver("box", mailbox.AppendOptions{Keywords: []string{"Mine", "Fresh"}}, 3); err != nil {
		t.Fatal(err)
	}
	mb, err := w.Open(ctx, w.name("#mh/box"), mailbox.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	var got []string
	for _, m := range see(t, mb) {
		got = append(got, fmt.Sprint(m.UID, m.Flags))
	}
	want := `1 [Mine \Seen] 2 [Mine] 5 [\Seen] 6 [] 7 [] 8 [Mine \Seen] 9 [Fresh \Answered]`
	if s := strings.Join(got, " "); s != want || !taken {
		t.Errorf("got %s\nwant %s", s, want)
	}
	if w.read("box/7") != "Subject: theirs\n\nx\n" {
		t.Errorf("their message is %q", w.read("box/7"))
	}
}

// A rival does something just before a file is linked.
type rival struct {
	fsxtest.Unsynced
	before func(name string)
}

func (r rival) Link(old, new string) error {
	r.before(new)
	return r.Unsynced.Link(old, new)
}
