package ops_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"mailutil/pkg/internal/mailgen"
)

// peers is set by make bench-peers.
var peers = flag.Bool("peers", false, "measure the commands beside other programs that do the same")

// maxPeak is how much memory a command of ours may take.
const maxPeak = 64 << 20

// A task is what several programs can do. Each command is for sh; $BOX is a
// mailbox in mbox format, $DIR the same mail as a Maildir.
type task struct {
	name     string
	programs []contender // ours is the first
}

type contender struct{ name, needs, command string }

const absent = "qqzzqqzz" // what no message has

// inTerminal runs mutt in a terminal of its own, which it insists on.
func inTerminal(keys string) string {
	return `python3 -c 'import os, pty, sys
os._exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' mutt -n -F /dev/null -R -f "$BOX" -e "push ` + keys + `<enter><exit>" < /dev/null`
}

var tasks = []task{
	{"list", []contender{
		{"mailutil", "", `mailutil list "$BOX"`},
		{"formail", "formail", `formail -s formail -X From: -X Subject: -X Date: < "$BOX" | cat`},
		{"mutt -R", "mutt python3", inTerminal("<limit>~A")},
		{"python", "python3", `python3 -c 'import mailbox, sys
for m in mailbox.mbox(sys.argv[1], create=False): print(m["from"], m["date"], m["subject"])' "$BOX"`},
	}},
	{"search TEXT", []contender{
		{"mailutil", "", `mailutil search "$BOX" "TEXT ` + absent + `"; test $? = 1`},
		{"grepmail", "grepmail", `grepmail ` + absent + ` "$BOX"`},
		{"mutt -R", "mutt python3", inTerminal("<limit>~B" + absent)},
		{"python", "python3", `python3 -c 'import mailbox, sys
def text(m):
    for p in m.walk():
        if p.get_content_maintype() == "text": yield p.get_payload(decode=True)
for m in mailbox.mbox(sys.argv[1], create=False):
    if any(b"` + absent + `" in (t or b"").lower() for t in text(m)): print(m["subject"])' "$BOX"`},
	}},
	{"cat", []contender{
		{"mailutil", "", `mailutil cat "$BOX"`},
		{"formail", "formail", `formail -s < "$BOX"`},
		{"grepmail", "grepmail", `grepmail . "$BOX"`},
		{"python", "python3", `python3 -c 'import mailbox, sys
b = mailbox.mbox(sys.argv[1], create=False)
for k in b.keys(): sys.stdout.buffer.write(b.get_bytes(k))' "$BOX"`},
	}},
	{"list Maildir", []contender{
		{"mailutil", "", `mailutil list "$DIR"`},
		{"mblaze", "mscan", `mlist "$DIR" | mscan`},
	}},
	{"search Maildir", []contender{
		{"mailutil", "", `mailutil search "$DIR" "TEXT ` + absent + `"; test $? = 1`},
		{"mblaze", "magrep", `mlist "$DIR" | magrep -i /:` + absent + `; test $? = 1`},
	}},
	{"cat Maildir", []contender{
		{"mailutil", "", `mailutil cat "$DIR"`},
		{"mblaze", "mlist", `mlist "$DIR" | xargs cat`},
	}},
}

// TestPeers measures our commands and those of others on one made-up mailbox:
// wall time, the median of three, and peak memory. We are to be faster than
// each, in bounded memory.
func TestPeers(t *testing.T) {
	if !*peers {
		t.Skip("for make bench-peers")
	}
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+"/mailutil", "../../cmd/mailutil").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	box := filepath.Join(dir, "box")
	f, err := os.Create(box)
	if err != nil {
		t.Fatal(err)
	}
	n, err := mailgen.Unix(f, 1, *benchMB*1e6)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "BOX="+box, "DIR="+filepath.Join(dir, "maildir"), "TERM=xterm", "LC_ALL=C.UTF-8")
	maildir := exec.Command("sh", "-c", `mkdir -p "$DIR/cur" "$DIR/new" "$DIR/tmp" && mdeliver -M "$DIR" < "$BOX"`)
	maildir.Env = env
	_, hasMaildir := exec.LookPath("mdeliver")
	if hasMaildir == nil {
		if out, err := maildir.CombinedOutput(); err != nil {
			t.Fatalf("maildir: %v\n%.300s", err, out)
		}
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%d MB, %d messages, %d cores\t\t\t\t\n", *benchMB, n, runtime.NumCPU())
	fmt.Fprintf(table, "task\tprogram\tseconds\tratio\tpeak MB\n")
	maildirs := hasMaildir == nil && corpusSession(t, dir).Drivers.Named("maildir") != nil
	for _, task := range tasks {
		if strings.HasSuffix(task.name, "Maildir") && !maildirs {
			continue // mblaze reads nothing else, and who of us could
		}
		(&track{env: env}).compare(t, task, table)
	}
	table.Flush()
}

