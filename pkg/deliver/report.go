package deliver

import (
	"fmt"
	"io"

	"mailutil/pkg/internal/syslog"
)

// The levels of what is said.
const (
	levelError   = syslog.Error
	levelWarning = syslog.Warning
	levelNotice  = syslog.Notice
	levelInfo    = syslog.Info
	levelDebug   = syslog.Debug
)

// A log says what happens: to the system's log, and to standard error all but
// what is for debugging, unless that is asked for.
type log struct {
	debug bool
	out   io.Writer
	sys   *syslog.Log
}

func newLog(ident string, debug bool, out io.Writer) *log {
	return &log{debug: debug, out: out, sys: syslog.Dial(ident)}
}

func (l *log) say(at syslog.Level, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if at <= levelInfo || l.debug {
		fmt.Fprintln(l.out, printable(text)) // who does not read it does not want it
	}
	l.sys.Say(at, text)
}

func printable(text string) string { return syslog.Printable(text) }
