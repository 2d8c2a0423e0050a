package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"mailutil/pkg/mailbox"
)

// An operation is what was to be done with a mailbox. The original has its own
// sentence for the failure of each.
type operation int

const (
	opStatus operation = iota
	opOpen
	opCreate
	opNode // to make the file of a new mailbox, which is then the name
	opAppend
	opDelete
	opRename
	opLock
	opRepair
	opConvert
)

// verbs begin the sentence "Can't VERB NAME: REASON".
var verbs = map[operation]string{
	opStatus:  "get status of mailbox",
	opOpen:    "open mailbox",
	opCreate:  "create mailbox",
	opNode:    "create mailbox node",
	opAppend:  "append to mailbox",
	opDelete:  "delete mailbox",
	opRename:  "rename mailbox",
	opLock:    "lock mailbox",
	opRepair:  "repair mailbox",
	opConvert: "convert mailbox",
}

// sentence says that op failed with the mailbox that the user called name.
// Errors that say more than "this, with this mailbox" are ours, and say so.
func sentence(op operation, name string, err error) string {
	e, ok := err.(*mailbox.Error)
	switch {
	case !ok:
		return "mailutil: " + err.Error()
	case errors.Is(e, mailbox.ErrNotMailbox) && op == opStatus:
		return fmt.Sprintf("warning: Can't open %s: not a selectable mailbox", name)
	case op == opStatus && errors.Is(e, mailbox.ErrFormat) && e.Said != "":
		return "warning: " + e.Said
	case e.Said != "" && e.Said != mustCreate:
		return e.Said
	case errors.Is(e, mailbox.ErrNotMailbox) && op == opOpen:
		return fmt.Sprintf("Can't open %s: not a selectable mailbox", name)
	case errors.Is(e, mailbox.ErrNotMailbox) && op == opAppend:
		return "Indeterminate mailbox format: " + name
	case errors.Is(e, mailbox.ErrName):
		return badName(op, name, e)
	}
	return fmt.Sprintf("Can't %s %s: %s", verbs[op], name, reason(e))
}

// badName says that no mailbox can be called so. The name of a rename is
// "OLD to NEW", of which only NEW can be bad.
func badName(op operation, name string, e *mailbox.Error) string {
	bad := e.Err.Error()
	plain := bad == mailbox.ErrName.Error()
	verb := "create"
	if op == opRename {
		verb = "rename to"
	}
	switch {
	case errors.Is(e, mailbox.ErrLineBreak) && (op != opRename || e.Op == "open"):
		return fmt.Sprintf("Can't %s with such a name", verbs[op])
	case errors.Is(e, mailbox.ErrLineBreak):
		return fmt.Sprintf("Can't %s mailbox with such a name", verb)
	case errors.Is(e, mailbox.ErrUnknownDriver), errors.Is(e, mailbox.ErrDriverSyntax), op == opRename && plain:
		return fmt.Sprintf("Can't %s %s: %s", verbs[op], name, bad)
	case op == opAppend:
		return fmt.Sprintf("Can't append to mailbox %s: no such mailbox", name)
	}
	// The original leaves #driver.FORMAT/ out of the name here.
	return fmt.Sprintf("Can't %s %s", verb, nameAndReason(e.Name, bad, plain))
}

// nameAndReason is "NAME: invalid name", or "some worse sort of name: NAME".
func nameAndReason(name, bad string, plain bool) string {
	if plain {
		return name + ": " + bad
	}
	return bad + ": " + name
}

// reason says why, with the place in the file where that is known.
func reason(e *mailbox.Error) string {
	if e.Off >= 0 {
		return fmt.Sprintf("octet %d: %s", e.Off, cause(e.Err))
	}
	return cause(e.Err)
}

// cause says what is behind an error: of a kind and the cause for it, the
// cause; of a system error what C programs print, without the call and the
// path.
func cause(err error) string {
	switch e := err.(type) {
	case *fs.PathError:
		return strerror(e.Err)
	case *os.LinkError:
		return strerror(e.Err)
	case *os.SyscallError:
		return strerror(e.Err)
	case syscall.Errno:
		return strerror(e)
	case interface{ Unwrap() []error }:
		parts := e.Unwrap()
		last := parts[len(parts)-1]
		if len(parts) == 1 || len(parts) == 2 && err.Error() == parts[0].Error()+": "+last.Error() {
			return cause(last)
		}
	}
	return err.Error()
}

// strerror returns the text of a system error as C programs print it.
func strerror(err error) string {
	text := err.Error()
	if errors.As(err, new(syscall.Errno)) && text != "" {
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return text
}

// split takes apart what errors.Join put together; an error that merely names
// several causes in one sentence stays whole.
func split(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || errors.Join(joined.Unwrap()...).Error() != err.Error() {
		return []error{err}
	}
	var out []error
	for _, part := range joined.Unwrap() {
		out = append(out, split(part)...)
	}
	return out
}

// without leaves out the errors of a kind.
func without(err, kind error) error {
	rest := slices.DeleteFunc(split(err), func(e error) bool { return errors.Is(e, kind) })
	return errors.Join(rest...)
}
