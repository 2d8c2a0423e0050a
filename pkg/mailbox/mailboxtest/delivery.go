package mailboxtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"mailutil/pkg/mailbox"
)

// A delivery is mail on its way into a mailbox. Until Commit nothing of it is
// in the box.
type delivery struct {
	d       *Memory
	name    mailbox.Name
	o       mailbox.AppendOptions
	box     *box // its own until Commit, where the mailbox is new
	items   []*letter
	names   [][]string // keywords of each item
	state   error      // why nothing more can be added; nil while it can
	aborted bool
}

var (
	errBroken    = errors.New("delivery has failed before")
	errCommitted = errors.New("delivery is committed already")
	errAborted   = errors.New("delivery was aborted")
)

// Append begins a delivery.
func (d *Memory) Append(ctx context.Context, n mailbox.Name, o mailbox.AppendOptions) (mailbox.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v := &delivery{d: d, name: n, o: o}
	if !o.New {
		b, err := d.find("append", n)
		if err != nil {
			return nil, err
		}
		v.box = b
	} else {
		if d.boxes[key(n)] != nil {
			return nil, d.fail("append", n, mailbox.ErrExist)
		}
		v.box = d.newBox(o.UIDValidity)
		v.box.next = max(v.box.next, o.UIDNext)
	}
	v.box.users++
	return v, nil
}

// Add reads one message.
func (v *delivery) Add(it mailbox.Item) (mailbox.Altered, error) {
	if v.state != nil {
		return mailbox.Altered{}, v.state
	}
	alt, err := v.add(it)
	if err != nil {
		v.state = errBroken
	}
	return alt, err
}

func (v *delivery) add(it mailbox.Item) (alt mailbox.Altered, err error) {
	text, err := io.ReadAll(it.Text)
	if err != nil {
		return alt, err
	}
	if it.Size >= 0 && it.Size != int64(len(text)) {
		return alt, fmt.Errorf("message of %d octets was said to have %d", len(text), it.Size)
	}
	l := &letter{msg: it.Message, sender: it.Sender, text: string(text)}
	l.msg.Size = int64(len(text))
	l.msg.Flags = mailbox.Flags{System: it.Flags.System &^ mailbox.Recent}
	if l.msg.Date.IsZero() {
		l.msg.Date = mailbox.DateOf(v.d.env.Now())
	}
	if v.keepsUIDs() {
		if n := len(v.items); it.UID == 0 || n > 0 && it.UID <= v.items[n-1].msg.UID {
			return alt, fmt.Errorf("UID %d does not ascend", it.UID)
		}
	}
	names, dropped := v.keywordsOf(it.Flags)
	alt.Keywords = dropped
	v.items = append(v.items, l)
	v.names = append(v.names, names)
	return alt, nil
}

func (v *delivery) keepsUIDs() bool { return v.o.New && v.o.UIDValidity != 0 }

// keywordsOf names the keyword bits of an item, and counts those that cannot
// be kept.
func (v *delivery) keywordsOf(f mailbox.Flags) (names []string, dropped int) {
	for bit := range mailbox.MaxKeywords {
		if f.Keywords&(1<<bit) == 0 {
			continue
		}
		if bit >= len(v.o.Keywords) || !v.room(v.o.Keywords[bit]) {
			dropped++
			continue
		}
		names = append(names, v.o.Keywords[bit])
	}
	return names, dropped
}

// room reports whether the mailbox has the keyword or can take it, with those
// that the delivery brings already.
func (v *delivery) room(name string) bool {
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	trial := box{keywords: slices.Clone(v.box.keywords)}
	for _, names := range v.names {
		for _, n := range names {
			trial.keyword(n)
		}
	}
	_, ok := trial.keyword(name)
	return ok
}

// Commit puts the messages into the mailbox.
func (v *delivery) Commit() (mailbox.UIDs, error) {
	if v.state != nil {
		return mailbox.UIDs{}, v.state
	}
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	if v.o.New {
		if v.d.boxes[key(v.name)] != nil {
			v.state = errBroken
			return mailbox.UIDs{}, v.d.fail("append", v.name, mailbox.ErrExist)
		}
		v.d.boxes[key(v.name)] = v.box
	}
	v.state = errCommitted
	v.box.users--
	uids := v.place()
	for _, k := range v.o.Keywords { // those that messages bear came first: room was promised
		if k != "" {
			v.box.keyword(k)
		}
	}
	return uids, nil
}

// place gives the messages their UIDs and keyword bits.
func (v *delivery) place() mailbox.UIDs {
	u := mailbox.UIDs{Validity: v.box.validity}
	for i, l := range v.items {
		if !v.keepsUIDs() {
			l.msg.UID = v.box.next
		}
		v.box.next = max(v.box.next, l.msg.UID+1)
		for _, name := range v.names[i] {
			if bit, ok := v.box.keyword(name); ok {
				l.msg.Flags.Keywords |= 1 << bit
			}
		}
		v.box.letters = append(v.box.letters, l)
	}
	if n := len(v.items); n > 0 {
		u.First, u.Last = v.items[0].msg.UID, v.items[n-1].msg.UID
	}
	return u
}

// Abort throws the delivery away, unless it is committed.
func (v *delivery) Abort() error {
	if v.aborted || v.state == errCommitted {
		return nil
	}
	v.aborted = true
	v.state = errAborted
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	v.box.users--
	return nil
}
