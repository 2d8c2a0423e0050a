package serve_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
	"mailutil/pkg/serve"
)

// letters are messages as they are, some of them odd.
var letters = []string{
	"From: Ann <ann@example.org>\r\nSubject: one\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nHello.\r\n",
	"From: Bob <bob@example.org>\r\nSubject: two\r\nDate: Tue, 2 Jan 2024 10:00:00 +0000\r\nMessage-ID: <2@example.org>\r\n\r\n.dot\r\n..\r\nFrom here\r\n" + strings.Repeat("0123456789 ", 500) + "\r\n",
	"From: Ann <ann@example.org>\r\nSubject: three\r\nDate: Wed, 3 Jan 2024 10:00:00 +0000\r\nMessage-ID: <3@example.org>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n--b\r\n\r\nfirst\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>K\xc3\xb6ln</p>\r\n--b--\r\n",
}

// odd are texts that servers and libraries have broken.
var odd = []string{
	"no header at all\r\n",
	"Broken header line\r\nSubject: x\r\n\r\nbody\r\n",
	"Subject: lone LF\r\n\r\na\nb\rc\x00d\xff\r\n",
	"Subject: no end",
	"\r\nbody only\r\n",
	"Subject: header only\r\n",
	"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nnever closed",
}

// An endpoint is a running one.
type endpoint struct {
	env        *mailbox.Env
	imap, pop3 int

	mu  sync.Mutex
	log strings.Builder
}

// said is what the endpoint has logged.
func (e *endpoint) said() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.String()
}

// wait waits for something that comes soon, and fails where it does not.
func (e *endpoint) wait(t *testing.T, come func() bool) {
	t.Helper()
	for range 2000 {
		if come() {
			return
		}
		time.Sleep(5 * time.Millisecond) // another goroutine, or process, is at it
	}
	t.Error("it has not come")
}

// start makes a home with an INBOX of letters and serves it.
func start(t *testing.T, texts []string, change ...func(*serve.Options)) *endpoint {
	t.Helper()
	env := mailboxtest.NewEnv(t)
	env.Now = time.Now
	env.Notify = func(mailbox.Level, string) {}
	env.Config.NewFormat = "mbx"
	s := ops.Session{Env: env, Drivers: all.Drivers(env)}
	fill(t, s, "#driver.mbx/INBOX", texts)
	e := &endpoint{env: env}
	write := func(id int64, line string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		fmt.Fprintf(&e.log, "[%d] %s\n", id, line)
	}
	o := serve.Options{
		Session: s, ReadWrite: true, Passwords: map[string]string{"alice": "secret"}, Wait: func() {}, Poll: 10 * time.Millisecond,
		Log: write, Trace: func(id int64, who string, line []byte) { write(id, fmt.Sprintf("%s%q", who, line)) },
	}
	for _, c := range change {
		c(&o)
	}
	var ls []serve.Listener
	for _, p := range []string{"imap", "pop3"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ls = append(ls, serve.Listener{Listener: l, Protocol: p})
	}
	e.imap, e.pop3 = ls[0].Addr().(*net.TCPAddr).Port, ls[1].Addr().(*net.TCPAddr).Port
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- serve.New(o).Serve(ctx, ls) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the endpoint says\n%.20000s", e.said())
		}
	})
	return e
}

