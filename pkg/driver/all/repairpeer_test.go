package all_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/fsx/fsxtest"
	"mailutil/pkg/internal/mend/damage"
	"mailutil/pkg/internal/mend/mendtest"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
)

// The original opens every mailbox that was repaired without a complaint, and
// sees as many messages as were accounted for.
func TestRepairedForTheOriginal(t *testing.T) {
	if _, err := os.Stat("/usr/bin/mailutil"); err != nil {
		t.Skip("the original mailutil is not installed here")
	}
	a := newArena(t)
	files, _ := filepath.Glob("../../../testdata/mbx-corrupt/*.mbx")
	for _, dir := range []string{"unix", "mmdf", "mtx", "tenex"} {
		more, _ := filepath.Glob("../../../testdata/" + dir + "/*")
		files = append(files, more...)
	}
	repaired := 0
	for _, file := range files {
		if strings.HasSuffix(file, ".json") {
			continue
		}
		name := filepath.Base(file)
		if messages, ok := repairIn(t, a, file); ok {
			repaired++
			if said := a.originalCheck(name); complains(said) {
				t.Errorf("%s of %d messages: the original says %s", name, messages, said)
			}
		}
	}
	t.Logf("%d mailboxes were repaired and opened", repaired)
	if repaired < 57 {
		t.Errorf("%d mailboxes were repaired, want 57 at least", repaired)
	}
}

// complains reports whether the original says that something is wrong.
func complains(said string) bool {
	for _, word := range []string{"rror", "nable", "Invalid", "nexpected"} {
		if strings.Contains(said, word) {
			return true
		}
	}
	return false
}

// The original opens one mailbox of each kind of damage, repaired, without a
// complaint.
func TestDamagedForTheOriginal(t *testing.T) {
	if _, err := os.Stat("/usr/bin/mailutil"); err != nil || testing.Short() {
		t.Skip("the original mailutil is not installed here, or time is short")
	}
	a := newArena(t)
	for _, format := range []string{"mbx", "mtx", "tenex", "unix", "mmdf"} {
		b := damage.Bench{At: driverAt(format), Index: func(t testing.TB, octets []byte) []damage.Message { return extents(format, octets) }}
		opened := 0
		for name, octets := range b.Wrecks(t) {
			file := filepath.Join(t.TempDir(), "box")
			if err := os.WriteFile(file, octets, 0o600); err != nil {
				t.Fatal(err)
			}
			if messages, ok := repairIn(t, a, file); ok && messages > 0 {
				opened++
				if said := a.originalCheck("box"); complains(said) {
					t.Errorf("%s: %s, of %d messages: the original says %s", format, name, messages, said)
				}
			}
		}
		t.Logf("%s: %d were repaired and opened", format, opened)
	}
}

// driverAt makes drivers of a format for a home directory.
func driverAt(format string) func(testing.TB, string, fsx.FS) (damage.Driver, mailbox.Name) {
	return func(t testing.TB, home string, _ fsx.FS) (damage.Driver, mailbox.Name) {
		env := mailboxtest.NewEnv(t)
		env.Home = home
		for _, d := range all.Drivers(env) {
			if d.Name() == format {
				return d.(damage.Driver), mailbox.Name{Text: "box", Path: filepath.Join(home, "box")}
			}
		}
		t.Fatalf("no format %s", format)
		return nil, mailbox.Name{}
	}
}

// extents finds the messages of a mailbox of a bench: all have a line before
// their first field, which no other message has.
func extents(format string, octets []byte) (out []damage.Message) {
	for at := 0; ; {
		i := bytes.Index(octets[at:], []byte("\nX-Unique: "))
		if i < 0 {
			return out
		}
		at += i + 1
		line := bytes.LastIndexByte(octets[:at-1], '\n') + 1
		if size, ok := sizeOf(octets[line:at]); ok { // the text before may not end with a line
			line = at - len(size)
		}
		if format == "mmdf" {
			line -= len("\x01\x01\x01\x01\n")
		}
		if n := len(out); n > 0 {
			out[n-1].End = line
		}
		out = append(out, damage.Message{Line: line, Text: at, End: len(octets)})
	}
}

