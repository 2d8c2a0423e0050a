package serve_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/serve"
)

// A counting driver counts how often the state of its mailboxes is asked for,
// which costs as much as there are messages.
type counting struct {
	mailbox.Driver
	n *atomic.Int32
}

type countingBox struct {
	mailbox.Mailbox
	n *atomic.Int32
}

func (d counting) Open(ctx context.Context, n mailbox.Name, m mailbox.Mode) (mailbox.Mailbox, error) {
	mb, err := d.Driver.Open(ctx, n, m)
	return countingBox{mb, d.n}, err
}

func (b countingBox) Status() mailbox.Status {
	b.n.Add(1)
	return b.Mailbox.Status()
}

// What is asked of all messages does not ask for the state at each.
func TestLargeIsLinear(t *testing.T) {
	var n atomic.Int32
	many := strings.Split(strings.Repeat("Subject: x\r\n\r\n\r\n|", 300), "|")
	e := start(t, many[:300], func(o *serve.Options) {
		for i, d := range o.Session.Drivers {
			o.Session.Drivers[i] = counting{d, &n}
		}
	})
	c := login(t, e.imap)
	for _, command := range []string{
		"SELECT INBOX", "FETCH 1:* FLAGS", "UID FETCH 1:* (FLAGS RFC822.SIZE)", "STORE 1:* +FLAGS (\\Seen)", "NOOP", "FETCH 1:* BODY[]",
		"SEARCH SEEN", "UID SEARCH SUBJECT x",
	} {
		n.Store(0)
		c.say("x " + command + "\r\n")
		c.until("x OK")
		if n.Load() > 20 {
			t.Errorf("%s asks %d times for the state of the mailbox", command, n.Load())
		}
	}
}
