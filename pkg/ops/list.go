package ops

import (
	"context"
	"iter"
	"strings"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/rfc822"
)

// An Entry is a line of a list: a message and fields of its header.
type Entry struct {
	mailbox.Message
	Header []string // in the order that was asked for; "" for a field that is not there
}

// List yields the messages of v with the named header fields, decoded. The
// header is read only when a field is asked for, the body never, unless the
// filter looks at it.
func (v *View) List(ctx context.Context, fields ...string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for m, err := range v.Messages(ctx) {
			e := Entry{Message: m}
			if err == nil && len(fields) > 0 {
				var head []byte
				head, err = v.header(m)
				e.Header = pick(head, fields)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// pick decodes the first field of each name.
func pick(head []byte, names []string) []string {
	out := make([]string, len(names))
	found := make([]bool, len(names))
	left := len(names)
	for name, raw := range rfc822.Fields(head) {
		for i, want := range names {
			if !found[i] && strings.EqualFold(want, string(name)) {
				out[i], found[i] = rfc822.Decode(raw), true
				left--
			}
		}
		if left == 0 {
			break
		}
	}
	return out
}
