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
// filter looks at it. Reading goes on while a message is being looked at: v is
// not to be used before the list has ended.
func (v *View) List(ctx context.Context, fields ...string) iter.Seq2[Entry, error] {
	return ahead(func(yield func(Entry, error) bool) {
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
	})
}

// An aheadBatch is what goes from one goroutine to the other at a time, so that
// their meeting costs little.
const aheadBatch = 64

// ahead runs seq in a goroutine of its own, a few batches ahead of the one that
// takes what it yields. The goroutine has ended when the sequence has. seq ends
// after an error.
func ahead[T any](seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	type batch struct {
		all []T
		err error // behind all
	}
	return func(yield func(T, error) bool) {
		batches := make(chan batch, 4)
		stop := make(chan struct{})
		defer func() {
			close(stop)
			for range batches { // until the goroutine has ended
			}
		}()
		go func() {
			defer close(batches)
			var b batch
			send := func() bool {
				select {
				case batches <- b:
					b.all = nil
					return true
				case <-stop:
					return false
				}
			}
			for v, err := range seq {
				if b.err = err; err != nil {
					break
				}
				if b.all = append(b.all, v); len(b.all) == aheadBatch && !send() {
					return
				}
			}
			send()
		}()
		for b := range batches {
			for _, v := range b.all {
				if !yield(v, nil) {
					return
				}
			}
			if b.err != nil {
				var none T
				yield(none, b.err)
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
