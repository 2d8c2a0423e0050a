package deliver_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// deliverTo runs tmail as root for a recipient.
func deliverTo(t testing.TB, input string, args ...string) run {
	t.Helper()
	return do(t, command("root", append([]string{"tmail"}, args...)...), input)
}

// received counts the messages with this subject in a mailbox file.
func received(t testing.TB, path, id string) int {
	t.Helper()
	return strings.Count(strings.ReplaceAll(read(t, path), "\r", ""), "\nSubject: "+id+"\n")
}

func owner(t testing.TB, path string) (uid, gid uint32, mode os.FileMode) {
	t.Helper()
	fi, err := os.Lstat(path)
	must(t, err)
	st := fi.Sys().(*syscall.Stat_t)
	return st.Uid, st.Gid, fi.Mode()
}

// CVE-2016-6253: in a sticky spool a user puts a symbolic link, or a file of
// their own, or a hard link, under the name of another's mailbox, before or
// while mail arrives. CVE-2010-2023 is the hard link.
func TestSpoolTricks(t *testing.T) {
	needWorld(t)
	const spool, victim = "/var/mail/alice", "/home/alice/precious"
	for name, trick := range map[string]func(){
		"symbolic link":          func() { must(t, os.Symlink(victim, spool)) },
		"dangling symbolic link": func() { must(t, os.Symlink("/home/alice/none", spool)) },
		"hard link":              func() { must(t, os.Link(disk+"/home/alice/precious", disk+"/mail/alice")) },
		"a file of theirs":       func() { must(t, os.WriteFile(spool, []byte("From m@x Thu Jan  1 00:00:00 2026\n\n"), 0o666)) },
		"a directory":            func() { must(t, os.Mkdir(spool, 0o777)) },
		"a FIFO":                 func() { must(t, syscall.Mkfifo(spool, 0o666)) },
		"a device": func() {
			must(t, syscall.Mknod(spool, syscall.S_IFCHR|0o666, 1*256+3))
			must(t, os.Chown(spool, aliceUID, aliceUID))
		},
		"a set-uid file": func() {
			must(t, os.WriteFile(spool, nil, 0o600))
			must(t, os.Chown(spool, aliceUID, aliceUID))
			must(t, syscall.Chmod(spool, 0o4600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t, 0o1777)
			must(t, os.WriteFile(victim, []byte("From x Thu Jan  1 00:00:00 2026\n\nprecious\n"), 0o600))
			must(t, os.Chown(victim, aliceUID, aliceUID))
			before := read(t, victim)
			trick()
			if strings.HasPrefix(name, "a file") || name == "a directory" || name == "a FIFO" || strings.Contains(name, "symbolic") {
				must(t, os.Lchown(spool, malUID, malUID))
			}
			r := deliverTo(t, mail("one"), "alice")
			if r.code != 75 || !strings.Contains(r.err, "unsafe") {
				t.Errorf("got status %d, %q, want 75 and why it is unsafe", r.code, r.err)
			}
			if read(t, victim) != before {
				t.Error("the file of the victim was changed")
			}
			if exists("/home/alice/none") {
				t.Error("a file was made through the link")
			}
		})
	}
}

// The race of CVE-2016-6253: the name changes between a file and a link while
// deliveries go on. Not one octet may get through the link.
func TestSpoolRace(t *testing.T) {
	needWorld(t)
	clean(t, 0o1777)
	const spool, victim = "/var/mail/alice", "/home/alice/precious"
	must(t, os.WriteFile(victim, []byte("From x Thu Jan  1 00:00:00 2026\n\nprecious\n"), 0o600))
	must(t, os.Chown(victim, aliceUID, aliceUID))
	before := read(t, victim)
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				if os.Symlink(victim, spool) == nil { // as mallory would, in such a directory
					for range 100 {
						unix.Getpid()
					}
					os.Remove(spool)
				}
				for range 100 {
					unix.Getpid()
				}
			}
		}
	}()
	accepted := 0
	for i := range 80 {
		os.Remove(spool) // the mailbox that was made meanwhile: it must be made again
		if deliverTo(t, mail("m"+string(rune('a'+i%26))), "alice").code == 0 {
			accepted++
		}
	}
	close(stop)
	<-stopped
	if read(t, victim) != before {
		t.Errorf("the file of the victim was changed")
	}
	t.Logf("%d of 80 were accepted", accepted)
}

