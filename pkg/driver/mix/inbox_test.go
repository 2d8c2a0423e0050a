package mix

import (
	"context"
	"errors"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
)

// An INBOX that is open for writing takes in what is in the spool, which for
// once is of our own format: at once, and then not at every look.
func TestTakeIn(t *testing.T) {
	w := newWorld(t)
	w.spool = New(w.env, nil)
	spool, inbox := w.name("spool"), mailbox.Name{Text: "INBOX", Inbox: true}
	ctx := context.Background()
	arrive := func(text string, isNew bool) {
		t.Helper()
		d, err := w.Append(ctx, spool, mailbox.AppendOptions{New: isNew})
		if err != nil {
			t.Fatal(err)
		}
		it := item(text)
		it.Flags.System = mailbox.Flagged | mailbox.Deleted
		_, err = d.Add(it)
		_, commit := d.Commit()
		if err := errors.Join(err, commit); err != nil {
			t.Fatal(err)
		}
	}
	arrive("A: 1\r\n\r\n", true)
	if err := w.Create(ctx, inbox); err != nil {
		t.Fatal(err)
	}
	if st := w.open(inbox, mailbox.ReadOnly).Status(); st.Messages != 0 {
		t.Errorf("a read-only INBOX: got %+v", st)
	}
	b := w.open(inbox, mailbox.ReadWrite)
	if st := b.Status(); st.Messages != 1 || st.UIDNext != 2 {
		t.Errorf("INBOX: got %+v", st)
	}
	for m, err := range b.Messages(mailbox.All) {
		if err != nil || m.Flags.System&^mailbox.Recent != mailbox.Flagged|mailbox.Deleted {
			t.Errorf("got flags %v, %v", m.Flags, err)
		}
	}
	if st := w.open(spool, mailbox.ReadOnly).Status(); st.Messages != 0 {
		t.Errorf("the spool: got %+v", st)
	}
	arrive("A: 2\r\n\r\n", false)
	for _, want := range []bool{false, true} { // not every time
		if changed, err := b.Ping(); changed != want || err != nil {
			t.Errorf("Ping: got %v, %v; want %v", changed, err, want)
		}
		w.now = w.now.Add(time.Minute)
	}
	if len(w.heard) > 0 {
		t.Errorf("warnings %q", w.heard)
	}
}
