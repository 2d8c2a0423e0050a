//go:build !linux

package lock

import "golang.org/x/sys/unix"

// kernelHolders is not known here.
func kernelHolders(unix.Stat_t, ...string) []Holder { return nil }

// command is not known here.
func command(int) string { return "" }

// kernelLocks is not known here.
func kernelLocks(unix.Stat_t) []Lock { return nil }
