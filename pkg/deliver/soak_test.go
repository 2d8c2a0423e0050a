package deliver_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soakTime is how long TestSoak goes on, by $SOAK; 0 for not at all.
func soakTime() time.Duration {
	d, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		return 0
	}
	return d
}

// A fate is what became of a delivery.
type fate struct {
	who, id  string
	accepted bool
}

// TestSoak delivers by tmail and dmail into inboxes of several formats, kills
// some of the deliveries at any instant, and reads and prunes meanwhile. In the
// end every message that was accepted is there once, every other at most once,
// and nothing is damaged.
func TestSoak(t *testing.T) {
	needWorld(t)
	limit := soakTime()
	if limit == 0 {
		t.Skip("it takes long: make soak, or make test-mailsystems")
	}
	clean(t, 0o2775)
	install(t, true)
	for _, who := range []string{"alice", "bob", "mallory", "carol"} {
		spoolBox(t, who)
	}
	all := inboxes(t)
	end := time.Now().Add(limit)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var fates []fate
	var number atomic.Int64
	stop := make(chan bool)
	for who := range all {
		for range 3 {
			wg.Go(func() {
				for time.Now().Before(end) {
					f := deliverSomehow(t, who, number.Add(1))
					mu.Lock()
					fates = append(fates, f)
					mu.Unlock()
				}
			})
		}
	}
	var others sync.WaitGroup
	for who := range all {
		others.Go(func() { disturb(t, who, stop) })
	}
	wg.Wait()
	close(stop)
	others.Wait()
	judge(t, all, fates)
}

// deliverSomehow delivers a message of some size by one of the programs, which
// it kills every fifth time or so.
func deliverSomehow(t *testing.T, who string, n int64) fate {
	f := fate{who: who, id: fmt.Sprintf("soak-%d", n)}
	cmd := command(who, "dmail")
	if n%2 == 0 {
		cmd = command("root", "tmail", "-f", "joe@example.org", who)
	}
	text := "From: x@example.org\r\nSubject: " + f.id + "\r\n\r\n" + strings.Repeat("some text\r\n", rand.IntN(5000)) + "end of " + f.id + "\r\n"
	cmd.Stdin = strings.NewReader(text)
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return f
	}
	if rand.IntN(5) == 0 {
		timer := time.AfterFunc(time.Duration(rand.IntN(15000))*time.Microsecond, func() { cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := cmd.Wait()
	f.accepted = err == nil
	return f
}

// judge looks at the mailboxes as they are in the end.
func judge(t *testing.T, all map[string]string, fates []fate) {
	accepted := 0
	for who, format := range all {
		if r := do(t, command(who, "mailutil", "check", "--deep", "INBOX"), ""); r.code != 0 && format != "mix" {
			t.Errorf("%s: check --deep: status %d, %s%s", who, r.code, r.out, r.err)
		}
		seen := subjects(t, who)
		for _, f := range fates {
			if f.who != who {
				continue
			}
			if f.accepted {
				accepted++
			}
			if n := seen[f.id]; n > 1 || f.accepted && n == 0 {
				t.Errorf("%s (%s): %s is there %d times, accepted: %v", who, format, f.id, n, f.accepted)
			}
		}
	}
	t.Logf("%d of %d deliveries were accepted", accepted, len(fates))
	if accepted == 0 {
		t.Error("no delivery was accepted")
	}
}

// Benchmarks: a message of 21 KB, by each program that is installed, into small
// and large mailboxes. Compare them with each other, not with other machines.
func BenchmarkDeliver(b *testing.B) {
	if noWorld != "" {
		b.Skip(noWorld)
	}
	text := "From x@example.org Thu Jan  1 00:00:00 2026\nFrom: x@example.org\nSubject: bench\n\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", 295)
	large := 256 << 20
	for _, tt := range []struct {
		name, format string
		size         int
		program      string
		args         []string
	}{
		{"true", "unix", 0, "/bin/true", nil},
		{"dmail/unix", "unix", 0, bin + "/dmail", []string{"+box"}},
		{"dmail/unix-large", "unix", large, bin + "/dmail", []string{"+box"}},
		{"dmail/mbx", "mbx", 0, bin + "/dmail", []string{"+box"}},
		{"dmail/mbx-large", "mbx", large, bin + "/dmail", []string{"+box"}},
		{"dmail/mix", "mix", 0, bin + "/dmail", []string{"+box"}},
		{"dmail/maildir", "maildir", 0, bin + "/dmail", []string{"+box"}},
		{"original/unix", "unix", 0, "/usr/bin/dmail", []string{"+box"}},
		{"original/unix-large", "unix", large, "/usr/bin/dmail", []string{"+box"}},
		{"original/mbx", "mbx", 0, "/usr/bin/dmail", []string{"+box"}},
		{"procmail/unix", "unix", 0, "/usr/bin/procmail", []string{"-m", "DEFAULT=/home/alice/box", "/dev/null"}},
		{"maildrop/unix", "unix", 0, "/usr/bin/maildrop", []string{"-V", "0"}},
		{"dovecot-lda/unix", "unix", 0, "/usr/lib/dovecot/dovecot-lda", []string{"-o", "mail_location=mbox:/home/alice:INBOX=/home/alice/box"}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			if !exists(tt.program) {
				b.Skip(tt.program + " is not installed")
			}
			clean(b, 0o1777)
			benchBox(b, tt.format, tt.size)
			b.ResetTimer()
			for b.Loop() {
				cmd := command("alice", append([]string{tt.program}, tt.args...)...)
				cmd.Stdin = strings.NewReader(text)
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%v %s", err, out)
				}
			}
		})
	}
}

