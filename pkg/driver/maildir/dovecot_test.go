package maildir

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// A dovecot is the real one, of a configuration of its own, without a server.
// It opens nothing for root, so as root it runs as the user games.
type dovecot struct {
	t    *testing.T
	env  *mailbox.Env
	cred *syscall.Credential
}

const dovecotImap = "/usr/lib/dovecot/imap"

func newDovecot(t *testing.T) *dovecot {
	t.Helper()
	if _, err := os.Stat(dovecotImap); err != nil {
		t.Skip("Dovecot is not installed here: ", err)
	}
	env := mailboxtest.NewEnv(t)
	dir, err := os.MkdirTemp("", "mailutil-dovecot-") // others may enter it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	env.Home, env.LockDir = dir, dir
	p := &dovecot{t: t, env: env}
	if os.Getuid() == 0 {
		u, err := user.Lookup("games")
		if err != nil {
			t.Skip("no user games: ", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		p.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	conf := fmt.Sprintf("base_dir = %s/run\nstate_dir = %s/run\nlog_path = %s/log\nmail_location = maildir:%s/Maildir\nssl = no\nprotocols =\n", dir, dir, dir, dir)
	if err := os.WriteFile(dir+"/conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// imap has commands done, and returns what Dovecot answers.
func (p *dovecot) imap(commands ...string) *bufio.Reader {
	p.t.Helper()
	if p.cred != nil {
		err := filepath.WalkDir(p.env.Home, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, int(p.cred.Uid), int(p.cred.Gid)))
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	cmd := exec.Command(dovecotImap, "-c", p.env.Home+"/conf")
	cmd.Env = []string{"HOME=" + p.env.Home, "USER=games", "PATH=/usr/bin:/bin", "TZ=UTC"}
	cmd.Dir = p.env.Home
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.cred}
	cmd.Stdin = strings.NewReader(strings.Join(append(commands, "z LOGOUT"), "\r\n") + "\r\n")
	out, err := cmd.CombinedOutput()
	log, _ := os.ReadFile(p.env.Home + "/log")
	if err != nil || !bytes.Contains(out, []byte("z OK")) || bytes.Contains(log, []byte("Error")) || bytes.Contains(log, []byte("Warning")) {
		p.t.Fatalf("Dovecot: %v\n%s\n%s", err, out, log)
	}
	return bufio.NewReader(bytes.NewReader(out))
}

var (
	fetchLine = regexp.MustCompile(`^\* \d+ FETCH \(UID (\d+) FLAGS \((.*)\) INTERNALDATE "(.*)" RFC822.SIZE (\d+) BODY\[\] \{(\d+)\}\r\n$`)
	validLine = regexp.MustCompile(`UIDVALIDITY (\d+)`)
	nextLine  = regexp.MustCompile(`UIDNEXT (\d+)`)
)

// read reads a mailbox as readBox does.
func (p *dovecot) read(folder string) (g goldenBox) {
	p.t.Helper()
	in := p.imap(`a SELECT "`+folder+`"`, "b FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			return g
		}
		if strings.HasPrefix(line, "a NO") || strings.HasPrefix(line, "a BAD") {
			p.t.Fatalf("Dovecot, %s: %s", folder, line)
		}
		if m := validLine.FindStringSubmatch(line); m != nil {
			g.UIDValidity = number(m[1])
		}
		if m := nextLine.FindStringSubmatch(line); m != nil {
			g.UIDLast = number(m[1]) - 1
		}
		m := fetchLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		date, err := time.Parse("_2-Jan-2006 15:04:05 -0700", m[3])
		if err != nil {
			p.t.Fatal(err)
		}
		text := make([]byte, number(m[5]))
		if _, err := io.ReadFull(in, text); err != nil {
			p.t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		msg := goldenMessage{
			UID: number(m[1]), InternalDate: date.UTC().Format("2006-01-02T15:04:05+00:00"),
			Size: int64(number(m[4])), SHA256: hex.EncodeToString(sum[:]),
		}
		for _, f := range strings.Fields(m[2]) {
			switch {
			case f == `\Recent`:
			case f[0] == '\\':
				msg.Flags = append(msg.Flags, f)
			default:
				msg.Keywords = append(msg.Keywords, f)
			}
		}
		slices.Sort(msg.Flags)
		slices.Sort(msg.Keywords)
		g.Messages = append(g.Messages, msg)
	}
}

func number(s string) uint32 {
	n, _ := strconv.ParseUint(s, 10, 32)
	return uint32(n)
}

// agree wants both programs to read the same, whoever is the first.
func (p *dovecot) agree(what string, oursFirst bool) {
	p.t.Helper()
	for _, folder := range []string{"INBOX", "Archive.2024"} {
		n := mailbox.Name{Text: folder, Path: filepath.Join(p.env.Home, "Maildir")}
		if folder != "INBOX" {
			n.Path += "/Archive/2024"
		}
		var ours, theirs goldenBox
		if oursFirst {
			ours = readBox(p.t, p.env, n, mailbox.ReadWrite)
			theirs = p.read(folder)
		} else {
			theirs = p.read(folder)
			ours = readBox(p.t, p.env, n, mailbox.ReadOnly)
		}
		if ours.Keywords = nil; len(ours.Messages) < len(dovecotTexts)-2 {
			p.t.Errorf("%s: %s: only %d messages", what, folder, len(ours.Messages))
		}
		for i := range ours.Messages {
			ours.Messages[i].Recent = false
		}
		if d := cmp.Diff(ours, theirs, cmpopts.EquateEmpty()); d != "" {
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

	p.imap("a SELECT INBOX", "b STORE 2,5 +FLAGS (\\Flagged Dovecot)", "c STORE 3 -FLAGS (Work)", "d STORE 7 +FLAGS (\\Deleted)", "e EXPUNGE",
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
	p.imap("a SELECT INBOX", "b COPY 1:4 Archive.2024", "c STORE 1:* -FLAGS (Ours)")
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
	p.imap("a SELECT INBOX", "b STORE 1:4 +FLAGS (\\Flagged \\Deleted Word)", "c UID EXPUNGE 2")
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
	want := p.read("INBOX")
	got := readBox(t, p.env, root, mailbox.ReadOnly)
	got.Keywords = nil
	for i := range got.Messages {
		got.Messages[i].Recent = false
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-Dovecot +ours):\n%s", d)
	}
	if len(want.Messages) != len(dovecotTexts)-2 || want.Messages[0].Flags[0] != `\Deleted` || int(mb.Status().Messages) != len(want.Messages) {
		t.Errorf("Dovecot reads %+v, our session has %d", want, mb.Status().Messages)
	}
}
