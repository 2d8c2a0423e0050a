package all_test

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/mailbox/mailboxtest"
)

// The original library and our drivers work on the same mailboxes, in real
// processes, and must agree at every step. The original opens nothing for
// root, so as root both run as the user games.

// conversation is one peer process.
type conversation struct {
	t   *testing.T
	who string
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// arena is a home directory and how to start both peers in it.
type arena struct {
	t        *testing.T
	home     string
	original string // the built peer.c
	ours     string // a copy of this test binary
	cred     *syscall.Credential
}

func newArena(t *testing.T) *arena {
	t.Helper()
	home, cred := mailboxtest.PlainHome(t)
	a := &arena{t: t, home: home, original: filepath.Join(home, ".peer"), ours: filepath.Join(home, ".ours"), cred: cred}
	src := filepath.Join("..", "..", "..", "testdata", "peer", "peer.c")
	if out, err := exec.Command("cc", "-O1", "-o", a.original, src, "-lc-client").CombinedOutput(); err != nil {
		t.Skipf("the original library is not installed here: %v\n%s", err, firstLine(out))
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.ours, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return a
}

func firstLine(b []byte) string { s, _, _ := strings.Cut(string(b), "\n"); return s }

// start starts one of the two peers.
func (a *arena) start(who string) *conversation {
	a.t.Helper()
	path := a.original
	if who == "ours" {
		path = a.ours
	}
	c := &conversation{t: a.t, who: who, cmd: exec.Command(path)}
	c.cmd.Dir = a.home
	c.cmd.Env = []string{"HOME=" + a.home, "TZ=UTC", "MAILUTIL_TEST_PEER=1", "PATH=" + os.Getenv("PATH")}
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.cred}
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		a.t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { c.in.Close(); c.cmd.Wait() })
	return c
}

// say sends one command and returns the answer without its last dot.
func (c *conversation) say(format string, args ...any) string {
	c.t.Helper()
	line := fmt.Sprintf(format, args...)
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		c.t.Fatalf("%s: %s: %v", c.who, line, err)
	}
	var answer strings.Builder
	for {
		got, err := c.out.ReadString('\n')
		if err != nil {
			c.t.Fatalf("%s: %s: died: %v\n%s", c.who, line, err, answer.String())
		}
		if got == ".\n" {
			return answer.String()
		}
		answer.WriteString(got)
	}
}

// place puts a golden mailbox where both peers call it by the name that place
// returns. Directories come as archives.
func (a *arena) place(golden string) (name string) {
	a.t.Helper()
	src, box := filepath.Join("..", "..", "..", "testdata", golden), filepath.Join(a.home, "box")
	name = "box"
	if base, ok := strings.CutSuffix(filepath.Base(golden), ".tar"); ok {
		dir := a.home
		if strings.HasPrefix(golden, "mh/") {
			dir, name = filepath.Join(a.home, "MHMail"), "#mh/box"
			box = filepath.Join(dir, "box")
			if err := os.WriteFile(filepath.Join(a.home, ".mh_profile"), []byte("Path: MHMail\n"), 0o644); err != nil {
				a.t.Fatal(err)
			}
		}
		fsxtest.Unpack(a.t, src, a.home)
		if err := os.Rename(filepath.Join(dir, base), box); err != nil {
			a.t.Fatal(err)
		}
	} else {
		data, err := os.ReadFile(src)
		if err == nil {
			err = os.WriteFile(box, data, 0o600)
		}
		if err != nil {
			a.t.Fatal(err)
		}
	}
	mailboxtest.Give(a.t, a.home, a.cred)
	return name
}

