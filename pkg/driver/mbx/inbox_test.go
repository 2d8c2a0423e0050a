package mbx

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
)

var inbox = mailbox.Name{Text: "INBOX", Inbox: true}

// withSpool lets the driver take new mail from a spool, which for once is of
// our own format.
func withSpool(t *testing.T, texts ...string) (w *world, spool mailbox.Name) {
	w = newWorld(t)
	w.Driver.spool = New(w.env, nil)
	spool = w.name("spool")
	w.spoolIn(spool, texts...)
	return w, spool
}

func (w *world) spoolIn(spool mailbox.Name, texts ...string) {
	var items []mailbox.Item
	for _, text := range texts {
		it := item(text)
		it.Date = mailbox.Date{Year: 2001, Month: 7, Day: 4, Zone: -7 * 60}
		it.Flags.System = mailbox.Flagged
		items = append(items, it)
	}
	_, err := os.Stat(spool.Path)
	w.deliver(spool, mailbox.AppendOptions{New: err != nil}, items...)
}

func TestSnarf(t *testing.T) {
	w, spool := withSpool(t, "A: 1\r\n\r\n", "A: 2\r\n\r\n")
	ctx := context.Background()
	if ok, err := w.Probe(inbox); ok || err != nil {
		t.Errorf("Probe of no INBOX: got %v, %v", ok, err)
	}
	if err := w.Create(ctx, inbox); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(w.home, "INBOX")); err != nil {
		t.Error(err)
	}
	count := func(want uint32) {
		t.Helper()
		if st, err := w.Count(ctx, inbox); err != nil || st.Messages != want {
			t.Errorf("Count: got %+v, %v; want %d messages", st, err, want)
		}
	}
	count(2)
	if got := w.open(inbox, mailbox.ReadOnly).Status().Messages; got != 0 {
		t.Errorf("a read-only INBOX: got %d messages", got)
	}
	b := w.open(inbox, mailbox.ReadWrite)
	if st := b.Status(); st.Messages != 2 || st.Recent != 2 || st.UIDNext != 3 {
		t.Errorf("INBOX: got %+v", st)
	}
	if file := string(w.read(w.name("INBOX"))); !strings.HasSuffix(file,
		" 4-Jul-2001 00:00:00 -0700,8;000000000014-00000001\r\nA: 1\r\n\r\n"+
			" 4-Jul-2001 00:00:00 -0700,8;000000000014-00000002\r\nA: 2\r\n\r\n") {
		t.Errorf("INBOX: got %q", file[blockSize:])
	}
	if got := len(w.read(spool)); got != blockSize {
		t.Errorf("the spool has %d octets", got)
	}
	w.spoolIn(spool, "A: 3\r\n\r\n")
	ping := func(want bool) {
		t.Helper()
		if changed, err := b.Ping(); changed != want || err != nil {
			t.Errorf("Ping: got %v, %v; want %v", changed, err, want)
		}
	}
	ping(false) // not every time
	w.now = w.now.Add(time.Minute)
	ping(true)
	count(3)
	if len(w.heard) > 0 {
		t.Errorf("warnings %q", w.heard)
	}
}

func TestSnarfFails(t *testing.T) {
	w, spool := withSpool(t, "A: 1\r\n\r\n")
	if err := w.Create(context.Background(), inbox); err != nil {
		t.Fatal(err)
	}
	before := string(w.read(spool)) + "x" // damaged
	w.file("spool", []byte(before))
	b := w.open(inbox, mailbox.ReadWrite)
	if st := b.Status(); st.Messages != 0 {
		t.Errorf("got %+v", st)
	}
	if len(w.heard) != 1 || !strings.HasPrefix(w.heard[0], "Can't copy new mail: ") {
		t.Errorf("said %q", w.heard)
	}
	if string(w.read(spool)) != before {
		t.Error("the spool changed")
	}
}

func TestRenameInbox(t *testing.T) {
	w, _ := withSpool(t, "A: 1\r\n\r\n")
	ctx := context.Background()
	w.deliver(inbox, mailbox.AppendOptions{New: true}, item("A: 0\r\n\r\n"))
	if err := w.Rename(ctx, inbox, w.name("old")); err != nil {
		t.Fatal(err)
	}
	if got := w.open(w.name("old"), mailbox.ReadOnly).Status().Messages; got != 1 {
		t.Errorf("renamed: got %d messages", got)
	}
	if got := w.open(inbox, mailbox.ReadOnly).Status().Messages; got != 0 {
		t.Errorf("the new INBOX: got %d messages", got)
	}
}
