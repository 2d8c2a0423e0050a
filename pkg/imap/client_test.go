package imap_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailutil/pkg/imap"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/remote"
)

var ctx = context.Background()

// letters are n messages of some length.
func letters(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("Subject: %d\r\n\r\n%s", i+1, strings.Repeat("line of message\r\n", 10*(i+1))))
	}
	return out
}

// readAll reads all messages in order.
func readAll(mb mailbox.Mailbox) (out []string, err error) {
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			return out, err
		}
		c, err := mb.Open(m.Seq)
		if err != nil {
			return out, err
		}
		b, err := io.ReadAll(c)
		if err != nil {
			return out, err
		}
		out = append(out, string(b))
	}
	return out, nil
}

// What a server says that is odd does not end the connection: the messages come
// all the same.
func TestOddServers(t *testing.T) {
	want := letters(40)
	for _, tt := range []struct {
		name   string
		answer func(f *fake, command string) (string, bool)
	}{
		{"unknown untagged responses", func(f *fake, command string) (string, bool) {
			if !strings.HasPrefix(command, "FETCH") {
				return "", false
			}
			return "* XFOO (bar {3}\r\n)(\" baz)\r\n* 5\r\n*\r\ngarbage\r\n* 1 FETCH\r\n* 2 FETCH (((\r\n* X {2}\r\nab\r\n" + f.index() + "* VANISHED 1\r\nTAG OK\r\n", true
		}},
		{"unknown items", func(f *fake, command string) (string, bool) {
			if !strings.HasPrefix(command, "FETCH") {
				return "", false
			}
			return strings.ReplaceAll(f.index(), "(UID", "(X-GM-MSGID 1278455344230334865 X-GM-LABELS (\"\\\\Inbox\" {3}\r\na\"b foo) MODSEQ (17) UID") + "TAG OK\r\n", true
		}},
		{"a text that ends in a literal", func(f *fake, command string) (string, bool) {
			if !strings.HasPrefix(command, "EXAMINE") {
				return "", false
			}
			return "* OK [ALERT] disk {99999}\r\n" + strings.Replace(f.good(command, ""), "TAG OK", "* NO strange {12}\r\nTAG OK", 1), true
		}},
		{"lone LFs as line ends", func(f *fake, command string) (string, bool) {
			if !strings.HasPrefix(command, "FETCH") {
				return "", false
			}
			return strings.ReplaceAll(f.index(), "\r\n", "\n") + "TAG OK\n", true
		}},
		{"wrong sizes", func(f *fake, command string) (string, bool) {
			if !strings.HasPrefix(command, "FETCH") {
				return "", false
			}
			return strings.ReplaceAll(f.index(), "RFC822.SIZE ", "RFC822.SIZE 1") + "TAG OK\r\n", true
		}},
		{"other items in front and behind", func(f *fake, command string) (string, bool) {
			if !strings.HasPrefix(command, "UID FETCH") {
				return "", false
			}
			text := f.uid(command)
			text = strings.ReplaceAll(text, "FETCH (UID", "FETCH (FLAGS (\\Seen $New) UID")
			return "* 3 FETCH (FLAGS ())\r\n" + strings.ReplaceAll(text, ")\r\n* ", " MODSEQ (3) X {1}\r\n))\r\n* OK still here\r\n* "), true
		}},
		{"the UID behind the text", func(f *fake, command string) (string, bool) {
			if !strings.HasPrefix(command, "UID FETCH") {
				return "", false
			}
			text := f.uid(command)
			for i := range f.texts {
				text = strings.ReplaceAll(text, fmt.Sprintf("(UID %d BODY", 101+i), "(BODY")
			}
			return text, true
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, want...)
			f.answer = func(_ int, command string) (string, bool) { // f.mu is held
				f.mu.Unlock()
				defer f.mu.Lock()
				return tt.answer(f, command)
			}
			d, _, _ := f.driver()
			mb, err := d.Open(ctx, f.box(), mailbox.ReadOnly)
			if err != nil {
				t.Fatal(err)
			}
			defer mb.Close()
			got, err := readAll(mb)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("got %d messages, %v\nwant %d", len(got), err, len(want))
			}
		})
	}
}