// benchBox makes ~/box of about the size.
func benchBox(b *testing.B, format string, size int) {
	b.Helper()
	must(b, os.WriteFile("/home/alice/.mailfilter", []byte("to \"/home/alice/box\"\n"), 0o600))
	must(b, os.Chown("/home/alice/.mailfilter", aliceUID, aliceUID))
	if r := do(b, command("alice", "mailutil", "create", "#driver."+format+"/box"), ""); r.code != 0 {
		b.Skip(r.err)
	}
	if size == 0 {
		return
	}
	message := "From: x@example.org\r\nSubject: filler\r\n\r\n" + strings.Repeat("0123456789abcde\r\n", 1<<20)
	for n := 0; n < size; n += len(message) {
		if r := do(b, command("alice", "dmail", "+box"), message); r.code != 0 {
			b.Fatal(r.err)
		}
	}
}

// BenchmarkTogether is eight writers of one mailbox: the time is that of one
// message, and p95 that of a single delivery from start to end.
func BenchmarkTogether(b *testing.B) {
	if noWorld != "" {
		b.Skip(noWorld)
	}
	for _, program := range []string{bin + "/dmail", "/usr/bin/dmail"} {
		for _, format := range []string{"unix", "mbx"} {
			b.Run(strings.TrimPrefix(program, bin+"/")+"/"+format, func(b *testing.B) {
				if !exists(program) {
					b.Skip("not installed")
				}
				clean(b, 0o1777)
				benchBox(b, format, 0)
				var next atomic.Int64
				var mu sync.Mutex
				var times []time.Duration
				b.ResetTimer()
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() {
						for next.Add(1) <= int64(b.N) {
							start := time.Now()
							cmd := exec.Command(program, "+box")
							cmd.Env, cmd.SysProcAttr = []string{"HOME=/home/alice"}, asUser(users["alice"])
							cmd.Stdin = strings.NewReader(mail("x"))
							if err := cmd.Run(); err != nil {
								b.Error(err)
							}
							mu.Lock()
							times = append(times, time.Since(start))
							mu.Unlock()
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				b.ReportMetric(p95(times).Seconds()*1000, "p95-ms")
			})
		}
	}
}

func p95(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[len(times)*95/100]
}
