package fsx

import "testing"

// SetInFlight lets a test do with few files.
func SetInFlight(t *testing.T, n int) {
	was := inFlight
	inFlight = n
	t.Cleanup(func() { inFlight = was })
}
