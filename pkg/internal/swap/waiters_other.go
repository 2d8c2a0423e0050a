//go:build !linux

package swap

// Waiters sees nobody here.
type Waiters struct{}

// Watch begins to look at the directory of path.
func Watch(string) *Waiters { return &Waiters{} }

// Came reports whether anybody has tried to get the lock file.
func (*Waiters) Came() bool { return false }

// Close ends it.
func (*Waiters) Close() {}
