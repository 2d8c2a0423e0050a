package ops

import (
	"context"
	"errors"

	"mailutil/pkg/mailbox"
)

// Inspect looks at every octet of a mailbox, calls report for each finding, and
// sums up. It writes nothing.
func (s *Session) Inspect(ctx context.Context, name string, report func(mailbox.Finding) error) (in mailbox.Inspection, err error) {
	err = s.anyFormat(ctx, "check", name, func(d mailbox.Driver, n mailbox.Name) (bool, error) {
		c, ok := d.(mailbox.Checker)
		if !ok {
			return false, nil
		}
		in, err = c.Inspect(ctx, n, report)
		return true, err
	})
	return in, err
}

// formatless reports whether d takes what has no format.
func formatless(d mailbox.Driver) bool { return d.Name() == anyFile || d.Name() == "dummy" }

// unlike reports whether err says that a file is not, and was not, in a format.
func unlike(err error) bool {
	for _, kind := range []error{mailbox.ErrFormat, mailbox.ErrNotExist, mailbox.ErrNotMailbox} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
