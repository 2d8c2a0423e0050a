package serve_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"mailutil/pkg/ops"
)

// conversations are messages that answer each other, in no good order.
func conversations(n int) (out []string) {
	rnd := rand.New(rand.NewPCG(1, 2))
	names := []string{"ann", "Bob", "\xc3\xa9mile", "zoe", "=?iso-8859-1?q?J=F6rg?="}
	subjects := []string{"Hello", "Re: Hello", "[list] Re: hello", "Fwd: K=?utf-8?q?=C3=B6?=ln", "Re: Lunch (fwd)", "lunch", "[Fwd: Lunch]", "Zebra", "=?utf-8?b?w4RwZmVs?="}
	for i := range n {
		var refs []string
		for range rnd.IntN(4) {
			refs = append(refs, fmt.Sprintf("<%d@example.org>", rnd.IntN(n)))
		}
		day := 1 + rnd.IntN(28)
		out = append(out, fmt.Sprintf("Date: %d Mar 2024 %02d:%02d:00 +0%d00\r\nFrom: \"x\" <%s@example.org>\r\nTo: %s@b.example, other@b.example\r\nCc: %s@c.example\r\n"+
			"Subject: %s\r\nMessage-ID: <%d@example.org>\r\nReferences: %s\r\n\r\n%s\r\n",
			day, rnd.IntN(24), i%60, rnd.IntN(10), names[rnd.IntN(2)], names[rnd.IntN(2)], names[rnd.IntN(2)],
			subjects[rnd.IntN(len(subjects))], i, strings.Join(refs, "\r\n "), strings.Repeat("x", i*37%400)))
	}
	return out
}

var sortCommands = []string{
	"SORT (ARRIVAL) US-ASCII ALL", "SORT (DATE) UTF-8 ALL", "SORT (REVERSE DATE) UTF-8 SEEN", "SORT (FROM DATE) UTF-8 ALL", "SORT (TO REVERSE SIZE) UTF-8 ALL",
	"SORT (CC SUBJECT DATE) UTF-8 ALL", "SORT (SUBJECT REVERSE DATE) UTF-8 1:50", "SORT (SIZE) UTF-8 SUBJECT lunch", "UID SORT (REVERSE FROM DATE) UTF-8 ALL",
	"THREAD REFERENCES UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 ALL", "UID THREAD REFERENCES UTF-8 SUBJECT hello", "THREAD REFERENCES US-ASCII SUBJECT nothing",
}

// sorted asks for all of that.
func sorted(t *testing.T, c *client, box string) (out []string) {
	t.Helper()
	c.say("s SELECT " + box + "\r\n")
	c.until("s OK")
	for _, command := range sortCommands {
		c.say("x " + command + "\r\n")
		answer := c.until("x ")
		if !strings.Contains(answer, "x OK") {
			t.Fatalf("%s\n got %s", command, answer)
		}
		line := regexp.MustCompile(`(?m)^\* (SORT|THREAD).*$`).FindString(answer)
		out = append(out, strings.TrimSpace(line))
	}
	return out
}

// Dovecot sorts and makes threads as we do.
func TestPeerDovecotSort(t *testing.T) {
	d := startDovecot(t)
	e := start(t, conversations(120))
	s := d.session(t, e.env)
	if _, err := s.Copy(context.Background(), "INBOX", d.at("sorted"), ops.CopyOptions{Create: true}); err != nil {
		t.Fatal(err)
	}
	far := dial(t, d.imap)
	far.until("* OK")
	far.say("a LOGIN alice secret\r\n")
	far.until("a OK")
	want, got := sorted(t, far, "sorted"), sorted(t, login(t, e.imap), "INBOX")
	for i, command := range sortCommands {
		if got[i] != want[i] {
			t.Errorf("%s\n got %s\nwant %s", command, got[i], want[i])
		}
	}
}

func TestSortErrors(t *testing.T) {
	e := start(t, letters)
	c := login(t, e.imap)
	c.say("a SELECT INBOX\r\n")
	c.until("a OK")
	for _, tt := range []struct{ say, want string }{
		{"SORT (SUBJECT) UTF-8 ALL", "x OK"},
		{"SORT (DATE) KLINGON ALL", "x NO [BADCHARSET]"},
		{"SORT (REVERSE) UTF-8 ALL", "x BAD Missing"},
		{"SORT (REVERSE REVERSE DATE) UTF-8 ALL", "x BAD Unknown key"},
		{"SORT () UTF-8 ALL", "x BAD"},
		{"SORT (COLOUR) UTF-8 ALL", "x BAD Unknown key of SORT: COLOUR"},
		{"SORT (DATE) UTF-8 NONSENSE", "x BAD"},
		{"SORT (DATE)", "x BAD"},
		{"THREAD REFS UTF-8 ALL", "x BAD Unknown algorithm"},
		{"THREAD REFERENCES", "x BAD"},
		{"SORT (DATE) ISO-8859-1 SUBJECT {1+}\r\n\xe9", "x OK"},
	} {
		c.say("x " + tt.say + "\r\n")
		if got := c.until("x "); !strings.Contains(got, tt.want) {
			t.Errorf("%s\n got %s\nwant %s", tt.say, got, tt.want)
		}
	}
}
