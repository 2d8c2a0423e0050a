package swap

import (
	"context"
	"os"
	"time"
)

// quietPause is how long is waited between two looks.
const quietPause = 20 * time.Millisecond

// Quiet waits until nobody else has the file at path open, no longer than wait.
// Nobody new opens a mailbox that has lost its name, so that what is in it then
// is all that ever will be. It reports whether that is so; true also for a
// directory, and where the system cannot tell.
func Quiet(ctx context.Context, path string, wait time.Duration) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close() // only looked at
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return err == nil, err
	}
	tick := time.NewTicker(quietPause)
	defer tick.Stop()
	for end := time.Now().Add(wait); ; {
		if open, known := openElsewhere(f); !open || !known {
			return true, nil
		}
		if time.Now().After(end) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-tick.C:
		}
	}
}
