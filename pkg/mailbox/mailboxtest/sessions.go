package mailboxtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailutil/pkg/mailbox"
)

// words are the subjects of a mailbox of ten messages.
var words = strings.Fields("one two three four five six seven eight nine ten")

// testSets lists by sets.
func testSets(b *bench) {
	n := b.box("box")
	b.fill(n, words[:5]...)
	mb := b.open(n, mailbox.ReadOnly)
	for _, tt := range []struct {
		set  mailbox.Set
		want []uint32
	}{
		{mailbox.All, []uint32{1, 2, 3, 4, 5}},
		{mailbox.Set{}, nil},
		{mailbox.One(3), []uint32{3}},
		{seqs(5, 1, 4), []uint32{1, 4, 5}},
		{mailbox.Range(4, 9), []uint32{4, 5}},
		{mailbox.One(6), nil},
	} {
		var got []uint32
		for m, err := range mb.Messages(tt.set) {
			b.ok("messages", err)
			got = append(got, m.Seq)
		}
		if !slices.Equal(got, tt.want) {
			b.Errorf("messages %v: got %v, want %v", tt.set, got, tt.want)
		}
	}
	for m := range mb.Messages(mailbox.All) { // one may stop, and open inside the loop
		if !strings.HasPrefix(b.text(mb, m.Seq), "Subject: "+words[m.Seq-1]) {
			b.Errorf("message %d opened in the loop: wrong text", m.Seq)
		}
		if m.Seq == 2 {
			break
		}
	}
	for _, seq := range []uint32{5, 1, 3, 3, 2} { // in any order
		if got := b.text(mb, seq); !strings.HasPrefix(got, "Subject: "+words[seq-1]) {
			b.Errorf("message %d: got %q", seq, got)
		}
	}
	for _, seq := range []uint32{0, 6, 1<<32 - 1} {
		if _, err := mb.Open(seq); err == nil {
			b.Errorf("open message %d of 5: got no error", seq)
		}
	}
	b.close(mb)
	if err := mb.Close(); err != nil {
		b.Errorf("close again: %v", err)
	}
}

// testExpunge removes many sets; what is left must be as it was.
func testExpunge(b *bench) {
	for i, set := range []mailbox.Set{
		mailbox.One(1), mailbox.One(10), mailbox.One(5), mailbox.All,
		{},
		seqs(2, 4, 6, 8, 10), seqs(1, 3, 5, 7, 9),
		mailbox.Range(1, 9), mailbox.Range(2, 10), mailbox.Range(3, 7), seqs(1, 10), mailbox.Range(11, 20),
	} {
		n := b.box(fmt.Sprint("box", i))
		b.fill(n, words[:3]...)
		for k, w := range words[3:] {
			it := item("Subject: " + w + "\r\n\r\n" + strings.Repeat(w+"\r\n", 1<<(2*k)))
			it.Flags.System = mailbox.SystemFlags(k) & allSystem
			it.Date.Day += uint8(k)
			if b.h.MaxKeywords > 0 {
				it.Flags.Keywords = uint64(k & 1)
			}
			b.add(n, mailbox.AppendOptions{Keywords: []string{"Odd"}}, it)
		}
		b.settle(n)
		before := b.fresh(n)
		var want []record
		for k, r := range before {
			if !set.Contains(uint32(k + 1)) {
				want = append(want, r)
			}
		}
		mb := b.open(n, mailbox.ReadWrite)
		next := mb.Status().UIDNext
		gone, err := mb.Expunge(set)
		if err != nil || gone != len(before)-len(want) {
			b.Errorf("expunge %v: got %d, %v, want %d", set, gone, err, len(before)-len(want))
		}
		what := fmt.Sprintf("expunge %v", set)
		b.same(what+": in the session", b.records(mb), want)
		b.same(what+": to others, at once", b.fresh(n), want)
		b.close(mb)
		b.same(what+": after it", b.fresh(n), want)
		b.probe(n, !b.h.Bare || len(want) > 0)
		mb = b.open(n, mailbox.ReadWrite)
		if got := mb.Status().UIDNext; got != next && !b.h.Bare && !b.h.Numbers {
			b.Errorf("expunge %v: UIDNEXT: got %d, want %d as before", set, got, next)
		}
		b.close(mb)
		b.fill(n, "eleven")
		if got, want := subjects(b.fresh(n)), strings.TrimSpace(subjects(want)+" eleven"); got != want {
			b.Errorf("append after expunge %v: got %s, want %s", set, got, want)
		}
	}
}

// ping wants a change to be seen, or none.
func (b *bench) ping(what string, mb mailbox.Mailbox, want bool) {
	b.Helper()
	if got, err := mb.Ping(); got != want || err != nil {
		b.Errorf("%s: ping: got %v, %v, want %v", what, got, err, want)
	}
}

