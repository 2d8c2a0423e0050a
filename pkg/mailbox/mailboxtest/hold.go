package mailboxtest

import (
	"context"
	"errors"
	"os"

	"mailutil/pkg/mailbox"
)

// holder returns the driver as one that can hold mailboxes. Without that they
// cannot be converted in place.
func (b *bench) holder() mailbox.Holder {
	b.Helper()
	h, ok := b.d.(mailbox.Holder)
	if !ok {
		b.Skip("the driver cannot hold mailboxes, so that none can be converted in place")
	}
	b.env.LockTimeout = -1 // others must not be waited for
	return h
}

// testHold wants a mailbox that is held to be there for nobody else.
func testHold(b *bench) {
	h := b.holder()
	n, _ := b.some("box")
	want := b.fresh(n)
	held, err := h.Hold(ctx, n)
	b.ok("hold", err)
	b.Cleanup(func() { held.Close() })
	b.same("held", b.records(held), want)
	if !b.h.Unlocked {
		b.refused(n)
	}
	if _, err := h.Hold(ctx, n); !errors.Is(err, mailbox.ErrBusy) {
		b.Errorf("hold twice: got %v, want %v", err, mailbox.ErrBusy)
	}
	if changed, err := held.Ping(); changed || err != nil {
		b.Errorf("ping: got %v, %v", changed, err)
	}
	if err := held.Store(mailbox.All, mailbox.Add, mailbox.FlagList{System: mailbox.Flagged}); err == nil {
		b.Errorf("store in a mailbox that is held: no error")
	}
	b.same("still", b.records(held), want)
	b.close(held)
	b.same("afterwards", b.fresh(n), want)
	b.fill(n, "four")
	mb := b.open(n, mailbox.ReadWrite)
	if got := subjects(b.records(mb)); got != "one two three four" {
		b.Errorf("afterwards: got %s", got)
	}
	if b.h.Unlocked {
		b.close(mb)
		return
	}
	if held, err := h.Hold(ctx, n); !errors.Is(err, mailbox.ErrBusy) {
		b.Errorf("hold while a session has it open: got %v, want %v", err, mailbox.ErrBusy)
		if err == nil {
			held.Close()
		}
	}
	b.close(mb)
	if _, err := h.Hold(ctx, b.name("missing")); !errors.Is(err, mailbox.ErrNotExist) {
		b.Errorf("hold what is missing: got %v, want %v", err, mailbox.ErrNotExist)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if held, err := h.Hold(cancelled, n); err == nil { // which an uncontended lock may not look at
		b.close(held)
	}
}

// refused wants no session and no delivery to get at n.
func (b *bench) refused(n mailbox.Name) {
	b.Helper()
	mb, err := b.d.Open(ctx, n, mailbox.ReadWrite)
	if err == nil {
		if !mb.Status().ReadOnly {
			b.Errorf("open read-write while held: it can be written to")
		}
		b.close(mb)
	} else if !errors.Is(err, mailbox.ErrBusy) {
		b.Errorf("open while held: got %v, want %v", err, mailbox.ErrBusy)
	}
	del, err := b.d.(mailbox.Appender).Append(ctx, n, mailbox.AppendOptions{})
	if err == nil {
		_, err = del.Add(letterOf("no"))
		b.ok("add", err)
		_, err = del.Commit()
		b.ok("abort", del.Abort())
	}
	if !errors.Is(err, mailbox.ErrBusy) {
		b.Errorf("deliver while held: got %v, want %v", err, mailbox.ErrBusy)
	}
}

// testHoldReplaced has a delivery under way when the mailbox is replaced by
// another: it must be refused or arrive in the new one.
func testHoldReplaced(b *bench) {
	h := b.holder()
	n, _ := b.some("box")
	other, _ := b.some("other")
	if n.Path == "" {
		b.Skip("mailboxes have no place")
	}
	if _, err := os.Lstat(n.Path); err != nil {
		b.Skip("mailboxes have no place")
	}
	del := b.begin(n, mailbox.AppendOptions{})
	_, err := del.Add(letterOf("four"))
	b.ok("add", err)
	held, err := h.Hold(ctx, n)
	if errors.Is(err, mailbox.ErrBusy) {
		return // the delivery keeps it open
	}
	b.ok("hold", err)
	old := b.name("old")
	b.ok("rename", os.Rename(n.Path, old.Path))
	b.ok("rename", os.Rename(other.Path, n.Path))
	b.close(held)
	_, err = del.Commit()
	want := "one two three"
	if err == nil {
		want += " four"
	} else if !mailbox.IsTemporary(err) {
		b.Errorf("commit to a mailbox that was replaced: %v, which is final", err)
	}
	if got := subjects(b.fresh(old)); got != "one two three" {
		b.Errorf("the old mailbox: got %s", got)
	}
	if got := subjects(b.fresh(n)); got != want {
		b.Errorf("the new mailbox: got %s, want %s", got, want)
	}
}