// What cannot be gone on from is one clear error.
func TestHostileServers(t *testing.T) {
	for _, tt := range []struct {
		name, on, answer, want string
	}{
		{"not IMAP", "GREETING", "220 smtp.example.org ESMTP\r\n", "its greeting is not that of IMAP"},
		{"bye", "GREETING", "* BYE too many\x1b[2J connections\r\n", "too many?[2J connections"},
		{"literal of 2^64", "FETCH", "* 1 FETCH (X {18446744073709551616}\r\n", "a literal of 9223372036854775807 octets"},
		{"literal of 1 GB", "FETCH", "* 1 FETCH (ENVELOPE {1000000000}\r\n", "a literal of 1000000000 octets where"},
		{"negative literal", "FETCH", "* 1 FETCH (ENVELOPE {-5}\r\n* BYE\r\n", "hung up|says: |connection lost"},
		{"endless line", "FETCH", "* " + strings.Repeat("x", 3<<20) + "HANGUP", "a response is longer than 1048576 octets"},
		{"hang up", "EXAMINE", "HANGUP", "hung up"},
		{"bye in the middle", "FETCH", "* BYE shutting down\r\nHANGUP", "shutting down"},
		{"a message that is not told of", "FETCH", "* 1 FETCH (UID 101 FLAGS () INTERNALDATE \"x\" RFC822.SIZE 5)\r\nTAG OK\r\n", "says nothing about message 2 of 2"},
		{"UIDs that fall", "FETCH", "* 1 FETCH (UID 9 FLAGS () INTERNALDATE \"x\" RFC822.SIZE 5)\r\n* 2 FETCH (UID 8 FLAGS () INTERNALDATE \"x\" RFC822.SIZE 5)\r\nTAG OK\r\n", "message 2 has UID 8 after UID 9"},
		{"a number too large", "FETCH", "* 99999999999 FETCH (UID 1)\r\nTAG OK\r\n", "says nothing about message 1"},
		{"no text", "UID FETCH", "TAG OK\r\n", "does not give message 1"},
		{"a text refused", "UID FETCH", "TAG NO corrupted index\r\n", "does not give message 1"},
		{"no such mailbox", "EXAMINE", "TAG NO [NONEXISTENT] what\r\n", "no such mailbox|what"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, letters(2)...)
			f.answer = func(_ int, command string) (string, bool) {
				return tt.answer, strings.HasPrefix(command, tt.on)
			}
			d, _, _ := f.driver()
			mb, err := d.Open(ctx, f.box(), mailbox.ReadOnly)
			if err == nil {
				_, err = readAll(mb)
				mb.Close()
			}
			for _, want := range strings.Split(tt.want, "|") {
				if err != nil && strings.Contains(err.Error(), want) {
					return
				}
			}
			t.Errorf("got %v\nwant %s", err, tt.want)
		})
	}
}

// A connection that breaks in the middle of a message is made anew, and the
// message goes on where it broke off.
func TestBrokenConnection(t *testing.T) {
	want := letters(60)
	f := newFake(t, want...)
	broken := 0
	f.answer = func(session int, command string) (string, bool) {
		if !strings.HasPrefix(command, "UID FETCH") || session > 3 {
			return "", false
		}
		f.mu.Unlock()
		defer f.mu.Lock()
		text := f.uid(command)
		broken++
		return text[:len(text)*3/4] + "HANGUP", true
	}
	d, _, notices := f.driver()
	mb, err := d.Open(ctx, f.box(), mailbox.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	got, err := readAll(mb)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %d messages, %v\nwant %d", len(got), err, len(want))
	}
	if broken == 0 || len(*notices) == 0 {
		t.Errorf("the connection broke %d times, %d notices: want some", broken, len(*notices))
	}
}

