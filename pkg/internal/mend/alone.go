package mend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"mailutil/pkg/internal/flocked"
	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Alone does a job with the file at path, which has the locks of package
// flocked, if nobody else has it open, and it still is what was looked at
// before. An interrupted change is finished first, which is all then (again).
func Alone(ctx context.Context, o flocked.Files, path string, before fs.FileInfo, pending bool, job func(f fsx.File) *Job) (made mailbox.RepairFiles, again bool, err error) {
	f, held, err := o.OpenLocked(ctx, path, os.O_RDWR, lock.Exclusive)
	if err != nil {
		return made, false, err
	}
	defer func() { err = errors.Join(err, held.Release(), f.Close()) }()
	did, err := o.FinishChange(f)
	if did || err != nil {
		return made, did, err
	}
	ok, err := flocked.TryExclusive(f)
	if err != nil {
		return made, false, err
	}
	if !ok {
		return made, false, InUse(path, o.Locks())
	}
	now, err := f.Stat()
	if err != nil {
		return made, false, err
	}
	if pending || now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()) || !os.SameFile(now, before) {
		return made, false, mailbox.ErrChanged
	}
	made, err = job(f).Run(ctx)
	return made, false, err
}

// InUse is the error that says who has the mailbox.
func InUse(path string, o lock.Options) error {
	who := "another process"
	for _, h := range lock.Holders(path, o) {
		if h.PID != 0 && h.PID != os.Getpid() {
			who = h.String()
			break
		}
	}
	return fmt.Errorf("%w: %s has it open", mailbox.ErrBusy, who)
}