// fill makes a new mailbox of messages.
func fill(t *testing.T, s ops.Session, name string, texts []string) {
	t.Helper()
	n, err := s.Env.ResolveNew(name)
	if err != nil {
		t.Fatal(err)
	}
	d := s.Drivers.Named(n.Format)
	del, err := d.(mailbox.Appender).Append(context.Background(), n, mailbox.AppendOptions{New: true, Keywords: []string{"$Work", "Later"}})
	if err != nil {
		t.Fatal(err)
	}
	defer del.Abort()
	for i, text := range texts {
		it := mailbox.Item{Text: strings.NewReader(text)}
		it.Size = int64(len(text))
		it.Date = mailbox.Date{Year: 2024, Month: 2, Day: uint8(1 + i%28), Hour: 5, Zone: 60}
		it.Flags = mailbox.Flags{System: mailbox.SystemFlags(i) & (mailbox.Seen | mailbox.Flagged), Keywords: uint64(i) % 4}
		if _, err := del.Add(it); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := del.Commit(); err != nil {
		t.Fatal(err)
	}
}

// texts reads a mailbox.
func texts(t *testing.T, s ops.Session, name string) (out []string) {
	t.Helper()
	n, err := s.Env.Resolve(name)
	if err != nil {
		t.Fatal(err)
	}
	mb, err := s.Drivers.Open(context.Background(), n, mailbox.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	for m, err := range mb.Messages(mailbox.All) {
		if err != nil {
			t.Fatal(err)
		}
		c, err := mb.Open(m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

// peer finds a program, or skips the test.
func peer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(name + " is not installed")
	}
	return path
}

// run runs a program and wants it to end well.
func run(t *testing.T, dir, stdin, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(peer(t, name), args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C", "TERM=dumb")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// asNobody has a program run as nobody where root would: some do not run as
// root, or take its home for theirs. They may write into dir.
func asNobody(cmd *exec.Cmd, dir string) {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if os.Getuid() != 0 {
		return
	}
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	os.Chmod(dir, 0o777)
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
}

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPeerCurl(t *testing.T) {
	all := append(letters[:len(letters):len(letters)], odd...)
	e := start(t, all)
	dir := t.TempDir()
	for i, want := range all {
		got := run(t, dir, "", "curl", "-sS", "-u", "alice:secret", fmt.Sprintf("imap://127.0.0.1:%d/INBOX;UID=%d", e.imap, i+1))
		if got != want {
			t.Errorf("IMAP, message %d\n got %q\nwant %q", i+1, got, want)
		}
	}
	if got := run(t, dir, "", "curl", "-sS", "-u", "alice:secret", fmt.Sprintf("pop3://127.0.0.1:%d/2", e.pop3)); got != letters[1] {
		t.Errorf("POP3\n got %q\nwant %q", got, letters[1])
	}
	if got := run(t, dir, "", "curl", "-sS", "-u", "alice:secret", fmt.Sprintf("imap://127.0.0.1:%d/INBOX?SUBJECT%%20t", e.imap)); !strings.HasPrefix(got, "* SEARCH 2 3") {
		t.Errorf("search: got %q", got)
	}
	letter := write(t, filepath.Join(dir, "letter"), letters[0], 0o600)
	run(t, dir, "", "curl", "-sS", "-u", "alice:secret", "-T", letter, fmt.Sprintf("imap://127.0.0.1:%d/INBOX", e.imap))
	s := ops.Session{Env: e.env, Drivers: ours(e.env)}
	if got := texts(t, s, "INBOX"); len(got) != len(all)+1 || got[len(all)] != letters[0] {
		t.Errorf("after an upload: got %d messages, want %d", len(got), len(all)+1)
	}
}

const imaplib = `
import imaplib, poplib, sys
M = imaplib.IMAP4('127.0.0.1', int(sys.argv[1]))
M.login_cram_md5('alice', 'secret')
def ok(r):
    assert r[0] == 'OK', r
    return r[1]
ok(M.create('new')); ok(M.append('new', '(\\Seen kw)', '" 1-Feb-2024 10:11:12 +0100"', b'Subject: x\r\n\r\nhi\r\n'))
assert ok(M.select('new')) == [b'1']
f = ok(M.fetch('1', '(UID FLAGS INTERNALDATE RFC822.SIZE BODY[])'))
assert f[0][1] == b'Subject: x\r\n\r\nhi\r\n' and b'kw' in f[0][0] and b' 1-Feb-2024 10:11:12 +0100' in f[0][0] and b'RFC822.SIZE 18' in f[0][0], f
assert ok(M.search(None, 'TEXT', '"hi"')) == [b'1']
assert ok(M.search(None, 'NOT', 'SEEN')) == [b'']
ok(M.copy('1', 'INBOX')); ok(M.store('1', '+FLAGS', '(\\Deleted)')); assert ok(M.expunge()) == [b'1']
ok(M.close()); ok(M.rename('new', 'sub/new2'))
assert any(b'sub/new2' in x for x in ok(M.list())), M.list()
assert ok(M.status('INBOX', '(MESSAGES)')) == [b'"INBOX" (MESSAGES 4)']
ok(M.delete('sub/new2')); assert M.select('new')[0] == 'NO'
ok(M.select('INBOX'))
p = ok(M.fetch('3', '(BODY.PEEK[1] BODY.PEEK[2.MIME] BODY.PEEK[2] BODY[TEXT]<0.8> BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODYSTRUCTURE ENVELOPE)'))
got = [x[1] for x in p if isinstance(x, tuple)]
assert got == [b'first', b'Content-Type: text/html; charset=utf-8\r\n\r\n', b'<p>K\xc3\xb6ln</p>', b'preamble', b'Subject: three\r\n\r\n'], got
M.logout()
P = poplib.POP3('127.0.0.1', int(sys.argv[2])); P.apop('alice', 'secret')
assert P.stat()[0] == 4 and len(P.uidl()[1]) == 4 and P.top(2, 1)[1][-1] == b'.dot', P.top(2, 1)
assert b'\r\n'.join(P.retr(3)[1]).startswith(b'From: Ann'); P.dele(1); P.quit()
P = poplib.POP3('127.0.0.1', int(sys.argv[2])); P.user('alice'); P.pass_('secret'); assert P.stat()[0] == 3; P.quit()
`

func TestPeerPython(t *testing.T) {
	e := start(t, letters)
	dir := t.TempDir()
	run(t, dir, "", "python3", write(t, filepath.Join(dir, "x.py"), imaplib, 0o600), fmt.Sprint(e.imap), fmt.Sprint(e.pop3))
}

func TestPeerMbsync(t *testing.T) {
	e := start(t, letters)
	dir := t.TempDir()
	rc := write(t, filepath.Join(dir, "rc"), fmt.Sprintf(`IMAPStore far
Host 127.0.0.1
Port %d
User alice
Pass secret
SSLType None
AuthMechs *

MaildirStore near
Path %s/mail/
Inbox %s/mail/INBOX

Channel c
Far :far:
Near :near:
Patterns INBOX
Create Near
Sync All
SyncState *
`, e.imap, dir, dir), 0o600)
	if err := os.Mkdir(filepath.Join(dir, "mail"), 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "", "mbsync", "-c", rc, "c")
	files, _ := filepath.Glob(filepath.Join(dir, "mail/INBOX/*/*"))
	if len(files) != len(letters) {
		t.Errorf("got %d messages, want %d", len(files), len(letters))
	}
}

// Mutt lists the mailbox and saves a message into a file.
func TestPeerMutt(t *testing.T) {
	e := start(t, letters)
	dir := t.TempDir()
	rc := write(t, filepath.Join(dir, "rc"), fmt.Sprintf(`set imap_user=alice imap_pass=secret ssl_starttls=no ssl_force_tls=no mbox_type=mbox
set confirmappend=no confirmcreate=no delete=no wait_key=no header_cache=""
push "<tag-pattern>~A<enter><copy-message>%s/got<enter><exit><exit>"
`, dir), 0o600)
	peer(t, "mutt")
	command := fmt.Sprintf("mutt -n -F %s -f imap://127.0.0.1:%d/INBOX", rc, e.imap)
	run(t, dir, "", "timeout", "30", "script", "-qec", command, "/dev/null")
	got, _ := os.ReadFile(filepath.Join(dir, "got"))
	if !strings.Contains(string(got), "Subject: one\n") || !strings.Contains(string(got), "\nHello.\n") {
		t.Errorf("got %q", got)
	}
}

func TestPeerFetchmail(t *testing.T) {
	e := start(t, letters)
	dir := t.TempDir()
	rc := write(t, filepath.Join(dir, "rc"), fmt.Sprintf("poll 127.0.0.1 protocol pop3 port %d auth password user alice password secret sslproto '' fetchall mda \"cat >>%s/got\"\n", e.pop3, dir), 0o600)
	run(t, dir, "", "fetchmail", "-f", rc, "--pidfile", filepath.Join(dir, "pid"), "--nosyslog", "--nodetach")
	got, _ := os.ReadFile(filepath.Join(dir, "got"))
	if n := strings.Count(string(got), "Subject: "); n != len(letters) {
		t.Errorf("got %d messages, want %d\n%s", n, len(letters), got)
	}
	s := ops.Session{Env: e.env, Drivers: ours(e.env)}
	if left := texts(t, s, "INBOX"); len(left) != 0 {
		t.Errorf("%d messages are left, want none", len(left))
	}
}

func TestPeerMpop(t *testing.T) {
	e := start(t, letters)
	dir := t.TempDir()
	rc := write(t, filepath.Join(dir, "rc"), fmt.Sprintf("account a\nhost 127.0.0.1\nport %d\nuser alice\npassword secret\ntls off\nauth apop\nkeep on\ndelivery mbox %s/got\nuidls_file %s/uidls\n", e.pop3, dir, dir), 0o600)
	run(t, dir, "", "mpop", "-C", rc, "-q", "a")
	got, _ := os.ReadFile(filepath.Join(dir, "got"))
	if n := strings.Count(string(got), "Subject: "); n != len(letters) {
		t.Errorf("got %d messages, want %d\n%s", n, len(letters), got)
	}
}

// The original as a client: it reads, appends, moves, prunes and deletes.
func TestPeerOriginal(t *testing.T) {
	e := start(t, letters)
	program := "/usr/bin/mailutil"
	if _, err := os.Stat(program); err != nil {
		t.Skip("the original is not installed")
	}
	dir := t.TempDir()
	original := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		cmd.Stdin = strings.NewReader("secret\nsecret\nsecret\n")
		cmd.Env = []string{"HOME=" + dir, "PATH=/usr/bin:/bin"}
		asNobody(cmd, dir)
		cmd.SysProcAttr.Setsid = true
		out, err := cmd.CombinedOutput()
		if err != nil && args[0] != "prune" {
			t.Fatalf("mailutil %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	at := fmt.Sprintf("{127.0.0.1:%d/notls/user=alice}", e.imap)
	if out := original("check", at+"INBOX"); !strings.Contains(out, "3 total") {
		t.Errorf("check: got %s", out)
	}
	original("copy", "-kw", at+"INBOX", "#driver.mbx/here")
	original("copy", "here", at+"there")
	s := ops.Session{Env: e.env, Drivers: ours(e.env)}
	got := texts(t, s, "there")
	if len(got) != len(letters) {
		t.Fatalf("there and back: got %d messages, want %d", len(got), len(letters))
	}
	for i := range got {
		if got[i] != letters[i] {
			t.Errorf("message %d\n got %q\nwant %q", i+1, got[i], letters[i])
		}
	}
	if out := original("prune", at+"there", "subject two"); !strings.Contains(out, "1 message(s) purged") {
		t.Errorf("prune: got %s", out)
	}
	original("move", at+"there", "moved")
	original("rename", at+"there", at+"elsewhere")
	original("delete", at+"elsewhere")
	pop := fmt.Sprintf("{127.0.0.1:%d/pop3/notls/user=alice}", e.pop3)
	if out := original("check", pop+"INBOX"); !strings.Contains(out, "3 total") {
		t.Errorf("check by POP3: got %s", out)
	}
	original("copy", "-rw", pop+"INBOX", "popped")
}
