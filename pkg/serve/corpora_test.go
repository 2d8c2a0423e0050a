package serve_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
)

// maxCorpus is the size of the largest file that is looked at in short mode.
const maxCorpus = 20 << 10

// A fetched message is what the endpoint says of it.
type fetched struct {
	size     int
	literals []string // in the order in which they were asked for
}

var (
	sizeItem  = regexp.MustCompile(`RFC822\.SIZE (\d+)`)
	ofLiteral = regexp.MustCompile(`\{(\d+)\}\r\n$`)
)

// fetch asks for items of all messages of the selected mailbox.
func (c *client) fetch(items string) (out []fetched) {
	c.t.Helper()
	c.say("f FETCH 1:* (RFC822.SIZE " + items + ")\r\n")
	c.patient()
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if strings.HasPrefix(line, "f ") {
			if !strings.HasPrefix(line, "f OK") {
				c.t.Errorf("got %s", line)
			}
			return out
		}
		var f fetched
		if m := sizeItem.FindStringSubmatch(line); m != nil {
			f.size, _ = strconv.Atoi(m[1])
		}
		for m := ofLiteral.FindStringSubmatch(line); m != nil; m = ofLiteral.FindStringSubmatch(line) {
			n, _ := strconv.Atoi(m[1])
			b := make([]byte, n)
			if _, err := io.ReadFull(c.r, b); err != nil {
				c.t.Fatal(err)
			}
			f.literals = append(f.literals, string(b))
			if line, err = c.r.ReadString('\n'); err != nil {
				c.t.Fatal(err)
			}
		}
		if line != ")\r\n" {
			c.t.Fatalf("behind the literals: %q", line)
		}
		out = append(out, f)
	}
}

// Whatever is wrong with a message, a client gets it octet for octet, in one
// piece and in several, and every size is that of what it gets.
func TestOctets(t *testing.T) {
	e := start(t, append(letters[:len(letters):len(letters)], odd...))
	s := ops.Session{Env: e.env, Drivers: ours(e.env)}
	names, messages := []string{"INBOX"}, 0
	for i, file := range mailboxtest.MailFiles(t, maxCorpus) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("corpus%d", i))
		write(t, filepath.Join(e.env.Home, names[len(names)-1]), string(text), 0o600)
	}
	c := login(t, e.imap)
	for _, name := range names {
		st, err := s.Check(context.Background(), name)
		if errors.Is(err, mailbox.ErrCorrupt) || errors.Is(err, mailbox.ErrFormat) || errors.Is(err, mailbox.ErrNotMailbox) {
			continue
		}
		c.say("e EXAMINE " + name + "\r\n")
		if answer := c.until("e "); !strings.Contains(answer, "\ne OK") {
			continue // an empty one, or what is in no format
		}
		want := texts(t, s, name)
		if len(want) == 0 {
			continue
		}
		messages += len(want)
		whole := c.fetch("BODY.PEEK[]")
		halves := c.fetch("BODY.PEEK[HEADER] BODY.PEEK[TEXT]")
		pieces := c.fetch("BODY.PEEK[]<0.100> BODY.PEEK[]<100.200> BODY.PEEK[]<300.1000000000>")
		if len(whole) != len(want) || len(halves) != len(want) || len(pieces) != len(want) {
			t.Errorf("%s: got %d, %d, %d messages, want %d", name, len(whole), len(halves), len(pieces), len(want))
			continue
		}
		for i, text := range want {
			if whole[i].literals[0] != text || whole[i].size != len(text) || strings.Join(halves[i].literals, "") != text || strings.Join(pieces[i].literals, "") != text {
				t.Errorf("%s, message %d of %d octets: size is told as %d, BODY[] has %d, HEADER and TEXT %d, pieces %d", name, i+1, len(text),
					whole[i].size, len(whole[i].literals[0]), len(strings.Join(halves[i].literals, "")), len(strings.Join(pieces[i].literals, "")))
			}
		}
		c.say("b FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY)\r\n")
		if answer := c.until("b "); !strings.Contains(answer, "\nb OK") {
			t.Errorf("%s: structure: got %.1000s", name, answer[max(0, len(answer)-1000):])
		}
		if st.Driver == "phile" { // which is not listed
			continue
		}
		if far := fmt.Sprintf("{127.0.0.1:%d/user=alice}%s", e.imap, name); !slices.Equal(texts(t, s, far), want) {
			t.Errorf("%s: our client gets something else", name)
		}
	}
	t.Logf("%d messages in %d mailboxes", messages, len(names))
}

// And so by POP3, but for a last line without an end, which gets one there.
func TestOctetsPOP3(t *testing.T) {
	all := append(letters[:len(letters):len(letters)], odd...)
	e := start(t, all)
	c := dial(t, e.pop3)
	c.say("USER alice\r\nPASS secret\r\n")
	c.until("+OK Mailbox open")
	for i, want := range all {
		c.say(fmt.Sprintf("LIST %d\r\n", i+1))
		if got := c.until("+OK"); got != fmt.Sprintf("+OK %d %d\r\n", i+1, len(want)) {
			t.Errorf("message %d of %d octets: got %q", i+1, len(want), got)
		}
		c.say(fmt.Sprintf("RETR %d\r\n", i+1))
		c.until("+OK")
		got := ""
		c.patient()
		for {
			line, err := c.r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == ".\r\n" {
				break
			}
			got += strings.TrimPrefix(line, ".")
		}
		if got != want && got != want+"\r\n" {
			t.Errorf("message %d\n got %q\nwant %q", i+1, got, want)
		}
	}
}
