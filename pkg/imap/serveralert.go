package imap

import (
	"io"
	"os"
	"strings"
	"time"
)

// The original looks for news of its administrator each minute.
const alertTime = time.Minute

// maxAlert is how much of a file is shown.
const maxAlert = 64 << 10

// alerts is what of those a client has seen.
type alerts struct {
	looked  time.Time
	shown   map[string]time.Time // by file: when it was changed
	closing bool                 // the client knows that the server will go away
}

// alert tells who is logged in what is new in the files of Alerts, once for
// each change, and that NoLogin has appeared; a minute after that it ends the
// session.
func (s *Server) alert() {
	every := s.AlertTime
	if every == 0 {
		every = alertTime
	}
	if s.User == "" || time.Since(s.alerts.looked) < every {
		return
	}
	s.alerts.looked = time.Now()
	for _, name := range s.Alerts {
		s.showAlert(name)
	}
	switch {
	case !s.isClosed():
		s.alerts.closing = false
	case s.alerts.closing:
		s.untagged("BYE Server shutting down")
		s.bye = true
	default:
		s.untagged("OK [ALERT] Server shutting down shortly")
		s.alerts.closing = true
	}
}

// isClosed reports whether nobody is let in now.
func (s *Server) isClosed() bool {
	if s.NoLogin == "" {
		return false
	}
	_, err := os.Stat(s.NoLogin)
	return err == nil
}

// showAlert shows the lines of a file that has changed. One that cannot be read
// is none.
func (s *Server) showAlert(name string) {
	fi, err := os.Stat(name)
	if err != nil || !fi.Mode().IsRegular() || !fi.ModTime().After(s.alerts.shown[name]) {
		return
	}
	f, err := os.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxAlert))
	if err != nil {
		return
	}
	if s.alerts.shown == nil {
		s.alerts.shown = map[string]time.Time{}
	}
	s.alerts.shown[name] = fi.ModTime()
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			s.untagged("OK [ALERT] %s", oneLine(line))
		}
	}
}
