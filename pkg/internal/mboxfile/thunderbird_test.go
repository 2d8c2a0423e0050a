package mboxfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailutil/pkg/internal/mbox"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

const bareBox = "From \nSubject: a\n\n>From x\n>>From y\n\nFrom -\nSubject: b\n\ny\nFrom \nz\n\nFrom \nSubject: c\n\n"

// A session on a file of Thunderbird writes what it has to, and no message becomes
// another by that.
func TestThunderbird(t *testing.T) {
	env := mailboxtest.NewEnv(t)
	n := mailbox.Name{Text: "tb", Path: filepath.Join(env.Home, "tb")}
	if err := os.WriteFile(n.Path, []byte(bareBox), 0o600); err != nil {
		t.Fatal(err)
	}
	if is, err := New(mbox.Unix, env).Probe(n); is || err != nil {
		t.Errorf("taken for a unix mailbox: %v, %v", is, err)
	}
	d := New(mbox.Unix, env)
	d.Thunderbird = true
	if is, err := d.Probe(mailbox.Name{Text: "INBOX", Inbox: true, Path: n.Path}); is || err != nil {
		t.Errorf("INBOX: %v, %v", is, err)
	}
	texts := func(want ...string) mailbox.Mailbox {
		t.Helper()
		if is, err := d.Probe(n); !is || err != nil {
			t.Fatalf("probe: %v, %v", is, err)
		}
		mb, err := d.Open(t.Context(), n, mailbox.ReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for m, err := range mb.Messages(mailbox.All) {
			if err != nil {
				t.Fatal(err)
			}
			c, err := mb.Open(m.Seq)
			if err != nil {
				t.Fatal(err)
			}
			text := new(strings.Builder)
			if k, err := c.WriteTo(text); err != nil || k != m.Size {
				t.Errorf("message %d: %d octets, size %d, %v", m.Seq, k, m.Size, err)
			}
			got = append(got, strings.ReplaceAll(text.String(), "\r", ""))
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("got %q, want %q", got, want)
		}
		return mb
	}
	const a, b, c = "Subject: a\n\nFrom x\n>From y\n", "Subject: b\n\ny\nFrom \nz\n", "Subject: c\n\n"
	mb := texts(a, b, c)
	if err := mb.Store(mailbox.Range(2, 3), mailbox.Add, mailbox.FlagList{System: mailbox.Seen, Keywords: []string{"new"}}); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(n.Path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("From \nSubject: d\n\n"); err != nil || f.Close() != nil { // as Thunderbird does
		t.Fatal(err)
	}
	if _, err := mb.Ping(); err != nil || mb.Status().Messages != 4 {
		t.Errorf("after more has come: %+v, %v", mb.Status(), err)
	}
	if _, err := mb.Expunge(mailbox.Range(1, 1)); err != nil {
		t.Fatal(err)
	}
	if err := mb.Close(); err != nil {
		t.Fatal(err)
	}
	if err := texts(b, c, "Subject: d\n\n").Close(); err != nil {
		t.Fatal(err)
	}
}
