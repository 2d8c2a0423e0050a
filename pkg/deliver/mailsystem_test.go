package deliver_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// messages is how many messages a test of a mail system sends: a thousand for
// make soak.
func messages() int {
	if soakTime() > time.Minute {
		return 1000
	}
	return 60
}

// A postfix is a mail system of its own: configuration, queue and log are in
// the world, and mail is handed to it by its command sendmail.
type postfix struct {
	t   *testing.T
	dir string
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
recipient_delimiter = +
mailbox_size_limit = 0
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
tmail     unix  -       n       n       -       -       pipe
  user=daemon argv=%[1]s/tmail -f ${sender} ${user}+${extension}
`

// newPostfix starts postfix with some more lines of configuration.
func newPostfix(t *testing.T, more string) *postfix {
	t.Helper()
	if !exists("/usr/sbin/postfix") {
		t.Skip("postfix is not installed")
	}
	p := &postfix{t, filepath.Join(disk, "postfix")}
	must(t, os.RemoveAll(p.dir))
	for _, dir := range []string{"etc", "queue", "data"} {
		must(t, os.MkdirAll(filepath.Join(p.dir, dir), 0o755))
	}
	must(t, os.Chown(p.dir+"/data", 120, 120))
	must(t, os.WriteFile(p.dir+"/etc/main.cf", fmt.Appendf(nil, postfixMain+more, p.dir), 0o644))
	must(t, os.WriteFile(p.dir+"/etc/master.cf", fmt.Appendf(nil, postfixMaster, bin), 0o644))
	if out, err := exec.Command("/usr/sbin/postfix", "-c", p.dir+"/etc", "start").CombinedOutput(); err != nil {
		t.Skipf("postfix does not start here: %v\n%s%s", err, out, p.log())
	}
	t.Cleanup(func() { exec.Command("/usr/sbin/postfix", "-c", p.dir+"/etc", "abort").Run() })
	return p
}

func (p *postfix) log() string {
	b, _ := os.ReadFile(p.dir + "/log")
	return string(b)
}

// send hands a message over, to be accepted at once.
func (p *postfix) send(to, id string) {
	cmd := exec.Command("/usr/sbin/sendmail", "-C", p.dir+"/etc", "-i", "-f", "joe@world.example", to)
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(mail(id), "\r", ""))
	cmd.Env = []string{"MAIL_CONFIG=" + p.dir + "/etc", "PATH=/usr/sbin:/usr/bin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Errorf("%s: postfix does not accept it: %v %s", id, err, out)
	}
}

// queued says how many messages are in the queue.
func (p *postfix) queued() int {
	cmd := exec.Command("/usr/sbin/postqueue", "-c", p.dir+"/etc", "-j")
	out, _ := cmd.Output()
	return strings.Count(string(out), "\n")
}

// wait waits until the queue is empty.
func (p *postfix) wait() {
	p.t.Helper()
	for end := time.Now().Add(3 * time.Minute); p.queued() > 0; time.Sleep(20 * time.Millisecond) {
		exec.Command("/usr/sbin/postqueue", "-c", p.dir+"/etc", "-f").Run()
		if time.Now().After(end) {
			p.t.Fatalf("the queue does not get empty\n%s", tail(p.log()))
		}
	}
}

func tail(s string) string { return s[max(0, len(s)-3000):] }

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

// Postfix delivers to users with inboxes of several formats, while others
// read, prune, and deliver by themselves.
func TestMailSystemPostfix(t *testing.T) {
	needWorld(t)
	for name, config := range map[string]string{
		"mailbox_command":   "mailbox_command = exec " + bin + "/tmail -f \"$SENDER\" \"$USER+$EXTENSION\"\n",
		"mailbox_transport": "mailbox_transport = tmail\ntmail_destination_recipient_limit = 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			clean(t, 0o2775)
			install(t, true)
			for _, who := range []string{"alice", "bob", "mallory", "carol"} {
				spoolBox(t, who)
			}
			all := inboxes(t)
			p := newPostfix(t, config)
			sent := map[string][]string{}
			stop := make(chan bool)
			var others sync.WaitGroup
			for who := range all {
				others.Go(func() { disturb(t, who, stop) })
			}
			for n := range messages() {
				for who := range all {
					id := fmt.Sprintf("%s-%d", who, n)
					p.send(who+"@world.example", id)
					sent[who] = append(sent[who], id)
				}
			}
			p.wait()
			close(stop)
			others.Wait()
			for who, ids := range sent {
				eachOnce(t, who, ids)
			}
			if strings.Contains(p.log(), "status=bounced") {
				t.Errorf("postfix has sent mail back:\n%s", tail(p.log()))
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

// A full disk and killed agents make postfix keep mail, not send it back, and
// deliver it once.
func TestMailSystemQueues(t *testing.T) {
	needWorld(t)
	clean(t, 0o2775)
	install(t, true)
	flag := filepath.Join(disk, "broken")
	must(t, os.WriteFile(flag, nil, 0o644))
	wrapper := filepath.Join(disk, "wrapper")
	must(t, os.WriteFile(wrapper, []byte("#!/bin/sh\nif [ -e "+flag+" ]; then kill -9 $$; fi\nexec "+bin+"/tmail \"$@\"\n"), 0o755))
	p := newPostfix(t, "mailbox_command = exec "+wrapper+" -f \"$SENDER\" \"$USER\"\n")
	mountSmall(t, "/var/mail", "size=8k,mode=2775,gid=8")
	path := spoolBox(t, "alice")
	must(t, os.WriteFile("/var/mail/full", []byte(strings.Repeat("x", 8192)), 0o644))
	const n = 5
	var sent []string
	for i := range n {
		id := fmt.Sprintf("kept-%d", i)
		p.send("alice@world.example", id)
		sent = append(sent, id)
	}
	p.see("died with status", "by signal", "Command died") // killed
	must(t, os.Remove(flag))
	p.see("temporary failure", "No space", "no space")
	if read(t, path) != "" && received(t, path, "kept-0") == 0 {
		t.Errorf("half a message: %q", read(t, path))
	}
	must(t, os.Remove("/var/mail/full"))
	p.wait()
	eachOnce(t, "alice", sent)
	if strings.Contains(p.log(), "status=bounced") {
		t.Errorf("postfix has sent mail back:\n%s", tail(p.log()))
	}
}

// see waits until the log has one of the texts.
func (p *postfix) see(texts ...string) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, text := range texts {
			if strings.Contains(p.log(), text) {
				return
			}
		}
		exec.Command("/usr/sbin/postqueue", "-c", p.dir+"/etc", "-f").Run()
	}
	p.t.Errorf("the log has none of %q\n%s", texts, tail(p.log()))
}
