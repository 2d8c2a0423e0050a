package serve

import (
	"testing"

	"mailutil/pkg/internal/syslog"
)

// Severities are those of the original, so that filters on them still hold.
func TestLevels(t *testing.T) {
	for line, want := range map[string]syslog.Level{
		"imap service init from 127.0.0.1":                   syslog.Debug,
		"Login user=alice host=localhost [127.0.0.1]":        syslog.Info,
		"Login failed user=alice auth=alice host=[1.2.3.4]":  syslog.Notice,
		"Login disabled user=x auth=x host=[1.2.3.4]":        syslog.Notice,
		"Killed (lost mailbox lock) user=x host=UNKNOWN":     syslog.Info,
		"session ended by a bug, please report it: index":    syslog.Warning,
		"Login excessive login failures user=a auth=a host=": syslog.Notice,
	} {
		if got := levelOf(line); got != want {
			t.Errorf("%s: got %d, want %d", line, got, want)
		}
	}
}
