package fsx

import (
	"errors"
	"sync"
)

// behindStep is how much is written before the disk is told to begin.
const behindStep = 8 << 20

// A Behind lets the disk work while a large file is still being written, front
// to back, so that the Sync at the end has little left to do.
type Behind struct {
	f       File
	started int64 // writing began up to here
}

// NewBehind returns a Behind for f, of which the octets from off on are to be
// written.
func NewBehind(f File, off int64) *Behind { return &Behind{f, off} }

// Wrote says that f has been written up to end.
func (b *Behind) Wrote(end int64) {
	if end-b.started >= behindStep {
		startWriteback(b.f, b.started, end-b.started)
		b.started = end
	}
}

// waiters is how many files are waited for at a time.
const waiters = 16

// SyncAll makes files durable. The disk is told of all of them before the first
// is waited for, and several are waited for at a time, so that their flushes of
// the disk's cache become one: many small files cost little more than one.
func SyncAll(files []File) error {
	if len(files) > 1 {
		for _, f := range files {
			if fi, err := f.Stat(); err == nil {
				startWriteback(f, 0, fi.Size())
			}
		}
	}
	var all sync.WaitGroup
	next, errs := make(chan int), make([]error, len(files))
	for range atOnce(files) {
		all.Go(func() {
			for i := range next {
				errs[i] = files[i].Sync()
			}
		})
	}
	for i := range files {
		next <- i
	}
	close(next)
	all.Wait()
	return errors.Join(errs...)
}

// atOnce is how many of files are waited for at a time: those of tests, which
// count the calls, one by one.
func atOnce(files []File) int {
	for _, f := range files {
		if _, real := f.(osFile); !real {
			return 1
		}
	}
	return min(waiters, len(files))
}
