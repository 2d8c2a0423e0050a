package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// far is serve at work below home/far, and the name of what it shows.
func far(t *testing.T, home string) string {
	t.Helper()
	for name, text := range map[string]string{"passwords": "alice\tsecret\n", "password": "secret\n"} {
		path := filepath.Join(home, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), giveAway(path)); err != nil {
			t.Fatal(err)
		}
	}
	server := shell("mkdir far && exec mailutil serve --imap 127.0.0.1:0 --read-write --passwords passwords --root far", home)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGTERM)
		server.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "imap ")
	if err != nil || !ok {
		t.Fatalf("serve says %q, %v", line, err)
	}
	return "{" + addr + "/notls/user=alice}"
}

// giveAway makes a file that of the user who runs commands.
func giveAway(path string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Chown(path, plainUID, plainGID)
}

// Hierarchies travel to a server and back, and from one place of it to another;
// -merge does there what it does here.
func TestTransferRemote(t *testing.T) {
	home := testHome(t)
	at := far(t, home)
	for _, tt := range []struct {
		command string // AT is the server
		exit    int
		want    string // in what it says
	}{
		{"mkdir -p t/sub && cp src t/a && cp src t/sub/b && mailutil transfer t/ 'ATr/'", 0, ""},
		{"mailutil check 'ATr/t/sub/b'", 0, "3 total"},
		{"mailutil transfer t/ 'ATr/'", 1, "Can't create mailbox ATr/t/a: "},
		{"mailutil -m append transfer t/ 'ATr/'", 0, ""},
		{"mailutil check 'ATr/t/a'", 0, "6 total"},
		{"mailutil -merge suffix=.new transfer t/ 'ATr/'", 0, "retry to create ATr/t/a.new"},
		{"mailutil check 'ATr/t/sub/b.new'", 0, "3 total"},
		{"printf 'ATother\nATothersub\n' | mailutil -m prompt transfer t/ 'ATr/'", 0, "alternative name: "},
		{"mailutil check 'ATother' 'ATothersub'", 2, ""},
		{"mailutil check 'ATothersub'", 0, "3 total"},
		{"mailutil -m prompt transfer t/ 'ATr/' </dev/null", 1, "no other name was given for ATr/t/a"},
		{"mailutil transfer --resume t/ 'ATr/'", 0, ""},
		{"mailutil check 'ATr/t/a'", 0, "6 total"},

		{"mailutil transfer 'ATr/t/sub/' home/", 0, ""},
		{"mailutil check home/r/t/sub/b.new", 0, "3 total"},
		{"mailutil transfer 'ATr/t/sub/' home/", 1, "home/r/t/sub/b: File exists"},
		{"mailutil -m append transfer 'ATr/t/sub/' home/", 0, ""},
		{"mailutil check home/r/t/sub/b", 0, "12 total"},
		{"mailutil -m suffix=.2 transfer 'ATr/t/sub/' home/", 0, "retry to create home/r/t/sub/b.2"},
		{"printf 'x\ny\n' | mailutil -m prompt transfer 'ATr/t/sub/' home/", 0, "alternative name: "},
		{"mailutil check y", 0, "3 total"},
		{"mailutil transfer 'ATr/t/sub/' '#driver.mix/mix/'", 0, ""},
		{"test -f mix/r/t/sub/b/.mixmeta && cmp src t/a", 0, ""},

		{"mailutil transfer 'ATr/' 'ATcopy/'", 0, ""},
		{"mailutil check 'ATcopy/r/t/a'", 0, "6 total"},
		{"mailutil transfer 'ATnowhere/' x/", 0, ""},
	} {
		command := strings.ReplaceAll(strings.ReplaceAll(tt.command, "AT", at), "mailutil ", "mailutil --password-file password ")
		var exit *exec.ExitError
		out, err := shell(command, home).CombinedOutput()
		code := 0
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		if want := strings.ReplaceAll(tt.want, "AT", at); code != tt.exit || !strings.Contains(string(out), want) {
			t.Errorf("%s\n got exit %d, want %d\n%s\nwant %s", tt.command, code, tt.exit, out, want)
		}
	}
}

