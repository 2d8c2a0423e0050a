package lock

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"
)

const (
	firstPause    = time.Millisecond
	shortPause    = 10 * time.Millisecond  // longest pause in the first seconds
	dotPause      = 250 * time.Millisecond // longest pause between looks at a dot lock
	kernelPause   = 100 * time.Millisecond // and between tries at a kernel lock
	tellAfter     = 2 * time.Second        // when to say that we wait
	defaultPeriod = 5 * time.Minute        // of the original, for Timeout and Stale
)

// timeout returns how long to wait, 0 for not at all.
func (o Options) timeout() time.Duration {
	if o.Timeout == 0 {
		return defaultPeriod
	}
	return max(o.Timeout, 0)
}

// stale returns the age at which a dot lock is seized.
func (o Options) stale() time.Duration {
	if o.Stale == 0 {
		return defaultPeriod
	}
	return o.Stale
}

// mode returns the mode of lock files.
func (o Options) mode() fs.FileMode {
	if o.Mode == 0 {
		return 0o666
	}
	return o.Mode
}

// say tells the user something.
func (o Options) say(format string, args ...any) {
	if o.Notify != nil {
		o.Notify(fmt.Sprintf(format, args...))
	}
}

// A wait is for one lock.
type wait struct {
	o        Options
	path     string        // what is locked, for messages
	maxPause time.Duration // between two tries
	who      func() Holder // who has it
}

// poll calls try until it says true or fails, the timeout passes or ctx ends.
func (w wait) poll(ctx context.Context, try func() (bool, error)) error {
	start, told := time.Now(), false
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if ok, err := try(); ok || err != nil {
			return err
		}
		waited := time.Since(start)
		left := w.o.timeout() - waited
		if left <= 0 {
			return &BusyError{w.path, w.who(), waited}
		}
		if !told && waited >= tellAfter {
			told = true
			w.o.say("waiting: %s is locked by %s", w.path, w.who())
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(w.pause(waited), left)):
		}
	}
}

// pause is how long to wait before the next try. Mail is delivered within
// milliseconds, so those who wait for each other look often; who has waited
// longer does not look less often than who has just come, but for one who waits
// for seconds, on a program that works on the whole mailbox. No two keep step.
func (w wait) pause(waited time.Duration) time.Duration {
	p := max(min(waited/8, shortPause), waited/100, firstPause)
	p = min(p, w.maxPause)
	return p/2 + rand.N(p)
}
