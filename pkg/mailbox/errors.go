package mailbox

import (
	"errors"
	"fmt"
)

// What can be wrong. Match with errors.Is.
var (
	ErrNotExist    = errors.New("no such mailbox")              // nothing has that name
	ErrExist       = errors.New("mailbox already exists")       // the name is taken
	ErrBusy        = errors.New("in use by another process")    // a lock could not be had in time
	ErrReadOnly    = errors.New("mailbox is read-only")         // it was opened so, or nobody may write to it
	ErrFormat      = errors.New("not in valid mailbox format")  // no driver, or not this one, knows the octets
	ErrCorrupt     = errors.New("mailbox is damaged")           // Error.Off says where
	ErrName        = errors.New("invalid name")                 // a name that no mailbox can have here
	ErrOverQuota   = errors.New("over quota")                   // disk or quota full; nothing was stored
	ErrTemporary   = errors.New("temporary failure")            // try again later
	ErrUnsupported = errors.New("not possible in this format")  // the format has no such ability
	ErrChanged     = errors.New("mailbox changed while in use") // somebody else wrote to it
	ErrNotMailbox  = errors.New("not a selectable mailbox")     // a directory or the like
)

// An Error is a failure with one mailbox, in the shape of fs.PathError.
type Error struct {
	Op     string // "open", "append", ...
	Driver string // format, "" when not known
	Name   string // mailbox as the user wrote it, or its path
	Off    int64  // octet offset in the file, -1 when unknown; ErrCorrupt always has it
	Err    error  // one of the above, or wraps one, or the system's error

	// Said is the whole sentence that the original tools print for this
	// failure, and scripts may match; "" where they have none.
	Said string
}

// Error returns Said where there is one, else "op name: [at octet n: ]reason".
func (e *Error) Error() string {
	if e.Said != "" {
		return e.Said
	}
	where := ""
	if e.Off >= 0 {
		where = fmt.Sprintf("octet %d: ", e.Off)
	}
	return fmt.Sprintf("%s %s: %s%v", e.Op, e.Name, where, e.Err)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Sayf returns an Error of the given kind whose text is the given sentence.
func Sayf(kind error, format string, args ...any) *Error {
	return &Error{Off: -1, Err: kind, Said: fmt.Sprintf(format, args...)}
}
