package ops_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/driver/all"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/mailbox/mailboxtest"
	"mailutil/pkg/ops"
)

// maxCorpus is the size of the largest file that is copied in short mode.
const maxCorpus = 200 << 10

// takers are the formats that a mailbox can be copied into.
func takers(ds mailbox.Drivers) (names []string) {
	for _, d := range ds {
		_, appends := d.(mailbox.Appender)
		if _, creates := d.(mailbox.Creator); appends && creates && !slices.Contains([]string{"mbox", "dummy", "phile", "stream"}, d.Name()) {
			names = append(names, d.Name())
		}
	}
	return names
}

func corpusSession(t *testing.T, home string) *ops.Session {
	t.Helper()
	env := &mailbox.Env{
		User: "alice", Home: home, Spool: filepath.Join(home, "spool"), Host: "hh", Dir: home, Now: time.Now,
		Notify: func(mailbox.Level, string) {}, LockDir: home, StateDir: filepath.Join(home, "state"), Config: mailbox.DefaultConfig(),
	}
	return &ops.Session{Env: env, Drivers: all.Drivers(env)}
}

// TestCopyBalances copies all mail there is into every format, in short mode
// each mailbox into one: the account balances, and what is told about messages
// that could not be stored as they were is all that differs.
func TestCopyBalances(t *testing.T) {
	names := takers(corpusSession(t, t.TempDir()).Drivers)
	if len(names) < 5 {
		t.Fatalf("there are only the formats %q", names)
	}
	copies, altered := 0, 0
	for i, path := range mailboxtest.MailFiles(t, maxCorpus) {
		for k, format := range names {
			if testing.Short() && i%len(names) != k {
				continue
			}
			t.Run(fmt.Sprintf("%s to %s", strings.TrimLeft(path, "./"), format), func(t *testing.T) {
				n, ok := copyCorpus(t, path, format)
				altered += n
				if ok {
					copies++
				}
			})
		}
	}
	if copies == 0 || altered == 0 {
		t.Errorf("%d copies, %d altered messages: nothing was shown", copies, altered)
	}
	t.Logf("%d copies, %d altered messages", copies, altered)
}

// copyCorpus returns how many messages were altered, and false for a mailbox
// that cannot be read.
func copyCorpus(t *testing.T, path, format string) (altered int, ok bool) {
	home := t.TempDir()
	octets, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "src"), octets, 0o600); err != nil {
		t.Fatal(err)
	}
	s := corpusSession(t, home)
	told := map[uint32]ops.Exception{}
	to, dst := targetIn(t, home, format)
	acc, err := s.Copy(t.Context(), "src", to, ops.CopyOptions{
		Create: true, Verify: true, Except: func(e ops.Exception) { told[e.Seq] = e },
	})
	if err != nil && !canOpen(t, s, "src") {
		if _, err := os.Stat(filepath.Join(home, "dst")); err == nil {
			t.Error("the copy failed, but there is a target")
		}
		return 0, false
	}
	if err != nil {
		t.Fatal(err)
	}
	if !acc.Balanced() || acc.Failed > 0 || !acc.Verified || !acc.SourceProven && len(octets) > 0 || acc.Differing > 0 {
		t.Errorf("got %s, verified %v, proven %v, %d differ", acc.Equation(), acc.Verified, acc.SourceProven, acc.Differing)
	}
	if len(told) != int(acc.AlteredMessages+acc.Skipped) {
		t.Errorf("told of %d messages, but %d were altered and %d skipped", len(told), acc.AlteredMessages, acc.Skipped)
	}
	for seq, e := range told {
		if e.Err == nil && e.Altered.Words() == "" {
			t.Errorf("message %d: told, but not why: %+v", seq, e)
		}
	}
	if now, err := os.ReadFile(filepath.Join(home, "src")); err != nil || !bytes.Equal(now, octets) {
		t.Errorf("the source changed, %v", err)
	}
	compareCopies(t, s, dst, told)
	return int(acc.AlteredMessages), true
}

