package ops

import (
	"context"
	"errors"

	"mailutil/pkg/mailbox"
)

// Inspect looks at every octet of a mailbox, calls report for each finding, and
// sums up. It writes nothing. A file in no format, which is what a mailbox with
// a damaged beginning is, is shown to all formats: the first that knows it for
// a damaged one of its own looks at it.
func (s *Session) Inspect(ctx context.Context, name string, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	n, d, err := s.find(name)
	if err != nil {
		return mailbox.Inspection{}, err
	}
	if n.Format == "" && formatless(d) {
		for _, other := range s.Drivers {
			c, ok := other.(mailbox.Checker)
			if !ok || formatless(other) {
				continue
			}
			in, err := c.Inspect(ctx, n, report)
			if unlike(err) {
				continue
			}
			return in, err
		}
	}
	c, ok := d.(mailbox.Checker)
	if !ok {
		return mailbox.Inspection{}, fail("check", name, mailbox.ErrUnsupported)
	}
	return c.Inspect(ctx, n, report)
}

// formatless reports whether d takes what has no format.
func formatless(d mailbox.Driver) bool { return d.Name() == "phile" || d.Name() == "dummy" }

// unlike reports whether err says that a file is not, and was not, in a format.
func unlike(err error) bool {
	for _, kind := range []error{mailbox.ErrFormat, mailbox.ErrNotExist, mailbox.ErrNotMailbox} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
