package deliver_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// spoolBox makes a mailbox of a user in the spool, which only the group mail
// may write to.
func spoolBox(t testing.TB, who string) string {
	t.Helper()
	path := "/var/mail/" + who
	must(t, os.WriteFile(path, nil, 0o660))
	must(t, os.Chown(path, int(users[who].uid), mailGID))
	must(t, syscall.Chmod(path, 0o660))
	return path
}

// holdLock starts mlock for a mailbox and returns its first answer, and what
// lets the lock go.
func holdLock(t *testing.T, who, path string) (answer byte, release func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	cmd := command(who, "mlock", "3", path)
	cmd.ExtraFiles = []*os.File{f}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	b, err := bufio.NewReader(out).ReadByte()
	must(t, err)
	var once sync.Once
	release = func() {
		once.Do(func() {
			in.Close()
			cmd.Wait()
		})
	}
	t.Cleanup(release)
	return b, release
}

// A delivery to a spool directory that users may not write to takes the dot
// lock by mlock, keeps off those who hold it, and leaves none.
func TestDeliveryByMlock(t *testing.T) {
	needWorld(t)
	clean(t, 0o2775)
	path := spoolBox(t, "alice")
	if r := deliverTo(t, mail("one"), "alice"); r.code != 0 || strings.Contains(r.err, "vulnerable") {
		t.Fatalf("status %d, %s", r.code, r.err)
	}
	answer, release := holdLock(t, "alice", path)
	if answer != '+' {
		t.Fatalf("mlock: got %q", answer)
	}
	cmd := command("root", "tmail", "alice")
	in, err := cmd.StdinPipe()
	must(t, err)
	stderr, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	io.WriteString(in, mail("two"))
	in.Close()
	said := bufio.NewScanner(stderr)
	if !said.Scan() || !strings.Contains(said.Text(), "waiting: /var/mail/alice is locked by pid") {
		t.Errorf("it says %q, not that it waits", said.Text())
	}
	if received(t, path, "two") != 0 {
		t.Error("it delivers though another has the lock")
	}
	release()
	for said.Scan() {
	}
	must(t, cmd.Wait())
	if received(t, path, "two") != 1 {
		t.Error("the message is not there")
	}
	if exists(path + ".lock") {
		t.Error("a lock is left behind")
	}
}

// Our mlock with the original's client, and the original's mlock with ours, are
// the same on the wire: see TestTranscripts for the former.
func TestOriginalMlock(t *testing.T) {
	needWorld(t)
	if !exists("/usr/bin/mlock") {
		t.Skip("the original mlock is not installed")
	}
	clean(t, 0o2775)
	path := spoolBox(t, "alice")
	mountOver(t, "/usr/bin/mlock", "/etc/mlock")
	if r := deliverTo(t, mail("one"), "alice"); r.code != 0 || strings.Contains(r.err, "vulnerable") {
		t.Fatalf("status %d, %s", r.code, r.err)
	}
	if received(t, path, "one") != 1 || exists(path+".lock") {
		t.Error("no message, or a lock that is left behind")
	}
}

