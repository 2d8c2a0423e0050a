package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The original delivers into a mailbox that is converted to and fro meanwhile.
// What it says it has delivered is there, once. It finds the format before it
// waits for locks: most often it then refuses another, but sometimes it adds what
// it has in the format that was, behind the last message, of which it becomes
// part. Nobody can keep it from that, but no octet may be lost.
func TestConversionUnderTheOriginal(t *testing.T) {
	const original, deliveries = "/usr/bin/mailutil", 30
	if testing.Short() {
		t.Skip("slow")
	}
	if out, _ := exec.Command(original).CombinedOutput(); !strings.Contains(string(out), "2007f") {
		t.Skip("the original is not installed")
	}
	home := testHome(t)
	bin := filepath.Join(filepath.Dir(home), "ours")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	run := func(name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = home, []string{"HOME=" + home, "PATH=/usr/bin:/bin"}
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: plainUID, Gid: plainGID}}
		}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	done, stop := context.WithCancel(t.Context())
	conversions := 0
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ; done.Err() == nil; conversions++ {
			run(bin, "--quiet", "--lock-timeout", "0", "convert", "--to", []string{"mbx", "unix"}[conversions%2], "--no-keep-original", "src") // or it is busy
		}
	}()
	delivered := map[string]bool{}
	for i := range deliveries {
		id := fmt.Sprintf("<n%d@x>", i)
		text := fmt.Sprintf("From a@b Mon Jan  1 10:00:00 2024\nSubject: x\nMessage-ID: %s\n\nx\n\n", id)
		must(t, os.WriteFile(filepath.Join(home, "one"), []byte(text), 0o644))
		_, err := run(original, "append", "one", "src")
		delivered[id] = err == nil
	}
	stop()
	<-ended
	out, err := run(bin, "list", "--fields", "message-id", "src")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	raw, err := os.ReadFile(filepath.Join(home, "src"))
	must(t, err)
	for id, ok := range delivered {
		n := strings.Count(out, id)
		if ok && n == 0 && strings.Count(string(raw), id) == 1 {
			t.Logf("%s became part of another message", id)
		} else if ok && n != 1 || n > 1 {
			t.Errorf("%s: delivered is %v, and it is there %d times", id, ok, n)
		}
	}
	t.Logf("%d conversions, mailbox\n%s", conversions, out)
}
