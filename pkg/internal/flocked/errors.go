package flocked

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"mailutil/pkg/internal/fsx"
	"mailutil/pkg/internal/journal"
	"mailutil/pkg/internal/node"
	"mailutil/pkg/lock"
	"mailutil/pkg/mailbox"
)

// Fail makes err an *Error about n. One that is an *Error gets what it lacks.
func (o Files) Fail(op string, n mailbox.Name, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*mailbox.Error](err); ok {
		if e.Op != "" {
			return err // about another mailbox, such as the source of a copy
		}
		said := *e
		said.Op, said.Driver, said.Name = op, o.Format, n.Text
		return &said
	}
	return &mailbox.Error{Op: op, Driver: o.Format, Name: n.Text, Off: -1, Err: Classify(err)}
}

// Classify puts the kinds of package mailbox over errors of others.
func Classify(err error) error {
	kind := func(k error) error {
		if errors.Is(err, k) {
			return err
		}
		return fmt.Errorf("%w: %w", k, err)
	}
	switch {
	case errors.Is(err, lock.ErrBusy), errors.Is(err, fsx.ErrInUse):
		return kind(mailbox.ErrBusy)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return kind(mailbox.ErrOverQuota)
	case errors.Is(err, journal.ErrUnfinished), errors.Is(err, lock.ErrUnsafe):
		return kind(mailbox.ErrTemporary)
	case errors.Is(err, fs.ErrExist):
		return kind(mailbox.ErrExist)
	case node.Gone(err):
		return kind(mailbox.ErrNotExist)
	}
	return err
}

// MayNotWrite reports whether err says that a file can only be read.
func MayNotWrite(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// Damage makes the error of damage at off, in the original's words.
func Damage(off int64, format string, args ...any) error {
	e := mailbox.Sayf(mailbox.ErrCorrupt, format, args...)
	e.Off = off
	return e
}

// Shrank is the error of a mailbox that somebody cut.
func Shrank(old, now int64) error {
	e := mailbox.Sayf(mailbox.ErrChanged, "Mailbox shrank from %d to %d!", old, now)
	e.Off = now
	return e
}
