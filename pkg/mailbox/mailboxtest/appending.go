package mailboxtest

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing/iotest"

	"mailutil/pkg/mailbox"
)

func testCreate(b *bench) {
	c, ok := b.d.(mailbox.Creator)
	if !ok {
		b.Skip("the driver does not create")
	}
	for _, s := range []string{"new", "dir/below/new"} {
		n := b.box(s)
		b.probe(n, !b.h.Bare)
		if got := b.fresh(n); len(got) != 0 {
			b.Errorf("%s: got %d messages, want none", s, len(got))
		}
		before := b.tree()
		if err := c.Create(ctx, n); !errors.Is(err, mailbox.ErrExist) {
			b.Errorf("create %s again: got %v, want %v", s, err, mailbox.ErrExist)
		}
		b.unchanged("create again", before)
	}
	n := b.name("new")
	b.fill(n, "one")
	b.settle(n)
	before := b.tree()
	if err := c.Create(ctx, n); !errors.Is(err, mailbox.ErrExist) {
		b.Errorf("create over a mailbox with mail: got %v, want %v", err, mailbox.ErrExist)
	}
	b.unchanged("create over a mailbox with mail", before)
	if fi, err := os.Stat(n.Path); n.Path != "" && err == nil && !fi.IsDir() && fi.Mode().Perm() != b.env.Config.MailboxMode {
		b.Errorf("mode of a new mailbox: got %v, want %v", fi.Mode().Perm(), b.env.Config.MailboxMode)
	}
}

func testAppendMissing(b *bench) {
	a, ok := b.d.(mailbox.Appender)
	if !ok {
		b.Skip("the driver does not append")
	}
	before := b.tree()
	n := b.name("missing")
	del, err := a.Append(ctx, n, mailbox.AppendOptions{})
	if err == nil {
		if _, err = del.Add(letterOf("x")); err == nil {
			_, err = del.Commit()
		}
		b.ok("abort", del.Abort())
	}
	if !errors.Is(err, mailbox.ErrNotExist) {
		b.Errorf("append to a missing mailbox: got %v, want %v", err, mailbox.ErrNotExist)
	}
	b.probe(n, false)
	b.unchanged("append to a missing mailbox", before)
}

// testSources adds from readers of all manners.
func testSources(b *bench) {
	n := b.box("box")
	text := "Subject: x\r\n\r\n" + strings.Repeat("a line\r\n", 3000)
	var items []mailbox.Item
	var want []string
	for _, r := range []func(io.Reader) io.Reader{
		iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
		func(r io.Reader) io.Reader { return io.LimitReader(r, int64(len(text))) },
	} {
		for _, size := range []int64{int64(len(text)), -1} {
			it := item(text)
			it.Size, it.Text = size, r(it.Text)
			items = append(items, it)
			want = append(want, text)
		}
	}
	b.add(n, mailbox.AppendOptions{}, items...)
	got := b.fresh(n)
	if len(got) != len(want) {
		b.Fatalf("got %d messages, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].Text != want[i] {
			b.Errorf("reader %d: got %d octets, want %d", i, len(got[i].Text), len(want[i]))
		}
	}
}

// testAbort wants a delivery that is not committed to leave no trace.
func testAbort(b *bench) {
	n, _ := b.some("box")
	records, before := b.fresh(n), b.tree()
	for _, count := range []int{0, 1, 3} {
		del := b.begin(n, mailbox.AppendOptions{Keywords: []string{"Never"}})
		for range count {
			it := item("Subject: never\r\n\r\n" + strings.Repeat("never\r\n", 50000))
			it.Flags.Keywords = 1
			_, err := del.Add(it)
			b.ok("add", err)
		}
		b.ok("abort", del.Abort())
		b.ok("abort again", del.Abort())
		b.unchanged("abort", before)
		b.same("after abort", b.fresh(n), records)
	}
	// Abort after Commit does nothing.
	del := b.begin(n, mailbox.AppendOptions{})
	_, err := del.Add(letterOf("four"))
	b.ok("add", err)
	_, err = del.Commit()
	b.ok("commit", err)
	b.ok("abort after commit", del.Abort())
	if got := subjects(b.fresh(n)); got != "one two three four" {
		b.Errorf("after commit and abort: got %s", got)
	}
}

