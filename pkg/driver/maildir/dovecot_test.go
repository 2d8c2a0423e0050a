package maildir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailutil/pkg/internal/mend/mendtest"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// A dovecot is the real one, and the surroundings that it shares with us.
type dovecot struct {
	*mailboxtest.Dovecot
	t   *testing.T
	env *mailbox.Env
}

func newDovecot(t *testing.T, more ...string) *dovecot {
	t.Helper()
	dir, who := mailboxtest.PlainHome(t)
	env := mailboxtest.NewEnv(t)
	env.Home, env.LockDir = dir, dir
	return &dovecot{mailboxtest.NewDovecot(t, dir, who, more...), t, env}
}

// ours is what we read.
func (p *dovecot) ours(n mailbox.Name, mode mailbox.Mode) mailboxtest.Reading {
	p.t.Helper()
	p.env.Unpacker = unpacker
	mb, err := New(p.env).Open(context.Background(), n, mode)
	if err != nil {
		p.t.Fatal(err)
	}
	r := mailboxtest.ReadAll(p.t, mb)
	if err := mb.Close(); err != nil {
		p.t.Error(err)
	}
	return r
}

// agree wants both programs to read the same, whoever is the first.
func (p *dovecot) agree(what string, oursFirst bool) {
	p.t.Helper()
	for _, folder := range []string{"INBOX", "Archive.2024"} {
		n := mailbox.Name{Text: folder, Path: filepath.Join(p.env.Home, "Maildir")}
		if folder != "INBOX" {
			n.Path += "/Archive/2024"
		}
		var ours, theirs mailboxtest.Reading
		if oursFirst {
			ours = p.ours(n, mailbox.ReadWrite)
			theirs = p.Read(folder)
		} else {
			theirs = p.Read(folder)
			ours = p.ours(n, mailbox.ReadOnly)
		}
		if len(ours.Messages) < len(dovecotTexts)-2 {
			p.t.Errorf("%s: %s: only %d messages", what, folder, len(ours.Messages))
		}
		if d := cmp.Diff(ours, theirs); d != "" {
			p.t.Errorf("%s: %s (-ours +Dovecot):\n%s", what, folder, d)
		}
	}
}

var dovecotTexts = []string{
	"Subject: plain\r\n\r\nbody\r\n", "Subject: no end\r\n\r\nbody", "\r\n", "Subject: header only\r\n",
	"Subject: bare CR\r\n\r\na\rb\r\r\nc\r\n", "Subject: 8-bit \xe9\r\n\r\n\xff\xfe\r\n", "Subject: LF\n\nbare\nLF\n",
	"Subject: From\r\n\r\nFrom here\r\n>From there\r\n" + strings.Repeat("line\r\n", 30000),
}

// deliver adds all texts.
func (p *dovecot) deliver(n mailbox.Name, o mailbox.AppendOptions) {
	p.t.Helper()
	del, err := New(p.env).Append(context.Background(), n, o)
	if err != nil {
		p.t.Fatal(err)
	}
	defer del.Abort()
	o.Keywords = append(o.Keywords, "")
	for i, text := range dovecotTexts {
		it := mailbox.Item{Text: strings.NewReader(text)}
		it.Size, it.UID = int64(len(text)), uint32(i*i+7)
		it.Date = mailbox.Date{Year: 2001, Month: 2, Day: uint8(i + 1), Hour: 13, Minute: 14, Second: 15, Zone: -90}
		it.Flags = mailbox.Flags{System: mailbox.SystemFlags(i * 5 % 32), Keywords: uint64(i) & (1<<len(o.Keywords) - 1)}
		if _, err := del.Add(it); err != nil {
			p.t.Fatal(err)
		}
	}
	if _, err := del.Commit(); err != nil {
		p.t.Fatal(err)
	}
}

