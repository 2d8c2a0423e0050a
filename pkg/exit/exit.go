// Package exit has the statuses by which delivery agents tell a mail system
// what became of a message: those of sysexits.h that we use, and the one place
// where an error becomes a status.
//
// A mail system sends a message back for good on every status that it knows
// but TempFail. So what is not understood is TempFail: the permanent ones are
// few, and each is set on purpose, by whoever has proven it.
package exit

import "errors"

// A Status is an exit status.
type Status int

// The statuses, as in sysexits.h of 4.3BSD.
const (
	OK         Status = 0  // delivered, durably
	Usage      Status = 64 // the command line cannot be understood
	NoUser     Status = 67 // there is no such user: all that know users have said so
	CantCreate Status = 73 // the quota command refuses the message
	TempFail   Status = 75 // anything else: keep the message and try again
)

// String says what a status means.
func (s Status) String() string {
	switch s {
	case OK:
		return "delivered"
	case Usage:
		return "command line usage error"
	case NoUser:
		return "no such user"
	case CantCreate:
		return "refused by the quota command"
	}
	return "temporary failure"
}

// An Error is a failure that is known to be of a status.
type Error struct {
	Status Status
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// With returns err as a failure of status s.
func With(s Status, err error) error { return &Error{s, err} }

// Of returns the status of the outcome of a delivery: OK for nil, TempFail for
// an error that nobody has given a status.
func Of(err error) Status {
	if err == nil {
		return OK
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Status != OK {
		return e.Status
	}
	return TempFail
}

// Worst returns the status for several recipients of one message that the mail
// system sees as one: TempFail if anyone's is, so that the message is kept,
// else the highest.
func Worst(a, b Status) Status {
	if a == TempFail || b == TempFail {
		return TempFail
	}
	return max(a, b)
}
