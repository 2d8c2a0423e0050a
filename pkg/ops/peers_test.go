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
		measureTask(t, task, env, table)
	}
	table.Flush()
}

func measureTask(t *testing.T, task task, env []string, table *tabwriter.Writer) {
	ours := time.Duration(0)
	for i, c := range task.programs {
		if !installed(c.needs) {
			fmt.Fprintf(table, "%s\t%s\tnot installed\t\t\n", task.name, c.name)
			continue
		}
		took, peak, err := measure(t.Context(), c.command, env)
		if err != nil {
			t.Errorf("%s, %s: %v", task.name, c.name, err)
			fmt.Fprintf(table, "%s\t%s\tfailed\t\t\n", task.name, c.name)
			continue
		}
		if i == 0 {
			ours = took
			if peak > maxPeak {
				t.Errorf("%s takes %d octets of memory", task.name, peak)
			}
		} else if took < ours {
			t.Errorf("%s: %s is faster", task.name, c.name)
		}
		fmt.Fprintf(table, "%s\t%s\t%.2f\t%.1f\t%d\n", task.name, c.name, took.Seconds(), took.Seconds()/ours.Seconds(), peak>>20)
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

// tooLong is when a program is given up.
const tooLong = 5 * time.Minute

// measure runs a command three times, or once where that takes a while: the
// median of the time, and the largest process.
func measure(ctx context.Context, command string, env []string) (took time.Duration, peak int64, err error) {
	var times []time.Duration
	for len(times) < 3 {
		ctx, cancel := context.WithTimeout(ctx, tooLong)
		defer cancel()
		cmd := exec.CommandContext(ctx, "sh", "-c", command)
		cmd.Env = env
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		out, err := os.CreateTemp("", "mailutil-peers-*") // some programs look what they write to
		if err != nil {
			return 0, 0, err
		}
		os.Remove(out.Name())
		cmd.Stdout = out
		start := time.Now()
		err = cmd.Run()
		times = append(times, time.Since(start))
		out.Close()
		if err != nil {
			return 0, 0, err
		}
		peak = max(peak, maxRSS(cmd.ProcessState))
		if times[0] > 20*time.Second {
			break
		}
	}
	slices.Sort(times)
	return times[len(times)/2], peak, nil
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
