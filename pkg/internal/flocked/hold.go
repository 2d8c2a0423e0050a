package flocked

import (
	"context"
	"errors"
	"fmt"
	"os"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Hold opens the file at path under both locks, exclusively, with whatever was
// interrupted finished. Releasing held and closing f gives them up. ErrBusy where
// another has it open.
func (o Files) Hold(ctx context.Context, path string) (f fsx.File, held lock.Held, err error) {
	f, held, err = o.OpenLocked(ctx, path, os.O_RDWR, lock.Exclusive)
	if err != nil {
		return nil, nil, err
	}
	_, err = o.FinishChange(f)
	if err == nil {
		var ok bool
		if ok, err = TryExclusive(f); err == nil && !ok {
			err = fmt.Errorf("%w: %w", mailbox.ErrBusy, o.busy(f.Name()))
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, held.Release(), f.Close())
	}
	return f, held, nil
}

// busy names who has the file at path open, besides us.
func (o Files) busy(path string) error {
	e := &lock.BusyError{Path: path}
	for _, h := range lock.Holders(path, o.Locks()) {
		if h.PID != os.Getpid() {
			e.Holder = h
			break
		}
	}
	return e
}
