package ops_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"mailutil/pkg/internal/mailgen"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
)

// pairs is set by make bench-formats.
var pairs = flag.String("pairs", "", "measure these copies, a regular expression such as '^mh to ', beside other programs that do the same")

// pairFormats are the formats that can be written, pairOthers the programs that
// may know two of them.
var (
	pairFormats = []string{"unix", "mmdf", "mtx", "tenex", "mbx", "mix", "mx", "mh", "maildir"}
	pairOthers  = []string{"original", "doveadm import", "doveadm backup", "mb2md", "mdeliver -M"}
)

// A pairTrack is a home in which the same mail is in each format. Each run makes
// the mailbox out, or outd/inbox for programs that want a directory.
type pairTrack struct {
	track
	t        *testing.T
	s        *ops.Session
	messages int
	kept     int // what was made, and is not removed yet
}

// TestPairs measures copies by us and by others of one made-up mailbox: the
// seconds that we take, and how many times as long each of the others does. A row
// is there as soon as it is known. Ours
// are durable when they end; of the others, mdeliver's and Dovecot's.
func TestPairs(t *testing.T) {
	if *pairs == "" {
		t.Skip("for make bench-formats")
	}
	wanted, err := regexp.Compile(*pairs)
	if err != nil {
		t.Fatal(err)
	}
	k := newPairTrack(t)
	fmt.Printf("%d MB, %d messages, %d cores\n%-20s%8s%8s", *benchMB, k.messages, runtime.NumCPU(), "copy", "seconds", "peak MB")
	for _, name := range pairOthers {
		fmt.Printf("%15s", name)
	}
	fmt.Println()
	for _, from := range pairFormats {
		for _, to := range pairFormats {
			task := k.task(from, to)
			if !wanted.MatchString(task.name) {
				continue
			}
			all := k.race(t, task)
			fmt.Printf("%-20s%8.2f%8d", task.name, all[0].took.Seconds(), all[0].peak>>20)
			for _, name := range pairOthers {
				fmt.Printf("%15s", ratioOf(task, all, name))
			}
			fmt.Println()
		}
	}
}

// ratioOf is how many times as long as we a program has taken, "" for one that
// does not know the formats.
func ratioOf(task task, all []result, name string) string {
	for i, c := range task.programs {
		switch {
		case c.name != name:
		case all[i].absent:
			return "not installed"
		case all[i].failed:
			return "failed"
		default:
			return fmt.Sprintf("%.1f", all[i].took.Seconds()/all[0].took.Seconds())
		}
	}
	return ""
}

// newPairTrack makes the mailbox in each format.
func newPairTrack(t *testing.T) *pairTrack {
	t.Helper()
	home, who := mailboxtest.PlainHome(t)
	if out, err := exec.Command("go", "build", "-o", home+"/bin/mailutil", "../../cmd/mailutil").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, dir := range []string{"Mail", "src", "outd", "done"} {
		if err := os.Mkdir(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(home + "/unix")
	if err != nil {
		t.Fatal(err)
	}
	n, err := mailgen.Unix(f, 1, *benchMB*1e6)
	err = errors.Join(err, f.Close(), os.Link(home+"/unix", home+"/src/inbox"),
		os.WriteFile(home+"/.mh_profile", []byte("Path: Mail\n"), 0o644),
		os.WriteFile(home+"/conf", []byte(strings.ReplaceAll(pairConf, "HOME", home)), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	k := &pairTrack{t: t, s: corpusSession(t, home), messages: n}
	k.track = track{dir: home, who: who, before: k.clear, after: k.check, env: append(os.Environ(), "HOME="+home, "USER=games", "TZ=UTC", "OURS="+home+"/bin/mailutil")}
	for _, format := range pairFormats[1:] {
		if _, err := k.s.Copy(t.Context(), "unix", driverPrefix(format, format), ops.CopyOptions{Create: true}); err != nil {
			t.Fatal(err)
		}
	}
	mailboxtest.Give(t, home, who)
	return k
}

const pairConf = `base_dir = HOME/run
state_dir = HOME/run
log_path = HOME/log
ssl = no
protocols =
mail_location = maildir:HOME/out
namespace inbox {
  inbox = yes
  separator = /
}
`

// driverPrefix is a name with its format.
func driverPrefix(format, name string) string {
	if format == "mh" {
		return "#mh/" + name
	}
	return "#driver." + format + "/" + name
}

// task is the copy from one format to another. One program after the other may
// read the same file with other locks, and each makes its target anew.
func (k *pairTrack) task(from, to string) task {
	source := from
	if from == "mh" {
		source = "#mh/mh"
	}
	words := fmt.Sprintf(` copy '%s' '%s'`, source, driverPrefix(to, "out"))
	t := task{from + " to " + to, []contender{{"mailutil", "", `"$OURS"` + words}}}
	add := func(name, needs, command string) { t.programs = append(t.programs, contender{name, needs, command}) }
	if from != "maildir" && to != "maildir" {
		add("original", "/usr/bin/mailutil", "/usr/bin/mailutil"+words)
	}
	dovecot := map[string]string{"unix": `mbox:"$HOME/src:INBOX=$HOME/src/inbox"`, "maildir": `maildir:"$HOME/maildir"`}
	where := map[string]string{"unix": `-o mail_location=mbox:"$HOME/outd:INBOX=$HOME/outd/inbox" `, "maildir": " "}
	if in, out := dovecot[from], where[to]; in != "" && out != "" {
		add("doveadm import", "doveadm", `doveadm -c "$HOME/conf" `+out+`import `+in+` "" all`)
		add("doveadm backup", "doveadm", `doveadm -c "$HOME/conf" `+out+`backup -R `+in)
	}
	if from == "unix" && to == "maildir" {
		add("mb2md", "mb2md", `mb2md -s "$HOME/unix" -d "$HOME/out"`)
		add("mdeliver -M", "mdeliver", `mkdir -p out/cur out/new out/tmp && mdeliver -M out < unix`)
	}
	return t
}

// maxKept is how much is made before it is removed.
const maxKept = 20e9

// clear puts away what was made, and waits for the disk. Nothing is removed as
// long as there is room: ext4 looks for a while for each new file at all those
// that were removed of late.
func (k *pairTrack) clear() error {
	for _, name := range []string{"out", "Mail/out", "outd"} {
		path := filepath.Join(k.dir, name)
		if fi, err := os.Lstat(path); err != nil {
			continue
		} else if fi.Mode().IsRegular() {
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		}
		k.kept++
		if err := os.Rename(path, fmt.Sprintf("%s/done/%d", k.dir, k.kept)); err != nil {
			return err
		}
	}
	if err := os.Mkdir(k.dir+"/outd", 0o755); err != nil {
		return err
	}
	if int64(k.kept)**benchMB*1e6 > maxKept {
		k.kept = 0
		if err := errors.Join(os.RemoveAll(k.dir+"/done"), os.Mkdir(k.dir+"/done", 0o755)); err != nil {
			return err
		}
	}
	mailboxtest.Give(k.t, k.dir+"/outd", k.who)
	return exec.Command("sync").Run()
}

// check looks whether all messages are in what was made.
func (k *pairTrack) check() error {
	for _, name := range []string{"out", "#mh/out", "outd/inbox"} {
		if st, err := k.s.Check(k.t.Context(), name); err == nil && int(st.Messages) == k.messages {
			return nil
		} else if err == nil {
			return fmt.Errorf("%d of %d messages are in %s", st.Messages, k.messages, name)
		}
	}
	return errors.New("there is no new mailbox")
}
