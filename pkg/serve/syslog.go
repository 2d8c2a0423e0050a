package serve

import (
	"strings"

	"mailutil/pkg/internal/syslog"
)

// SystemLog returns a Log for Options that says everything to the log of the
// system, as mail matters.
func SystemLog() func(session int64, line string) {
	log := syslog.Dial("mailutil")
	return func(_ int64, line string) { log.Say(levelOf(line), line) }
}

// levelOf is the severity that the original gives a line.
func levelOf(line string) syslog.Level {
	switch {
	case strings.Contains(line, " service init from "):
		return syslog.Debug
	case strings.HasPrefix(line, "Login disabled "), strings.HasPrefix(line, "Login excessive "), strings.HasPrefix(line, "Login failed "):
		return syslog.Notice
	case strings.HasPrefix(line, "session "):
		return syslog.Warning
	}
	return syslog.Info
}
