// Package syslog says a line to the log of the system, by /dev/log, a datagram a
// line. Package log/syslog of the standard library would bring the whole of
// package net into programs with privileges. No log, or one that does not take
// a line at once, is no reason to hold up mail: nothing here fails or waits.
package syslog

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Level is a severity, RFC 5424, 6.2.1.
type Level int

// The severities that we use.
const (
	Error   Level = 3
	Warning Level = 4
	Notice  Level = 5
	Info    Level = 6
	Debug   Level = 7
)

const facilityMail = 2 << 3

// maxLine is how much of a line is said: names come from strangers.
const maxLine = 1000

// A Log is the system's log under the name of a program.
type Log struct {
	ident string
	fd    int // socket, -1 for none
}

// Dial connects to the log.
func Dial(ident string) *Log { return dial(ident, "/dev/log") }

func dial(ident, path string) *Log {
	l := &Log{ident, -1}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		return l
	}
	unix.CloseOnExec(fd)
	err = unix.SetNonblock(fd, true)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		_ = unix.Close(fd)
		return l
	}
	l.fd = fd
	return l
}

// Say says a line of mail matters.
func (l *Log) Say(at Level, text string) {
	if l.fd < 0 {
		return
	}
	line := fmt.Sprintf("<%d>%s %s[%d]: %s", facilityMail|int(at), time.Now().Format(time.Stamp), l.ident, os.Getpid(), Printable(text))
	_, _ = unix.Write(l.fd, []byte(line))
}

// Printable makes one line of a text, without control characters, of at most
// 1000 octets.
func Printable(text string) string {
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
