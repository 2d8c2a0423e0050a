package imap

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"mailutil/pkg/charset"
	"mailutil/pkg/mailbox"
	"mailutil/pkg/rfc822"
)

// maxSortKey is how much of a field counts where messages are sorted: all of
// their keys are kept at once.
const maxSortKey = 500

// An ordered is what a message is sorted and threaded by.
type ordered struct {
	number  uint32 // what the client calls it: sequence number or UID
	seq     uint32
	size    int64
	arrival int64 // internal date, in seconds
	sent    int64 // Date field, or the internal date

	cc, from, to, subject string // fit for comparing
	marked                bool   // the subject is that of an answer or forward
}

// A sortKey is one of SORT.
type sortKey struct {
	name    string
	reverse bool
}

// sortOrders are the orders of RFC 5256, 3.
var sortOrders = map[string]func(a, b *ordered) int{
	"ARRIVAL": func(a, b *ordered) int { return cmp.Compare(a.arrival, b.arrival) },
	"CC":      func(a, b *ordered) int { return cmp.Compare(a.cc, b.cc) },
	"DATE":    bySent,
	"FROM":    func(a, b *ordered) int { return cmp.Compare(a.from, b.from) },
	"SIZE":    func(a, b *ordered) int { return cmp.Compare(a.size, b.size) },
	"SUBJECT": func(a, b *ordered) int { return cmp.Compare(a.subject, b.subject) },
	"TO":      func(a, b *ordered) int { return cmp.Compare(a.to, b.to) },
}

// bySent is the order of the dates at which messages were sent, and of their
// numbers where those are the same.
func bySent(a, b *ordered) int { return cmp.Compare(a.sent, b.sent) }

// sortBy sorts messages by keys; the last one is the sequence number.
func sortBy(all []*ordered, keys ...sortKey) {
	slices.SortFunc(all, func(a, b *ordered) int {
		for _, k := range keys {
			c := sortOrders[k.name](a, b)
			if k.reverse {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return cmp.Compare(a.seq, b.seq)
	})
}

// orderOf is what a message is sorted by, as far as that is not in its header.
func orderOf(m mailbox.Message) *ordered {
	o := &ordered{number: m.Seq, seq: m.Seq, size: m.Size, arrival: m.Date.Time().Unix()}
	o.sent = o.arrival
	return o
}

// read finds what a message is sorted by in its header.
func (o *ordered) read(head []byte) {
	if sent, ok := sentDate(head); ok {
		o.sent = sent
	}
	o.from, o.to, o.cc = firstMailbox(head, "From"), firstMailbox(head, "To"), firstMailbox(head, "Cc")
	raw, _ := rfc822.Header(head, "Subject")
	o.subject, o.marked = baseSubject(raw)
	o.subject = strings.Clone(o.subject[:min(len(o.subject), maxSortKey)])
}

// sentDate is the date at which a message says that it was sent, RFC 5256, 2.2.
func sentDate(head []byte) (int64, bool) {
	raw, ok := rfc822.Header(head, "Date")
	if !ok {
		return 0, false
	}
	d, err := mailbox.ParseDate(strings.TrimSpace(string(rfc822.Unfold(nil, raw))), time.UTC)
	return d.Time().Unix(), err == nil && !d.IsZero()
}

// firstMailbox is the part before the "@" of the first address of a field.
func firstMailbox(head []byte, name string) string {
	raw, _ := rfc822.Header(head, name)
	for _, a := range addresses(rfc822.Unfold(nil, raw)) {
		return charset.Casemap(string(a.mailbox[:min(len(a.mailbox), maxSortKey)]))
	}
	return ""
}
