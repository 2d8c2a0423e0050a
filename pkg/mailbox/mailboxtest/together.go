package mailboxtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"mailutil/pkg/mailbox"
)

// testUncommitted wants nobody to see mail before it is committed.
func testUncommitted(b *bench) {
	n, _ := b.some("box")
	before := b.fresh(n)
	del := b.begin(n, mailbox.AppendOptions{})
	_, err := del.Add(letterOf("four"))
	b.ok("add", err)
	mb, err := b.d.Open(ctx, n, mailbox.ReadOnly)
	switch {
	case err == nil:
		b.same("before commit", b.records(mb), before)
		b.close(mb)
	case !errors.Is(err, mailbox.ErrBusy):
		b.Errorf("open before commit: got %v, want it open or %v", err, mailbox.ErrBusy)
	}
	_, err = del.Commit()
	b.ok("commit", err)
	if got := subjects(b.fresh(n)); got != "one two three four" {
		b.Errorf("after commit: got %s", got)
	}
	want := "one two three four"
	if _, err := del.Add(letterOf("five")); err == nil {
		if _, err := del.Commit(); err == nil { // then it must be there
			want += " five"
		}
	}
	b.ok("abort", del.Abort())
	if got := subjects(b.fresh(n)); got != want {
		b.Errorf("after a second commit: got %s, want %s", got, want)
	}
}

// testDeliveries has two deliveries at once: the second may be told to wait,
// but nothing may be lost or mixed.
func testDeliveries(b *bench) {
	n, _ := b.some("box")
	first := b.begin(n, mailbox.AppendOptions{})
	_, err := first.Add(letterOf("four"))
	b.ok("add", err)
	second, err := b.d.(mailbox.Appender).Append(ctx, n, mailbox.AppendOptions{})
	want := "one two three four five"
	if errors.Is(err, mailbox.ErrBusy) {
		_, err = first.Add(letterOf("five"))
		b.ok("add", err)
		_, err = first.Commit()
		b.ok("commit", err)
	} else {
		b.ok("append", err)
		_, err = second.Add(letterOf("six"))
		b.ok("add", err)
		_, err = first.Add(letterOf("five"))
		b.ok("add", err)
		_, err = second.Commit()
		b.ok("commit the second", err)
		_, err = first.Commit()
		b.ok("commit the first", err)
		b.ok("abort", second.Abort())
		want = "one two three six four five"
	}
	if got := subjects(b.fresh(n)); got != want {
		b.Errorf("two deliveries: got %s, want %s", got, want)
	}
}

// testInterleaved changes a mailbox in a session that has not seen yet what
// came meanwhile.
func testInterleaved(b *bench) {
	n, _ := b.some("box")
	for i, change := range []func(mb mailbox.Mailbox) error{
		func(mb mailbox.Mailbox) error {
			return mb.Store(mailbox.All, mailbox.Add, mailbox.FlagList{System: mailbox.Seen})
		},
		func(mb mailbox.Mailbox) error {
			_, err := mb.Expunge(mailbox.One(1))
			return err
		},
		func(mb mailbox.Mailbox) error {
			_, err := mb.Expunge(mailbox.Range(1, mb.Status().Messages))
			return err
		},
		mailbox.Mailbox.Close,
	} {
		before := b.fresh(n)
		mb := b.open(n, mailbox.ReadWrite)
		late := fmt.Sprint("late", i)
		b.fill(n, late)
		b.ok("change", change(mb))
		b.close(mb)
		got := b.fresh(n)
		want := strings.Fields(subjects(before) + " " + late)
		switch i {
		case 1:
			want = want[1:]
		case 2:
			want = want[len(want)-1:]
		}
		if subjects(got) != strings.Join(want, " ") {
			b.Errorf("change %d: got %s, want %s", i, subjects(got), want)
		}
		if late := got[len(got)-1]; i == 0 && late.Flags != "" {
			b.Errorf("mail that had not been seen was flagged %s", late.Flags)
		}
	}
}

// testMany keeps a thousand messages, and then every third of them.
func testMany(b *bench) {
	const many = 1000
	n := b.box("box")
	var items []mailbox.Item
	for i := range many {
		items = append(items, letterOf(fmt.Sprint(i, " ", strings.Repeat("x", i%97))))
	}
	b.add(n, mailbox.AppendOptions{}, items...)
	before := b.fresh(n)
	if len(before) != many {
		b.Fatalf("got %d messages, want %d", len(before), many)
	}
	var doomed mailbox.Set
	var want []record
	for i, r := range before {
		if !strings.HasPrefix(r.Text, fmt.Sprintf("Subject: %d ", i)) {
			b.Errorf("message %d: got %.40q", i, r.Text)
		}
		if i%3 != 0 {
			doomed.Add(uint32(i + 1))
		} else {
			want = append(want, r)
		}
	}
	mb := b.open(n, mailbox.ReadWrite)
	if gone, err := mb.Expunge(doomed); gone != many-len(want) || err != nil {
		b.Errorf("expunge: got %d, %v, want %d", gone, err, many-len(want))
	}
	b.close(mb)
	b.same("every third", b.fresh(n), want)
}

