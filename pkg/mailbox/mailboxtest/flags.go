package mailboxtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailutil/pkg/mailbox"
)

// allSystem is every flag that can be stored.
const allSystem = mailbox.Seen | mailbox.Answered | mailbox.Flagged | mailbox.Deleted | mailbox.Draft

// testFlags appends every combination of system flags.
func testFlags(b *bench) {
	n := b.box("box")
	var items []mailbox.Item
	for f := range mailbox.SystemFlags(allSystem + 1) {
		it := letterOf(fmt.Sprint(f))
		it.Flags.System = f | mailbox.Recent // which must not matter
		items = append(items, it)
	}
	b.add(n, mailbox.AppendOptions{}, items...)
	for _, when := range []string{"appended", "after a read-write session"} {
		mb := b.open(n, mailbox.ReadOnly)
		unseen := 0
		for i, m := range b.messages(mb) {
			if got, want := m.Flags.System&^mailbox.Recent, mailbox.SystemFlags(i); got != want {
				b.Errorf("%s: flags of message %d: got %05b, want %05b", when, i+1, got, want)
			}
			if i&int(mailbox.Seen) == 0 {
				unseen++
			}
		}
		if st := mb.Status(); int(st.Unseen) != unseen {
			b.Errorf("%s: Unseen: got %d, want %d", when, st.Unseen, unseen)
		}
		b.close(mb)
		b.settle(n)
	}
}

// testKeywords appends messages with keywords to a mailbox that has others.
func testKeywords(b *bench) {
	if b.h.MaxKeywords < 5 {
		b.Skip("the format keeps no keywords")
	}
	n := b.box("box")
	add := func(keywords []string, bits ...uint64) {
		for _, f := range bits {
			it := letterOf("x")
			it.Flags = mailbox.Flags{System: mailbox.Seen, Keywords: f}
			alts := b.add(n, mailbox.AppendOptions{Keywords: keywords}, it)
			if alts[0].Any() {
				b.Errorf("keywords %v, bits %b: altered %+v", keywords, f, alts[0])
			}
		}
	}
	add([]string{"$Work", "Later", ""}, 0b001, 0b010, 0b011)
	add([]string{"", "LATER", "$Junk", "$work"}, 0b0010, 0b1100, 0)
	want := []string{`$Work \Seen`, `Later \Seen`, `$Work Later \Seen`, `Later \Seen`, `$Junk $Work \Seen`, `\Seen`}
	for _, when := range []string{"appended", "after a read-write session"} {
		mb := b.open(n, mailbox.ReadOnly)
		for i, m := range b.messages(mb) {
			if got := flagsOf(mb, m); got != want[i] {
				b.Errorf("%s: message %d: got %s, want %s", when, i+1, got, want[i])
			}
		}
		if got := mb.Status().Keywords; slices.Contains(got, "") {
			b.Errorf("%s: keywords %q: one has no name", when, got)
		}
		b.close(mb)
		b.settle(n)
	}
}

// testAllKeywords wants keywords created that no message bears.
func testAllKeywords(b *bench) {
	if b.h.MaxKeywords < 5 {
		b.Skip("the format keeps no keywords")
	}
	o := mailbox.AppendOptions{Keywords: []string{"One", "Two", "Three"}}
	for i, n := range []mailbox.Name{b.box("box"), b.name("new"), b.name("empty")} {
		o.New = i > 0
		var items []mailbox.Item
		if i < 2 {
			items = append(items, letterOf("x"))
			items[0].Flags.Keywords = 0b100
		}
		b.add(n, o, items...)
		mb := b.open(n, mailbox.ReadOnly)
		for _, k := range o.Keywords {
			if !slices.Contains(mb.Status().Keywords, k) {
				b.Errorf("%s: keywords %v lack %s", n.Text, mb.Status().Keywords, k)
			}
		}
		for _, m := range b.messages(mb) {
			if got := flagsOf(mb, m); got != "Three" {
				b.Errorf("%s: flags: got %s, want Three", n.Text, got)
			}
		}
		b.close(mb)
	}
}

// testTooManyKeywords wants keywords that have no room to be reported, and the
// rest of the message kept.
func testTooManyKeywords(b *bench) {
	n := b.box("box")
	o := mailbox.AppendOptions{}
	for i := range b.h.MaxKeywords {
		o.Keywords = append(o.Keywords, fmt.Sprintf("K%02d", i))
	}
	if b.h.MaxKeywords > 0 {
		it := letterOf("full")
		it.Flags.Keywords = 1<<b.h.MaxKeywords - 1
		if alt := b.add(n, o, it)[0]; alt.Any() {
			b.Errorf("%d keywords: altered %+v", b.h.MaxKeywords, alt)
		}
	}
	it := letterOf("over")
	it.Flags.Keywords = 0b111
	o.Keywords = []string{"Over", "not valid", "k00"}
	want := 3
	if b.h.MaxKeywords > 0 {
		want = 2
	}
	if alt := b.add(n, o, it)[0]; alt != (mailbox.Altered{Keywords: want}) {
		b.Errorf("no room: altered %+v, want %d keywords", alt, want)
	}
	mb := b.open(n, mailbox.ReadOnly)
	ms := b.messages(mb)
	if want, got := strings.Join(slices.Sorted(slices.Values(mb.Status().Keywords)), " "), flagsOf(mb, ms[0]); got != want {
		b.Errorf("full message: got %s, want %s", got, want)
	}
	if got := flagsOf(mb, ms[len(ms)-1]); want == 2 && got != "K00" || want == 3 && got != "" {
		b.Errorf("last message: got flags %s", got)
	}
	b.close(mb)

	mb = b.open(n, mailbox.ReadWrite)
	before := b.records(mb)
	err := mb.Store(mailbox.All, mailbox.Add, mailbox.FlagList{System: mailbox.Draft, Keywords: []string{"Over"}})
	if !errors.Is(err, mailbox.ErrUnsupported) {
		b.Errorf("store of a keyword that has no room: got %v, want %v", err, mailbox.ErrUnsupported)
	}
	b.close(mb)
	b.same("after a refused store", b.fresh(n), before)
}

