package ops

import (
	"context"
	"fmt"
	"io"
	"iter"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/search"
)

// A Filter says which messages are wanted: those that meet all of it.
type Filter struct {
	Criteria *search.Criteria // nil: any
	Octets   []byte           // somewhere in the text, as it stands; none: any
}

// A View is a mailbox that is open to be read, and the messages in it that a
// Filter lets through. It never alters the mailbox.
type View struct {
	mb      mailbox.Mailbox
	env     *mailbox.Env
	status  mailbox.Status
	matcher *search.Matcher
	octets  *octetFinder

	content mailbox.Content // of the message last yielded, nil when not opened
	lf      lfWriter        // its buffer serves one message after the other
}

// View opens a mailbox read-only.
func (s *Session) View(ctx context.Context, name string, f Filter) (*View, error) {
	mb, err := s.open(ctx, name, mailbox.ReadOnly)
	if err != nil {
		return nil, err
	}
	v := &View{mb: mb, env: s.Env, status: mb.Status()}
	if f.Criteria != nil && !f.Criteria.Empty() {
		v.matcher = search.NewMatcher(f.Criteria, v.status)
	}
	if len(f.Octets) > 0 {
		v.octets = &octetFinder{want: f.Octets}
	}
	return v, nil
}

// Status is that of the mailbox when it was opened.
func (v *View) Status() mailbox.Status { return v.status }

// Close closes the mailbox.
func (v *View) Close() error { return v.mb.Close() }

// Messages yields the messages that the filter lets through, in order, and
// ends after an error.
func (v *View) Messages(ctx context.Context) iter.Seq2[mailbox.Message, error] {
	return func(yield func(mailbox.Message, error) bool) {
		for m, err := range v.mb.Messages(mailbox.All) {
			wanted := false
			v.content = nil
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				wanted, err = v.wants(m)
			}
			if (wanted || err != nil) && (!yield(m, err) || err != nil) {
				return
			}
		}
	}
}

// wants reports whether the filter lets m through.
func (v *View) wants(m mailbox.Message) (bool, error) {
	if v.matcher != nil {
		if v.matcher.Endless() {
			v.matcher.Ends(v.mb.Status())
		}
		ok, err := v.matcher.Match(m, func() (mailbox.Content, error) { return v.open(m) })
		if err != nil {
			return false, inMessage(m, err)
		}
		if !ok {
			return false, nil
		}
	}
	if v.octets == nil {
		return true, nil
	}
	text, err := v.reopen(m)
	if err != nil {
		return false, inMessage(m, err)
	}
	ok, err := v.octets.in(text)
	return ok, inMessage(m, err)
}

// open opens a message once. It may have been read: only its header is good.
func (v *View) open(m mailbox.Message) (mailbox.Content, error) {
	if v.content == nil {
		return v.reopen(m)
	}
	return v.content, nil
}

// reopen opens a message to be read from its beginning.
func (v *View) reopen(m mailbox.Message) (mailbox.Content, error) {
	c, err := v.mb.Open(m.Seq)
	if err == nil {
		v.content = c
	}
	return c, err
}

// Text gives the text of the message that Messages has yielded last.
func (v *View) Text(m mailbox.Message) (io.Reader, error) {
	c, err := v.reopen(m)
	return c, inMessage(m, err)
}

// header gives the header block of the message that was yielded last.
func (v *View) header(m mailbox.Message) ([]byte, error) {
	c, err := v.open(m)
	if err != nil {
		return nil, inMessage(m, err)
	}
	head, err := c.Header()
	return head, inMessage(m, err)
}

// inMessage says which message an error is about; nil stays nil.
func inMessage(m mailbox.Message, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("message %d: %w", m.Seq, err)
}