// A side file that somebody else has put beside a mailbox is not believed: it
// would be carried out with the rights of the user.
func TestForeignJournal(t *testing.T) {
	needWorld(t)
	clean(t, 0o1777)
	for _, name := range []string{".alice.journal", ".alice.new", "alice.lock.1.1.x"} {
		must(t, os.WriteFile("/var/mail/"+name, []byte("mailutil journal 1\n"+strings.Repeat("\x00", 9000)), 0o666))
		must(t, os.Chown("/var/mail/"+name, malUID, malUID))
	}
	must(t, os.WriteFile("/var/mail/alice", nil, 0o600))
	must(t, os.Chown("/var/mail/alice", aliceUID, aliceUID))
	if r := deliverTo(t, mail("one"), "alice"); r.code != 0 {
		t.Errorf("got status %d, %s", r.code, r.err)
	}
	if received(t, "/var/mail/alice", "one") != 1 {
		t.Errorf("the message is not there")
	}
	if uid, _, _ := owner(t, "/var/mail/.alice.journal"); uid != malUID {
		t.Errorf("the foreign file is gone")
	}
}

// CVE-2006-1174: a new mailbox is the user's alone, whatever the mask.
func TestModes(t *testing.T) {
	needWorld(t)
	for _, mask := range []string{"000", "077", "777"} {
		for _, format := range []string{"unix", "mbx"} {
			clean(t, 0o1777)
			path := map[string]string{"unix": "/var/mail/alice", "mbx": "/home/alice/INBOX"}[format]
			cmd := command("root", "bash", "-c", "umask "+mask+"; exec tmail -b "+format+" alice")
			if r := do(t, cmd, mail("one")); r.code != 0 {
				t.Fatalf("mask %s, %s: status %d, %s", mask, format, r.code, r.err)
			}
			if uid, gid, mode := owner(t, path); uid != aliceUID || gid != aliceUID || mode != 0o600 {
				t.Errorf("mask %s, %s: uid %d, gid %d, mode %v", mask, format, uid, gid, mode)
			}
		}
	}
}

// The identity is the user's in all its parts: a file that only the user's
// groups can reach is reached, one of root's or the caller's is not.
func TestIdentity(t *testing.T) {
	needWorld(t)
	clean(t, 0o1777)
	hook := bin + "/identity"
	must(t, os.WriteFile(hook, []byte("#!/bin/sh\nid -u; id -ru; id -g; id -rg; id -G; grep -e ^Seccomp: -e ^CapEff: /proc/self/status | tr '\\t' ' '; env | sort | grep -v -e ^PWD -e ^_ -e ^OLDPWD -e SHLVL; exit 73\n"), 0o755))
	must(t, os.WriteFile("/etc/c-client.cf", []byte("set delivery-quota-command "+hook+"\n"), 0o644))
	defer os.Truncate("/etc/c-client.cf", 0)
	install(t, true)
	for _, who := range []string{"root", "daemon", "mallory", "alice"} {
		cmd := command(who, "tmail", "alice")
		cmd.Env = append(cmd.Env, "EVIL=1", "LD_PRELOAD=/x.so", "IFS=x", "ENV=/x", "BASH_ENV=/x")
		r := do(t, cmd, mail("one"))
		want := "quota command: 2001 2001 2001 2001 2001 3000 CapEff: 0000000000000000 Seccomp: 0 HOME=/home/alice LC_ALL=C PATH=/usr/bin:/bin"
		got := strings.Join(strings.Fields(r.err), " ")
		if r.code != 73 || got != want {
			t.Errorf("%s: status %d\n got %s\nwant %s", who, r.code, got, want)
		}
	}
}

