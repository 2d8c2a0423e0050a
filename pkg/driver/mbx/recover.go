package mbx

import (
	"errors"
	"fmt"
	"os"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/mailbox"
)

// finishChange finishes a change that was interrupted. The caller holds the
// temp lock.
func (b *box) finishChange() error {
	did, err := b.d.finishChange(b.f)
	if did {
		b.sweep = true
	}
	return err
}

// finishChange finishes an interrupted change of f, on which the caller holds
// the temp lock and the shared lock. Appends and marks are finished whoever has
// the mailbox open, as they were begun.
func (d *Driver) finishChange(f fsx.File) (did bool, err error) {
	pending, err := journal.Pending(f.Name(), d.journal())
	if !pending || err != nil {
		return false, err
	}
	moves, err := journal.Moves(f.Name(), d.journal())
	if err != nil {
		return false, err
	}
	var text string
	ok := true
	if moves { // others must not have the mailbox open
		ok, err = tryExclusive(f)
	}
	if ok {
		text, err = d.finishAt(f.Name())
	} else if err == nil {
		err = fmt.Errorf("%w: %w", mailbox.ErrBusy, journal.ErrUnfinished)
	}
	if text != "" {
		d.env.Notify(mailbox.Warn, text)
	}
	return ok, errors.Join(err, d.share(bg, f))
}

// finishAt opens the file for writing, whatever the caller has it open for.
func (d *Driver) finishAt(path string) (string, error) {
	f, err := d.FS.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", fmt.Errorf("%w: %w", journal.ErrUnfinished, err)
	}
	text, err := journal.Recover(f, d.journal())
	return text, errors.Join(err, f.Close())
}