// targetIn returns how a new mailbox of a format is asked for, and its name then.
func targetIn(t *testing.T, home, format string) (to, name string) {
	t.Helper()
	if format != "mh" {
		return "#driver." + format + "/dst", "dst"
	}
	if err := os.WriteFile(filepath.Join(home, ".mh_profile"), []byte("Path: Mail\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "#mh/dst", "#mh/dst"
}

// canOpen reports whether a mailbox can be opened at all.
func canOpen(t *testing.T, s *ops.Session, name string) bool {
	t.Helper()
	n, err := s.Env.Resolve(name)
	if err != nil {
		t.Fatal(err)
	}
	mb, err := s.Drivers.Open(t.Context(), n, mailbox.ReadOnly)
	if err == nil {
		mb.Close()
	}
	return err == nil
}

// compareCopies compares the source with the target: what is not told must be
// the same, what is told be explained by it.
func compareCopies(t *testing.T, s *ops.Session, dst string, told map[uint32]ops.Exception) {
	t.Helper()
	_, from := lettersIn(t, s, "src")
	_, to := lettersIn(t, s, dst)
	from = slices.DeleteFunc(from, func(l letter) bool { return told[l.Seq].Err != nil })
	if len(from) != len(to) {
		t.Fatalf("%d messages to be copied, %d in the target", len(from), len(to))
	}
	for i, was := range from {
		is, a := to[i], told[was.Seq].Altered
		if is.Flags.System != was.Flags.System {
			t.Errorf("message %d: flags %v became %v", was.Seq, was.Flags.System, is.Flags.System)
		}
		if got := len(was.keywords) - len(is.keywords); got != a.Keywords {
			t.Errorf("message %d: keywords %q became %q, %d dropped by the account", was.Seq, was.keywords, is.keywords, a.Keywords)
		}
		if a.Dates == 0 && !was.Date.IsZero() && !is.Date.Time().Equal(was.Date.Time()) {
			t.Errorf("message %d: date %v became %v", was.Seq, was.Date, is.Date)
		}
		a.Keywords, a.Dates = 0, 0
		if got := alterations(string(was.text), string(is.text)); got != a {
			t.Errorf("message %d: told %+v, but it is %+v\n was %.300q\n  is %.300q", was.Seq, a, got, was.text, is.text)
		}
	}
}

// alterations says by what steps was became is, line by line. A step that
// nothing explains is told as a huge number of line ends.
func alterations(was, is string) (a mailbox.Altered) {
	if was == is {
		return a
	}
	old, now := strings.SplitAfter(was, "\n"), strings.SplitAfter(is, "\n")
	for i, line := range old {
		if i >= len(now) {
			a.LineEnds += 1 << 20
			break
		}
		a = a.Plus(alteration(line, now[i], i == len(old)-1))
	}
	for _, line := range now[min(len(now), len(old)):] {
		if line != "" {
			a.Newlines++
		}
	}
	return a
}

// alteration is that of one line.
func alteration(was, is string, last bool) (a mailbox.Altered) {
	if was == is {
		return a
	}
	text, ended := strings.CutSuffix(was, "\n")
	switch {
	case last && !ended && strings.HasSuffix(is, "\r\n"):
		a.Newlines++
	case ended && !strings.HasSuffix(text, "\r") && strings.HasSuffix(is, "\r\n"):
		a.LineEnds++
	}
	is = strings.TrimSuffix(is, "\r\n")
	if ended || a.Newlines == 0 {
		text = strings.TrimSuffix(text, "\r")
	}
	for strings.Contains(text, "\x01\x01\x01\x01") && text != is {
		text = strings.Replace(text, "\x01\x01\x01\x01", "\x01\x01\x01", 1)
		a.Octets++
	}
	switch is {
	case text:
	case ">" + text:
		a.QuotedFrom++
	case "X-Original-" + text:
		a.RenamedHeaders++
	default:
		a.LineEnds += 1 << 20
	}
	return a
}
