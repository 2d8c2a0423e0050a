package main

import (
	"errors"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/ops"
)

// Exit statuses. The man page has the same table.
const (
	exitDone   = 0 // what was asked for is done
	exitFailed = 1 // it is not, and nothing was changed
	exitUsage  = 2 // the command line cannot be understood
	exitPartly = 3 // some of it is done; stderr says what is not
)

// A usageError is a command line that cannot be understood. The original
// explains it on standard output, and so do we.
type usageError string

func (e usageError) Error() string { return string(e) }

// A said error has been reported already: only its exit status is left.
type said int

func (said) Error() string { return "reported already" }

// exitStatus returns the status for the outcome of a command.
func exitStatus(err error) int {
	var reported said
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &reported):
		return int(reported)
	case errors.As(err, new(usageError)):
		return exitUsage
	}
	return exitFailed
}

// copyStatus returns the status for the outcome of a copy or a move. A move
// whose source cannot be written to is a failure, though the copy stands: so
// it is in the sense of the command, and the original's 0 has cost mail.
func copyStatus(acc ops.Account, err error) int {
	switch {
	case errors.Is(err, ops.ErrUnproven):
		return exitPartly
	case errors.Is(err, mailbox.ErrReadOnly):
		return exitFailed
	case err != nil && acc.Copied > 0:
		return exitPartly
	case err != nil:
		return exitFailed
	case acc.SourceGrew > 0:
		return exitPartly
	case acc.Failed > 0 || acc.Skipped > 0 || !acc.Balanced():
		return exitPartly
	}
	return exitDone
}