// sizeOf returns the internal line that b ends with.
func sizeOf(b []byte) (line []byte, ok bool) {
	comma := bytes.LastIndexByte(b, ',')
	const date = len(" 1-Jul-2001 02:03:04 -0700")
	if comma < date || !bytes.Contains(b[comma:], []byte(";")) {
		return nil, false
	}
	return b[comma-date:], true
}

// repairIn repairs a copy of a file in the arena; ok is false where nothing was
// wrong.
func repairIn(t *testing.T, a *arena, file string) (messages uint32, ok bool) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(a.home, filepath.Base(file))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return a.repair(path)
}

// repair repairs the mailbox at path, which then is the user's; ok is false where
// nothing was wrong.
func (a *arena) repair(path string) (messages uint32, ok bool) {
	t := a.t
	t.Helper()
	env := mailboxtest.NewEnv(t)
	env.Home = a.home
	n := mailbox.Name{Text: path, Path: path}
	for _, d := range all.Drivers(env) {
		p, is := d.(mailbox.Repairer)
		if !is || n.Inbox {
			continue
		}
		r, err := p.PlanRepair(context.Background(), n, mailbox.RepairOptions{}, nil)
		if err != nil {
			continue // of another format
		}
		defer r.Close()
		if !r.Needed() {
			return 0, false
		}
		if _, _, err := r.CarryOut(context.Background()); err != nil {
			t.Errorf("%s: %v", path, err)
			return 0, false
		}
		mailboxtest.Give(t, path, a.cred)
		return r.Account().Messages, true
	}
	return 0, false
}

// The original opens every mix mailbox that was repaired for writing, without a
// complaint, reads all its messages, and sees the same as we.
func TestRepairedMixForTheOriginal(t *testing.T) {
	a := newArena(t)
	tars, _ := filepath.Glob("../../../testdata/mix/*.tar")
	repaired := 0
	for _, tar := range tars {
		name := strings.TrimSuffix(filepath.Base(tar), ".tar")
		fsxtest.Unpack(t, tar, a.home)
		repaired += a.openRepaired(name)
	}
	for _, file := range []string{".mixindex", ".mixstatus", ".mix6b03b909"} {
		for n, c := range damage.Classes {
			if strings.Contains(c.Name, "sector") || strings.Contains(c.Name, "page") {
				continue // these are not that long
			}
			fsxtest.Unpack(t, "../../../testdata/mix/basic.tar", a.home)
			name := fmt.Sprintf("%s-%d", file[1:], n)
			if err := os.Rename(filepath.Join(a.home, "basic"), filepath.Join(a.home, name)); err != nil {
				t.Fatal(err)
			}
			a.damageMix(filepath.Join(a.home, name), file, c, uint64(n))
			repaired += a.openRepaired(name)
		}
	}
	t.Logf("%d mailboxes were repaired and opened", repaired)
	if repaired < 80 {
		t.Errorf("%d mailboxes were repaired, want 80 at least", repaired)
	}
}

