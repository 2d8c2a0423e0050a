package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"mailutil/pkg/ops"
)

// progressAfter is how long work takes before its progress is shown; tests do
// not wait.
var progressAfter = time.Second

// A meter shows on a terminal how far long work is.
type meter struct {
	w     io.Writer
	name  string // of the mailbox
	began time.Time
	bar   *progressbar.ProgressBar // nil until the work is long
}

// newMeter returns nil where progress is not to be shown.
func (c *cli) newMeter(name string) *meter {
	f, ok := c.err.(*os.File)
	if !ok || c.opt.quiet || c.opt.json || c.opt.noProgress || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &meter{w: c.err, name: name, began: time.Now()}
}

// show takes note of progress.
func (m *meter) show(p ops.Progress) {
	if m == nil {
		return
	}
	taken := time.Since(m.began)
	if taken < progressAfter {
		return
	}
	m.begin(p.Total)
	m.bar.Describe(fmt.Sprintf("%s: %s, %s/s", m.name, octets(p.Octets), octets(int64(float64(p.Octets)/taken.Seconds()))))
	m.bar.Set(int(p.Done)) // a terminal that is gone is no failure of the work
}

func (m *meter) begin(total uint32) {
	if m.bar != nil {
		return
	}
	most := int(total)
	if total == 0 { // nobody knows
		most = -1
	}
	m.bar = progressbar.NewOptions(most,
		progressbar.OptionSetWriter(m.w),
		progressbar.OptionSetDescription(m.name),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("msg"),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetWidth(20),
		progressbar.OptionClearOnFinish(),
	)
	m.bar.RenderBlank()
}

// end takes the bar from the terminal.
func (m *meter) end() {
	if m != nil && m.bar != nil {
		m.bar.Clear()
	}
}

// octets writes a number of octets in four digits at most, with a unit.
func octets(n int64) string {
	x, units := float64(n), []string{"B", "kB", "MB", "GB", "TB"}
	for x >= 999.5 && len(units) > 1 {
		x, units = x/1000, units[1:]
	}
	if x < 9.95 && n >= 1000 {
		return fmt.Sprintf("%.1f %s", x, units[0])
	}
	return fmt.Sprintf("%.0f %s", x, units[0])
}
