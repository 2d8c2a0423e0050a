package deliver_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// messages is how many messages a test of a mail system sends to each of four
// users: a thousand in all for make soak.
func messages() int {
	if soakTime() > time.Minute {
		return 250
	}
	return 25
}

// A mailSystem is a real one, with configuration, queue and log in the world. It
// takes mail by its command sendmail.
type mailSystem struct {
	t      *testing.T
	send   []string      // command, without the recipient
	flush  []string      // tries again what is queued
	queued func() int    // how many messages are in the queue
	log    func() string // the end of what it says
}

// A call is one way in which a mail system calls an agent, by the configuration
// in a manual page.
type call struct {
	name  string
	page  string // of the manual
	after string // the paragraph that the configuration follows
	start func(t *testing.T, config string) *mailSystem
}

var calls = []call{
	{"postfix mailbox_command", "tmail", ".Sy postfix ,", startPostfix},
	{"postfix transport", "tmail", "Or, as a transport of its own in", startPostfixTransport},
	{"sendmail", "tmail", ".Sy sendmail ,", startSendmail},
	{"exim", "tmail", ".Sy exim ,", startExim},
	{"OpenSMTPD", "tmail", ".Sy OpenSMTPD ,", startOpenSMTPD},
	{"procmail", "dmail", ".Sy procmail ,", startProcmail},
	{"maildrop", "dmail", ".Sy maildrop ,", startMaildrop},
}

