package fsx

import "errors"

// togetherMin is how many files are made durable together rather than one after
// the other.
const togetherMin = 32

// SyncAll makes files durable. The disk is told of all of them before the first
// is waited for; where the system can, one flush of its cache is for all of
// them, so that many small files cost little more than one.
func SyncAll(files []File) error {
	if len(files) > 1 {
		for _, f := range files {
			startWriteback(f, 0, 0)
		}
	}
	if len(files) >= togetherMin {
		if done, err := syncTogether(files); done {
			return err
		}
	}
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Sync())
	}
	return errors.Join(errs...)
}
