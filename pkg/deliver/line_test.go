package deliver

import (
	"io"
	"strings"
	"testing"

	"mailutil/pkg/exit"
)

// --compat folds all failures into one, as the original does, but for those
// that it has itself.
func TestCompat(t *testing.T) {
	p := Program{Fixed: []exit.Status{exit.CantCreate}}
	for s, want := range map[exit.Status]int{exit.OK: 0, exit.Usage: 75, exit.NoUser: 75, exit.CantCreate: 73, exit.TempFail: 75} {
		if got := p.status(&Line{compat: true}, s); got != want {
			t.Errorf("%d: got %d, want %d", s, got, want)
		}
		if got := p.status(&Line{}, s); got != int(s) {
			t.Errorf("%d: got %d", s, got)
		}
	}
}

// One sender, whichever letter it is given by.
func TestSwitchTwice(t *testing.T) {
	for _, said := range []string{"", "-f or -r"} {
		l := &Line{}
		sender := l.Sender(said)
		own := map[string]Switch{"-f": sender, "-r": sender}
		want := map[string]string{"": "duplicate -r", "-f or -r": "duplicate -f or -r"}[said]
		if err := l.Parse([]string{"-f", "a", "-r"}, own); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A program that panics has not refused the message.
func TestPanic(t *testing.T) {
	p := Program{Name: "tmail", Parse: func(*Line, []string) error { panic("no such thing") }}
	var stderr strings.Builder
	if got := p.Run([]string{"tmail"}, nil, io.Discard, &stderr); got != 75 || stderr.String() != "internal error: no such thing\n" {
		t.Errorf("got status %d, %q", got, stderr.String())
	}
}