// Dovecot and we work on the same mailboxes in turn and must agree at every
// step: on UIDVALIDITY, UIDNEXT, UIDs, flags, keywords, dates and texts.
func TestDovecot(t *testing.T) {
	p := newDovecot(t)
	root := mailbox.Name{Text: "Maildir", Path: filepath.Join(p.env.Home, "Maildir")}
	sub := mailbox.Name{Text: "Maildir/Archive/2024", Path: root.Path + "/Archive/2024"}
	p.deliver(root, mailbox.AppendOptions{New: true, UIDValidity: 1234567, UIDNext: 900, Keywords: []string{"$Forwarded", "Work", "Later"}})
	p.deliver(sub, mailbox.AppendOptions{New: true, Keywords: []string{"Other"}})
	p.agree("new mailboxes", false)
	p.deliver(root, mailbox.AppendOptions{Keywords: []string{"work", "New"}})
	p.deliver(sub, mailbox.AppendOptions{})
	p.agree("more mail, Dovecot gives the UIDs", false)
	p.deliver(root, mailbox.AppendOptions{Keywords: []string{"Newer"}})
	p.deliver(sub, mailbox.AppendOptions{Keywords: []string{"x"}})
	p.agree("more mail, we give the UIDs", true)

	p.IMAP("a SELECT INBOX", "b STORE 2,5 +FLAGS (\\Flagged Dovecot)", "c STORE 3 -FLAGS (Work)", "d STORE 7 +FLAGS (\\Deleted)", "e EXPUNGE",
		"f APPEND INBOX (\\Seen Work) {25+}\r\nSubject: theirs\r\n\r\nbody\r\n\r\n")
	p.agree("flags and an expunge of Dovecot's", false)

	for _, n := range []mailbox.Name{root, sub} {
		mb, err := New(p.env).Open(context.Background(), n, mailbox.ReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		if err := mb.Store(mailbox.Range(2, 6), mailbox.Add, mailbox.FlagList{System: mailbox.Answered, Keywords: []string{"Ours", "$Forwarded"}}); err != nil {
			t.Error(err)
		}
		if err := mb.Store(mailbox.One(3), mailbox.Replace, mailbox.FlagList{}); err != nil {
			t.Error(err)
		}
		if _, err := mb.Expunge(mailbox.Range(4, 5)); err != nil {
			t.Error(err)
		}
		if err := mb.Close(); err != nil {
			t.Error(err)
		}
	}
	p.agree("flags and an expunge of ours", false)
	p.IMAP("a SELECT INBOX", "b COPY 1:4 Archive.2024", "c STORE 1:* -FLAGS (Ours)")
	p.agree("a copy of Dovecot's", true)
}

// A session of ours stays right while Dovecot works on the mailbox.
func TestDovecotSession(t *testing.T) {
	p := newDovecot(t)
	root := mailbox.Name{Text: "Maildir", Path: filepath.Join(p.env.Home, "Maildir")}
	p.deliver(root, mailbox.AppendOptions{New: true})
	mb, err := New(p.env).Open(context.Background(), root, mailbox.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	p.IMAP("a SELECT INBOX", "b STORE 1:4 +FLAGS (\\Flagged \\Deleted Word)", "c UID EXPUNGE 2")
	// Our session has not looked yet: names have changed, and one is gone.
	if _, err := mb.Open(1); err != nil {
		t.Errorf("open a message that was renamed: %v", err)
	}
	if _, err := mb.Open(2); !errors.Is(err, mailbox.ErrChanged) {
		t.Errorf("open a message that is gone: got %v, want %v", err, mailbox.ErrChanged)
	}
	if err := mb.Store(mailbox.Range(1, 3), mailbox.Add, mailbox.FlagList{System: mailbox.Seen}); err != nil {
		t.Error(err)
	}
	if n, err := mb.Expunge(mailbox.Range(2, 3)); n != 1 || err != nil {
		t.Errorf("expunge of one that is gone and one that is not: got %d, %v", n, err)
	}
	if _, err := mb.Ping(); err != nil {
		t.Error(err)
	}
	want := p.Read("INBOX")
	if d := cmp.Diff(want, p.ours(root, mailbox.ReadOnly)); d != "" {
		t.Errorf("(-Dovecot +ours):\n%s", d)
	}
	if len(want.Messages) != len(dovecotTexts)-2 || want.Messages[0].Flags[0] != `\Deleted` || int(mb.Status().Messages) != len(want.Messages) {
		t.Errorf("Dovecot reads %+v, our session has %d", want, mb.Status().Messages)
	}
}

// Dovecot compresses what it stores; we read the same as it does, and what is
// not compressed beside it.
func TestDovecotPacked(t *testing.T) {
	if _, err := os.Stat("/usr/lib/dovecot/modules/lib20_zlib_plugin.so"); err != nil {
		t.Skip("Dovecot's compression plugin is not installed here: ", err)
	}
	for _, by := range []string{"gz", "bz2", "zstd"} {
		p := newDovecot(t, "mail_plugins = zlib", "plugin {", "zlib_save = "+by, "}")
		root := mailbox.Name{Text: "Maildir", Path: filepath.Join(p.env.Home, "Maildir")}
		p.deliver(root, mailbox.AppendOptions{New: true, UIDValidity: 1234567})
		var commands []string
		for i, text := range dovecotTexts {
			commands = append(commands, fmt.Sprintf("a%d APPEND INBOX (Work) {%d+}\r\n%s", i, len(text), text))
		}
		p.IMAP(commands...)
		theirs := p.Read("INBOX")
		if d := cmp.Diff(p.ours(root, mailbox.ReadWrite), theirs); d != "" {
			t.Errorf("%s (-ours +Dovecot):\n%s", by, d)
		}
		packed := 0
		files, err := filepath.Glob(root.Path + "/cur/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if octets, err := os.ReadFile(name); err == nil && unpacker(octets) != nil {
				packed++
			}
		}
		if packed < len(dovecotTexts)-1 || len(theirs.Messages) != 2*len(dovecotTexts) {
			t.Errorf("%s: %d of %d messages are compressed", by, packed, len(theirs.Messages))
		}
	}
}

// Dovecot reads a repaired mailbox as we do, with the UIDs that it had, and has
// nothing to say: errors and warnings of its make Read fail.
func TestDovecotRepaired(t *testing.T) {
	for name, breakIt := range map[string]func(dir string) error{
		"list": func(dir string) error {
			b, err := os.ReadFile(dir + "/" + uidlistFile)
			lines := strings.SplitAfter(string(b), "\n")
			lines[2] = strings.Replace(lines[2], " :", " \x00", 1)
			lines[3], lines[4] = lines[4], lines[3]
			lines[6] = strings.TrimSuffix(lines[6], "\n")
			return errors.Join(err, os.WriteFile(dir+"/"+uidlistFile, []byte(strings.Join(lines, "")), 0o600))
		},
		"sizes": func(dir string) error {
			b, err := os.ReadFile(dir + "/" + uidlistFile)
			files, _ := filepath.Glob(dir + "/cur/*")
			for _, file := range files[1:4] {
				base := string([]byte(filepath.Base(file))[:baseLen([]byte(filepath.Base(file)))])
				wrong := strings.Replace(base, ",S=", ",S=7", 1)
				b = []byte(strings.Replace(string(b), base, wrong, 1))
				err = errors.Join(err, os.Rename(file, strings.Replace(file, base, wrong, 1)))
			}
			return errors.Join(err, os.WriteFile(dir+"/"+uidlistFile, b, 0o600))
		},
		"names": func(dir string) error {
			files, _ := filepath.Glob(dir + "/cur/*:2,?*")
			return errors.Join(os.Rename(files[0], files[0]+"S?"), os.Rename(files[1], strings.Replace(files[1], ":2,", ";2,", 1)),
				os.WriteFile(dir+"/cur/.stray", []byte("x"), 0o600), os.WriteFile(dir+"/"+keywordsFile, []byte("0 $Forwarded\n? Work\n2 Later\n"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newDovecot(t)
			n := mailbox.Name{Text: "INBOX", Path: filepath.Join(p.env.Home, "Maildir")}
			p.deliver(n, mailbox.AppendOptions{New: true, UIDValidity: 1234567, UIDNext: 900, Keywords: []string{"$Forwarded", "Work", "Later"}})
			want := p.Read("INBOX") // from now on it has indexes of its own
			if err := breakIt(n.Path); err != nil {
				t.Fatal(err)
			}
			if _, _, err := mendtest.Repair(t, New(p.env), n, mailbox.RepairOptions{}); err != nil {
				t.Fatal(err)
			}
			theirs := p.Read("INBOX")
			if d := cmp.Diff(p.ours(n, mailbox.ReadOnly), theirs); d != "" {
				t.Errorf("(-ours +Dovecot):\n%s", d)
			}
			if d := cmp.Diff(want, theirs); d != "" {
				t.Errorf("(-before the damage +Dovecot):\n%s", d)
			}
		})
	}
}
