package mbx

import (
	"io"
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/mailbox"
)

// TestTimes: the access time is when mail was read, or just before it came;
// the modification time is when flags changed.
func TestTimes(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mbx/flags.mbx")
	old := time.Unix(1600000000, 0)
	at := func(do func()) (access, data time.Time) {
		t.Helper()
		if err := os.Chtimes(n.Path, old, old); err != nil {
			t.Fatal(err)
		}
		do()
		f, err := fsx.OS{}.OpenFile(n.Path, os.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		now := flocked.Times(f)
		return now.Access, now.Data
	}
	access, data := at(func() { w.deliver(n, mailbox.AppendOptions{}, item("A: b\r\n\r\n")) })
	if !access.Equal(w.now.Add(-time.Second)) || !data.Equal(old) {
		t.Errorf("append: got %v, %v; want a second ago, and what it was", access, data)
	}
	access, data = at(func() { w.open(n, mailbox.ReadWrite).Close() })
	if !access.Equal(w.now) || !data.After(old) {
		t.Errorf("session with new mail: got %v, %v; want now, and later", access, data)
	}
	access, data = at(func() { w.open(n, mailbox.ReadWrite).Close() })
	if !access.Equal(w.now) || !data.Equal(old) {
		t.Errorf("session without: got %v, %v; want now, and what it was", access, data)
	}
	access, data = at(func() {
		b := w.open(n, mailbox.ReadWrite)
		w.store(b, 1, mailbox.Add, mailbox.FlagList{System: mailbox.Seen})
		b.Close()
	})
	if !access.Equal(w.now) || !data.After(old) {
		t.Errorf("flags: got %v, %v; want now, and later", access, data)
	}
	if runtime.GOOS != "linux" {
		return
	}
	access, data = at(func() {
		w.Probe(n)
		b := w.open(n, mailbox.ReadOnly)
		b.Open(1)
		b.Close()
	})
	if !access.Equal(old) || !data.Equal(old) {
		t.Errorf("reading: got %v, %v; want both as they were", access, data)
	}
}

// A readOnlyFS lets nobody write.
type readOnlyFS struct{ fsx.OS }

func (r readOnlyFS) OpenFile(name string, flag int, perm fs.FileMode) (fsx.File, error) {
	if flag&os.O_RDWR != 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EROFS}
	}
	return r.OS.OpenFile(name, flag, perm)
}

func TestNoWriteAccess(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mbx/append-uid0.mbx")
	w.FS = readOnlyFS{}
	b := w.open(n, mailbox.ReadWrite)
	if st := b.Status(); !st.ReadOnly || st.Messages != 3 {
		t.Errorf("got %+v, want read-only", st)
	}
	if len(w.heard) != 1 || w.heard[0] != "Can't get write access to mailbox, access is readonly" {
		t.Errorf("said %q", w.heard)
	}
}

// TestBig has a message of 20 GB between two others.
func TestBig(t *testing.T) {
	const big = 20 << 30
	w := newWorld(t)
	n := w.golden("mbx/now-date.mbx")
	line := appendLine(nil, mailbox.Date{Year: 2001, Month: 7, Day: 1}, false, big, 0, 0, 0)
	f, err := os.OpenFile(n.Path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(line, 2270); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(2270 + int64(len(line)) + big); err != nil {
		t.Skipf("no large files here: %v", err)
	}
	w.deliver(n, mailbox.AppendOptions{}, item("A: last\r\n\r\n"))
	b := w.open(n, mailbox.ReadWrite)
	if got := b.index; len(got) != 3 || got[1].size != big || got[2].off != 2270+int64(len(line))+big {
		t.Fatalf("got %+v", got)
	}
	c, err := b.Open(3)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(c); err != nil || string(text) != "A: last\r\n\r\n" {
		t.Errorf("the last: got %q, %v", text, err)
	}
	w.store(b, 3, mailbox.Add, mailbox.FlagList{System: mailbox.Seen})
	if c, err = b.Open(2); err != nil {
		t.Fatal(err)
	}
	if h, err := c.Header(); err != nil || len(h) != mailbox.MaxHeader {
		t.Errorf("the header of NULs: got %d octets, %v", len(h), err)
	}
	if _, err := b.Expunge(mailbox.One(3)); err != nil {
		t.Error(err)
	}
}