// config is the configuration in the manual, with our programs in it, or
// another in the place of the agent.
func (c call) config(t *testing.T, agent string) string {
	t.Helper()
	_, text, _ := strings.Cut(read(t, "../../man/"+c.page+".1"), "\n"+c.after+"\n")
	_, text, _ = strings.Cut(text, "\n.Bd -literal")
	_, text, _ = strings.Cut(text, "\n")
	text, _, ok := strings.Cut(text, "\n.Ed\n")
	if !ok {
		t.Fatalf("%s(1) has no configuration after %q", c.page, c.after)
	}
	if agent == "" {
		agent = bin + "/" + c.page
	}
	text = strings.ReplaceAll(text, `\e`, `\`)
	return strings.ReplaceAll(text, "/usr/local/bin/"+c.page, agent)
}

// mailSystemsRoot has packages of mail systems that cannot all be installed at
// once, a directory for each: see make mailsystems.
var mailSystemsRoot = os.Getenv("MAILSYSTEMS")

// need skips a test unless a mail system is installed, or there to be laid over
// /usr.
func need(t testing.TB, name, program string) {
	t.Helper()
	if exists(program) {
		return
	}
	root := filepath.Join(mailSystemsRoot, name)
	if mailSystemsRoot == "" || !exists(root+program) {
		t.Skip(name + " is not installed, and not in $MAILSYSTEMS: see make mailsystems")
	}
	mountLayer(t, root+"/usr", "/usr")
	if out, _ := exec.Command("ldd", program).Output(); strings.Contains(string(out), "not found") {
		t.Skipf("%s lacks libraries here:\n%s", name, out)
	}
}

// fresh makes an empty directory for a mail system.
func fresh(t *testing.T, name string, dirs ...string) string {
	t.Helper()
	dir := filepath.Join(disk, name)
	must(t, os.RemoveAll(dir))
	for _, d := range append([]string{""}, dirs...) {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	return dir
}

// run runs a command of a mail system.
func (m *mailSystem) run(input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.WaitDelay = time.Second // what goes on in the background may have our pipes
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// sender gets what is sent back.
const sender = "joe@world.example"

// accept hands a message over.
func (m *mailSystem) accept(who, id string) {
	args := append(m.send[:len(m.send):len(m.send)], who+"@world.example")
	if out, err := m.run(strings.ReplaceAll(mail(id), "\r", ""), args...); err != nil {
		m.t.Errorf("%s is not accepted: %v %s", id, err, out)
	}
}

// wait waits until the queue is empty.
func (m *mailSystem) wait() {
	m.t.Helper()
	for end := time.Now().Add(3 * time.Minute); m.queued() > 0; time.Sleep(20 * time.Millisecond) {
		m.run("", m.flush...)
		if time.Now().After(end) {
			m.t.Fatalf("the queue does not get empty: %d\n%s", m.queued(), tail(m.log()))
		}
	}
}

func tail(s string) string { return s[max(0, len(s)-3000):] }

// nothingBack complains of mail that was sent back.
func (m *mailSystem) nothingBack() {
	m.t.Helper()
	if text := read(m.t, "/var/mail/joe"); text != "" {
		m.t.Errorf("mail was sent back:\n%s\n%s", tail(text), tail(m.log()))
	}
}

const postfixMain = `
compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = world.example
mydestination = world.example
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
maillog_file = %[1]s/log
maillog_file_prefixes = /
default_process_limit = 12
local_destination_concurrency_limit = 4
`

const postfixMaster = `
postlog   unix-dgram n  -       n       -       1       postlogd
pickup    unix  n       -       n       1       1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       1       1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
local     unix  -       n       n       -       -       local
`

func startPostfix(t *testing.T, config string) *mailSystem { return postfix(t, config, "") }

func startPostfixTransport(t *testing.T, config string) *mailSystem {
	return postfix(t, "mailbox_transport = tmail\ntmail_destination_recipient_limit = 1\nrecipient_delimiter = +\n", config)
}

// postfix starts postfix with some more lines of configuration.
func postfix(t *testing.T, main, master string) *mailSystem {
	t.Helper()
	if !exists("/usr/sbin/postfix") {
		t.Skip("postfix is not installed")
	}
	dir := fresh(t, "postfix", "etc", "queue", "data")
	must(t, os.Chown(dir+"/data", 120, 120))
	must(t, os.WriteFile(dir+"/etc/main.cf", fmt.Appendf(nil, postfixMain+main+"\n", dir), 0o644))
	must(t, os.WriteFile(dir+"/etc/master.cf", []byte(postfixMaster+master+"\n"), 0o644))
	m := &mailSystem{
		t:     t,
		send:  []string{"/usr/sbin/sendmail", "-C", dir + "/etc", "-i", "-f", sender},
		flush: []string{"/usr/sbin/postqueue", "-c", dir + "/etc", "-f"},
		log:   func() string { return logs(dir + "/log") },
	}
	m.queued = func() int {
		out, _ := m.run("", "/usr/sbin/postqueue", "-c", dir+"/etc", "-j")
		ids := map[string]bool{} // one that moves from queue to queue may be listed twice
		for _, id := range regexp.MustCompile(`"queue_id": "(\w+)"`).FindAllString(out, -1) {
			ids[id] = true
		}
		return len(ids)
	}
	if out, err := m.run("", "/usr/sbin/postfix", "-c", dir+"/etc", "start"); err != nil {
		t.Skipf("postfix does not start here: %v\n%s%s", err, out, m.log())
	}
	t.Cleanup(func() { m.run("", "/usr/sbin/postfix", "-c", dir+"/etc", "abort") })
	return m
}

// logs is what there is of some files.
func logs(paths ...string) (text string) {
	for _, p := range paths {
		b, _ := os.ReadFile(p)
		text += string(b)
	}
	return text
}

// sendmailMC is for m4; ^ stands for its opening quote.
const sendmailMC = `divert(-1)
include(^/usr/share/sendmail/cf/m4/cf.m4')
OSTYPE(^linux')
define(^confDOMAIN_NAME', ^world.example')
define(^QUEUE_DIR', ^%[1]s/queue')
define(^confPID_FILE', ^%[1]s/pid')
define(^STATUS_FILE', ^%[1]s/statistics')
define(^ALIAS_FILE', ^%[1]s/aliases')
define(^confDELIVERY_MODE', ^background')
define(^confDONT_PROBE_INTERFACES', ^True')
define(^confDEF_USER_ID', ^daemon:daemon')
FEATURE(^nocanonify')
`

// startSendmail has no daemon: each message is delivered, or queued, by who
// hands it over.
func startSendmail(t *testing.T, config string) *mailSystem {
	t.Helper()
	const program = "/usr/libexec/sendmail/sendmail"
	need(t, "sendmail", program)
	dir := fresh(t, "sendmail", "queue")
	m := &mailSystem{t: t}
	cf, err := m.run(strings.ReplaceAll(fmt.Sprintf(sendmailMC, dir), "^", "`")+config+"\n", "/usr/bin/m4")
	must(t, err)
	must(t, os.WriteFile(dir+"/sendmail.cf", []byte(cf), 0o644))
	must(t, os.Chmod(dir+"/queue", 0o700))
	must(t, os.WriteFile(dir+"/aliases", nil, 0o644))
	host, err := os.Hostname()
	must(t, err)
	must(t, os.WriteFile("/etc/hosts", []byte("127.0.0.1 world.example localhost "+host+"\n"), 0o644)) // it waits for names
	must(t, os.MkdirAll("/etc/mail", 0o755))
	must(t, os.WriteFile("/etc/mail/service.switch", []byte("hosts files\naliases files\n"), 0o644))
	_, err = m.run("", program, "-C", dir+"/sendmail.cf", "-bi")
	must(t, err)
	m.send = []string{program, "-C", dir + "/sendmail.cf", "-i", "-f", sender}
	m.flush = []string{program, "-C", dir + "/sendmail.cf", "-q"}
	m.queued = func() int {
		all, _ := filepath.Glob(dir + "/queue/[qh]f*")
		return len(all)
	}
	m.log = func() string {
		out, _ := m.run("", program, "-C", dir+"/sendmail.cf", "-bp")
		return out
	}
	return m
}

const eximMain = `
primary_hostname = world.example
domainlist local_domains = world.example
spool_directory = %[1]s
log_file_path = %[1]s/%%slog
never_users = root
auto_thaw = 1s
queue_only_load = 1000
begin routers
local_user:
  driver = accept
  domains = +local_domains
  check_local_user
  local_part_suffix = +*
  local_part_suffix_optional
  transport = tmail
begin transports
%[2]s
begin retry
* * F,1h,1s
`

func startExim(t *testing.T, config string) *mailSystem {
	t.Helper()
	const program = "/usr/sbin/exim4"
	need(t, "exim", program)
	dir := fresh(t, "exim")
	must(t, os.Chown(dir, 122, 122))
	must(t, os.MkdirAll("/etc/exim4", 0o755)) // which is ours
	must(t, os.WriteFile("/etc/exim4/exim4.conf", fmt.Appendf(nil, eximMain, dir, config), 0o644))
	m := &mailSystem{
		t:     t,
		send:  []string{program, "-i", "-f", sender},
		flush: []string{program, "-qff"},
		log:   func() string { return logs(dir+"/mainlog", dir+"/paniclog") },
	}
	m.queued = func() int {
		out, _ := m.run("", program, "-bpc")
		n := 0
		fmt.Sscan(out, &n)
		return n
	}
	return m
}

func startOpenSMTPD(t *testing.T, config string) *mailSystem {
	t.Helper()
	need(t, "opensmtpd", "/usr/sbin/smtpd")
	dir := fresh(t, "opensmtpd")
	mountSmall(t, "/var/spool", "mode=755") // its queue has no other place
	mountSmall(t, "/run", "mode=755")
	must(t, os.Mkdir("/var/spool/smtpd", 0o711))
	if !exists("/var/lib/opensmtpd/empty") {
		mountSmall(t, "/var/lib", "mode=755")
		must(t, os.MkdirAll("/var/lib/opensmtpd/empty", 0o755))
	}
	must(t, os.WriteFile(dir+"/smtpd.conf", []byte(config+"\n"), 0o644))
	must(t, os.MkdirAll("/etc/mail", 0o755))
	for _, name := range []string{"/etc/mailname", "/etc/mail/mailname"} { // the one or the other
		must(t, os.WriteFile(name, []byte("world.example\n"), 0o644))
	}
	b, err := os.ReadFile("/usr/sbin/smtpctl") // which is sendmail as well, set-group-id
	must(t, err)
	for _, name := range []string{"/sendmail", "/smtpctl"} {
		must(t, os.WriteFile(dir+name, b, 0o755))
		must(t, os.Chown(dir+name, 0, 124))
		must(t, syscall.Chmod(dir+name, 0o2755))
	}
	m := &mailSystem{
		t:     t,
		send:  []string{dir + "/sendmail", "-i", "-f", sender},
		flush: []string{dir + "/smtpctl", "schedule", "all"},
		log:   func() string { return logs(dir + "/log") },
	}
	m.queued = func() int {
		out, _ := m.run("", dir+"/smtpctl", "show", "queue")
		return strings.Count(out, "\n")
	}
	log, err := os.Create(dir + "/log")
	must(t, err)
	defer log.Close()
	daemon := exec.Command("/usr/sbin/smtpd", "-d", "-f", dir+"/smtpd.conf")
	daemon.Stdout, daemon.Stderr = log, log
	must(t, daemon.Start())
	t.Cleanup(func() {
		daemon.Process.Signal(os.Interrupt)
		daemon.Wait()
	})
	for end := time.Now().Add(time.Minute); !exists("/run/smtpd.sock"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Skipf("OpenSMTPD does not start here: %s", m.log())
		}
	}
	return m
}

// startProcmail has postfix call procmail, which calls dmail.
func startProcmail(t *testing.T, config string) *mailSystem {
	t.Helper()
	return startFilter(t, "/usr/bin/procmail", ".procmailrc", config)
}

// startMaildrop is the same with maildrop.
func startMaildrop(t *testing.T, config string) *mailSystem {
	t.Helper()
	return startFilter(t, "/usr/bin/maildrop", ".mailfilter", config)
}

func startFilter(t *testing.T, program, file, config string) *mailSystem {
	t.Helper()
	if !exists(program) {
		t.Skip(program + " is not installed")
	}
	for who, id := range users {
		if id.uid >= 2000 {
			path := "/home/" + who + "/" + file
			must(t, os.WriteFile(path, []byte(config+"\n"), 0o600))
			must(t, os.Chown(path, int(id.uid), int(id.gid)))
		}
	}
	return postfix(t, "mailbox_command = exec "+program+"\n", "")
}

// inboxes are the users of a test and the formats of their INBOX, as far as
// there is a driver.
func inboxes(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"alice": "unix", "bob": "mbx", "mallory": "mix", "carol": "maildir"}
	for who, format := range all {
		if format == "unix" {
			continue
		}
		name := "INBOX"
		if format == "maildir" { // it is INBOX where nothing else is
			must(t, os.Remove("/var/mail/"+who))
			name = "Maildir"
		}
		if r := do(t, command(who, "mailutil", "create", "#driver."+format+"/"+name), ""); r.code != 0 {
			t.Logf("%s gets no %s mailbox: %s", who, format, r.err)
			delete(all, who)
		}
	}
	return all
}

// subjects lists the subjects in the INBOX of a user, as mailutil reads it.
func subjects(t *testing.T, who string) map[string]int {
	t.Helper()
	r := do(t, command(who, "mailutil", "cat", "INBOX"), "")
	if r.code != 0 {
		t.Errorf("%s: mailutil cat: status %d, %s", who, r.code, r.err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(r.out) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "Subject: "); ok {
			seen[id]++
		}
	}
	return seen
}

// eachOnce complains of messages that are not there once.
func eachOnce(t *testing.T, who string, sent []string) {
	t.Helper()
	seen := subjects(t, who)
	for _, id := range sent {
		if seen[id] != 1 {
			t.Errorf("%s: %s is there %d times", who, id, seen[id])
		}
	}
}

// spools makes the world new, with a spool that only the group mail may write
// to, and a mailbox in it for each user.
func spools(t *testing.T) {
	t.Helper()
	clean(t, 0o2775)
	install(t, true)
	for who, id := range users {
		if id.uid >= 2000 {
			spoolBox(t, who)
		}
	}
}

// Mail systems deliver to users with inboxes of several formats, while others
// read, prune, and deliver by themselves.
func TestMailSystem(t *testing.T) {
	needWorld(t)
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			spools(t)
			all := inboxes(t)
			m := c.start(t, c.config(t, ""))
			sent := map[string][]string{}
			stop := make(chan bool)
			var others sync.WaitGroup
			for who := range all {
				others.Go(func() { disturb(t, who, stop) })
			}
			for n := range messages() {
				for who := range all {
					id := fmt.Sprintf("%s-%d", who, n)
					m.accept(who, id)
					sent[who] = append(sent[who], id)
				}
			}
			m.wait()
			close(stop)
			others.Wait()
			for who, ids := range sent {
				eachOnce(t, who, ids)
			}
			m.nothingBack()
			if t.Failed() {
				t.Log(tail(m.log()))
			}
		})
	}
}