// testRecent wants messages to be recent until a read-write session has seen
// them.
func testRecent(b *bench) {
	n := b.box("box")
	b.fill(n, "one", "two")
	count := func(mode mailbox.Mode, want uint32) {
		b.Helper()
		mb := b.open(n, mode)
		marked := uint32(0)
		for _, m := range b.messages(mb) {
			if m.Flags.System&mailbox.Recent != 0 {
				marked++
			}
		}
		if got := mb.Status().Recent; got != want || marked != want {
			b.Errorf("recent: Status says %d, %d messages are, want %d", got, marked, want)
		}
		b.close(mb)
	}
	count(mailbox.ReadOnly, 2)
	count(mailbox.ReadOnly, 2)
	count(mailbox.ReadWrite, 2)
	count(mailbox.ReadOnly, 0)
	b.fill(n, "three")
	count(mailbox.ReadWrite, 1)
	count(mailbox.ReadWrite, 0)
}

// testStore changes flags in all manners; each must be there in the session
// and after it.
func testStore(b *bench) {
	n := b.box("box")
	b.fill(n, "one", "two", "three")
	b.settle(n)
	want := b.fresh(n)
	flags := make([]mailbox.SystemFlags, 3)
	for _, tt := range []struct {
		set mailbox.Set
		op  mailbox.FlagOp
		f   mailbox.SystemFlags
	}{
		{mailbox.All, mailbox.Add, mailbox.Seen},
		{seqs(1, 3), mailbox.Add, mailbox.Flagged | mailbox.Deleted},
		{mailbox.One(2), mailbox.Replace, allSystem},
		{mailbox.Range(2, 3), mailbox.Remove, mailbox.Deleted | mailbox.Seen},
		{mailbox.All, mailbox.Add, mailbox.Recent},
		{mailbox.All, mailbox.Add, 0},
		{mailbox.Set{}, mailbox.Replace, mailbox.Draft},
		{mailbox.One(4), mailbox.Replace, mailbox.Draft},
		{mailbox.One(1), mailbox.Replace, 0},
		{mailbox.All, mailbox.Replace, mailbox.Answered},
		{mailbox.All, mailbox.Remove, allSystem},
	} {
		mb := b.open(n, mailbox.ReadWrite)
		b.ok("store", mb.Store(tt.set, tt.op, mailbox.FlagList{System: tt.f}))
		for seq := range tt.set.Seqs(3) {
			f := mailbox.Flags{System: flags[seq-1]}.Apply(tt.op, mailbox.Flags{System: tt.f})
			flags[seq-1] = f.System
			names := f.Names(nil)
			slices.Sort(names)
			want[seq-1].Flags = strings.Join(names, " ")
		}
		b.same(fmt.Sprintf("store %v: in the session", tt), b.records(mb), want)
		b.same(fmt.Sprintf("store %v: to others, at once", tt), b.fresh(n), want)
		b.close(mb)
		b.same(fmt.Sprintf("store %v: after it", tt), b.fresh(n), want)
	}
}

// testStoreKeywords creates keywords by Store.
func testStoreKeywords(b *bench) {
	if b.h.MaxKeywords < 5 {
		b.Skip("the format keeps no keywords")
	}
	n := b.box("box")
	b.fill(n, "one", "two", "three")
	for _, tt := range []struct {
		set  mailbox.Set
		op   mailbox.FlagOp
		k    []string
		want [3]string
	}{
		{mailbox.Range(1, 2), mailbox.Add, []string{"$Work", "Later"}, [3]string{"$Work Later", "$Work Later", ""}},
		{mailbox.One(2), mailbox.Remove, []string{"$WORK"}, [3]string{"$Work Later", "Later", ""}},
		{mailbox.One(3), mailbox.Replace, []string{"later", "$Junk"}, [3]string{"$Work Later", "Later", "$Junk Later"}},
		{mailbox.All, mailbox.Remove, []string{"Unheard"}, [3]string{"$Work Later", "Later", "$Junk Later"}},
		{mailbox.One(1), mailbox.Replace, nil, [3]string{"", "Later", "$Junk Later"}},
	} {
		mb := b.open(n, mailbox.ReadWrite)
		b.ok("store", mb.Store(tt.set, tt.op, mailbox.FlagList{Keywords: tt.k}))
		b.close(mb)
		mb = b.open(n, mailbox.ReadOnly)
		for i, m := range b.messages(mb) {
			if got := flagsOf(mb, m); got != tt.want[i] {
				b.Errorf("after %v %v: message %d: got %q, want %q", tt.op, tt.k, i+1, got, tt.want[i])
			}
		}
		b.close(mb)
	}
}
