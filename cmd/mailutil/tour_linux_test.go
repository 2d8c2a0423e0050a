package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// readmeLine finds the line of the readme that begins so.
func readmeLine(t *testing.T, start string) string {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, start) {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("no line of the readme begins with %q", start)
	return ""
}

// inTree is a command line of the readme in the tree that it speaks of.
func inTree(tree, line string) *exec.Cmd {
	cmd := shell("exec "+line, filepath.Dir(tree))
	cmd.Dir = tree
	cmd.Env = append(cmd.Env, "TERM=vt100")
	return cmd
}

// What the readme says that curl does with the endpoint, it does.
func TestReadmeCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	tree := readmeTree(t)
	if out, err := shell("cd tree && "+readmeLine(t, "printf 'alice"), filepath.Dir(tree)).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().String()
	l.Close()
	here := func(line string) string { return strings.ReplaceAll(line, "127.0.0.1:1143", port) }
	server := inTree(tree, here(strings.TrimSuffix(readmeLine(t, "bin/mailutil serve "), " &")))
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Wait()
	defer server.Process.Signal(syscall.SIGTERM)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "imap "+port+"\n" {
		t.Fatalf("serve says %q, %v", line, err)
	}
	got, err := inTree(tree, here(readmeLine(t, "curl "))).Output()
	if err != nil || !strings.Contains(string(got), "Subject: ") || !strings.Contains(string(got), "\r\n\r\n") {
		t.Errorf("curl: %v\n%s", err, got)
	}
}

// And mutt in a tunnel.
func TestReadmeMutt(t *testing.T) {
	if _, err := exec.LookPath("mutt"); err != nil {
		t.Skip("mutt is not installed")
	}
	master, slave, err := newTerminal()
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	tree := readmeTree(t)
	if err := os.Mkdir(filepath.Join(filepath.Dir(tree), "Mail"), 0o755); err != nil { // else mutt asks for it
		t.Fatal(err)
	}
	cmd := inTree(tree, readmeLine(t, "mutt "))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	err = cmd.Start()
	slave.Close()
	if err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() }) // so that a failure has words
	defer late.Stop()
	shown, said := "", false
	for buf := make([]byte, 4<<10); ; {
		n, err := master.Read(buf)
		if shown += string(buf[:n]); err != nil {
			break // it has ended
		}
		if !said && strings.Contains(shown, "Msgs:5") {
			said = true
			io.WriteString(master, "q")
		}
	}
	if err := cmd.Wait(); err != nil || !said {
		t.Errorf("mutt: %v\n%q", err, shown)
	}
}