// Messages are asked for ahead: not one command each.
func TestPipelined(t *testing.T) {
	f := newFake(t, letters(200)...)
	d, _, _ := f.driver()
	mb, err := d.Open(ctx, f.box(), mailbox.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	if _, err := readAll(mb); err != nil {
		t.Fatal(err)
	}
	if n := len(f.sent("UID FETCH")); n > 20 {
		t.Errorf("200 messages took %d commands, want few", n)
	}
	for m := range mb.Messages(mailbox.All) {
		c, err := mb.Open(m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := c.Header(); err != nil || !strings.HasSuffix(string(h), "\r\n\r\n") {
			t.Fatalf("header of message %d: %q, %v", m.Seq, h, err)
		}
	}
	headers := 0
	for _, c := range f.sent("UID FETCH") {
		if strings.Contains(c, "HEADER") {
			headers++
		}
	}
	if headers == 0 || headers > 20 {
		t.Errorf("200 headers took %d commands, want few", headers)
	}
}

// deliver adds texts and commits.
func deliver(d *imap.Driver, n mailbox.Name, texts []string) (kept uint32, err error) {
	t, err := d.Append(ctx, n, mailbox.AppendOptions{})
	if err != nil {
		return 0, err
	}
	defer t.Abort()
	for _, text := range texts {
		it := mailbox.Item{Text: strings.NewReader(text)}
		it.Size = int64(len(text))
		if _, err := t.Add(it); err != nil {
			return t.(mailbox.Keeper).Kept(), err
		}
	}
	if _, err := t.Commit(); err != nil {
		return t.(mailbox.Keeper).Kept(), err
	}
	return uint32(len(texts)), nil
}

// Without MULTIAPPEND, whatever breaks and whenever, a delivery that is run
// again stores each message once.
func TestAppendAgain(t *testing.T) {
	want := append(letters(50), letters(3)...) // some of them twice
	for breakAt := 1; breakAt < 50; breakAt += 7 {
		for _, answered := range []bool{true, false} {
			f := newFake(t)
			f.oneByOne = true
			appends := 0
			f.answer = func(session int, command string) (string, bool) {
				if !strings.HasPrefix(command, "APPEND") {
					return "", false
				}
				if appends++; appends%breakAt != 0 || appends > 120 {
					return "", false
				}
				if answered {
					return "HANGUP", true // nothing was stored
				}
				return "", false
			}
			if !answered {
				f.answer = func(session int, command string) (string, bool) {
					if strings.HasPrefix(command, "APPEND") {
						if appends++; appends == breakAt {
							return "TAG NO [OVERQUOTA] full\r\n", true
						}
					}
					return "", false
				}
			}
			d, env, _ := f.driver()
			var err error
			for range 60 {
				if _, err = deliver(d, f.box(), want); err == nil {
					break
				}
			}
			got := slices.Clone(f.stored)
			sorted := slices.Clone(want)
			slices.Sort(got)
			slices.Sort(sorted)
			if err != nil || !slices.Equal(got, sorted) {
				t.Errorf("break at %d: stored %d, %v; want %d", breakAt, len(got), err, len(want))
			}
			if left, _ := filepath.Glob(filepath.Join(env.StateDir, "imap", "*")); len(left) > 0 {
				t.Errorf("a journal is left behind: %v", left)
			}
		}
	}
}

// Whatever becomes of the creation of a mailbox, one that was there is not taken
// for ours, and one that is ours is not taken for another's.
func TestCutOffAtCreate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before int // messages that are there
		want   error
	}{{"it is made", 0, nil}, {"it was there", 2, mailbox.ErrExist}} {
		f := newFake(t, letters(tt.before)...)
		f.answer = func(session int, command string) (string, bool) {
			switch {
			case !strings.HasPrefix(command, "CREATE"):
				return "", false
			case session == 1:
				return "HANGUP", true
			}
			return "TAG NO [ALREADYEXISTS] it is there\r\n", true
		}
		d, env, _ := f.driver()
		begin := func(o mailbox.AppendOptions) error {
			t, err := d.Append(ctx, f.box(), o)
			if err != nil {
				return err
			}
			defer t.Abort()
			if _, err := t.Add(mailbox.Item{Text: strings.NewReader("x: y\r\n\r\n"), Message: mailbox.Message{Size: 8}}); err != nil {
				return err
			}
			_, err = t.Commit()
			return err
		}
		if err := begin(mailbox.AppendOptions{New: true}); !errors.Is(err, remote.ErrLost) {
			t.Errorf("%s: cut off: got %v", tt.name, err)
		}
		if err := begin(mailbox.AppendOptions{New: true}); !errors.Is(err, tt.want) {
			t.Errorf("%s: again: got %v, want %v", tt.name, err, tt.want)
		}
		if err := begin(mailbox.AppendOptions{}); err != nil {
			t.Errorf("%s: append: got %v", tt.name, err)
		}
		if left, _ := filepath.Glob(filepath.Join(env.StateDir, "imap", "*")); len(left) > 0 {
			t.Errorf("%s: a journal is left behind: %v", tt.name, left)
		}
	}
}