// What mlock refuses, with nothing made and the codes of the original.
func TestMlockRefuses(t *testing.T) {
	needWorld(t)
	clean(t, 0o2775)
	spoolBox(t, "alice")
	bob := spoolBox(t, "bob")
	must(t, syscall.Chmod(bob, 0o664))
	must(t, os.Symlink("/var/mail/bob", "/var/mail/link"))
	must(t, os.Mkdir("/var/mail/sub", 0o777))
	must(t, os.Symlink("/home/alice", "/var/mail/home"))
	must(t, os.WriteFile("/home/alice/box", nil, 0o600))
	must(t, os.Chown("/home/alice/box", aliceUID, aliceUID))
	must(t, os.WriteFile("/var/mail/carol", nil, 0o666))
	must(t, os.WriteFile("/var/mail/carol.lock", []byte(strings.Repeat("From x\n", 100)), 0o666)) // a mailbox called so
	must(t, os.Chown("/var/mail/carol", aliceUID, mailGID))
	for _, tt := range []struct {
		shell, out string
		code       int
	}{
		{"exec 9</var/mail/bob; mlock 9 /var/mail/bob", "?", 77}, // readable, but not ours
		{"exec 9<>/var/mail/carol; mlock 9 /var/mail/carol", "?", 77},
		{"exec 9</var/mail/bob; mlock 9 /var/mail/link", "?", 64},
		{"exec 9</home/alice/box; mlock 9 /home/alice/box", "?", 64},
		{"exec 9</home/alice/box; mlock 9 /var/mail/home/box", "?", 64},
		{"exec 9</home/alice/box; mlock 9 /var/mail/../../home/alice/box", "?", 64},
		{"exec 9</var/mail/alice; mlock 9 /var/mail/sub/../alice", "?", 64},
		{"exec 9</var/mail/alice; mlock 99999999999999999999 /var/mail/alice", "?", 64},
		{"exec 9</var/mail/alice; mlock -- 9 /var/mail/alice", "?", 64},
		{"exec 9</var/mail/alice; mlock 9 /var/mail/$(printf %09000d 0)", "?", 36}, // ENAMETOOLONG
		{"mlock 0 /var/mail/alice <&-", "?", 64},
		{"mlock '' ''", "?", 64},
		{"exec -a '' mlock", "?", 64},
	} {
		r := do(t, command("alice", "bash", "-c", tt.shell), "")
		if r.code != tt.code || r.out != tt.out || strings.Contains(r.err, "goroutine") {
			t.Errorf("%.80s\n got %q, status %d, %.300s\nwant %q, status %d", tt.shell, r.out, r.code, r.err, tt.out, tt.code)
		}
	}
	locks, err := filepath.Glob("/var/mail/*.lock")
	must(t, err)
	if len(locks) != 1 { // carol.lock, which is none
		t.Errorf("locks were made: %v", locks)
	}
	install(t, false)
	must(t, syscall.Chmod(bin+"/mlock", 0o755))
	if r := do(t, command("alice", "bash", "-c", "exec 9</var/mail/alice; mlock 9 /var/mail/alice"), ""); r.code != 64 || r.out != "?" {
		t.Errorf("without set-group-id: got %q, status %d", r.out, r.code)
	}
}

// A fresh lock of another stays; one that was left behind is overridden; one
// that is a symbolic link leads nowhere.
func TestMlockStale(t *testing.T) {
	needWorld(t)
	clean(t, 0o2775)
	path := spoolBox(t, "alice")
	lock := path + ".lock"
	busy := func() run { // it gives up when its input ends
		return do(t, command("alice", "bash", "-c", "exec 9</var/mail/alice; mlock 9 /var/mail/alice </dev/null"), "")
	}
	must(t, os.WriteFile(lock, nil, 0o666))
	if r := busy(); r.out != "-" || r.code != 73 || !exists(lock) {
		t.Errorf("fresh lock: got %q, status %d", r.out, r.code)
	}
	must(t, os.Remove(lock))
	must(t, os.Symlink("/home/alice/made", lock))
	if r := busy(); r.out != "?" || r.code != 77 || exists("/home/alice/made") {
		t.Errorf("symbolic link: got %q, status %d", r.out, r.code)
	}
	must(t, os.Remove(lock))
	answer, release := holdLock(t, "alice", path)
	if answer != '+' {
		t.Fatalf("got %q", answer)
	}
	if pid := strings.TrimSpace(read(t, lock)); pid == "" || pid == "1" {
		t.Errorf("the lock names process %q", pid)
	}
	uid, gid, mode := owner(t, lock)
	if uid != aliceUID || gid != mailGID || mode != 0o664 {
		t.Errorf("lock: uid %d, gid %d, mode %v", uid, gid, mode)
	}
	// Signals of the caller do nothing: the caller believes to have the lock.
	release()
	if exists(lock) {
		t.Error("the lock was not removed")
	}
}