// A caller of the set-uid program may make its surroundings as hostile as they
// like: the message is stored, in the right place, or refused; nothing is torn.
func TestHostileCaller(t *testing.T) {
	needWorld(t)
	big := "From: x@y\r\nSubject: big\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 200_000)
	for name, tt := range map[string]struct {
		shell string
		env   []string
		input string
		code  int
	}{
		"file size":        {"ulimit -f 1; exec tmail alice", nil, big, 0},
		"open files":       {"ulimit -n 4; exec tmail alice", nil, mail("x"), 0},
		"cpu":              {"ulimit -t 1; exec tmail alice", nil, mail("x"), 0},
		"processes":        {"ulimit -u 1; exec tmail alice", nil, mail("x"), 0},
		"memory":           {"ulimit -v 4000000; exec tmail alice", nil, mail("x"), 0},
		"stderr closed":    {"exec tmail alice 2>&-", nil, mail("x"), 0},
		"stdout closed":    {"exec tmail alice >&-", nil, mail("x"), 0},
		"stdin closed":     {"exec tmail alice <&-", nil, "", 75},
		"all closed":       {"exec tmail alice <&- >&- 2>&-", nil, "", 75},
		"stderr full":      {"exec tmail -D alice 2>/dev/full", nil, mail("x"), 0},
		"stderr a pipe":    {"exec tmail -D alice 2> >(exit 0)", nil, mail("x"), 0},
		"HOME":             {"exec tmail alice", []string{"HOME=/home/mallory"}, mail("x"), 0},
		"TZ":               {"exec tmail alice", []string{"TZ=/home/mallory/zone"}, mail("x"), 0},
		"TMPDIR":           {"exec tmail alice", []string{"TMPDIR=/nonexistent"}, big, 0},
		"GODEBUG":          {"exec tmail alice", []string{"GODEBUG=invalidptr=1,gctrace=1", "GOTRACEBACK=crash", "GOGC=1", "GOMEMLIMIT=1"}, mail("x"), 0},
		"LANG":             {"exec tmail alice", []string{"LANG=../../../home/mallory", "LC_ALL=\xff"}, mail("x"), 0},
		"PATH":             {"exec " + bin + "/tmail alice", []string{"PATH=/home/mallory:."}, mail("x"), 0},
		"no argv":          {"exec -a '' tmail", nil, mail("x"), 64},
		"huge recipient":   {"exec tmail alice$(printf %0100000d 0)", nil, mail("x"), 67},
		"huge folder":      {"exec tmail alice+$(printf %0100000d 0)", nil, mail("x"), 75},
		"folder of 1000":   {"exec tmail alice+$(printf %01000d 0)", nil, mail("x"), 75}, // CVE-2008-5005
		"folder of 256":    {"exec tmail alice+$(printf %0256d 0)", nil, mail("x"), 0},
		"control in name":  {"exec tmail $'alice+x\\nX-Evil: y'", nil, mail("x"), 0},
		"newline in -f":    {"exec tmail -f $'a@b>\\nX-Evil: y' alice", nil, mail("x"), 64},
		"bracket in -f":    {"exec tmail -f 'a@b>' alice", nil, mail("x"), 64},
		"-b":               {"exec tmail -b mbx alice", nil, mail("x"), 75},
		"-I":               {"exec tmail -I /home/mallory/x alice", nil, mail("x"), 75},
		"several":          {"exec tmail alice bob", nil, big, 0},
		"stdin not blocks": {"exec python3 -c 'import os; os.set_blocking(0, False); os.execv(\"" + bin + "/tmail\", [\"tmail\", \"alice\"])' <in", nil, mail("x"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t, 0o1777)
			install(t, true)
			must(t, os.WriteFile("/home/mallory/in", []byte(mail("x")), 0o644))
			cmd := command("mallory", "bash", "-c", tt.shell)
			cmd.Env = append(cmd.Env, tt.env...)
			r := do(t, cmd, tt.input)
			limited := strings.Contains(tt.shell, "ulimit") && !mayRaiseLimits()
			if r.code != tt.code && (!limited || r.code != 75) {
				t.Errorf("got status %d, want %d: %.300s", r.code, tt.code, r.err)
			}
			if strings.Contains(r.err, "panic") || strings.Contains(r.err, "goroutine ") {
				t.Errorf("it crashed: %.500s", r.err)
			}
			if (r.code == 0) != exists("/var/mail/alice") {
				t.Errorf("status %d, and a mailbox: %v", r.code, exists("/var/mail/alice"))
			}
			if exists("/var/mail/alice") {
				box := read(t, "/var/mail/alice")
				if strings.Contains(box, "\nX-Evil") {
					t.Error("a header was smuggled in")
				}
				if !strings.Contains(box, "(invoked by user mallory)") {
					t.Error("the Received field does not name the caller")
				}
			}
			left, _ := filepath.Glob("/home/mallory/*")
			if len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// mayRaiseLimits reports whether root may raise limits, which it may not in
// some containers.
func mayRaiseLimits() bool {
	cmd := exec.Command("bash", "-c", "ulimit -f 1; ulimit -f unlimited")
	return cmd.Run() == nil
}

// A set-uid program of which somebody has made a second name, beside a program
// of theirs, does not start that: it would run as the recipient.
func TestHelperBeside(t *testing.T) {
	needWorld(t)
	clean(t, 0o755) // the user cannot lock: mlock would be asked
	install(t, true)
	dir := filepath.Dir(bin) + "/beside"
	must(t, os.MkdirAll(dir, 0o777))
	defer os.RemoveAll(dir)
	must(t, os.Link(bin+"/tmail", dir+"/tmail"))
	must(t, os.WriteFile(dir+"/mlock", []byte("#!/bin/sh\ntouch /home/alice/pwned\nprintf +\nread x\n"), 0o755))
	must(t, os.WriteFile("/var/mail/alice", nil, 0o600))
	must(t, os.Chown("/var/mail/alice", aliceUID, aliceUID))
	do(t, command("mallory", dir+"/tmail", "alice"), mail("one"))
	if exists("/home/alice/pwned") {
		t.Error("a program of the caller ran as the recipient")
	}
}

// A user who is there, and one who is not known to be missing.
func TestLookup(t *testing.T) {
	needWorld(t)
	clean(t, 0o1777)
	for _, tt := range []struct {
		who  string
		code int
	}{
		{"alice", 0},
		{"Alice", 67}, // no case folding
		{"nosuch", 67},
		{"2001", 75}, // getent takes it for a user id
		{"root", 75},
		{"", 67},
		{"-x", 67},
		{"a:b", 67},
		{"homeless", 0}, // the spool is there all the same
	} {
		if r := deliverTo(t, mail("one"), "--", tt.who); r.code != tt.code {
			t.Errorf("%q: got status %d, want %d: %s", tt.who, r.code, tt.code, r.err)
		}
	}
	broken := bin + "/broken"
	must(t, os.WriteFile(broken, []byte("#!/bin/sh\nexit 1\n"), 0o755))
	mountOver(t, broken, "/usr/bin/getent")
	if r := deliverTo(t, mail("one"), "nosuch"); r.code != 75 {
		t.Errorf("getent fails: got status %d, want 75: %s", r.code, r.err)
	}
	if r := deliverTo(t, mail("one"), "--compat", "Alice"); r.code != 75 {
		t.Errorf("--compat: got status %d, want 75", r.code)
	}
}

// Signals before and while a message is delivered: all of it or nothing, and
// the status says which.
func TestSignals(t *testing.T) {
	needWorld(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGXFSZ, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGUSR1, syscall.SIGINT} {
		clean(t, 0o1777)
		accepted := 0
		for i := range 12 {
			cmd := command("root", "tmail", "alice")
			in, err := cmd.StdinPipe()
			must(t, err)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			must(t, cmd.Start())
			text := mail("s")
			in.Write([]byte(text[:10]))
			if i%3 == 0 {
				cmd.Process.Signal(sig) // it reads
			}
			in.Write([]byte(text[10:]))
			in.Close()
			for range i * 200 { // a little later each time, in steps that no clock rules
				unix.Getpid()
			}
			cmd.Process.Signal(sig)
			cmd.Wait()
			switch code := cmd.ProcessState.ExitCode(); code {
			case 0:
				accepted++
			case 75, -1: // -1: before the program could do anything about it
			default:
				t.Errorf("%v: got status %d, %s", sig, code, stderr.String())
			}
		}
		got := 0
		if exists("/var/mail/alice") {
			got = received(t, "/var/mail/alice", "s")
		}
		if got != accepted {
			t.Errorf("%v: %d accepted, %d there", sig, accepted, got)
		}
	}
}

// The mailbox is as before, and the status says so, where the disk is full.
func TestFullDisk(t *testing.T) {
	needWorld(t)
	clean(t, 0o1777)
	mountSmall(t, "/var/mail", "size=200k,mode=1777")
	n := 0
	for ; n < 100; n++ {
		before := ""
		if n > 0 {
			before = read(t, "/var/mail/alice")
		}
		r := deliverTo(t, "From: x@y\r\nSubject: f\r\n\r\n"+strings.Repeat("0123456789abcdef\r\n", 1000), "alice")
		if r.code == 75 {
			if n > 0 && read(t, "/var/mail/alice") != before {
				t.Error("the mailbox changed")
			}
			break
		}
		if r.code != 0 {
			t.Fatalf("status %d, %s", r.code, r.err)
		}
	}
	if n == 0 || n == 100 {
		t.Fatalf("%d deliveries into 200 KB", n)
	}
	if got := received(t, "/var/mail/alice", "f"); got != n {
		t.Errorf("%d accepted, %d there", n, got)
	}
	entries, err := os.ReadDir("/var/mail")
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// A killed delivery, at whichever instant, leaves a mailbox that takes the next
// message, and all that was accepted.
func TestKilled(t *testing.T) {
	needWorld(t)
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	step := 3
	if testing.Short() {
		step = 23
	}
	for _, format := range []string{"unix", "mbx"} {
		clean(t, 0o1777)
		path := map[string]string{"unix": "/var/mail/alice", "mbx": "/home/alice/INBOX"}[format]
		accepted := 0
		if r := deliverTo(t, mail("k"), "-b", format, "alice"); r.code != 0 {
			t.Fatal(r.err)
		}
		accepted++
		for k := 1; k < 60; k += step {
			for _, call := range []string{"pwrite64", "fsync", "ftruncate", "unlinkat", "openat", "linkat"} {
				when := strconv.Itoa(k)
				cmd := command("root", "strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject="+call+":signal=KILL:when="+when,
					bin+"/tmail", "alice")
				cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
				r := do(t, cmd, mail("k"))
				if r.code == 0 {
					accepted++
				}
			}
		}
		if r := deliverTo(t, mail("last"), "alice"); r.code != 0 {
			t.Errorf("%s: the next delivery: status %d, %s", format, r.code, r.err)
		}
		got := received(t, path, "k")
		if got < accepted {
			t.Errorf("%s: %d accepted, %d there", format, accepted, got)
		}
		if received(t, path, "last") != 1 {
			t.Errorf("%s: the last message is not there", format)
		}
		check := do(t, command("alice", "mailutil", "check", "--deep", map[string]string{"unix": "INBOX", "mbx": "INBOX"}[format]), "")
		if check.code != 0 {
			t.Errorf("%s: %s%s", format, check.out, check.err)
		}
	}
}
