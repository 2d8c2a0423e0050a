package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"
)

// A randomCase is a command that is killed at random instants and run again.
type randomCase struct {
	command string // copy, move, append or appenddelete
	format  string // of the target
	size    int    // messages of the source
}

// TestKilledAtRandom kills the program at instants that are spread over its run
// and runs it again: target and source are then, octet for octet, what one run
// that nobody disturbed leaves; but for what the clock makes.
func TestKilledAtRandom(t *testing.T) {
	kills, sizes := 256, []int{12, 1500}
	if testing.Short() {
		kills, sizes = 8, []int{60}
	}
	var cases []randomCase
	for _, size := range sizes {
		for _, format := range []string{"unix", "mbx", "mmdf", "tenex"} {
			for _, command := range []string{"copy", "move", "append", "appenddelete"} {
				cases = append(cases, randomCase{command, format, size})
			}
		}
	}
	rng := rand.New(rand.NewPCG(4711, 1))
	if testing.Short() { // one of each command, and of each format
		rng.Shuffle(len(cases), func(i, k int) { cases[i], cases[k] = cases[k], cases[i] })
		cases = cases[:4]
	}
	killed := 0
	for i, c := range cases {
		n := kills / len(cases)
		if i < kills%len(cases) {
			n++
		}
		t.Run(fmt.Sprintf("%s of %d to %s", c.command, c.size, c.format), func(t *testing.T) { killed += killAtRandom(t, c, n, rng) })
	}
	if killed == 0 && !t.Failed() {
		t.Error("the program was never killed before it was done")
	}
	t.Logf("killed %d times", killed)
}

// killAtRandom kills the program n times, and returns how often it did.
func killAtRandom(t *testing.T, c randomCase, n int, rng *rand.Rand) (killed int) {
	clean := newKillHome(t, c)
	start := time.Now()
	if out, err := clean.run(t, c); err != nil {
		t.Fatalf("undisturbed: %v\n%s", err, out)
	}
	took := time.Since(start)
	want := clean.state(t)
	for i := 0; killed < n && i < 4*n; i++ { // now and then it is done before
		h := newKillHome(t, c)
		// Spread over the run, every other one over its end, where most is at stake.
		at := time.Duration(rng.Float64() * float64(took))
		if i%2 == 1 {
			at = took/2 + at/2
		}
		if !h.killedAfter(t, c, at) {
			continue
		}
		killed++
		left := h.names()
		if d := firstDifference(want, h.state(t)); d == "" && noNote(h.home) {
			continue // killed behind its last step
		}
		out, err := h.run(t, c)
		if err != nil {
			t.Errorf("killed after %v of %v, which left %q: run again: %v\n%s", at, took, left, err, out)
		} else if d := firstDifference(want, h.state(t)); d != "" {
			t.Errorf("killed after %v of %v, which left %q: run again: %s\n%s", at, took, left, d, out)
		}
		if t.Failed() {
			break
		}
	}
	return killed
}

// A killTarget is a home directory of its own.
type killTarget struct{ home string }

