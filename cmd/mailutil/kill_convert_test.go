package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
)

// A site is a tree of mailboxes in several formats, into which mail is delivered
// while it is converted to and fro by a program that is killed at random.
type site struct {
	t     *testing.T
	home  string
	tree  string   // the directory of the mailboxes
	ends  []string // formats, between which it goes to and fro
	env   *mailbox.Env
	boxes []*siteBox
	stop  chan struct{}
	once  sync.Once
	done  sync.WaitGroup
}

// A siteBox is one mailbox and what must be in it.
type siteBox struct {
	name     string
	uids     map[string]uint32 // of the first messages, by Message-ID; nil where the format keeps none
	validity uint32

	mu    sync.Mutex
	wants map[string]int // how often each message must be there: 0 where nobody can tell
}

// TestKilledConversions is short in make test, and the real thing in make kills:
// 200 mailboxes of 100 MB, and 50 kills.
func TestKilledConversions(t *testing.T) {
	boxes, octets, kills := 16, 20<<10, 3
	if !testing.Short() {
		boxes, octets, kills = 200, 500<<10, 50
	}
	newSite(t, boxes, octets).tour(kills)
}

// TestKilledNestedConversions is the same with mailboxes that are directories, most
// of them in the directory of another.
func TestKilledNestedConversions(t *testing.T) {
	boxes, octets, kills := 9, 20<<10, 3
	if !testing.Short() {
		boxes, octets, kills = 60, 100<<10, 50
	}
	newNestedSite(t, boxes, octets).tour(kills)
}

// tour converts the site to and fro, and is killed that often.
func (s *site) tour(kills int) {
	s.done.Add(2)
	for range 2 {
		go s.deliver()
	}
	s.t.Cleanup(s.end)
	took := s.convert(s.ends[1], 0)
	for n := range kills {
		to := s.ends[n%2]
		after := time.Duration(rand.Int64N(int64(took))) + time.Millisecond
		s.convert(to, after)
		if n%5 == 4 {
			s.convert(to, 0)
		}
	}
	s.end()
	s.convert(s.ends[1], 0)
	s.check()
}

// end ends the deliveries.
func (s *site) end() {
	s.once.Do(func() { close(s.stop) })
	s.done.Wait()
}

// newSite makes the mailboxes, each of some octets.
func newSite(t *testing.T, boxes, octets int) *site {
	t.Helper()
	s := emptySite(t, "m", "unix", "mbx")
	formats := []string{"unix", "mbx", "unix", "tenex", "mbx", "mtx", "empty"}
	for i := range boxes {
		s.add(fmt.Sprintf("m/%d/box%d", i%5, i), formats[i%len(formats)], octets)
	}
	return s
}

// newNestedSite makes mailboxes three deep; the last may be a file.
func newNestedSite(t *testing.T, boxes, octets int) *site {
	t.Helper()
	s := emptySite(t, "n", "mx", "mix")
	formats := []string{"mix", "mx", "mix", "mx", "mix", "unix"}
	name := ""
	for i := range boxes {
		if i%3 == 0 {
			name = "n"
		}
		name += fmt.Sprintf("/box%d", i)
		s.add(name, formats[i%len(formats)], octets)
	}
	return s
}

// emptySite makes a home directory.
func emptySite(t *testing.T, tree string, ends ...string) *site {
	t.Helper()
	work := t.TempDir()
	home := filepath.Join(work, "home")
	must(t, os.Mkdir(home, 0o700))
	must(t, os.Mkdir(filepath.Join(work, "locks"), 0o700))
	return &site{t: t, home: home, tree: tree, ends: ends, env: siteEnv(home), stop: make(chan struct{})}
}

// add makes a mailbox.
func (s *site) add(name, format string, octets int) {
	s.t.Helper()
	i := len(s.boxes)
	b := &siteBox{name: name, wants: map[string]int{}, validity: 1_000_000 + uint32(i)}
	s.boxes = append(s.boxes, b)
	if format == "empty" {
		must(s.t, os.MkdirAll(filepath.Dir(filepath.Join(s.home, b.name)), 0o700))
		must(s.t, os.WriteFile(filepath.Join(s.home, b.name), nil, 0o600))
		return
	}
	s.fill(b, format, i, octets)
}

