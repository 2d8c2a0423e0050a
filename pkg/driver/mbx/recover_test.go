package mbx

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// unfinished leaves an expunge that was interrupted once it was durable. The
// mailbox is opened by another name, if there is one.
func (w *world) unfinished(by ...mailbox.Name) mailbox.Name {
	w.t.Helper()
	for call := 1; ; call++ {
		n := w.golden("mbx/flags.mbx")
		y := &fsxtest.Faulty{FS: fsx.OS{}, N: call, Err: syscall.EIO}
		w.FS = y
		err := session(w, append(by, n)[0], func(b mailbox.Mailbox) error {
			_, err := b.Expunge(mailbox.Range(2, 5))
			if errors.Is(err, journal.ErrUnfinished) {
				w.stays(b, err)
			}
			return err
		})
		w.FS = fsx.OS{}
		if errors.Is(err, journal.ErrUnfinished) {
			return n
		}
		if !y.Fired() {
			w.t.Fatal("no call leaves an interrupted change")
		}
		side, _ := filepath.Glob(filepath.Join(w.home, ".*"))
		for _, path := range side {
			os.Remove(path)
		}
	}
}

// stays checks that a session which does not know any more where messages are
// neither reads nor writes.
func (w *world) stays(b mailbox.Mailbox, err error) {
	w.t.Helper()
	if !mailbox.IsTemporary(err) {
		w.t.Errorf("%v is not temporary", err)
	}
	if _, err := b.Open(1); !errors.Is(err, journal.ErrUnfinished) {
		w.t.Errorf("Open: got %v", err)
	}
	if err := b.Store(mailbox.One(1), mailbox.Add, mailbox.FlagList{System: mailbox.Seen}); !errors.Is(err, journal.ErrUnfinished) {
		w.t.Errorf("Store: got %v", err)
	}
	if _, err := b.Ping(); !errors.Is(err, journal.ErrUnfinished) {
		w.t.Errorf("Ping: got %v", err)
	}
}

func TestFinishInterrupted(t *testing.T) {
	for _, how := range []string{"open", "append"} {
		w := newWorld(t)
		n := w.unfinished()
		// As long as a program of others has the mailbox open, nobody may move
		// its messages.
		f, err := os.Open(n.Path)
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.TryFlock(f, lock.Shared); err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		if _, err := w.Open(ctx, n, mailbox.ReadOnly); !errors.Is(err, mailbox.ErrBusy) {
			t.Errorf("open while in use: got %v", err)
		}
		if _, err := w.Append(ctx, n, mailbox.AppendOptions{}); !errors.Is(err, mailbox.ErrBusy) {
			t.Errorf("append while in use: got %v", err)
		}
		f.Close()
		want := 4
		if how == "append" {
			w.deliver(n, mailbox.AppendOptions{}, item("A: b\r\n\r\n"))
			want = 5
		}
		if got := w.open(n, mailbox.ReadOnly).Status().Messages; int(got) != want {
			t.Errorf("%s: got %d messages, want %d", how, got, want)
		}
		if len(w.heard) != 1 || !strings.HasPrefix(w.heard[0], "finished an interrupted change") {
			t.Errorf("%s: said %q", how, w.heard)
		}
	}
}

// The side file of an interrupted change is found by every name that leads to
// the mailbox.
func TestFinishInterruptedThroughLink(t *testing.T) {
	w := newWorld(t)
	link := w.name("link")
	if err := os.Symlink("flags.mbx", link.Path); err != nil {
		t.Fatal(err)
	}
	n := w.unfinished(link)
	b := w.open(n, mailbox.ReadOnly)
	if got := b.Status().Messages; got != 4 {
		t.Errorf("got %d messages, want 4", got)
	}
	b.Close()
	w.deliver(link, mailbox.AppendOptions{}, item("A: b\r\n\r\n"))
	if err := w.Delete(context.Background(), link); err != nil {
		t.Fatal(err)
	}
	if got := w.open(n, mailbox.ReadOnly).Status().Messages; got != 5 {
		t.Errorf("got %d messages once the link was deleted, want 5", got)
	}
}

// An append that was interrupted is finished while others have the mailbox
// open: it moves nothing that they know of.
func TestFinishInterruptedAppend(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mbx/flags.mbx")
	rec := fsxtest.Record(t, w.home)
	w.FS = rec
	w.deliver(n, mailbox.AppendOptions{}, item("Subject: new\r\n\r\nmail\r\n"))
	finished := 0
	rec.Crashes(t, func(t *testing.T, dir string, _ bool) {
		other := newWorld(t)
		other.env.StateDir = filepath.Join(dir, "state")
		n := mailbox.Name{Text: "box", Path: filepath.Join(dir, filepath.Base(n.Path))}
		f, err := os.Open(n.Path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := lock.TryFlock(f, lock.Shared); err != nil {
			t.Fatal(err)
		}
		mb, err := other.Open(context.Background(), n, mailbox.ReadOnly)
		if err != nil {
			t.Fatal(err)
		}
		defer mb.Close()
		for _, text := range other.heard {
			if strings.Contains(text, "finished an interrupted change") {
				finished++
			}
		}
	})
	if finished == 0 {
		t.Error("no state had anything to finish")
	}
}
