package syslog

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Skip(err) // the path may be too long for a socket
	}
	dial("tmail", path).Say(Info, "a\nb\x00"+strings.Repeat("x", 5000))
	b := make([]byte, 8192)
	n, err := unix.Read(fd, b)
	if err != nil {
		t.Fatal(err)
	}
	got := string(b[:n])
	if !strings.HasPrefix(got, "<22>") || !strings.Contains(got, " tmail[") || !strings.Contains(got, "]: a?b?xxx") || n > 1100 {
		t.Errorf("got %.100q of %d octets", got, n)
	}
}

// Without a log nothing happens, and nothing waits.
func TestNoLog(t *testing.T) {
	dial("tmail", filepath.Join(t.TempDir(), "none")).Say(Error, "x")
}