// testModel does things at random to the driver and to a Memory, which must
// agree after each.
func testModel(b *bench) {
	for seed := range uint64(8) {
		m := model{b: b, rng: rand.New(rand.NewPCG(seed, 1)), n: b.box(fmt.Sprint("box", seed))}
		m.mem = NewMemory(b.env, "memory")
		b.ok("create", m.mem.Create(ctx, m.n))
		m.reopen()
		for range 60 {
			m.step()
			if b.Failed() {
				b.Fatalf("seed %d: %s", seed, strings.Join(m.done, ", "))
			}
		}
		m.closeAll()
	}
}

// A model is a mailbox in both drivers, with a session of each.
type model struct {
	b    *bench
	rng  *rand.Rand
	n    mailbox.Name
	mem  *Memory
	mbs  [2]mailbox.Mailbox // the driver's and the memory's
	done []string
}

// both does f to the mailbox of either driver.
func (m *model) both(what string, f func(mb mailbox.Mailbox) error) {
	m.done = append(m.done, what)
	for _, mb := range m.mbs {
		m.b.ok(what, f(mb))
	}
}

func (m *model) closeAll() {
	for _, mb := range m.mbs {
		if mb != nil {
			m.b.ok("close", mb.Close())
		}
	}
}

// reopen begins new sessions.
func (m *model) reopen() {
	m.done = append(m.done, "reopen")
	m.closeAll()
	m.mbs[0] = m.b.open(m.n, mailbox.ReadWrite)
	mb, err := m.mem.Open(ctx, m.n, mailbox.ReadWrite)
	m.b.ok("open", err)
	m.mbs[1] = mb
}

// set is a random set of messages.
func (m *model) set() (s mailbox.Set) {
	for seq := range m.mbs[1].Status().Messages {
		if m.rng.IntN(3) == 0 {
			s.Add(seq + 1)
		}
	}
	return s
}

func (m *model) flags() mailbox.FlagList {
	l := mailbox.FlagList{System: mailbox.SystemFlags(m.rng.IntN(32))}
	if m.b.h.MaxKeywords >= 5 && m.rng.IntN(2) == 0 {
		l.Keywords = []string{[]string{"$Work", "Later", "A-rather-long-keyword", "x"}[m.rng.IntN(4)]}
	}
	return l
}

// step does one thing and compares.
func (m *model) step() {
	switch m.rng.IntN(6) {
	case 0:
		m.reopen()
	case 1, 2:
		m.append()
	case 3:
		set, op, l := m.set(), mailbox.FlagOp(m.rng.IntN(3)), m.flags()
		m.both(fmt.Sprintf("store %v %v %v", set, op, l), func(mb mailbox.Mailbox) error { return mb.Store(set, op, l) })
	case 4:
		set := m.set()
		m.both(fmt.Sprintf("expunge %v", set), func(mb mailbox.Mailbox) error {
			_, err := mb.Expunge(set)
			return err
		})
	}
	// Both look, so that their sessions see the same.
	m.both("ping", func(mb mailbox.Mailbox) error {
		_, err := mb.Ping()
		return err
	})
	mem := &bench{T: m.b.T, h: m.b.h, d: m.mem, env: m.b.env}
	m.b.same("in the session", m.b.records(m.mbs[0]), mem.records(m.mbs[1]))
	m.b.same("to others", m.b.fresh(m.n), mem.fresh(m.n))
	a, z := m.mbs[0].Status(), m.mbs[1].Status()
	if a.Messages != z.Messages || a.Recent != z.Recent || a.Unseen != z.Unseen || a.UIDNext != z.UIDNext && !m.b.h.Bare && !m.b.h.Numbers {
		m.b.Errorf("Status\n got %+v\nwant %+v", a, z)
	}
}

// append adds some messages to both, of texts that every format keeps.
func (m *model) append() {
	var items []mailbox.Item
	o := mailbox.AppendOptions{}
	for range m.rng.IntN(4) {
		it := item(fmt.Sprintf("Subject: %d\r\n\r\n%s", m.rng.IntN(1000), strings.Repeat("line\r\n", m.rng.IntN(400))))
		l := m.flags()
		it.Flags.System = l.System
		for _, k := range l.Keywords {
			it.Flags.Keywords |= 1 << len(o.Keywords)
			o.Keywords = append(o.Keywords, k)
		}
		items = append(items, it)
	}
	m.done = append(m.done, fmt.Sprintf("append %d", len(items)))
	for i, alt := range m.b.add(m.n, o, items...) {
		if alt.Keywords > 0 && !m.b.h.Shared {
			// Our session is the only one that may create keywords.
			alt.Keywords, items[i].Flags.Keywords = 0, 0
		}
		if alt.Any() {
			m.b.Errorf("message %d of an append: altered %+v", i+1, alt)
		}
		items[i].Text.(*strings.Reader).Seek(0, 0)
	}
	mem := &bench{T: m.b.T, h: m.b.h, d: m.mem, env: m.b.env}
	mem.add(m.n, o, items...)
}
