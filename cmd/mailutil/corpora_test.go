package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox/mailboxtest"
)

// TestReadAll lists, prints, searches and checks all mail there is, damaged
// mail, too: what the commands say fits together, and nothing is written. It
// runs in this process, for the race detector.
func TestReadAll(t *testing.T) {
	work := t.TempDir()
	if err := makeHome(work); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", filepath.Join(work, "home"))
	was := newEnv
	newEnv = scriptEnv
	t.Cleanup(func() { newEnv = was })
	box := filepath.Join(work, "home", "box")
	read, messages := 0, 0
	for _, path := range mailboxtest.MailFiles(t, 200<<10) {
		t.Run(strings.TrimLeft(path, "./"), func(t *testing.T) {
			octets, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(box, octets, 0o600); err != nil {
				t.Fatal(err)
			}
			then := time.Unix(1_000_000_000, 0)
			if err := os.Chtimes(box, then, then); err != nil {
				t.Fatal(err)
			}
			if n, ok := readAllOf(t); ok {
				read++
				messages += n
			}
			now, err := os.ReadFile(box)
			fi, serr := os.Stat(box)
			if err := errors.Join(err, serr); err != nil || !bytes.Equal(now, octets) || !fi.ModTime().Equal(then) {
				t.Errorf("the mailbox was changed, %v", err)
			}
		})
	}
	if read == 0 || messages == 0 {
		t.Errorf("%d mailboxes of %d messages could be read: nothing was shown", read, messages)
	}
	t.Logf("%d mailboxes of %d messages", read, messages)
}

// command runs the program here.
func command(t *testing.T, stdin []byte, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, bad bytes.Buffer
	status = run(t.Context(), append([]string{"mailutil"}, args...), bytes.NewReader(stdin), &out, &bad)
	many := args[0] == "search" || args[0] == "check" // of many mailboxes; and they find nothing, or damage
	if status != exitDone && status != exitFailed && !(many && status == exitPartly) {
		t.Errorf("%q: exit status %d\n%s", args, status, bad.String())
	}
	if (status != exitDone) != (bad.Len() > 0) && !many && !strings.Contains(bad.String(), "warning: ") {
		t.Errorf("%q: exit status %d, standard error %q", args, status, bad.String())
	}
	return status, out.String(), bad.String()
}

// readAllOf reads the mailbox box by all commands that do; false when it cannot
// be opened, as all of them then say.
func readAllOf(t *testing.T) (messages int, ok bool) {
	status, list, _ := command(t, nil, "list", "--fields", "number,size", "box")
	sizes := int64(0)
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if len(f) < 2 {
			t.Fatalf("list: %q", line)
		}
		n, err := strconv.ParseInt(f[len(f)-1], 10, 64)
		if err != nil {
			t.Fatalf("list: %q: %v", line, err)
		}
		sizes += n
		messages++
	}
	same := func(what string, got int) {
		t.Helper()
		if got != status {
			t.Errorf("list exits %d, %s %d", status, what, got)
		}
	}
	cat, text, _ := command(t, nil, "cat", "--crlf", "box")
	same("cat", cat)
	if int64(len(text)) != sizes {
		t.Errorf("cat gives %d octets, the sizes are %d", len(text), sizes)
	}
	asMbox, mail, _ := command(t, nil, "cat", "--mbox", "box")
	same("cat --mbox", asMbox)
	_, hits, _ := command(t, nil, "search", "box", "NOT TEXT qqzzqqzz")
	if got := strings.Count(hits, "\n"); got != messages {
		t.Errorf("search finds %d messages that have not what none has, of %d", got, messages)
	}
	command(t, nil, "search", "box", "OR TEXT é HEADER received by")
	command(t, nil, "check", "--deep", "box")
	command(t, nil, "info", "box")
	if status != exitDone || messages == 0 {
		return 0, status == exitDone
	}
	if _, again, _ := command(t, []byte(mail), "list", "--fields", "number,size", "-"); strings.Count(again, "\n") != messages {
		t.Errorf("cat --mbox has %d messages, not %d", strings.Count(again, "\n"), messages)
	}
	return messages, true
}
