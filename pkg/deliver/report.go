package deliver

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A level is a severity of syslog, RFC 5424, 6.2.1.
type level int

const (
	levelError   level = 3
	levelWarning level = 4
	levelNotice  level = 5
	levelInfo    level = 6
	levelDebug   level = 7
)

const facilityMail = 2 << 3

// maxLine is how much of a line is said: names come from strangers.
const maxLine = 1000

// A log says what happens: to the system's log, and to standard error all but
// what is for debugging, unless that is asked for.
//
// It speaks to /dev/log itself, a datagram a line: package log/syslog would
// bring the whole of package net into a program with privileges. No log, or one
// that does not take a line at once, is no reason to hold up mail.
type log struct {
	ident string
	debug bool
	out   io.Writer
	fd    int // socket, -1 for none
}

func newLog(ident string, debug bool, out io.Writer) *log {
	return &log{ident: ident, debug: debug, out: out, fd: dialLog("/dev/log")}
}

// dialLog returns a socket connected to the log at path, -1 for none.
func dialLog(path string) int {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		return -1
	}
	unix.CloseOnExec(fd)
	err = unix.SetNonblock(fd, true)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1
	}
	return fd
}

func (l *log) say(at level, format string, args ...any) {
	text := printable(fmt.Sprintf(format, args...))
	if at <= levelInfo || l.debug {
		fmt.Fprintln(l.out, text) // who does not read it does not want it
	}
	if l.fd >= 0 {
		line := fmt.Sprintf("<%d>%s %s[%d]: %s", facilityMail|int(at), time.Now().Format(time.Stamp), l.ident, os.Getpid(), text)
		_, _ = unix.Write(l.fd, []byte(line))
	}
}

// printable makes one line of a text, without control characters, at most
// maxLine octets long.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return '?'
		}
		return r
	}, text)
	if len(text) > maxLine {
		return text[:maxLine] + "..."
	}
	return text
}
