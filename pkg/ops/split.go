package ops

import (
	"context"
	"fmt"
	"slices"

	"mailutil/pkg/mailbox"
	"mailutil/pkg/search"
)

// A Division says how the messages of a mailbox are divided.
type Division struct {
	Months bool  // by the month of the internal date; else by its year
	Octets int64 // not by date, but into parts of so many octets of text at most; 0 for none
}

// Split divides the messages of src: each part goes to dst with an end of its
// own, "-2023", "-2023-05", or "-001". Parts by date come in the order of their
// dates, those by size in the order of the mailbox; a message that is larger
// than a part may be is a part alone. Messages without a date go to "-undated".
// How many messages there are is returned as well.
func (s *Session) Split(ctx context.Context, src, dst string, by Division) (all []Transfer, messages uint32, err error) {
	mb, err := s.open(ctx, src, mailbox.ReadOnly)
	if err != nil {
		return nil, 0, err
	}
	defer mb.Close() // only read
	if mb.Status().Streaming {
		return nil, 0, mailbox.Sayf(mailbox.ErrUnsupported, "%s is read once, which is too little to divide it: copy it to a mailbox first", src)
	}
	parts := parts{by: by, at: map[string]int{}}
	for m, err := range mb.Messages(mailbox.All) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, 0, err
		}
		parts.add(m)
		messages++
	}
	return parts.transfers(src, dst), messages, nil
}

// Messages returns how many messages src has.
func (s *Session) Messages(ctx context.Context, src string) (uint32, error) {
	mb, err := s.open(ctx, src, mailbox.ReadOnly)
	if err != nil {
		return 0, err
	}
	return mb.Status().Messages, mb.Close()
}

// parts are what a mailbox is divided into.
type parts struct {
	by     Division
	ends   []string
	sets   []mailbox.Set
	at     map[string]int // index of the part with this end
	octets int64          // in the last part
}

func (p *parts) add(m mailbox.Message) {
	end := p.end(m)
	i, ok := p.at[end]
	if !ok {
		i = len(p.ends)
		p.at[end] = i
		p.ends, p.sets = append(p.ends, end), append(p.sets, mailbox.Set{})
	}
	p.sets[i].Add(m.Seq)
}

// end returns what the name of the part ends in that m belongs to.
func (p *parts) end(m mailbox.Message) string {
	switch {
	case p.by.Octets > 0:
		n := len(p.ends)
		if n == 0 || p.octets+m.Size > p.by.Octets {
			n++
			p.octets = 0
		}
		p.octets += m.Size
		return fmt.Sprintf("-%03d", n)
	case m.Date.IsZero():
		return "-undated"
	case p.by.Months:
		return fmt.Sprintf("-%04d-%02d", m.Date.Year, m.Date.Month)
	}
	return fmt.Sprintf("-%04d", m.Date.Year)
}

func (p *parts) transfers(src, dst string) (all []Transfer) {
	if p.by.Octets == 0 {
		slices.Sort(p.ends)
	}
	for _, end := range p.ends {
		all = append(all, Transfer{Source: src, Target: dst + end, Where: search.Messages(p.sets[p.at[end]])})
	}
	return all
}
