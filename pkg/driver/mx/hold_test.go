package mx

import (
	"errors"
	"testing"

	"mailutil/pkg/mailbox"
)

// A mailbox that is held takes no mail and no flags, from anybody who locks.
func TestHold(t *testing.T) {
	w := newWorld(t)
	n := w.golden("mxbasic")
	held, err := w.Hold(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if got := len(see(t, held).Messages); got != 7 {
		t.Errorf("got %d messages, want 7", got)
	}
	if _, err := w.Open(ctx, n, mailbox.ReadWrite); !errors.Is(err, mailbox.ErrBusy) {
		t.Errorf("open: got %v, want %v", err, mailbox.ErrBusy)
	}
	if err := w.deliver("mxbasic", mailbox.AppendOptions{}, 1); !errors.Is(err, mailbox.ErrBusy) {
		t.Errorf("deliver: got %v, want %v", err, mailbox.ErrBusy)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.deliver("mxbasic", mailbox.AppendOptions{}, 1); err != nil {
		t.Errorf("deliver afterwards: %v", err)
	}
}
