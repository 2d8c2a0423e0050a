package deliver_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests run the real programs, with real set-user-id and set-group-id bits,
// for users that exist only here: the test binary starts itself again in a
// mount namespace of its own, in which /home, /var/mail and the password and
// group files are others. All of it is gone with the process. Without root, or
// where there are no such namespaces, they are skipped.

var update = flag.Bool("update", false, "write what the commands print into the transcripts (then review it)")

// inside tells the process that it is in the namespace.
const inside = "DELIVER_WORLD"

// world is why there is none, "" inside.
var noWorld string

// bin has the programs.
var bin = os.Getenv(inside)

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(inside) != "" {
		if err := makeWorld(); err != nil {
			fmt.Println("cannot make a world:", err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	if noWorld = whyNot(); noWorld != "" {
		os.Exit(m.Run())
	}
	dir, err := buildPrograms()
	if err != nil {
		fmt.Println("building the programs:", err)
		os.Exit(1)
	}
	code := again(dir)
	os.RemoveAll(dir)
	os.Exit(code)
}

func whyNot() string {
	if runtime.GOOS != "linux" {
		return "set-uid tests need mount namespaces, which only Linux has"
	}
	if os.Getuid() != 0 {
		return "set-uid tests need root"
	}
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = namespace()
	if err := cmd.Run(); err != nil {
		return "set-uid tests need mount namespaces: " + err.Error()
	}
	return ""
}

func buildPrograms() (string, error) {
	dir, err := os.MkdirTemp("", "mailutil-world-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/",
		"mailutil/cmd/tmail", "mailutil/cmd/dmail", "mailutil/cmd/mlock", "mailutil/cmd/mailutil")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir, os.Chmod(dir, 0o755)
}

// again runs this program in the namespace.
func again(programs string) int {
	self, err := os.Executable()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"="+programs)
	cmd.SysProcAttr = namespace()
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	}
	fmt.Println(err)
	return 1
}

// needWorld skips a test where there is no world.
func needWorld(t *testing.T) {
	t.Helper()
	if noWorld != "" {
		t.Skip(noWorld)
	}
}

// Users of the world.
const (
	aliceUID = 2001
	bobUID   = 2002
	malUID   = 2003 // means no good
	mailGID  = 8
)

const passwd = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
alice:x:2001:2001:Alice:/home/alice:/bin/sh
bob:x:2002:2002:Bob:/home/bob:/bin/sh
mallory:x:2003:2003:Mallory:/home/mallory:/bin/sh
homeless:x:2004:2004:Nobody:/nonexistent:/bin/sh
carol:x:2005:2005:Carol:/home/carol:/bin/sh
joe:x:2006:2006:Joe:/home/joe:/bin/sh
postfix:x:120:120::/var/spool/postfix:/usr/sbin/nologin
Debian-exim:x:122:122::/var/spool/exim4:/usr/sbin/nologin
opensmtpd:x:123:123::/var/lib/opensmtpd/empty:/usr/sbin/nologin
opensmtpq:x:124:124::/var/lib/opensmtpd/empty:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`

const group = `root:x:0:
daemon:x:1:
mail:x:8:
alice:x:2001:
bob:x:2002:
mallory:x:2003:
homeless:x:2004:
carol:x:2005:
joe:x:2006:
friends:x:3000:alice,bob
postfix:x:120:
postdrop:x:121:
Debian-exim:x:122:
opensmtpd:x:123:
opensmtpq:x:124:
nogroup:x:65534:
`

// identity is who a command runs as.
type identity struct{ uid, gid uint32 }

var users = map[string]identity{
	"root": {0, 0}, "daemon": {1, 1}, "alice": {aliceUID, aliceUID}, "bob": {bobUID, bobUID}, "mallory": {malUID, malUID},
	"carol": {2005, 2005}, "joe": {2006, 2006},
}

// clean makes all homes and the spool new; the spool gets this mode.
func clean(t testing.TB, spoolMode os.FileMode) {
	t.Helper()
	for _, dir := range []string{"/home", "/var/mail"} {
		entries, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			must(t, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	for name, id := range users {
		if id.uid < 2000 {
			continue
		}
		home := filepath.Join("/home", name)
		must(t, os.Mkdir(home, 0o755))
		must(t, os.Chown(home, int(id.uid), int(id.gid)))
	}
	must(t, os.Chown("/var/mail", 0, mailGID))
	must(t, syscall.Chmod("/var/mail", uint32(spoolMode)))
	install(t, false)
}

// install makes mlock set-group-id and, if setID, tmail set-user-id. Set-uid
// programs look for mlock in /etc, for one place.
func install(t testing.TB, setID bool) {
	t.Helper()
	modes := map[string]uint32{"tmail": 0o755, "dmail": 0o755, "mailutil": 0o755, "mlock": 0o2755}
	if setID {
		modes["tmail"] = 0o4755
	}
	must(t, os.Chown(bin+"/mlock", 0, mailGID))
	b, err := os.ReadFile(bin + "/mlock")
	must(t, err)
	must(t, os.WriteFile("/etc/mlock", b, 0o755))
	must(t, os.Chown("/etc/mlock", 0, mailGID))
	must(t, syscall.Chmod("/etc/mlock", 0o2755))
	for name, mode := range modes {
		must(t, syscall.Chmod(filepath.Join(bin, name), mode))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A run is how a command ended.
type run struct {
	out, err string
	code     int // exit status, or 128 and the signal
}

// command prepares a command of the world: as the user, in their home.
func command(who string, args ...string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	if filepath.Base(args[0]) == args[0] {
		if p := filepath.Join(bin, args[0]); exists(p) {
			cmd = exec.Command(p, args[1:]...)
			cmd.Args[0] = args[0]
		}
	}
	id := users[who]
	home := "/home/" + who
	if id.uid < 2000 {
		home = "/"
	}
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "PATH=" + bin + ":/usr/bin:/bin", "TZ=UTC"}
	cmd.SysProcAttr = asUser(id)
	return cmd
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// do runs a command with some input. One that hangs is killed.
func do(t testing.TB, cmd *exec.Cmd, input string) run {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &stderr
	must(t, cmd.Start())
	timer := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	if err != nil && !errors.As(err, new(*exec.ExitError)) && !errors.Is(err, syscall.EPIPE) {
		t.Fatal(err)
	}
	r := run{out.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	if st := cmd.ProcessState.Sys().(syscall.WaitStatus); st.Signaled() {
		r.code = 128 + int(st.Signal())
	}
	return r
}

// mail is a message whose Subject is id.
func mail(id string) string {
	return "From: x@example.org\r\nSubject: " + id + "\r\n\r\nbody of " + id + "\r\n"
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}