// damageMix damages one file of the golden mailbox basic.
func (a *arena) damageMix(dir, file string, c damage.Class, seed uint64) {
	a.t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		a.t.Fatal(err)
	}
	token := map[string]string{".mixindex": "\r\n:", ".mixstatus": "\r\n:"}[file]
	if token == "" {
		token = "\r\n:msg:"
	}
	var msgs []damage.Message
	for at := 0; at < len(b); {
		next := len(b)
		if i := strings.Index(string(b[at+1:]), token); i >= 0 {
			next = at + 1 + i + 2
		}
		if line := strings.Index(string(b[at:next]), "\r\n"); b[at] == ':' {
			msgs = append(msgs, damage.Message{Line: at, Text: min(at+line+2, next-2), End: next})
		}
		at = next
	}
	f := damage.New(b, msgs, seed)
	c.Do(f)
	if err := os.WriteFile(filepath.Join(dir, file), f.Octets, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// openRepaired repairs a mailbox, lets the original open it, and removes it; it
// returns 1 where something was wrong.
func (a *arena) openRepaired(name string) int {
	a.t.Helper()
	path := filepath.Join(a.home, name)
	defer os.RemoveAll(path)
	messages, ok := a.repair(path)
	mailboxtest.Give(a.t, path, a.cred)
	if !ok {
		return 0
	}
	ours := a.start("ours")
	want := ours.say("open %s ro", name) + ours.say("dump")
	ours.say("close")
	ours.in.Close()
	original := a.start("original")
	got := original.say("open %s rw", name)
	if strings.Contains(got, "log 1") || strings.Contains(got, "log 2") || messages > 0 && !strings.Contains(got, "readwrite") {
		a.t.Errorf("%s: the original says %s", name, got)
	}
	got = original.say("dump")
	if strings.Contains(got, "log 1") || strings.Contains(got, "log 2") {
		a.t.Errorf("%s: reading it the original says %s", name, got)
	}
	if diff := cmp.Diff(got, want[strings.Index(want, "\n")+1:]); diff != "" {
		a.t.Errorf("%s (-original +ours): %s", name, diff)
	}
	original.say("close")
	original.in.Close()
	return 1
}

// originalCheck is what mailutil check of the original says.
func (a *arena) originalCheck(name string) string {
	cmd := exec.Command("/usr/bin/mailutil", "check", name)
	cmd.Dir, cmd.Env = a.home, []string{"HOME=" + a.home, "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.cred}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "Error: " + err.Error() + ": " + string(out)
	}
	return string(out)
}

// The original reads repaired mailboxes that are directories as we do, for
// writing, without a complaint.
func TestRepairedDirectories(t *testing.T) {
	for _, tt := range []struct {
		format, golden string
		damage         map[string]string // contents of files, "" to remove one
	}{
		{"mx", "mx/mxindexgarbage.tar", nil},
		{"mx", "mx/mxindextorn.tar", map[string]string{"007": "Subject: stray\r\n\r\nx\r\n"}},
		{"mx", "mx/mxindexempty.tar", map[string]string{".mxindex": ""}},
		{"mx", "mx/mxstray.tar", map[string]string{"99999999999": "x"}},
		{"mh", "mh/mhbasic.tar", map[string]string{"007": "Subject: stray\n\nx\n", ".mh_sequences": "garbage\x00\nunseen: 1 x\nunseen: 2\n"}},
		{"mh", "mh/mhholes.tar", map[string]string{"00": "x"}},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			a := newArena(t)
			box := a.place(tt.golden)
			dir := filepath.Join(a.home, strings.Replace(box, "#mh", "MHMail", 1))
			for name, text := range tt.damage {
				err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
				if text == "" {
					err = os.Remove(filepath.Join(dir, name))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			env := mailboxtest.NewEnv(t)
			env.Home = a.home
			n, err := env.Resolve(box)
			if err != nil {
				t.Fatal(err)
			}
			if n.Path == "" || n.Space == "" {
				n.Path = dir
			}
			n.Format = tt.format
			for _, d := range all.Drivers(env) {
				if d.Name() == tt.format {
					if r, _, err := mendtest.Repair(t, d.(mendtest.Driver), n, mailbox.RepairOptions{}); err != nil || !r.Needed() {
						t.Fatalf("needed %v, %v", err == nil, err)
					}
				}
			}
			mailboxtest.Give(t, a.home, a.cred)
			c := a.start("original")
			if got := c.say("open %s rw", box); !strings.Contains(got, "readwrite") || strings.Contains(got, "log ") {
				t.Errorf("the original: %s", got)
			}
			if got := c.say("append %s | 5-Feb-2021 06:07:08 -0330|Subject: new\\r\\n\\r\\nx\\r\\n", box); !strings.HasPrefix(got, "ok") {
				t.Errorf("append by the original: %s", got)
			}
			c.say("close")
			a.agree(box, "repair", tt.format == "mx")
		})
	}
}
