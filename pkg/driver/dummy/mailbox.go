package dummy

import (
	"errors"
	"fmt"
	"iter"

	"mailutil/pkg/mailbox"
)

// An empty is an open mailbox that has nothing in it.
type empty struct {
	d        *Driver
	name     mailbox.Name
	readOnly bool
	validity uint32
	closed   bool
}

var _ mailbox.Mailbox = (*empty)(nil)

var errClosed = errors.New("mailbox is closed")

// Status counts nothing.
func (e *empty) Status() mailbox.Status {
	return mailbox.Status{
		Driver: e.d.Name(), Path: e.d.path(e.name), UIDValidity: e.validity, UIDNext: 1, ReadOnly: e.readOnly,
	}
}

// Messages yields nothing.
func (e *empty) Messages(mailbox.Set) iter.Seq2[mailbox.Message, error] {
	return func(func(mailbox.Message, error) bool) {}
}

// Open fails: there is no message.
func (e *empty) Open(seq uint32) (mailbox.Content, error) {
	return nil, fmt.Errorf("no message %d", seq)
}

// writable returns an error on a session that may not write.
func (e *empty) writable(op string) error {
	switch {
	case e.closed:
		return errClosed
	case e.readOnly:
		return e.d.fail(op, e.name, mailbox.ErrReadOnly)
	}
	return nil
}

// Store has nothing to do.
func (e *empty) Store(mailbox.Set, mailbox.FlagOp, mailbox.FlagList) error {
	return e.writable("store")
}

// Expunge has nothing to do.
func (e *empty) Expunge(mailbox.Set) (int, error) { return 0, e.writable("expunge") }

// Ping returns ErrChanged once there is something in the file: it has a format
// then, and must be opened again.
func (e *empty) Ping() (bool, error) {
	if e.closed {
		return false, errClosed
	}
	fi, err := e.d.stat("ping", e.name)
	if err != nil {
		return false, err
	}
	gone := fi == nil && !isInbox(e.name)
	if gone || fi != nil && fi.Size() > 0 {
		return false, e.d.fail("ping", e.name, mailbox.ErrChanged)
	}
	return false, nil
}

// Close has nothing to write.
func (e *empty) Close() error {
	e.closed = true
	return nil
}