// content returns what the files of the mailbox hold.
func (a *arena) content(name string) string {
	a.t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(filepath.Join(a.home, strings.Replace(name, "#mh", "MHMail", 1)), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		b.WriteByte('\n')
		b.Write(data)
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return b.String()
}

// withoutFlags is a dump for formats whose flags the original does not keep.
func withoutFlags(dump string) string {
	var b strings.Builder
	for line := range strings.Lines(dump) {
		if f := strings.Split(line, "|"); len(f) == 5 {
			f[1] = ""
			line = strings.Join(f, "|")
		}
		b.WriteString(line)
	}
	return b.String()
}

// dump opens name read-only in fresh processes of both kinds and compares what
// they see. UIDVALIDITY is left out where the file holds none yet.
func (a *arena) agree(name, step string, hasValidity bool) {
	a.t.Helper()
	seen := map[string]string{}
	for _, who := range []string{"original", "ours"} {
		c := a.start(who)
		got := c.say("open %s ro", name) + c.say("dump")
		c.say("close") // some formats expunge only alone
		if !hasValidity {
			got = got[:strings.LastIndex(got, "uidvalidity")] + got[strings.LastIndex(got, "uidlast"):]
		}
		if strings.HasPrefix(name, "#mh/") {
			got = withoutFlags(got)
		}
		seen[who] = got
		c.in.Close()
	}
	if diff := cmp.Diff(seen["original"], seen["ours"]); diff != "" {
		a.t.Fatalf("after %s: original and ours disagree on %s (-original +ours):\n%s\nfile:\n%.3000q", step, name, diff, a.content(name))
	}
}

func TestPeersTakeTurns(t *testing.T) {
	for _, format := range []string{"unix", "mmdf", "mbx", "mtx", "tenex", "mix", "mx", "mh"} {
		for _, first := range []string{"original", "ours"} {
			t.Run(format+"/"+first, func(t *testing.T) { takeTurns(t, format, first) })
		}
	}
}

func takeTurns(t *testing.T, format, first string) {
	a := newArena(t)
	second := map[string]string{"original": "ours", "ours": "original"}[first]
	golden := map[string]string{
		"unix": "unix/native-keywords.mbox", "mmdf": "mmdf/native-keywords.mmdf", "mbx": "mbx/keywords.mbx", "mtx": "mtx/flags.mtx", "tenex": "tenex/flags.tenex",
		"mix": "mix/basic.tar", "mx": "mx/mxbasic.tar", "mh": "mh/mhbasic.tar",
	}[format]
	bare := format == "mtx" || format == "tenex" || format == "mh" // no UIDVALIDITY and no keywords of its own
	box := a.place(golden)
	a.agree(box, "start", !bare)
	text := `Subject: turn %d\r\nX-Mailer: q\r\nStatus: RO\r\n\r\nFrom here\r\nbody %d\r\n`
	turn := 0
	for round, who := range []string{first, second, first, second} {
		step := func(what string, args ...any) {
			turn++
			what = fmt.Sprintf(what, args...)
			c := a.start(who)
			if got := c.say("open %s rw", box); !strings.Contains(got, "readwrite") {
				t.Fatalf("%s: open: %s", who, got)
			}
			for command := range strings.SplitSeq(what, ";") {
				if got := c.say("%s", strings.Replace(command, "append box", "append "+box, 1)); strings.Contains(got, "log 2") || strings.HasPrefix(got, "failed") {
					t.Fatalf("%s: %s: %s", who, command, got)
				}
			}
			c.say("close")
			a.agree(box, fmt.Sprintf("round %d: %s: %s", round, who, what), !bare)
		}
		fresh := a.start(who)
		if got := fresh.say("append "+box+" \\Seen| 5-Feb-2021 06:07:08 -0330|"+strings.ReplaceAll(text, "%d", "%[1]d"), turn); !strings.HasPrefix(got, "ok") {
			t.Fatalf("%s: append: %s", who, got)
		}
		a.agree(box, who+": append", !bare)
		step("ping")
		step("flag 1:3 \\Flagged \\Answered")
		step("unflag 2 \\Flagged")
		if !bare {
			step("flag 2 Round%d", round)
		}
		step("flag 1 \\Deleted;expunge")
		step("flag 3 \\Deleted;append box || Subject: held\\r\\n\\r\\nx\\r\\n;ping;unflag 3 \\Deleted")
		step("flag 2 \\Deleted;expunge;ping")
	}
}

// TestPeersTogether has both open at once: mail and flags of the one are seen
// by the other.
func TestPeersTogether(t *testing.T) {
	for _, format := range []string{"mbx", "mtx", "tenex", "mix"} {
		t.Run(format, func(t *testing.T) { together(t, format) })
	}
}

func together(t *testing.T, format string) {
	a := newArena(t)
	golden := format + "/flags." + format
	if format == "mix" {
		golden = "mix/basic.tar"
	}
	a.place(golden)
	pair := [2]*conversation{a.start("original"), a.start("ours")}
	for _, c := range pair {
		if got := c.say("open box rw"); !strings.Contains(got, "readwrite") {
			t.Fatalf("%s: open: %s", c.who, got)
		}
	}
	for i, command := range []string{
		`append box | 1-Mar-2022 00:00:00 +0000|Subject: one\r\n\r\n1\r\n`,
		`append box \Flagged| 2-Mar-2022 00:00:00 +0000|Subject: two\r\n\r\n2\r\n`,
		`append box | 3-Mar-2022 00:00:00 +0000|Subject: three\r\n\r\n3\r\n`,
		`append box | 4-Mar-2022 00:00:00 +0000|Subject: four\r\n\r\n4\r\n`,
	} {
		actor, watcher := pair[i%2], pair[1-i%2]
		if got := actor.say("%s", command); !strings.HasPrefix(got, "ok") {
			t.Fatalf("%s: %s: %s", actor.who, command, got)
		}
		actor.say("ping")
		watcher.say("ping")
		if diff := cmp.Diff(messagesOf(actor), messagesOf(watcher)); diff != "" {
			t.Fatalf("after %s by %s (-%s +%s):\n%s", command, actor.who, actor.who, watcher.who, diff)
		}
	}
	switch format {
	case "mbx":
		expungeShared(t, pair)
	case "mix":
		expungeShared(t, pair)
		shareMix(t, pair)
	default:
		refuseExpunge(t, pair)
	}
	for _, c := range pair {
		c.say("close")
	}
	a.agree("box", "both closed", format == "mbx" || format == "mix")
}

// expungeShared has one expunge while the other has the mailbox open: the
// messages are only marked, and gone for everybody at the next look.
func expungeShared(t *testing.T, pair [2]*conversation) {
	pair[1].say("flag 1 \\Deleted")
	pair[1].say("expunge")
	pair[0].say("check")
	if diff := cmp.Diff(pair[1].say("dump"), pair[0].say("dump")); diff != "" {
		t.Fatalf("after ours expunged (-ours +original):\n%s", diff)
	}
}

// shareMix goes on with what only such a mailbox can: both create keywords,
// expunge and append in turns, and each sees what the other does.
func shareMix(t *testing.T, pair [2]*conversation) {
	for i, commands := range []string{
		"flag 1 Ours", "flag 2 Theirs \\Flagged", "flag 3 \\Deleted;expunge", "flag 1 \\Deleted;expunge",
		`append box Ours| 5-Mar-2022 00:00:00 +0000|Subject: five\r\n\r\n5\r\n`,
		`append box Theirs| 6-Mar-2022 00:00:00 +0000|Subject: six\r\n\r\n6\r\n`,
		"flag 7 \\Deleted;flag 6 \\Deleted;expunge", "unflag 1 Ours;flag 2 Theirs",
	} {
		actor, watcher := pair[1-i%2], pair[i%2]
		for command := range strings.SplitSeq(commands, ";") {
			if got := actor.say("%s", command); strings.Contains(got, "log ") || strings.HasPrefix(got, "failed") {
				t.Fatalf("%s: %s: %s", actor.who, command, got)
			}
		}
		for _, c := range pair {
			if got := c.say("ping"); !strings.HasPrefix(got, "alive") || strings.Contains(got, "log ") {
				t.Fatalf("%s: ping after %s: %s", c.who, commands, got)
			}
		}
		if diff := cmp.Diff(messagesOf(actor), messagesOf(watcher)); diff != "" {
			t.Fatalf("after %s by %s (-%s +%s):\n%s", commands, actor.who, actor.who, watcher.who, diff)
		}
	}
}

// refuseExpunge has each try the same where nobody can mark messages.
func refuseExpunge(t *testing.T, pair [2]*conversation) {
	pair[1].say("flag 1 \\Deleted")
	for _, c := range pair {
		if got := c.say("expunge"); !strings.Contains(got, "log 2 Can't expunge because mailbox is in use by another process\n") {
			t.Errorf("%s: expunge while the other has the mailbox open: %s", c.who, got)
		}
	}
	if diff := cmp.Diff(messagesOf(pair[1]), messagesOf(pair[0])); diff != "" {
		t.Fatalf("after refused expunges (-ours +original):\n%s", diff)
	}
}

// messagesOf is a dump without UIDVALIDITY, which may be the session's own.
func messagesOf(c *conversation) string {
	messages, last, _ := strings.Cut(c.say("dump"), "uidvalidity ")
	_, last, _ = strings.Cut(last, " ")
	return messages + last
}

// TestPeersFlood lets 8 processes of both kinds append at once: nothing is
// lost, doubled or torn.
func TestPeersFlood(t *testing.T) {
	const writers, each = 8, 25
	for _, format := range []string{"unix", "mmdf", "mbx", "mtx", "tenex", "mix", "mx", "mh"} {
		t.Run(format, func(t *testing.T) {
			a := newArena(t)
			golden := map[string]string{
				"unix": "unix/native-create-empty.mbox", "mmdf": "mmdf/native-create-empty.mmdf", "mbx": "mbx/empty-created.mbx", "mtx": "mtx/flags.mtx", "tenex": "tenex/flags.tenex",
				"mix": "mix/empty.tar", "mx": "mx/mxempty.tar", "mh": "mh/mhholes.tar",
			}[format]
			box := a.place(golden)
			var wg sync.WaitGroup
			for i := range writers {
				c := a.start([]string{"original", "ours"}[i%2])
				wg.Add(1)
				go func() {
					defer wg.Done()
					if got := c.say("flood %s %d w%d", box, each, i); !strings.Contains(got, "0 failed") {
						t.Errorf("%s: flood: %s", c.who, got)
					}
				}()
			}
			wg.Wait()
			a.agree(box, "the flood", format == "mbx" || format == "mix" || format == "mx")
			file := a.content(box)
			for i := range writers {
				for n := range each {
					want := fmt.Sprintf("\nbody of w%d-%d", i, n)
					if format == "mbx" || format == "mtx" || format == "mix" || format == "mx" {
						want += "\r"
					}
					if got := strings.Count(file, want+"\n"); got != 1 {
						t.Errorf("message w%d-%d: got %d times, want once", i, n, got)
					}
				}
			}
		})
	}
}

// TestPeersMix has sessions at work on one mix mailbox at once, in real
// processes: they add mail, flag and expunge, open and close, so that somebody
// is alone now and then and moves messages. No message may be lost or doubled.
// The original loses flags of others now and then, also among its own kind, so
// that what was to be expunged stays; ours alone do not.
func TestPeersMix(t *testing.T) {
	for _, kinds := range [][]string{{"original", "ours"}, {"ours"}} {
		t.Run(strings.Join(kinds, " and "), func(t *testing.T) { workMix(t, kinds) })
	}
}

func workMix(t *testing.T, kinds []string) {
	const workers, rounds = 4, 8
	a := newArena(t)
	a.place("mix/basic.tar")
	var wg sync.WaitGroup
	for i := range workers {
		c := a.start(kinds[i%len(kinds)])
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range rounds {
				if !mixRound(t, c, i, n) {
					return
				}
			}
		}()
	}
	wg.Wait()
	a.agree("box", "the work", true)
	most := 1
	if len(kinds) == 1 {
		most = 0
	}
	for _, who := range []string{"ours", "original"} { // nobody else has it: what is dead goes
		c := a.start(who)
		c.say("open box rw")
		c.say("close")
	}
	os.Remove(filepath.Join(a.home, "box", ".mixlost"))
	file := a.content("box")
	for i := range workers {
		for n := range rounds {
			if got := strings.Count(file, fmt.Sprintf("\nkept of w%d-%d\r\n", i, n)); got != 1 {
				t.Errorf("message w%d-%d: got %d times, want once", i, n, got)
			}
			if got := strings.Count(file, fmt.Sprintf("\ngone of w%d-%d\r\n", i, n)); got > most {
				t.Errorf("removed message w%d-%d: got %d times, want %d at most", i, n, got, most)
			}
		}
	}
}

// mixRound is one session of worker i.
func mixRound(t *testing.T, c *conversation, i, n int) bool {
	for _, command := range []string{
		"open box rw", fmt.Sprintf(`append box || Subject: w%d-%d\r\n\r\nkept of w%d-%d\r\n`, i, n, i, n), "ping",
		fmt.Sprintf(`append box \Deleted|| Subject: w%d-%d\r\n\r\ngone of w%d-%d\r\n`, i, n, i, n), "ping",
		"flag 1 \\Flagged", fmt.Sprintf("flag 2 K%d", i), "ping", "expunge", "ping", "close",
	} {
		got := c.say("%s", command)
		// Of a message that was expunged just before keywords were created ours
		// cannot tell that it was, and saves it.
		if at := strings.Index(got, "log 1 "); at >= 0 && strings.Contains(got, "/.mixlost now") {
			got = got[:at]
		}
		if strings.Contains(got, "log ") || strings.HasPrefix(got, "failed") || strings.HasPrefix(got, "dead") {
			t.Errorf("%s: round %d: %s: %s", c.who, n, command, got)
			return false
		}
	}
	return true
}