// tunnel makes the fake server a program in a home directory, and returns the
// beginning of commands that speak to it.
func tunnel(t *testing.T, home string) string {
	t.Helper()
	server := filepath.Join(home, "server")
	if err := errors.Join(os.WriteFile(server, []byte(fakeServer), 0o755), giveAway(server)); err != nil {
		t.Fatal(err)
	}
	return "mailutil --tunnel " + server
}

// The password is asked for at the terminal, wherever standard input is, and
// not shown there.
func TestPasswordPrompt(t *testing.T) {
	home := testHome(t)
	master, slave, err := newTerminal()
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	if os.Getuid() == 0 {
		os.Chown(slave.Name(), plainUID, plainGID)
	}
	cmd := shell("exec "+tunnel(t, home)+" check '{mail.example.org/user=alice}box'", home)
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty, cmd.SysProcAttr.Ctty = true, true, 3
	cmd.ExtraFiles = []*os.File{slave}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Start()
	slave.Close()
	if err != nil {
		t.Fatal(err)
	}
	shown := make([]byte, 0, 1000)
	for _, answer := range []string{"wrong\n", "secret\n"} {
		shown = untilPrompt(t, master, shown)
		untilEchoIsOff(t, master)
		if _, err := io.WriteString(master, answer); err != nil {
			t.Fatal(err)
		}
	}
	rest, _ := io.ReadAll(master) // ends with an error when the terminal is gone
	shown = append(shown, rest...)
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "0 total") {
		t.Errorf("got %v\n%s\n%s", err, &out, shown)
	}
	if got := strings.Count(string(shown), "{mail.example.org/imap/user=alice} password:"); got != 2 || strings.Contains(string(shown), "secret") || strings.Contains(string(shown), "wrong") {
		t.Errorf("the terminal shows %q", shown)
	}
}

// untilPrompt reads what a terminal shows up to the next question.
func untilPrompt(t *testing.T, master io.Reader, shown []byte) []byte {
	t.Helper()
	from := len(shown)
	buf := make([]byte, 100)
	for !strings.HasSuffix(string(shown[from:]), "password:") {
		n, err := master.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, shown)
		}
		shown = append(shown, buf[:n]...)
	}
	return shown
}

// untilEchoIsOff waits for what comes just after the question.
func untilEchoIsOff(t *testing.T, master *os.File) {
	t.Helper()
	for range 1000 {
		state, err := unix.IoctlGetTermios(int(master.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if state.Lflag&unix.ECHO == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the terminal shows what is typed")
}

// fakeServer knows alice, takes one message, and then is full.
const fakeServer = `#!/bin/sh
printf '* OK [CAPABILITY IMAP4rev1] hello\r\n'
n=0
while read -r tag word rest; do
	case $word in
	APPEND)
		size=${rest##*\{}; size=${size%%\}*}
		printf '+ go on\r\n'
		dd bs=1 count="$size" of=/dev/null 2>/dev/null
		read -r end
		n=$((n+1))
		if [ $n -gt 1 ]; then printf '%s NO [OVERQUOTA] no more room\r\n' "$tag"; continue; fi
		printf '%s OK [APPENDUID 7 1] done\r\n' "$tag" ;;
	LOGIN)
		case $rest in
		*secret*) printf '%s OK in\r\n' "$tag" ;;
		*) printf '%s NO [AUTHENTICATIONFAILED] no\r\n' "$tag" ;;
		esac ;;
	STATUS*) printf '* STATUS box (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)\r\n%s OK done\r\n' "$tag" ;;
	LIST*) printf '* LIST () "/" box\r\n%s OK done\r\n' "$tag" ;;
	LOGOUT*) printf '* BYE bye\r\n%s OK done\r\n' "$tag"; exit ;;
	*) printf '%s OK done\r\n' "$tag" ;;
	esac
done
`

// A server that is full in the middle leaves a part, which is exit status 3.
func TestOverQuota(t *testing.T) {
	home := testHome(t)
	password := filepath.Join(home, "password")
	if err := errors.Join(os.WriteFile(password, []byte("secret\n"), 0o600), giveAway(password)); err != nil {
		t.Fatal(err)
	}
	out, err := shell(tunnel(t, home)+" --password-file password append src '{mail.example.org/user=alice}box'", home).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitPartly {
		t.Errorf("got %v, want exit status %d\n%s", err, exitPartly, out)
	}
	for _, want := range []string{"no more room", "3 found = 1 copied + 0 skipped + 2 failed"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}