var errSource = errors.New("source is broken")

// testAddError wants a delivery to be of no use after an error.
func testAddError(b *bench) {
	n, _ := b.some("box")
	records, before := b.fresh(n), b.tree()
	broken := letterOf("broken")
	broken.Size = -1
	broken.Text = io.MultiReader(strings.NewReader("Subject: x\r\n\r\nhalf a li"), iotest.ErrReader(errSource))
	short, long := letterOf("short"), letterOf("long")
	short.Size++
	long.Size--
	for _, tt := range []struct {
		name string
		it   mailbox.Item
		want error
	}{{"source fails", broken, errSource}, {"Size too large", short, nil}, {"Size too small", long, nil}} {
		del := b.begin(n, mailbox.AppendOptions{})
		_, err := del.Add(letterOf("before"))
		b.ok("add", err)
		if _, err := del.Add(tt.it); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			b.Errorf("%s: add: got %v, want an error", tt.name, err)
		}
		if _, err := del.Add(letterOf("behind")); err == nil {
			b.Errorf("%s: add after an error: got no error", tt.name)
		}
		if _, err := del.Commit(); err == nil {
			b.Errorf("%s: commit after an error: got no error", tt.name)
		}
		b.ok("abort", del.Abort())
		b.unchanged(tt.name, before)
		b.same(tt.name, b.fresh(n), records)
	}
}

// testNew makes mailboxes by delivery.
func testNew(b *bench) {
	fresh := mailbox.AppendOptions{New: true}
	n := b.name("dir/new")
	del := b.begin(n, fresh)
	_, err := del.Add(letterOf("one"))
	b.ok("add", err)
	b.probe(n, false) // it appears whole
	b.ok("abort", del.Abort())
	b.probe(n, false)
	if tree := b.tree(); tree != "" {
		b.Errorf("abort of a new mailbox left files\n%s", tree)
	}

	del = b.begin(n, fresh)
	for _, w := range []string{"one", "two"} {
		_, err := del.Add(letterOf(w))
		b.ok("add", err)
	}
	_, err = del.Commit()
	b.ok("commit", err)
	b.probe(n, true)
	if got := subjects(b.fresh(n)); got != "one two" {
		b.Errorf("new mailbox: got %s, want one two", got)
	}

	before := b.tree()
	a := b.d.(mailbox.Appender)
	del, err = a.Append(ctx, n, fresh)
	if err == nil {
		if _, err = del.Add(letterOf("three")); err == nil {
			_, err = del.Commit()
		}
		b.ok("abort", del.Abort())
	}
	if !errors.Is(err, mailbox.ErrExist) {
		b.Errorf("new where one exists: got %v, want %v", err, mailbox.ErrExist)
	}
	b.unchanged("new where one exists", before)

	empty := b.name("empty")
	b.add(empty, fresh)
	b.probe(empty, !b.h.Bare)
	if got := b.fresh(empty); len(got) != 0 {
		b.Errorf("new without messages: got %d", len(got))
	}
}

// testKeepUIDs makes a mailbox that continues another.
func testKeepUIDs(b *bench) {
	if b.h.Bare {
		b.Skip("the format keeps no UIDs")
	}
	n := b.name("box")
	del := b.begin(n, mailbox.AppendOptions{New: true, UIDValidity: 987654321, UIDNext: 80000})
	uids := []uint32{3, 4, 1000, 70000}
	for _, uid := range uids {
		it := letterOf("x")
		it.UID = uid
		_, err := del.Add(it)
		b.ok("add", err)
	}
	_, err := del.Commit()
	b.ok("commit", err)
	for _, mode := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite, mailbox.ReadOnly} {
		mb := b.open(n, mode)
		for i, m := range b.messages(mb) {
			if m.UID != uids[i] {
				b.Errorf("message %d: UID: got %d, want %d", i+1, m.UID, uids[i])
			}
		}
		if st := mb.Status(); (st.UIDValidity != 987654321 || st.UIDNext != 80000) && !b.h.Numbers {
			b.Errorf("UIDVALIDITY, UIDNEXT: got %d, %d, want 987654321, 80000", st.UIDValidity, st.UIDNext)
		}
		b.close(mb)
	}

	del = b.begin(b.name("other"), mailbox.AppendOptions{New: true, UIDValidity: 1})
	first, second := letterOf("x"), letterOf("y")
	first.UID, second.UID = 5, 5
	_, err = del.Add(first)
	b.ok("add", err)
	if _, err = del.Add(second); err == nil {
		_, err = del.Commit()
	}
	if err == nil {
		b.Error("UID 5 after UID 5: got no error")
	}
	b.ok("abort", del.Abort())
	b.probe(b.name("other"), false)
}

