package mx

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

// A change is something that writers do to the mailbox "box".
type change struct {
	name  string
	setup string // golden mailbox; "" for none
	do    func(w *world) error
	mixed bool // some messages may be changed and others not
}

var changes = []change{
	{"append one", "mxexpunged", func(w *world) error { return w.deliver("mxexpunged", mailbox.AppendOptions{}, 1) }, false},
	{"append three", "mxexpunged", func(w *world) error {
		return w.deliver("mxexpunged", mailbox.AppendOptions{Keywords: []string{"Work", "Fresh"}}, 3)
	}, false},
	{"append to an empty one", "mxempty", func(w *world) error { return w.deliver("mxempty", mailbox.AppendOptions{}, 2) }, false},
	{"append to a torn one", "mxindextorn", func(w *world) error { return w.deliver("mxindextorn", mailbox.AppendOptions{}, 1) }, false},
	{"new", "", func(w *world) error {
		return w.deliver("a/new", mailbox.AppendOptions{New: true, UIDValidity: 9, UIDNext: 50, Keywords: []string{"Work"}}, 3)
	}, false},
	{"new where a directory is", "dir", func(w *world) error {
		return w.deliver("dir", mailbox.AppendOptions{New: true, UIDValidity: 9, UIDNext: 50, Keywords: []string{"Work"}}, 2)
	}, false},
	{"create", "", func(w *world) error { return w.Create(ctx, w.name("a/new")) }, false},
	{"expunge two", "mxexpunged", func(w *world) error {
		return w.session("mxexpunged", func(b mailbox.Mailbox) error {
			_, err := b.Expunge(mailbox.One(1).Union(mailbox.One(3)))
			return err
		})
	}, false},
	{"expunge all", "mxexpunged", func(w *world) error {
		return w.session("mxexpunged", func(b mailbox.Mailbox) error {
			_, err := b.Expunge(mailbox.All)
			return err
		})
	}, false},
	{"store", "mxbasic", func(w *world) error {
		return w.session("mxbasic", func(b mailbox.Mailbox) error {
			return b.Store(mailbox.Range(2, 5), mailbox.Add, mailbox.FlagList{System: mailbox.Answered})
		})
	}, true},
	{"store a new keyword", "mxbasic", func(w *world) error {
		return w.session("mxbasic", func(b mailbox.Mailbox) error {
			return b.Store(mailbox.Range(2, 5), mailbox.Add, mailbox.FlagList{Keywords: []string{"Fresh"}})
		})
	}, false},
}

// deliver adds count messages; some have flags.
func (w *world) deliver(base string, o mailbox.AppendOptions, count int) (err error) {
	d, err := w.Append(ctx, w.name(base), o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Abort()) }()
	for i := range count {
		text := fmt.Sprintf("Subject: %d\r\n\r\n%s", i, strings.Repeat("Many octets, more than a sector.\r\n", 30*i))
		it := mailbox.Item{Text: strings.NewReader(text)}
		it.Size, it.UID = int64(len(text)), uint32(10*i+1)
		if len(o.Keywords) > 0 {
			it.Flags = mailbox.Flags{System: mailbox.SystemFlags(i), Keywords: uint64(i) & 3}
		}
		if _, err := d.Add(it); err != nil {
			return err
		}
	}
	_, err = d.Commit()
	return err
}

func (w *world) session(base string, do func(b mailbox.Mailbox) error) (err error) {
	b, err := w.Open(ctx, w.name(base), mailbox.ReadWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return do(b)
}

// tell reads the mailbox of a change, one line a message; nil where there is none.
func (c change) tell(t *testing.T, w *world) []string {
	t.Helper()
	base := c.setup
	if base == "" {
		base = "a/new"
	}
	mb, err := w.Open(ctx, w.name(base), mailbox.ReadOnly)
	if errors.Is(err, mailbox.ErrNotExist) || errors.Is(err, mailbox.ErrNotMailbox) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	out := []string{"mailbox"}
	for _, m := range see(t, mb).Messages {
		slices.Sort(m.Flags)
		out = append(out, fmt.Sprint(m.UID, m.Flags, m.Keywords, m.Size, m.SHA256))
	}
	return out
}

// wrong says what is wrong with got, "" for nothing.
func (c change) wrong(got, before, after []string) string {
	if slices.Equal(got, before) || slices.Equal(got, after) {
		return ""
	}
	if c.mixed && len(got) == len(before) {
		for i := range got {
			if got[i] != before[i] && got[i] != after[i] {
				return "neither old nor new: " + got[i]
			}
		}
		return ""
	}
	return fmt.Sprintf("neither old nor new\n got %s\n old %s\n new %s",
		strings.Join(got, "\n     "), strings.Join(before, "\n     "), strings.Join(after, "\n     "))
}

func (c change) world(t *testing.T) *world {
	w := newWorld(t)
	w.FS = fsxtest.Unsynced{}
	switch c.setup {
	case "":
	case "dir":
		if err := os.MkdirAll(filepath.Join(w.home, "dir", "child"), 0o700); err != nil {
			t.Fatal(err)
		}
	default:
		w.golden(c.setup)
	}
	return w
}

// TestCrash has the machine fail at any point of each change.
func TestCrash(t *testing.T) {
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			w := c.world(t)
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
				w := newWorld(t)
				w.home, w.env.Home, w.FS = dir, dir, fsxtest.Unsynced{}
				got := c.tell(t, w)
				if bad := c.wrong(got, before, after); bad != "" || done && !slices.Equal(got, after) {
					t.Fatal(bad, done)
				}
				// Whoever did not hear that it was done does it again.
				if slices.Equal(got, before) && !slices.Equal(got, after) {
					if err := c.do(w); err != nil {
						t.Fatal("again:", err)
					}
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
				w := c.world(t)
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
	w := c.world(t)
	y := &fsxtest.Faulty{FS: w.FS, N: n, Err: errno, Sticky: sticky}
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
	if err != nil && strings.HasPrefix(c.name, "store") { // it may be done all the same
		want = got
	}
	if bad := c.wrong(got, before, after); bad != "" {
		t.Errorf("call %d fails (said %v): %s", n, err, bad)
	} else if !slices.Equal(got, want) && !unfinished(err) {
		t.Errorf("call %d fails: said %v, but it is done: %v", n, err, slices.Equal(got, after))
	}
	left, _ := filepath.Glob(filepath.Join(w.home, "*", ".mailutil-*"))
	for _, path := range left {
		if err == nil {
			t.Errorf("call %d fails: left over: %s", n, path)
		}
	}
	if _, err := os.Stat(filepath.Join(w.home, "state")); err == nil {
		t.Errorf("call %d fails: something went to the state directory", n)
	}
	return true
}

// unfinished reports whether an error says that the change is done later.
func unfinished(err error) bool {
	return err != nil && strings.Contains(err.Error(), "will be finished")
}