// A server that says that we are in, and has not shown that it knows the
// password, is not believed.
func TestDisguise(t *testing.T) {
	f := newFake(t, letters(1)...)
	f.caps = "IMAP4rev1 AUTH=SCRAM-SHA-256"
	f.answer = func(_ int, command string) (string, bool) {
		return "TAG OK welcome\r\n", strings.HasPrefix(command, "AUTHENTICATE")
	}
	d, _, _ := f.driver()
	if _, err := d.Open(ctx, f.box(), mailbox.ReadOnly); err == nil || !strings.Contains(err.Error(), "in disguise") {
		t.Errorf("got %v", err)
	}
}

// Over quota is said as such, and how much was stored is known.
func TestOverQuota(t *testing.T) {
	f := newFake(t)
	n := 0
	f.answer = func(_ int, command string) (string, bool) {
		if strings.HasPrefix(command, "APPEND") {
			n++
		}
		return "TAG NO [OVERQUOTA] no room\r\n", n > 10 && strings.HasPrefix(command, "APPEND")
	}
	d, _, _ := f.driver()
	kept, err := deliver(d, f.box(), letters(20))
	if !errors.Is(err, mailbox.ErrOverQuota) || kept != 10 {
		t.Errorf("got %v, %d kept; want over quota, 10 kept", err, kept)
	}
}

// Names go over the wire as the server spells them.
func TestNames(t *testing.T) {
	f := newFake(t)
	f.answer = func(_ int, command string) (string, bool) {
		return "* LIST () \"/\" a&b\r\n* LIST () \"/\" \"r\xe4w\"\r\n* LIST (\\Noselect) \".\" {5}\r\na b c\r\n* LIST () NIL INBOX\r\n* LIST (\r\n* LIST () \"/\" no quotes\r\nTAG OK\r\n", strings.HasPrefix(command, "LIST")
	}
	d, _, _ := f.driver()
	var got []string
	n := at(f.port, "")
	for e, err := range d.List(ctx, n) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %q %v", strings.TrimPrefix(e.Name, n.Remote.Prefix()), e.Delimiter, e.Selectable))
	}
	want := []string{`INBOX '\x00' true`, `a b c '.' false`, `a&b '/' true`, `no quotes '/' true`, "r\xe4w '/' true"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := d.Create(ctx, at(f.port, "Entw\u00fcrfe & Co")); err != nil {
		t.Fatal(err)
	}
	if got := f.sent("CREATE"); len(got) != 1 || got[0] != `CREATE "Entw&APw-rfe &- Co"` {
		t.Errorf("got %q", got)
	}
}