// testUIDs wants UIDs to ascend for ever and UIDVALIDITY to stay.
func testUIDs(b *bench) {
	if b.h.Bare || b.h.Numbers {
		b.Skip("the format keeps no UIDs")
	}
	n := b.box("box")
	b.fill(n, "one", "two")
	b.settle(n)
	mb := b.open(n, mailbox.ReadOnly)
	first := mb.Status()
	b.close(mb)
	if first.UIDValidity == 0 {
		b.Error("UIDVALIDITY is 0")
	}
	highest := uint32(0)
	look := func(when string, mode mailbox.Mode) {
		b.Helper()
		mb := b.open(n, mode)
		defer b.close(mb)
		if st := mb.Status(); st.UIDValidity != first.UIDValidity || st.UIDNext <= highest {
			b.Errorf("%s: got UIDVALIDITY %d, UIDNEXT %d, want %d and above %d", when, st.UIDValidity, st.UIDNext, first.UIDValidity, highest)
		}
		ms := b.messages(mb)
		if k := len(ms); k > 0 {
			if uid := ms[k-1].UID; uid >= mb.Status().UIDNext {
				b.Errorf("%s: UID %d is not below UIDNEXT %d", when, uid, mb.Status().UIDNext)
			}
			highest = max(highest, ms[k-1].UID)
		}
	}
	for range 3 {
		look("settled", mailbox.ReadOnly)
		look("settled", mailbox.ReadWrite)
		del := b.begin(n, mailbox.AppendOptions{})
		for _, w := range []string{"three", "four"} {
			_, err := del.Add(letterOf(w))
			b.ok("add", err)
		}
		old := highest
		uids, err := del.Commit()
		b.ok("commit", err)
		look("appended", mailbox.ReadWrite)
		if uids.Validity != 0 || b.h.UIDs {
			if uids.Validity != first.UIDValidity || uids.First <= old || uids.Last != uids.First+1 || uids.Last != highest {
				b.Errorf("commit: got %+v, want UIDVALIDITY %d, UIDs behind %d up to %d", uids, first.UIDValidity, old, highest)
			}
		}
		// The highest UID goes, and must not come back.
		mb := b.open(n, mailbox.ReadWrite)
		_, err = mb.Expunge(mailbox.One(mb.Status().Messages))
		b.ok("expunge", err)
		b.close(mb)
		b.fill(n, "five")
		mb = b.open(n, mailbox.ReadWrite)
		ms := b.messages(mb)
		if uid := ms[len(ms)-1].UID; uid <= highest {
			b.Errorf("UID %d was used before: %d was the highest", uid, highest)
		}
		// Nor when the mailbox gets empty.
		_, err = mb.Expunge(mailbox.All)
		b.ok("expunge all", err)
		b.close(mb)
		look("emptied", mailbox.ReadOnly)
	}
}

func testSenders(b *bench) {
	if !b.h.Sender {
		b.Skip("the format keeps no envelope senders")
	}
	n := b.box("box")
	want := []string{"bob@example.org", "MAILER-DAEMON", "\"a b\"@example.org", "<>", "a!b!c"}
	for _, s := range want {
		it := letterOf("x")
		it.Sender = s
		b.add(n, mailbox.AppendOptions{}, it)
	}
	for range 2 {
		mb := b.open(n, mailbox.ReadOnly)
		e, ok := mb.(mailbox.Enveloper)
		if !ok {
			b.Fatal("the mailbox is no Enveloper")
		}
		for i, s := range want {
			got, err := e.Sender(uint32(i + 1))
			if got != s || err != nil {
				b.Errorf("sender of message %d: got %q, %v, want %q", i+1, got, err, s)
			}
		}
		b.close(mb)
		b.settle(n)
	}
}