// newKillHome has the mailboxes src, in unix format, and box, in that of c, with
// a message or two.
func newKillHome(t *testing.T, c randomCase) killTarget {
	t.Helper()
	work := t.TempDir()
	if err := makeHome(work); err != nil {
		t.Fatal(err)
	}
	h := killTarget{filepath.Join(work, "home")}
	if err := os.WriteFile(filepath.Join(h.home, "src"), madeUp(c.size), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := h.command("copy", "kw", "#driver."+c.format+"/box").CombinedOutput(); err != nil {
		t.Fatalf("box: %v\n%s", err, out)
	}
	return h
}

// madeUp is a unix mailbox of so many messages, of 2 KB on average.
func madeUp(messages int) []byte {
	var b bytes.Buffer
	rng := rand.New(rand.NewPCG(uint64(messages), 2))
	for i := range messages {
		at := time.Unix(1_500_000_000+int64(i)*613, 0).UTC()
		user := fmt.Sprintf("user%d@example.com", rng.IntN(50))
		fmt.Fprintf(&b, "From %s %s\nDate: %s\nFrom: User <%[1]s>\nSubject: message %[4]d\n",
			user, at.Format("Mon Jan _2 15:04:05 2006"), at.Format(time.RFC1123Z), i)
		if i%3 == 0 {
			b.WriteString("Status: RO\nX-Status: F\n")
		}
		b.WriteByte('\n')
		for range rng.IntN(64) {
			fmt.Fprintf(&b, "%x is a line of message %d, and there are more of them\n", rng.Uint64(), i)
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// command is the program, as the user who runs the tests.
func (h killTarget) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(programDir, "mailutil"), args...)
	cmd.Dir = h.home
	cmd.Env = append(os.Environ(), "HOME="+h.home, "TZ=UTC")
	return cmd
}

// target is the mailbox into which c copies.
func (c randomCase) target() string {
	if c.command == "copy" || c.command == "move" {
		return "new"
	}
	return "box"
}

func (c randomCase) args() []string {
	target := c.target()
	if target == "new" {
		target = "#driver." + c.format + "/new"
	}
	return []string{c.command, "src", target}
}

func (h killTarget) run(t *testing.T, c randomCase) ([]byte, error) {
	t.Helper()
	return h.command(c.args()...).CombinedOutput()
}

// killedAfter runs c and kills it; false when it was done before.
func (h killTarget) killedAfter(t *testing.T, c randomCase, d time.Duration) bool {
	t.Helper()
	cmd := h.command(c.args()...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(d, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.Exited()) {
		t.Fatalf("%s: %v", c.command, err)
	}
	return err != nil
}

// names are the files of the home directory.
func (h killTarget) names() (names []string) {
	entries, _ := os.ReadDir(h.home)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// hitchingPost is what a dot lock is made of. One may be left, as by the
// original: nobody takes it for a lock.
var hitchingPost = regexp.MustCompile(`\.lock\.\d+\.\d+\.`)

// state is what the home directory holds, without what the clock makes.
func (h killTarget) state(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range h.names() {
		if name == ".local" || hitchingPost.MatchString(name) { // the state directory
			continue
		}
		b, err := os.ReadFile(filepath.Join(h.home, name))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(maskClock(b))
	}
	return out
}

// clockMade are what the clock and the process make in mailboxes: UIDVALIDITY,
// the dates of the pseudo-message, LASTPID of mbx.
var clockMade = []*regexp.Regexp{
	regexp.MustCompile(`X-IMAP(?:base)?: (\d+)`),
	regexp.MustCompile(`From MAILER-DAEMON (.{24})\n`),
	regexp.MustCompile(`\nDate: (.*)\nFrom: Mail System Internal Data`),
	regexp.MustCompile(`\nMessage-ID: <(\d+)@hh>\nX-IMAP: `),
	regexp.MustCompile(`^\*mbx\*\r\n([0-9a-f]{8})`),
}

func maskClock(b []byte) []byte {
	for _, re := range clockMade {
		if m := re.FindSubmatchIndex(b); m != nil {
			b = slices.Concat(b[:m[2]], []byte("#"), b[m[3]:])
		}
	}
	const pid = 2038 - len("00000000") + len("#") // the mask above is shorter
	if bytes.HasPrefix(b, []byte("*mbx*")) && len(b) > pid+8 {
		b = slices.Concat(b[:pid], []byte("########"), b[pid+8:])
	}
	return b
}

// firstDifference says where two states differ, "" when they do not.
func firstDifference(want, got map[string]string) string {
	for name, w := range want {
		g, ok := got[name]
		if !ok {
			return name + " is missing"
		}
		if i := commonPrefix(w, g); i < max(len(w), len(g)) {
			from := max(0, i-40)
			return fmt.Sprintf("%s has %d octets, not %d, and differs at %d:\n got %.120q\nwant %.120q", name, len(g), len(w), i, g[from:], w[from:])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			return name + " is left"
		}
	}
	return ""
}

func commonPrefix(a, b string) int {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return i
}
