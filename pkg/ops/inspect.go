package ops

import (
	"context"
	"errors"

	"mailutil/pkg/mailbox"
)

// Inspect looks at every octet of a mailbox, calls report for each finding, and
// sums up. It writes nothing. A mailbox with a damaged beginning is a file in
// no format, or, for an mbx mailbox without its first block, of another: such
// files are shown to all formats, and the first that knows one for a damaged
// one of its own looks at it.
func (s *Session) Inspect(ctx context.Context, name string, report func(mailbox.Finding) error) (mailbox.Inspection, error) {
	n, d, err := s.find(name)
	if err != nil {
		return mailbox.Inspection{}, err
	}
	c, ok := d.(mailbox.Checker)
	if n.Format == "" && (!ok || formatless(d)) {
		for _, other := range s.Drivers {
			o, is := other.(mailbox.Checker)
			if !is || formatless(other) {
				continue
			}
			in, err := o.Inspect(ctx, n, report)
			if unlike(err) {
				continue
			}
			return in, err
		}
	}
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