// testPingAppend wants sessions to see new mail when they look for it.
func testPingAppend(b *bench) {
	n := b.box("box")
	b.fill(n, "one")
	b.settle(n)
	for _, mode := range []mailbox.Mode{mailbox.ReadOnly, mailbox.ReadWrite} {
		mb := b.open(n, mode)
		before := b.records(mb)
		b.ping("nothing happened", mb, false)
		b.fill(n, "new")
		if got := len(b.messages(mb)); got != len(before) {
			b.Errorf("before Ping: got %d messages, want %d", got, len(before))
		}
		b.same("old messages, before Ping", b.records(mb), before)
		b.ping("mail came", mb, true)
		got := b.records(mb)
		if len(got) != len(before)+1 {
			b.Fatalf("after Ping: got %d messages, want %d", len(got), len(before)+1)
		}
		b.same("old messages, after Ping", got[:len(before)], before)
		b.ping("mail came, and was seen", mb, false)
		b.fill(n, "newer", "newest")
		b.ping("more came", mb, true)
		if got := subjects(b.records(mb)); !strings.HasSuffix(got, "new newer newest") {
			b.Errorf("after the second Ping: got %s", got)
		}
		b.close(mb)
	}
}

// testPingFlags wants a session to see flags that another changes.
func testPingFlags(b *bench) {
	n := b.box("box")
	b.fill(n, words[:4]...)
	b.settle(n)
	watcher := b.open(n, mailbox.ReadOnly)
	writer := b.open(n, mailbox.ReadWrite)
	lists := []mailbox.FlagList{{System: mailbox.Seen}, {System: mailbox.Deleted | mailbox.Draft}}
	if b.h.MaxKeywords >= 5 {
		lists = append(lists, mailbox.FlagList{Keywords: []string{"$Work", "A-keyword-of-thirty-two-letters."}}, mailbox.FlagList{Keywords: []string{"Later"}})
	}
	for _, op := range []mailbox.FlagOp{mailbox.Add, mailbox.Remove, mailbox.Replace} {
		for _, list := range lists {
			b.ok("store", writer.Store(seqs(2, 4), op, list))
			b.ping("flags changed", watcher, true)
			b.same(fmt.Sprintf("watcher, after %v %v", op, list), b.records(watcher), b.records(writer))
			b.ping("and were seen", watcher, false)
		}
	}
	b.close(writer)
	b.close(watcher)
}

// testPingExpunge wants a session to see that messages are gone.
func testPingExpunge(b *bench) {
	n := b.box("box")
	b.fill(n, words...)
	b.settle(n)
	watcher := b.open(n, mailbox.ReadOnly)
	writer := b.open(n, mailbox.ReadWrite)
	if b.h.Alone {
		before := b.records(watcher)
		if gone, err := writer.Expunge(mailbox.All); gone != 0 || !errors.Is(err, mailbox.ErrBusy) {
			b.Errorf("expunge while another session has the mailbox open: got %d, %v, want 0, %v", gone, err, mailbox.ErrBusy)
		}
		b.same("refused", b.records(writer), before)
		b.ping("refused", watcher, false)
		b.same("watcher, after a refused expunge", b.records(watcher), before)
		b.close(watcher)
		gone, err := writer.Expunge(mailbox.All)
		if gone != len(before) || err != nil {
			b.Errorf("expunge once the other has gone: got %d, %v, want %d", gone, err, len(before))
		}
		b.close(writer)
		return
	}
	for _, set := range []mailbox.Set{mailbox.One(1), mailbox.One(9), seqs(2, 4, 6), mailbox.All} {
		_, err := writer.Expunge(set)
		b.ok("expunge", err)
		b.ping("messages are gone", watcher, true)
		b.same(fmt.Sprintf("watcher, after expunge of %v", set), b.records(watcher), b.records(writer))
		b.ping("and were seen to be gone", watcher, false)
	}
	b.fill(n, "eleven")
	b.ping("mail came", watcher, true)
	if got := subjects(b.records(watcher)); got != "eleven" {
		b.Errorf("watcher: got %s, want eleven", got)
	}
	b.close(writer)
	b.close(watcher)
}