func siteEnv(home string) *mailbox.Env {
	return &mailbox.Env{
		User: "alice", Home: home, Spool: filepath.Join(filepath.Dir(home), "spool/alice"), Host: "hh", Dir: home,
		Now: time.Now, Notify: func(mailbox.Level, string) {}, LockDir: filepath.Join(filepath.Dir(home), "locks"), StateDir: filepath.Join(home, ".local/state/mailutil"),
		Config: mailbox.DefaultConfig(), LockTimeout: time.Minute,
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// letter is a message that says which it is.
func letter(id string, octets int) mailbox.Item {
	text := "Message-ID: <" + id + ">\r\nSubject: " + id + "\r\n\r\n" + strings.Repeat("A line of the text that is not short.\r\n", octets/39+1)
	it := mailbox.Item{Text: strings.NewReader(text)}
	it.Size = int64(len(text))
	it.Date = mailbox.Date{Year: 2024, Month: 2, Day: 3}
	return it
}

func (s *site) fill(b *siteBox, format string, i, octets int) {
	s.t.Helper()
	d := all.Drivers(s.env).Named(format)
	n, err := s.env.Resolve(b.name)
	must(s.t, err)
	to, err := d.(mailbox.Appender).Append(context.Background(), n, mailbox.AppendOptions{New: true, UIDValidity: b.validity, UIDNext: 1000})
	must(s.t, err)
	if format != "tenex" && format != "mtx" {
		b.uids = map[string]uint32{}
	}
	for k := range 5 {
		id := fmt.Sprintf("first.%d.%d", i, k)
		it := letter(id, octets/5)
		it.UID = uint32(10 * (k + 1))
		_, err := to.Add(it)
		must(s.t, err)
		b.wants[id] = 1
		if b.uids != nil {
			b.uids[id] = it.UID
		}
	}
	_, err = to.Commit()
	must(s.t, err)
}

// convert runs the program, killed after some time where that is not 0, and
// returns how long it took.
func (s *site) convert(to string, after time.Duration) time.Duration {
	s.t.Helper()
	cmd := inHome(s.home, filepath.Join(programDir, "mailutil"), "convert", "--to", to, "--recursive", "--jobs", "2", "--no-keep-original", s.tree)
	cmd.Env = append(cmd.Env, "HOME="+s.home)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	must(s.t, cmd.Start())
	if after > 0 {
		timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
		defer timer.Stop()
	}
	if err := cmd.Wait(); err != nil && after == 0 && cmd.ProcessState.ExitCode() != exitPartly { // busy ones are left for later
		s.t.Fatalf("convert: %v\n%s", err, out.String())
	} else if err != nil && after == 0 && !strings.Contains(out.String(), " 0 failed") {
		s.t.Fatalf("convert: %v\n%s", err, out.String())
	}
	return time.Since(began)
}

// deliver adds messages to the mailboxes until it is stopped. What could not be
// delivered for the time being is tried again, as a mail system does.
func (s *site) deliver() {
	defer s.done.Done()
	env := siteEnv(s.home)
	drivers := all.Drivers(env)
	for n := 0; ; n++ {
		select {
		case <-s.stop:
			return
		default:
		}
		b := s.boxes[rand.IntN(len(s.boxes))]
		id := fmt.Sprintf("new.%p.%d", drivers[0], n)
		for tries := 0; ; tries++ {
			err := deliverOnce(env, drivers, b.name, id)
			if err == nil {
				b.mu.Lock()
				b.wants[id] = 1
				b.mu.Unlock()
				break
			}
			if !mailbox.IsTemporary(err) && !errors.Is(err, mailbox.ErrFormat) && !s.mayBeAway(err) || tries == 100 {
				s.t.Errorf("deliver to %s: %v", b.name, err)
				return
			}
		}
	}
}

// mayBeAway reports whether an error may be because a directory has become another
// mailbox, or one in it has no name for the moment, and waits until it may have
// one.
func (s *site) mayBeAway(err error) bool {
	if s.tree != "n" || !errors.Is(err, mailbox.ErrNotExist) && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, mailbox.ErrNotMailbox) {
		return false
	}
	time.Sleep(50 * time.Millisecond)
	return true
}

func deliverOnce(env *mailbox.Env, drivers mailbox.Drivers, name, id string) error {
	n, err := env.Resolve(name)
	if err != nil {
		return err
	}
	d, err := drivers.Find(n)
	if err != nil {
		return err
	}
	to, err := d.(mailbox.Appender).Append(context.Background(), n, mailbox.AppendOptions{})
	if err != nil {
		return err
	}
	defer to.Abort()
	if _, err := to.Add(letter(id, 100)); err != nil {
		return err
	}
	_, err = to.Commit()
	return err
}

// check looks whether each mailbox has what it must have, once, and nothing is
// beside them.
func (s *site) check() {
	s.t.Helper()
	delivered := 0
	for _, b := range s.boxes {
		got := s.messages(b)
		for id, n := range b.wants {
			if got[id] != n {
				s.t.Errorf("%s: message %s is there %d times, want %d", b.name, id, got[id], n)
			}
			delete(got, id)
			delivered++
		}
		for id := range got {
			s.t.Errorf("%s: nobody has delivered %s", b.name, id)
		}
	}
	s.t.Logf("%d messages", delivered)
	err := filepath.WalkDir(filepath.Join(s.home, s.tree), func(path string, e os.DirEntry, err error) error {
		if err == nil && s.isLeft(e) {
			s.t.Errorf("%s is left", path)
		}
		return err
	})
	must(s.t, err)
}

// isLeft reports whether an entry is what a conversion has left. Posts of locks do
// no harm.
func (s *site) isLeft(e os.DirEntry) bool {
	name := e.Name()
	if strings.HasPrefix(name, ".mix") && s.ends[1] == "mix" || strings.Contains(name, ".lock.") {
		return false
	}
	return !e.IsDir() && !strings.HasPrefix(name, "box") || strings.Contains(name, ".")
}

// messages counts the messages of a mailbox by Message-ID, and compares UIDs.
func (s *site) messages(b *siteBox) map[string]int {
	s.t.Helper()
	n, err := s.env.Resolve(b.name)
	must(s.t, err)
	mb, err := all.Drivers(s.env).Open(context.Background(), n, mailbox.ReadOnly)
	must(s.t, err)
	defer mb.Close()
	if st := mb.Status(); st.Driver != s.ends[1] || b.uids != nil && st.UIDValidity != b.validity {
		s.t.Errorf("%s: format %s, UIDVALIDITY %d, want %s, %d", b.name, st.Driver, st.UIDValidity, s.ends[1], b.validity)
	}
	got := map[string]int{}
	for m, err := range mb.Messages(mailbox.All) {
		must(s.t, err)
		text, err := mb.Open(m.Seq)
		must(s.t, err)
		octets, err := io.ReadAll(text)
		must(s.t, err)
		id, _, _ := strings.Cut(strings.TrimPrefix(string(octets), "Message-ID: <"), ">")
		got[id]++
		if want, first := b.uids[id]; first && m.UID != want || !first && b.uids != nil && m.UID < 1000 {
			s.t.Errorf("%s: message %s has UID %d, want %d", b.name, id, m.UID, want)
		}
	}
	return got
}

// Killed at every system call that changes something, a conversion leaves the old
// mailbox or the new one, and done again ends as if nothing had happened.
func TestKilledConversionAtEverySystemCall(t *testing.T) { killEach(t, 10, killConversion) }

// killEach lets kill kill a conversion at each call of each system call that changes
// something, until that is not reached any more, with names that can be exchanged and
// without; at least so many times for each way.
func killEach(t *testing.T, least int, kill func(t *testing.T, bin, call string, when int, inject, keep string) bool) {
	bin := forStrace(t)
	for _, inject := range []string{"", "inject=renameat2:error=EINVAL"} {
		for _, keep := range []string{"--keep-original", "--no-keep-original"} {
			killed := 0
			for _, call := range changing {
				if call == "renameat2" && inject != "" {
					continue
				}
				for when := 1; when < 300 && kill(t, bin, call, when, inject, keep); when++ {
					killed++
				}
			}
			t.Logf("%s %s: killed %d times", inject, keep, killed)
			if killed < least {
				t.Errorf("killed %d times only", killed)
			}
		}
	}
}

// killConversion reports whether the program was killed.
func killConversion(t *testing.T, bin, call string, when int, inject, keep string) bool {
	home := killHome(t, bin, "unix")
	box := filepath.Join(home, "box")
	before := digests(t, home)["box"]
	args := []string{
		"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call + ",renameat2",
		"-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, when),
	}
	if inject != "" {
		args = append(args, "-e", inject)
	}
	convert := []string{"convert", "--to", "mbx", keep, box}
	err := inHome(home, "strace", append(append(args, bin), convert...)...).Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 { // strace does not know this system call
		return false
	}
	if now := digests(t, home)["box"]; !slices.Equal(now, before) {
		t.Fatalf("%s %s, killed at %s number %d: got %v, want %v", inject, keep, call, when, now, before)
	}
	if out, err := inHome(home, bin, convert...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s, killed at %s number %d, again: %v\n%s", inject, keep, call, when, err, out)
	}
	mark := make([]byte, 5)
	if f, err := os.Open(box); err != nil {
		t.Fatal(err)
	} else if _, err := io.ReadFull(f, mark); err != nil || string(mark) != "*mbx*" || f.Close() != nil {
		t.Fatalf("%s %s, killed at %s number %d: the format is not mbx: %q, %v", inject, keep, call, when, mark, err)
	}
	var left []string
	entries, _ := os.ReadDir(home)
	for _, e := range entries {
		if strings.Contains(e.Name(), "box") && !strings.Contains(e.Name(), ".lock.") { // posts of locks do no harm
			left = append(left, e.Name())
		}
	}
	want := []string{"box", "box.orig"}
	if keep == "--no-keep-original" {
		want = []string{"box"}
	}
	if now := digests(t, home)["box"]; !slices.Equal(now, before) || !slices.Equal(left, want) {
		t.Fatalf("%s %s, killed at %s number %d: left are %v", inject, keep, call, when, left)
	}
	return err != nil
}
