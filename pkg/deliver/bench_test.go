package deliver_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A program that delivers the message on its standard input to ~/box.
type agent struct {
	name    string
	program string
	args    []string
	formats []string
	grows   bool // it reads all of the mailbox: no large ones
}

var agents = []agent{
	{"dmail", "", []string{"+box"}, []string{"unix", "mbx", "maildir", "mix"}, false},
	{"original", "/usr/bin/dmail", []string{"+box"}, []string{"unix", "mbx"}, true},
	{"procmail", "/usr/bin/procmail", []string{"-m", "DEFAULT=/home/alice/box", "/dev/null"}, []string{"unix"}, false},
	{"procmail", "/usr/bin/procmail", []string{"-m", "DEFAULT=/home/alice/box/", "/dev/null"}, []string{"maildir"}, false},
	{"maildrop", "/usr/bin/maildrop", []string{"-V", "0"}, []string{"unix", "maildir"}, false},
	{"dovecot-lda", "/usr/lib/dovecot/dovecot-lda", []string{"-o", "mail_location=mbox:/home/alice:INBOX=/home/alice/box"}, []string{"unix"}, true},
	{"dovecot-lda", "/usr/lib/dovecot/dovecot-lda", []string{"-o", "mail_location=maildir:/home/alice/box"}, []string{"maildir"}, true},
	{"putmail", "/usr/bin/putmail", []string{"mbox:/home/alice/box"}, []string{"unix"}, false},
}

// eachFormat calls prepare for each format, then do for the agents that there
// are for it, all on the mailbox that was prepared.
func eachFormat(b *testing.B, prepare func(b *testing.B, format string), do func(b *testing.B, a agent)) {
	for _, format := range []string{"unix", "mbx", "maildir", "mix"} {
		b.Run(format, func(b *testing.B) {
			if noWorld != "" {
				b.Skip(noWorld)
			}
			prepare(b, format)
			for _, a := range agents {
				if slices.Contains(a.formats, format) {
					b.Run(a.name, func(b *testing.B) {
						switch {
						case a.name == "dmail":
							a.program = bin + "/dmail"
						case a.name == "putmail":
							need(b, "mailutils", a.program)
						case !exists(a.program):
							b.Skip(a.program + " is not installed")
						}
						do(b, a)
					})
				}
			}
		})
	}
}

// largeBox is how large a large mailbox is, in octets: $BENCH_MB.
func largeBox() int {
	mb, err := strconv.Atoi(os.Getenv("BENCH_MB"))
	if err != nil {
		mb = 100
	}
	return mb << 20
}

// BenchmarkDeliver is the time of a process that delivers a message of 21 KB,
// from start to end, on a real disk. Compare the programs with each other, not
// with other machines; "start" is a program that does nothing.
func BenchmarkDeliver(b *testing.B) {
	text := "From x@example.org Thu Jan  1 00:00:00 2026\nFrom: x@example.org\nSubject: bench\n\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", 295)
	b.Run("start", func(b *testing.B) {
		if noWorld != "" {
			b.Skip(noWorld)
		}
		clean(b, 0o1777)
		median(b, agent{program: "/bin/true"}, text)
	})
	for name, size := range map[string]int{"small": 0, "large": largeBox()} {
		b.Run(name, func(b *testing.B) {
			eachFormat(b, func(b *testing.B, format string) { benchBox(b, format, size) }, func(b *testing.B, a agent) {
				if size > 0 && a.grows {
					b.Skip("it takes seconds: it reads all of the mailbox")
				}
				median(b, a, text)
			})
		})
	}
}

func median(b *testing.B, a agent, text string) {
	var times []time.Duration
	for b.Loop() {
		cmd := command("alice", append([]string{a.program}, a.args...)...)
		cmd.Stdin = strings.NewReader(text)
		start := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v %s", err, out)
		}
		times = append(times, time.Since(start))
	}
	report(b, times)
}

// report adds the median and the 95th percentile of single deliveries.
func report(b *testing.B, times []time.Duration) {
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	b.ReportMetric(times[len(times)/2].Seconds()*1000, "median-ms")
	b.ReportMetric(times[len(times)*95/100].Seconds()*1000, "p95-ms")
}

// benchBox makes a home on a real disk, with ~/box of about the size.
func benchBox(b *testing.B, format string, size int) {
	b.Helper()
	clean(b, 0o1777)
	home, err := os.MkdirTemp("/var/tmp", "mailutil-bench-")
	must(b, err)
	b.Cleanup(func() { os.RemoveAll(home) })
	must(b, os.Chown(home, aliceUID, aliceUID))
	mountOver(b, home, "/home/alice")
	filter := map[bool]string{true: "to \"/home/alice/box/\"\n", false: "to \"/home/alice/box\"\n"}[format == "maildir"]
	must(b, os.WriteFile("/home/alice/.mailfilter", []byte(filter), 0o600))
	must(b, os.Chown("/home/alice/.mailfilter", aliceUID, aliceUID))
	if r := do(b, command("alice", "mailutil", "create", "#driver."+format+"/box"), ""); r.code != 0 {
		b.Skip(r.err)
	}
	if size > 0 {
		fill(b, format, size)
	}
}

// fill adds octets to ~/box: to a Maildir in messages of 21 KB, which is what
// makes it large, elsewhere in a few.
func fill(b *testing.B, format string, size int) {
	b.Helper()
	message := "From: x@example.org\r\nSubject: filler\r\n\r\n" + strings.Repeat("0123456789abcde\r\n", 1<<20)
	if format != "maildir" {
		for n := 0; n < size; n += len(message) {
			if r := do(b, command("alice", "dmail", "+box"), message); r.code != 0 {
				b.Fatal(r.err)
			}
		}
		return
	}
	message = message[:21<<10]
	for n := 0; n < size; n += len(message) {
		path := filepath.Join("/home/alice/box/cur", fmt.Sprintf("1700000000.M%dP1.h,S=%d:2,S", n, len(message)))
		must(b, os.WriteFile(path, []byte(message), 0o600))
		must(b, os.Chown(path, aliceUID, aliceUID))
	}
}

// BenchmarkTogether is eight writers of one mailbox, on a real disk: the time is
// that of one message, and the percentiles those of single deliveries from start
// to end.
func BenchmarkTogether(b *testing.B) {
	eachFormat(b, func(b *testing.B, format string) { benchBox(b, format, 0) }, func(b *testing.B, a agent) {
		var next atomic.Int64
		var mu sync.Mutex
		var times []time.Duration
		var wg sync.WaitGroup
		b.ResetTimer()
		for range 8 {
			wg.Go(func() {
				for next.Add(1) <= int64(b.N) {
					cmd := exec.Command(a.program, a.args...)
					cmd.Env, cmd.SysProcAttr = []string{"HOME=/home/alice"}, asUser(users["alice"])
					cmd.Stdin = strings.NewReader("From x@example.org Thu Jan  1 00:00:00 2026\n" + mail("x"))
					start := time.Now()
					if err := cmd.Run(); err != nil && a.name == "dmail" {
						b.Error(err)
					} else if err != nil { // another may give up where so many want the mailbox
						b.Logf("%s: %v", a.name, err)
					}
					mu.Lock()
					times = append(times, time.Since(start))
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		b.StopTimer()
		report(b, times)
		b.ReportMetric(float64(len(times))/b.Elapsed().Seconds(), "messages/s")
	})
}