// compare measures the programs of a task and writes a row for each.
func (k *track) compare(t *testing.T, task task, table *tabwriter.Writer) {
	all := k.race(t, task)
	for i, c := range task.programs {
		switch r := all[i]; {
		case r.absent:
			fmt.Fprintf(table, "%s\t%s\tnot installed\t\t\n", task.name, c.name)
		case r.failed:
			fmt.Fprintf(table, "%s\t%s\tfailed\t\t\n", task.name, c.name)
		default:
			fmt.Fprintf(table, "%s\t%s\t%.2f\t%.1f\t%d\n", task.name, c.name, r.took.Seconds(), r.took.Seconds()/all[0].took.Seconds(), r.peak>>20)
		}
	}
}

func installed(programs string) bool {
	for _, p := range strings.Fields(programs) {
		if _, err := exec.LookPath(p); err != nil {
			return false
		}
	}
	return true
}

// tooLong is when a program is given up, longEnough when it need not run again.
const tooLong, longEnough = 5 * time.Minute, 20 * time.Second

// A track is where programs are measured.
type track struct {
	dir    string              // "" for that of the test
	env    []string            // of the commands
	who    *syscall.Credential // nil for who runs the test
	before func() error        // called before each run, nil for nothing
	after  func() error        // called behind each run: an error is the program's
}

// A result is the wall time of a program, the median of its runs, and the size
// of its largest process in octets.
type result struct {
	took           time.Duration
	peak           int64
	absent, failed bool
}

// race runs the programs of a task in turn, three times, so that what else goes
// on in the machine slows all of them down. Ours is to be faster than each, in
// bounded memory.
func (k *track) race(t *testing.T, task task) []result {
	all := make([]result, len(task.programs))
	times := make([][]time.Duration, len(all))
	for range 3 {
		for i, c := range task.programs {
			r := &all[i]
			if r.absent = !installed(c.needs); r.absent || r.failed || len(times[i]) > 0 && times[i][0] > longEnough {
				continue
			}
			took, peak, err := k.run(t.Context(), c.command)
			if r.failed = err != nil; r.failed {
				t.Errorf("%s, %s: %v", task.name, c.name, err)
			}
			times[i], r.peak = append(times[i], took), max(r.peak, peak)
		}
	}
	for i := range all {
		if slices.Sort(times[i]); len(times[i]) > 0 {
			all[i].took = times[i][len(times[i])/2]
		}
		if r := all[i]; i > 0 && !r.absent && !r.failed && r.took < all[0].took {
			t.Errorf("%s: %s is faster", task.name, task.programs[i].name)
		}
	}
	if all[0].peak > maxPeak {
		t.Errorf("%s takes %d octets of memory", task.name, all[0].peak)
	}
	return all
}

// run runs a command once.
func (k *track) run(ctx context.Context, command string) (took time.Duration, peak int64, err error) {
	if k.before != nil {
		if err := k.before(); err != nil {
			return 0, 0, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, tooLong)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir, cmd.Env = k.dir, k.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: k.who}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	debug.FreeOSMemory()                              // what a child begins with is ours
	out, err := os.CreateTemp("", "mailutil-peers-*") // some programs look what they write to
	if err != nil {
		return 0, 0, err
	}
	defer out.Close()
	os.Remove(out.Name())
	cmd.Stdout = out
	start := time.Now()
	err = cmd.Run()
	took = time.Since(start)
	if err == nil && k.after != nil {
		err = k.after()
	}
	return took, maxRSS(cmd.ProcessState), err
}

// maxRSS is that of the largest process of a command, in octets.
func maxRSS(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}