// testTwoWriters opens read-write twice. Nothing may be lost.
func testTwoWriters(b *bench) {
	if !b.h.Shared {
		b.Skip("one read-write session at a time")
	}
	n := b.box("box")
	b.fill(n, words...)
	b.settle(n)
	s := [2]mailbox.Mailbox{b.open(n, mailbox.ReadWrite), b.open(n, mailbox.ReadWrite)}
	b.ok("store", s[0].Store(seqs(1, 2), mailbox.Add, mailbox.FlagList{System: mailbox.Seen}))
	b.ok("store", s[1].Store(seqs(2, 3), mailbox.Add, mailbox.FlagList{System: mailbox.Flagged}))
	b.ok("store", s[0].Store(seqs(2), mailbox.Add, mailbox.FlagList{System: mailbox.Draft}))
	want := []string{`\Seen`, `\Draft \Flagged \Seen`, `\Flagged`, ""}
	for i := range s {
		if _, err := s[i].Ping(); err != nil {
			b.Fatalf("ping: %v", err)
		}
		for k, r := range b.records(s[i])[:4] {
			if r.Flags != want[k] {
				b.Errorf("session %d: message %d: got %s, want %s", i, k+1, r.Flags, want[k])
			}
		}
	}
	gone, err := s[0].Expunge(mailbox.Range(1, 5))
	if gone != 5 || err != nil {
		b.Errorf("expunge in a shared mailbox: got %d, %v, want 5", gone, err)
	}
	// The other has not looked yet: its numbers are the old ones.
	b.ok("store", s[1].Store(mailbox.One(10), mailbox.Add, mailbox.FlagList{System: mailbox.Answered}))
	b.fill(n, "eleven")
	gone, err = s[1].Expunge(seqs(1, 6))
	if gone != 1 || err != nil {
		b.Errorf("expunge of one that is gone and one that is not: got %d, %v, want 1", gone, err)
	}
	for i := range s {
		if _, err := s[i].Ping(); err != nil {
			b.Fatalf("ping: %v", err)
		}
	}
	b.same("two sessions", b.records(s[0]), b.records(s[1]))
	b.close(s[0])
	b.close(s[1])
	got := b.fresh(n)
	if subjects(got) != "seven eight nine ten eleven" || got[3].Flags != `\Answered` {
		b.Errorf("afterwards: got %v", got)
	}
	b.settle(n)
	b.same("after another session", b.fresh(n), got)
}

func testDelete(b *bench) {
	d, ok := b.d.(mailbox.Deleter)
	if !ok {
		b.Skip("the driver does not delete")
	}
	if err := d.Delete(ctx, b.name("missing")); !errors.Is(err, mailbox.ErrNotExist) {
		b.Errorf("delete a missing mailbox: got %v, want %v", err, mailbox.ErrNotExist)
	}
	before := b.tree()
	n, _ := b.some("box")
	b.ok("delete", d.Delete(ctx, n))
	b.probe(n, false)
	b.unchanged("created and deleted", before)
	b.box("box") // the name is free again
	if got := b.fresh(n); len(got) != 0 {
		b.Errorf("created again: got %d messages, want none", len(got))
	}
}

func testRename(b *bench) {
	d, ok := b.d.(mailbox.Renamer)
	if !ok {
		b.Skip("the driver does not rename")
	}
	n, _ := b.some("box")
	want := b.fresh(n)
	if err := d.Rename(ctx, b.name("missing"), b.name("to")); !errors.Is(err, mailbox.ErrNotExist) {
		b.Errorf("rename a missing mailbox: got %v, want %v", err, mailbox.ErrNotExist)
	}
	for _, to := range []string{"to", "dir/below/to"} {
		b.ok("rename to "+to, d.Rename(ctx, n, b.name(to)))
		b.probe(n, false)
		n = b.name(to)
		b.probe(n, true)
		b.same("renamed to "+to, b.fresh(n), want)
	}
	taken := b.box("taken")
	before := b.tree()
	if err := d.Rename(ctx, n, taken); !errors.Is(err, mailbox.ErrExist) {
		b.Errorf("rename to a taken name: got %v, want %v", err, mailbox.ErrExist)
	}
	b.unchanged("rename to a taken name", before)
}

// testBusy wants a mailbox that is open to stay where it is.
func testBusy(b *bench) {
	if !b.h.Busy {
		b.Skip("the format cannot tell that a mailbox is open")
	}
	n, _ := b.some("box")
	want := b.fresh(n)
	mb := b.open(n, mailbox.ReadWrite)
	if d, ok := b.d.(mailbox.Deleter); ok {
		if err := d.Delete(ctx, n); !errors.Is(err, mailbox.ErrBusy) {
			b.Errorf("delete while open: got %v, want %v", err, mailbox.ErrBusy)
		}
	}
	if d, ok := b.d.(mailbox.Renamer); ok {
		if err := d.Rename(ctx, n, b.name("to")); !errors.Is(err, mailbox.ErrBusy) {
			b.Errorf("rename while open: got %v, want %v", err, mailbox.ErrBusy)
		}
	}
	b.probe(n, true)
	b.probe(b.name("to"), false)
	b.same("refused", b.records(mb), want)
	b.close(mb)
	if d, ok := b.d.(mailbox.Deleter); ok {
		b.ok("delete once closed", d.Delete(ctx, n))
	}
}
