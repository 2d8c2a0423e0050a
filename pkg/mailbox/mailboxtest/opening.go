package mailboxtest

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"mailutil/pkg/mailbox"
)

// probe wants the answer yes or no.
func (b *bench) probe(n mailbox.Name, want bool) {
	b.Helper()
	if got, err := b.d.Probe(n); got != want || err != nil {
		b.Errorf("probe %s: got %v, %v, want %v", n.Text, got, err, want)
	}
}

// some makes a mailbox with messages, and returns their texts.
func (b *bench) some(name string) (mailbox.Name, []string) {
	b.Helper()
	n := b.name(name)
	if b.h.Fixture != nil {
		return n, b.h.Fixture(b.T, b.env, n)
	}
	b.box(name)
	b.fill(n, "one", "two", "three")
	b.settle(n)
	var out []string
	for _, r := range b.fresh(n) {
		out = append(out, r.Text)
	}
	if len(out) != 3 {
		b.Fatalf("got %d messages, want 3", len(out))
	}
	return n, out
}

func testProbe(b *bench) {
	b.probe(b.name("missing"), false)
	b.probe(b.name("missing/below"), false)
	n, _ := b.some("own")
	b.probe(n, true)
	if n.Path == "" {
		return
	}
	if _, err := os.Stat(n.Path); err == nil { // mailboxes are files
		b.probe(b.name("own/below"), false)
		b.keepsTimes("probe", n, func() { b.probe(n, true) })
	}
	if b.h.Foreign == "" {
		return
	}
	f := b.name("foreign")
	b.write(f.Path, b.h.Foreign)
	b.keepsTimes("probe of a foreign file", f, func() { b.probe(f, false) })
	mkdir(b.T, b.name("dir").Path)
	b.probe(b.name("dir"), false)
	b.ok("mkfifo", syscall.Mkfifo(b.name("fifo").Path, 0o600))
	b.probe(b.name("fifo"), false) // and must not wait for a writer
}

// keepsTimes wants f to leave the octets and time stamps of a file as they
// are.
func (b *bench) keepsTimes(what string, n mailbox.Name, f func()) {
	b.Helper()
	// Such times are changed by any plain read, also where the file system
	// keeps access times only roughly.
	read, written := time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	b.ok("set times", os.Chtimes(n.Path, read, written))
	tree := b.tree() // its own reading is undone by the next line
	b.ok("set times", os.Chtimes(n.Path, read, written))
	before := b.times(n.Path)
	f()
	if after := b.times(n.Path); after != before {
		b.Errorf("%s: access and modification times\n got %v\nwant %v", what, after, before)
	}
	b.unchanged(what, tree)
}

// times returns the access and modification times of a file.
func (b *bench) times(path string) [2]time.Time {
	b.Helper()
	fi, err := os.Stat(path)
	b.ok("stat", err)
	return [2]time.Time{accessTime(fi), fi.ModTime()}
}

func testOpenMissing(b *bench) {
	for _, m := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite} {
		before := b.tree()
		mb, err := b.d.Open(ctx, b.name("missing"), m)
		if !errors.Is(err, mailbox.ErrNotExist) {
			b.Errorf("open a missing mailbox: got %v, want %v", err, mailbox.ErrNotExist)
		}
		if err == nil {
			mb.Close()
		}
		b.unchanged("open a missing mailbox", before)
	}
}

func testReadOnlyOpen(b *bench) {
	n, want := b.some("own")
	if _, err := os.Stat(n.Path); n.Path == "" || err != nil {
		b.Skip("mailboxes are not files")
	}
	b.keepsTimes("read-only session", n, func() {
		mb := b.open(n, mailbox.ReadOnly)
		if st := mb.Status(); !st.ReadOnly || st.Driver != b.d.Name() || !st.Streaming && int(st.Messages) != len(want) {
			b.Errorf("Status: got %+v, want read-only, %s, %d messages", st, b.d.Name(), len(want))
		}
		b.records(mb)
		if st := mb.Status(); st.Streaming || int(st.Messages) != len(want) {
			b.Errorf("Status at the end: got %+v, want %d messages, not streaming", st, len(want))
		}
		_, err := mb.Ping()
		b.ok("ping", err)
		b.close(mb)
	})
}

func testReadOnlyRefuses(b *bench) {
	n, want := b.some("own")
	before := b.tree()
	mb := b.open(n, mailbox.ReadOnly)
	if err := mb.Store(mailbox.All, mailbox.Add, mailbox.FlagList{System: mailbox.Seen}); !errors.Is(err, mailbox.ErrReadOnly) {
		b.Errorf("store: got %v, want %v", err, mailbox.ErrReadOnly)
	}
	if n, err := mb.Expunge(mailbox.All); n != 0 || !errors.Is(err, mailbox.ErrReadOnly) {
		b.Errorf("expunge: got %d, %v, want 0, %v", n, err, mailbox.ErrReadOnly)
	}
	if got := len(b.records(mb)); got != len(want) {
		b.Errorf("got %d messages afterwards, want %d", got, len(want))
	}
	b.close(mb)
	if err := mb.Close(); err != nil {
		b.Errorf("close again: %v", err)
	}
	b.unchanged("refused changes", before)
}

// testReadFixture reads what the driver has not written.
func testReadFixture(b *bench) {
	n, want := b.some("own")
	mb := b.open(n, mailbox.ReadOnly)
	got := b.records(mb)
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i].Text != want[i] {
			b.Fatalf("message %d of %d\n got %q\nwant %q", i+1, len(want), got, want)
		}
	}
	if st := mb.Status(); len(got) > 0 && st.UIDNext <= got[len(got)-1].UID {
		b.Errorf("UIDNext is %d, the last UID %d", st.UIDNext, got[len(got)-1].UID)
	}
	for _, seq := range []uint32{0, uint32(len(want)) + 1, 1<<32 - 1} {
		if _, err := mb.Open(seq); err == nil {
			b.Errorf("open message %d of %d: got no error", seq, len(want))
		}
	}
	b.close(mb)
	if len(want) > 0 {
		b.checkContent(n, want[0])
	}
}

// testCancelled wants nothing to be written once the context has ended.
func testCancelled(b *bench) {
	n, _ := b.some("own")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	before := b.tree()
	check := func(what string, err error) {
		if !errors.Is(err, context.Canceled) {
			b.Errorf("%s after its context has ended: got %v, want %v", what, err, context.Canceled)
		}
	}
	mb, err := b.d.Open(ended, n, mailbox.ReadWrite)
	check("open", err)
	if err == nil {
		mb.Close()
	}
	if d, ok := b.d.(mailbox.Creator); ok {
		check("create", d.Create(ended, b.name("new")))
	}
	if d, ok := b.d.(mailbox.Renamer); ok {
		check("rename", d.Rename(ended, n, b.name("new")))
	}
	if d, ok := b.d.(mailbox.Deleter); ok {
		check("delete", d.Delete(ended, n))
	}
	if d, ok := b.d.(mailbox.Appender); ok {
		for _, o := range []mailbox.AppendOptions{{}, {New: true}} {
			at := map[bool]mailbox.Name{false: n, true: b.name("new")}[o.New]
			del, err := d.Append(ended, at, o)
			check("append", err)
			if err == nil {
				b.ok("abort", del.Abort())
			}
		}
	}
	b.unchanged("context has ended", before)
	b.probe(n, true)
	b.probe(b.name("new"), false)
}