// A lock is overridden once it is past its age: by five minutes where its holder
// is gone or not named, and by an hour whoever has it. The change time of a file
// cannot be set back but on a file system that is not mounted.
func TestMlockOverrides(t *testing.T) {
	needWorld(t)
	for _, program := range []string{"mke2fs", "debugfs"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed")
		}
	}
	clean(t, 0o2775)
	image := filepath.Join(disk, "old.img")
	shell := func(script string) {
		t.Helper()
		if r := do(t, command("root", "bash", "-c", "PATH=$PATH:/usr/sbin:/sbin; "+script), ""); r.code != 0 {
			t.Skipf("no file system in a file here: %s", r.err)
		}
	}
	shell("truncate -s 2M " + image + " && mke2fs -q -t ext4 " + image)
	mounted := false
	mount := func(yes bool) {
		if yes != mounted {
			shell(map[bool]string{true: "mount -o loop " + image + " /var/mail", false: "umount /var/mail"}[yes])
			mounted = yes
		}
	}
	t.Cleanup(func() { mount(false) })
	const lock = "/var/mail/alice.lock"
	alive := strconv.Itoa(os.Getpid())
	for _, tt := range []struct {
		name, text string
		age        time.Duration
		out        string
	}{
		{"no holder, young", "", 4 * time.Minute, "-"},
		{"no holder, old", "", 6 * time.Minute, "+"},
		{"not a number, old", "host:x", 6 * time.Minute, "+"},
		{"holder gone, young", "4194305", 4 * time.Minute, "-"},
		{"holder gone, old", "4194305", 6 * time.Minute, "+"},
		{"holder alive, old", alive, 59 * time.Minute, "-"},
		{"holder alive, too old", alive, 61 * time.Minute, "+"},
		{"a mailbox of that name", strings.Repeat("From x\n", 100), 61 * time.Minute, "?"},
	} {
		mount(true)
		spoolBox(t, "alice")
		must(t, os.Chown("/var/mail", 0, mailGID))
		must(t, syscall.Chmod("/var/mail", 0o2775))
		must(t, os.WriteFile(lock, []byte(tt.text), 0o664))
		mount(false)
		at := time.Now().Add(-tt.age).UTC().Format("20060102150405")
		shell("TZ=UTC debugfs -w -R 'set_inode_field /alice.lock ctime " + at + "' " + image)
		mount(true)
		cmd := command("alice", "bash", "-c", "exec 9</var/mail/alice; exec mlock 9 /var/mail/alice")
		in, err := cmd.StdinPipe()
		must(t, err)
		out, err := cmd.StdoutPipe()
		must(t, err)
		if tt.out == "-" { // it gives up when its input ends
			in.Close()
		}
		must(t, cmd.Start())
		answer := make([]byte, 1)
		_, err = out.Read(answer)
		must(t, err)
		if string(answer) != tt.out || (read(t, lock) == tt.text) != (tt.out != "+") {
			t.Errorf("%s: got %q, and a lock with %q", tt.name, answer, read(t, lock))
		}
		in.Close()
		cmd.Wait() // its status is for the log
		must(t, os.RemoveAll(lock))
	}
}

