package serve_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A step is what a person at a terminal waits for, and then types.
type step struct{ wait, say string }

// atTerminal runs a command for a person.
func atTerminal(t *testing.T, dir, command string, steps ...step) {
	t.Helper()
	cmd := exec.Command(peer(t, "script"), "-qec", command, "/dev/null") // makes the terminal
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C", "TERM=vt100")
	asNobody(cmd, dir)
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	screen, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() }) // so that a failure has words
	defer late.Stop()
	pieces := make(chan string)
	go func() {
		defer close(pieces)
		buf := make([]byte, 4<<10)
		for {
			n, err := screen.Read(buf)
			if err != nil {
				return
			}
			pieces <- strings.ReplaceAll(string(buf[:n]), "\x00", "") // padding
		}
	}()
	shown, said := "", ""
	for _, s := range steps {
		for !strings.Contains(shown, s.wait) {
			select {
			case piece, more := <-pieces:
				if shown += piece; !more {
					t.Fatalf("waiting for %q: it ends after\n%q", s.wait, shown)
				}
			case <-time.After(2 * time.Second): // it has thrown away what was typed before it asked
				io.WriteString(keys, said)
			}
		}
		shown = shown[strings.Index(shown, s.wait)+len(s.wait):]
		said = s.say
		if _, err := io.WriteString(keys, said); err != nil {
			t.Fatal(err)
		}
	}
	for piece := range pieces { // to the end of the program
		shown += piece
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v\n%q", command, err, shown)
	}
}

const alpineConf = `personal-name=Alice
user-domain=example.org
smtp-server=127.0.0.1:1
last-version-used=6.26
last-time-prune-questioned=126.11
feature-list=quit-without-confirm,expunge-without-confirm,no-save-will-not-delete,disable-password-file-saving,disable-password-caching
`

// Alpine logs in, has the endpoint sort, and reads a message.
func TestPeerAlpine(t *testing.T) {
	peer(t, "alpine")
	e := start(t, letters)
	dir := t.TempDir()
	rc := write(t, filepath.Join(dir, "rc"), alpineConf, 0o666)
	atTerminal(t, dir, fmt.Sprintf("alpine -i -p %s -sort subject -f '%s'", rc, fmt.Sprintf("{127.0.0.1:%d/notls/user=alice}INBOX", e.imap)),
		step{"ENTER PASSWORD", "secret\r"},
		step{"[ViewMsg]", "\r"},   // it begins with the second
		step{"Subject: two", "q"}, // "quit"
		step{"Alpine finished", ""},
	)
	if !strings.Contains(e.said(), "SORT (SUBJECT)") {
		t.Error("it has not sorted at the server")
	}
	if !strings.Contains(e.said(), "Logout user=alice") {
		t.Error("it has not logged out")
	}
}
