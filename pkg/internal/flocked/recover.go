package flocked

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/mailbox"
)

// FinishChange finishes an interrupted change of f, on which the caller holds
// the temp lock, exclusively, and the shared lock. Appends and marks are
// finished whoever has the mailbox open, as they were begun.
func (o Files) FinishChange(f fsx.File) (did bool, err error) {
	pending, err := journal.Pending(f.Name(), o.Journal())
	if !pending || err != nil {
		return false, err
	}
	moves, err := journal.Moves(f.Name(), o.Journal())
	if err != nil {
		return false, err
	}
	var text string
	ok := true
	if moves { // others must not have the mailbox open
		ok, err = TryExclusive(f)
	}
	if ok {
		text, err = o.finishAt(f.Name())
	} else if err == nil {
		err = fmt.Errorf("%w: %w", mailbox.ErrBusy, journal.ErrUnfinished)
	}
	if text != "" {
		o.Env.Notify(mailbox.Warn, text)
	}
	return ok, errors.Join(err, o.Share(context.Background(), f))
}

// finishAt opens the file for writing, whatever the caller has it open for.
func (o Files) finishAt(path string) (string, error) {
	f, err := o.FS.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", fmt.Errorf("%w: %w", journal.ErrUnfinished, err)
	}
	text, err := journal.Recover(f, o.Journal())
	return text, errors.Join(err, f.Close())
}

// CutTail moves the octets [pos, size), the end of f, to NAME.lost.
func (o Files) CutTail(f fsx.File, pos, size int64) error {
	lost := f.Name() + ".lost"
	if err := o.saveLost(lost, f, pos, size-pos); err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(pos), f.Sync()); err != nil {
		return err
	}
	o.Env.Notify(mailbox.Warn, fmt.Sprintf("%s ended with %d octets that are no whole message; they are in %s now",
		f.Name(), size-pos, lost))
	return nil
}

// saveLost adds n octets of f to the end of the file at path, durably.
func (o Files) saveLost(path string, f io.ReaderAt, off, n int64) error {
	to, err := o.FS.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	fi, err := to.Stat()
	if err == nil {
		_, err = fsx.Copy(io.NewOffsetWriter(to, fi.Size()), io.NewSectionReader(f, off, n), nil)
	}
	if err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	return o.FS.SyncDir(filepath.Dir(path))
}