// disturb reads, prunes and delivers until it is told to stop.
func disturb(t *testing.T, who string, stop chan bool) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		var r run
		switch n % 4 {
		case 0:
			r = do(t, command(who, "mailutil", "check"), "")
		case 1:
			r = do(t, command(who, "mailutil", "prune", "INBOX", "subject chaff"), "")
		case 2:
			r = do(t, command(who, "dmail"), mail("chaff"))
		case 3:
			if exists("/usr/bin/dmail") && who == "alice" { // the original loses mail of its own elsewhere
				r = do(t, command(who, "/usr/bin/dmail"), mail("chaff"))
			}
		}
		if r.code != 0 && r.code != 75 {
			t.Errorf("%s, step %d: status %d, %s", who, n%4, r.code, r.err)
		}
	}
}

// wrapper is an agent that is killed while a file exists, and writes down how it
// ends.
const wrapper = `#!/bin/sh
if [ -e %[1]s/broken ]; then
	echo killed >>%[1]s/ends
	kill -9 $$
fi
%[2]s "$@"
status=$?
echo $status >>%[1]s/ends
exit $status
`

// A full disk and killed agents make mail systems keep mail, not send it back,
// and deliver it once.
func TestMailSystemQueues(t *testing.T) {
	needWorld(t)
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			spools(t)
			dir := fresh(t, "wrapper")
			must(t, os.WriteFile(dir+"/broken", nil, 0o644))
			must(t, os.WriteFile(dir+"/ends", nil, 0o644))
			must(t, os.Chmod(dir+"/ends", 0o666))
			must(t, os.WriteFile(dir+"/agent", fmt.Appendf(nil, wrapper, dir, bin+"/"+c.page), 0o755))
			m := c.start(t, c.config(t, dir+"/agent"))
			mountSmall(t, "/var/mail", "size=16k,mode=2775,gid=8")
			for who, id := range users {
				if id.uid >= 2000 {
					spoolBox(t, who)
				}
			}
			must(t, os.WriteFile("/var/mail/full", []byte(strings.Repeat("x", 16384)), 0o644))
			var sent []string
			for i := range 5 {
				id := fmt.Sprintf("kept-%d", i)
				m.accept("alice", id)
				sent = append(sent, id)
			}
			m.ends(dir, "killed\n", len(sent))
			must(t, os.Remove(dir+"/broken"))
			m.ends(dir, "75\n", len(sent))
			if n := m.queued(); n != len(sent) {
				t.Errorf("%d messages are in the queue, not %d\n%s", n, len(sent), tail(m.log()))
			}
			if text := read(t, "/var/mail/alice"); text != "" {
				t.Errorf("something of a message: %q", text)
			}
			must(t, os.Remove("/var/mail/full"))
			m.wait()
			eachOnce(t, "alice", sent)
			m.nothingBack()
			if t.Failed() {
				t.Log(read(t, dir+"/ends"), tail(m.log()))
			}
		})
	}
}

// ends waits until the agent has ended in some way so often.
func (m *mailSystem) ends(dir, how string, often int) {
	m.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if strings.Count(read(m.t, dir+"/ends"), how) >= often {
			return
		}
		if time.Now().After(end) {
			m.t.Fatalf("the agent has not ended %d times with %q, but\n%s\n%s", often, how, read(m.t, dir+"/ends"), tail(m.log()))
		}
		m.run("", m.flush...)
	}
}
