package fsx

import (
	"errors"
	"sync"
)

// waiters is how many files are waited for at a time.
const waiters = 16

// SyncAll makes files durable. The disk is told of all of them before the first
// is waited for, and several are waited for at a time, so that their flushes of
// the disk's cache become one: many small files cost little more than one.
func SyncAll(files []File) error {
	if len(files) == 1 { // as a delivery has it
		return files[0].Sync()
	}
	for _, f := range files {
		startWriteback(f, 0, 0)
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