// Where it is not encrypted, a password does not go to another host, nor to one
// that cannot hide it when the name says /secure.
func TestSecure(t *testing.T) {
	f := newFake(t)
	d, _, _ := f.driver()
	n := f.box()
	n.Remote.Secure = true
	if _, err := d.Open(ctx, n, mailbox.ReadOnly); err == nil || !strings.Contains(err.Error(), "Can't do secure authentication") {
		t.Errorf("/secure: got %v", err)
	}
	n = f.box()
	n.Remote.TLS = true
	if _, err := d.Open(ctx, n, mailbox.ReadOnly); err == nil || !strings.Contains(err.Error(), "Unable to negotiate TLS") {
		t.Errorf("/tls: got %v", err)
	}
	if got := f.sent("LOGIN"); len(got) > 0 {
		t.Errorf("a password was sent: %q", got)
	}
}

// A password that is wrong is asked for again, and then given up.
func TestWrongPassword(t *testing.T) {
	f := newFake(t)
	f.answer = func(_ int, command string) (string, bool) {
		return "TAG NO [AUTHENTICATIONFAILED] go away\r\n", strings.HasPrefix(command, "LOGIN")
	}
	asked := 0
	d, _, notices := f.driver(func(o *remote.Options) {
		o.Password = func(mailbox.Remote, bool) (string, error) { asked++; return "wrong", nil }
	})
	_, err := d.Open(ctx, f.box(), mailbox.ReadOnly)
	if err == nil || err.Error() != "Too many login failures" || asked != 3 || !slices.Contains(*notices, "go away") {
		t.Errorf("got %v after %d, %q", err, asked, *notices)
	}
}

// An expunge without UIDPLUS leaves alone what others have marked.
func TestExpungePlain(t *testing.T) {
	f := newFake(t, letters(3)...)
	f.caps = "IMAP4rev1"
	f.answer = func(_ int, command string) (string, bool) {
		switch {
		case strings.HasPrefix(command, "FETCH"):
			return strings.Replace(f.index(), `RFC822.SIZE 193 FLAGS (\Seen)`, `RFC822.SIZE 193 FLAGS (\Deleted)`, 1) + "TAG OK\r\n", true
		case command == "EXPUNGE":
			return "* 2 EXPUNGE\r\nTAG OK\r\n", true
		}
		return "", false
	}
	f.texts[0] += strings.Repeat("x", 193-len(f.texts[0]))
	d, _, _ := f.driver()
	mb, err := d.Open(ctx, f.box(), mailbox.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	n, err := mb.Expunge(mailbox.One(2))
	want := []string{`UID STORE 102 +FLAGS (\Deleted)`, `UID STORE 101 -FLAGS (\Deleted)`, `UID STORE 101 +FLAGS (\Deleted)`}
	if got := f.sent("UID STORE"); n != 1 || err != nil || !slices.Equal(got, want) {
		t.Errorf("got %d, %v, %q\nwant 1, %q", n, err, got, want)
	}
}

// A tunnel is a program that is run without a shell, and may have logged us in.
func TestTunnel(t *testing.T) {
	script := filepath.Join(t.TempDir(), "server")
	text := "#!/bin/sh\nprintf '* PREAUTH [CAPABILITY IMAP4rev1] hi %s\\r\\n' \"$1\"\nwhile read tag cmd rest; do\n" +
		"case $cmd in STATUS) printf '* STATUS box (MESSAGES 3 RECENT 1 UNSEEN 2)\\r\\n';; esac\nprintf '%s OK done\\r\\n' \"$tag\"\ndone\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	f := newFake(t)
	d, _, _ := f.driver(func(o *remote.Options) { o.Tunnel = []string{script, "$(id) ; x"} })
	n := at(1, "box")
	st, err := d.Count(ctx, n)
	if err != nil || st.Messages != 3 {
		t.Errorf("got %+v, %v", st, err)
	}
}