// A caller's signals do not end mlock with the lock in its hand.
func TestMlockSignals(t *testing.T) {
	needWorld(t)
	clean(t, 0o2775)
	path := spoolBox(t, "alice")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	cmd := command("alice", "mlock", "3", path)
	cmd.ExtraFiles = []*os.File{f}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	one := make([]byte, 1)
	if _, err := out.Read(one); err != nil || one[0] != '+' {
		t.Fatalf("got %q, %v", one, err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGALRM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE} {
		must(t, cmd.Process.Signal(sig))
	}
	if !exists(path + ".lock") {
		t.Error("the lock is gone")
	}
	in.Close()
	must(t, cmd.Wait())
	if exists(path + ".lock") {
		t.Error("the lock was left behind")
	}
}

// --check finds out what an administrator has forgotten.
func TestMlockCheck(t *testing.T) {
	needWorld(t)
	clean(t, 0o2775)
	if r := do(t, command("alice", "mlock", "--check"), ""); r.code != 0 || strings.Contains(r.out, "NOT") {
		t.Errorf("status %d, %s", r.code, r.out)
	}
	must(t, syscall.Chmod("/var/mail", 0o755))
	if r := do(t, command("alice", "mlock", "--check"), ""); r.code != 1 || !strings.Contains(r.out, "NOT able to lock in /var/mail") {
		t.Errorf("spool not writable: status %d, %s", r.code, r.out)
	}
	must(t, syscall.Chmod("/var/mail", 0o2775))
	must(t, os.WriteFile("/etc/mlock.conf", []byte("# more\n/home/alice/spool/\n"), 0o644))
	defer os.Remove("/etc/mlock.conf")
	if r := do(t, command("alice", "mlock", "--check"), ""); !strings.Contains(r.out, "NOT able to lock in /home/alice/spool") {
		t.Errorf("configuration: status %d, %s", r.code, r.out)
	}
	must(t, os.Chmod("/etc/mlock.conf", 0o666))
	if r := do(t, command("alice", "mlock", "--check"), ""); strings.Contains(r.out, "/home/alice/spool") {
		t.Errorf("a configuration that anybody can write is believed: %s", r.out)
	}
}

// Eight writers at once, ours and others, with a reader that prunes: each
// message that was accepted is there once.
func TestTogether(t *testing.T) {
	needWorld(t)
	clean(t, 0o1777)
	writers := map[string]func(id string) *exec.Cmd{
		"tmail": func(string) *exec.Cmd { return command("root", "tmail", "alice") },
		"dmail": func(string) *exec.Cmd { return command("alice", "dmail") },
	}
	if exists("/usr/bin/procmail") {
		writers["procmail"] = func(string) *exec.Cmd {
			return command("alice", "/usr/bin/procmail", "-m", "DEFAULT=/var/mail/alice", "LOCKSLEEP=1", "/dev/null")
		}
	}
	if exists("/usr/bin/dmail") {
		writers["original"] = func(string) *exec.Cmd { return command("alice", "/usr/bin/dmail") }
	}
	each := 40
	if testing.Short() {
		each = 12
	}
	// The original and procmail keep each other off by nothing: one of them at
	// a time, each with ours.
	for _, other := range []string{"procmail", "original"} {
		if writers[other] == nil {
			t.Logf("%s is not installed", other)
			continue
		}
		clean(t, 0o1777)
		var wg sync.WaitGroup
		var mu sync.Mutex
		accepted := map[string]bool{}
		for i, name := range []string{"tmail", "dmail", other, "tmail", "dmail", other} {
			wg.Go(func() {
				many := each
				if name == "procmail" {
					many = each / 4 // it waits by the second
				}
				for n := range many {
					id := name + "-" + string(rune('a'+i)) + "-" + string(rune('A'+n/26)) + string(rune('A'+n%26))
					text := "From x@example.org Thu Jan  1 00:00:00 2026\n" + strings.ReplaceAll(mail(id), "\r", "")
					r := do(t, writers[name](id), text)
					if r.code == 0 {
						mu.Lock()
						accepted[id] = true
						mu.Unlock()
					} else {
						t.Logf("%s: status %d, %s", id, r.code, r.err)
					}
				}
			})
		}
		stop := make(chan bool)
		var reader sync.WaitGroup
		reader.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					do(t, command("alice", "mailutil", "prune", "INBOX", "subject nosuch"), "")
					time.Sleep(time.Millisecond) // not synchronisation: lets the others come
				}
			}
		})
		wg.Wait()
		close(stop)
		reader.Wait()
		box := read(t, "/var/mail/alice")
		for id := range accepted {
			if n := strings.Count(box, "\nSubject: "+id+"\n"); n != 1 {
				t.Errorf("with %s: %s is there %d times", other, id, n)
			}
			if n := strings.Count(box, "\nbody of "+id+"\n"); n != 1 {
				t.Errorf("with %s: the text of %s is there %d times", other, id, n)
			}
		}
		if len(accepted) < each {
			t.Errorf("with %s: only %d were accepted", other, len(accepted))
		}
	}
}

// A mailbox that is taken away while a delivery waits for its lock, as programs
// do that fetch mail, does not take the message along.
func TestMailboxTakenAway(t *testing.T) {
	needWorld(t)
	clean(t, 0o1777)
	const path = "/var/mail/alice"
	if r := deliverTo(t, mail("one"), "alice"); r.code != 0 {
		t.Fatal(r.err)
	}
	fetch := command("alice", "mailutil", "lock", "run", "INBOX", "--", "bash", "-c", "echo held; read x; mv /var/mail/alice ~/fetched")
	in, err := fetch.StdinPipe()
	must(t, err)
	out, err := fetch.StdoutPipe()
	must(t, err)
	must(t, fetch.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	cmd := command("root", "tmail", "alice")
	cmd.Stdin = strings.NewReader(mail("two"))
	stderr, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	said := bufio.NewScanner(stderr)
	if !said.Scan() || !strings.Contains(said.Text(), "waiting: ") {
		t.Errorf("it says %q, not that it waits", said.Text())
	}
	in.Close()
	fetch.Wait() // the lock file is gone with the mailbox: it may say so
	for said.Scan() {
	}
	must(t, cmd.Wait())
	if !exists(path) || received(t, path, "two") != 1 {
		t.Error("the message is not in the mailbox")
	}
	if received(t, "/home/alice/fetched", "two") != 0 {
		t.Error("the message is in the file that was taken away")
	}
}
